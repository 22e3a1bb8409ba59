/**
 * Splunk's other commands, by lower-case name, with what to write instead where there is something; '' where there is not.
 * From the Splunk Search Reference, "Command quick reference", and the Machine Learning Toolkit (`apply`, `fit`, `score`, `summary`).
 */
export const UNSUPPORTED_COMMANDS: ReadonlyMap<string, string> = new Map([
  ...each(['append', 'appendcols', 'appendpipe', 'map', 'multisearch', 'selfjoin', 'set', 'union'],
    'put the conditions of both searches together with OR and group with stats … BY the common field, or use join'),
  ...each(['transaction', 'searchtxn', 'concurrency'], 'group with bin _time and stats … BY _time and the common fields'),
  ...each(['datamodel', 'from', 'pivot'], 'tstats … from datamodel=Endpoint.Processes reads the one data model there is'),
  ...each(['mstats', 'tscollect', 'mcatalog', 'mpreview', 'msearch', 'metasearch'], 'there are no metrics; search events, then bin and stats'),
  ...each(['chart', 'timechart', 'xyseries', 'untable', 'transpose', 'timewrap', 'makecontinuous', 'gauge'], 'a table of rows is made with bin and stats … BY'),
  ...each(['inputcsv', 'inputintelligence', 'geom'], 'inputlookup reads CSV files of the folders in detections.lookups'),
  ...each(['collect', 'outputlookup', 'outputcsv', 'outputtext', 'mcollect', 'meventcollect', 'sendalert', 'sendemail', 'summaryindex', 'overlap',
    'sichart', 'sirare', 'sistats', 'sitimechart', 'sitop', 'stash'],
  'results are kept as findings and sent by notifications; leave it out'),
  ...each(['makeresults', 'gentimes', 'loadjob', 'savedsearch', 'rest', 'dbinspect', 'dbxquery', 'eventcount', 'metadata', 'history', 'typeahead', 'walklex', 'tojson', 'fromjson'],
    'a search is over stored events'),
  ...each(['delete', 'dump', 'audit', 'script', 'run', 'runshellscript', 'localop', 'redistribute', 'require', 'noop', 'return', 'format', 'localize', 'input'], ''),
  ...each(['streamstats', 'accum', 'autoregress', 'delta', 'trendline', 'filldown', 'predict', 'x11'], 'eventstats and stats aggregate over all rows, none over those before a row'),
  ['addcoltotals', 'a row of totals is made with stats sum(…)'],
  ...each(['extract', 'kv', 'kvform', 'multikv', 'xmlkv', 'xpath', 'erex'], 'fields of JSON events are there without it'),
  ['fieldformat', 'write the text into a field with eval'],
  ['strcat', 'join text with eval x = a . b'],
  ['rangemap', 'use eval with case(…)'],
  ['setfields', 'use eval'],
  ['mvcombine', 'use stats values(…) BY the other fields'],
  ['addinfo', 'the time range comes from the schedule'],
  ...each(['fieldsummary', 'contingency', 'ctable', 'counttable', 'analyzefields', 'af'], 'use stats'),
  ...each(['tags', 'typer', 'eventtype', 'typelearner'], 'event types and tags are not kept; write their conditions'),
  ...each(['bucketdir', 'highlight', 'iconify', 'scrub', 'relevancy', 'reltime', 'rtorder', 'abstract', 'entitymerge', 'folderize', 'xmlunescape', 'tagcreate', 'geomfilter', 'geostats', 'iplocation', 'createrss'], ''),
  ...each(['anomalies', 'anomalousvalue', 'anomalydetection', 'arules', 'associate', 'cluster', 'cofilter', 'correlate', 'diff', 'findkeywords', 'findtypes', 'kmeans', 'outlier',
    'apply', 'fit', 'score', 'summary', 'deletemodel', 'listmodels', 'sample'], ''),
])

function each (names: readonly string[], hint: string): (readonly [string, string])[] {
  return names.map(name => [name, hint] as const)
}
