import t from 'tap'
import { parseConf } from '../../src/detect/conf.js'
import { testApp } from '../fixtures/app.js'
import { detectionsOf, GENERATIONS, get } from '../fixtures/rules.js'

/** A text in Splunk's conf format, and the settings that `[s]` has of it. */
const TEXTS: readonly { what: string, text: string, settings: Record<string, string>, warnings?: readonly string[], errors?: readonly string[] }[] = [
  { what: 'blanks around keys, values and names are no part of them', text: ' [ s ] \n  a  =  one two  \nb=1\n', settings: { a: 'one two', b: '1' } },
  { what: 'quotes are part of a value', text: '[s]\na = "one"\nb = \'two\'\n', settings: { a: '"one"', b: "'two'" } },
  { what: 'only the first = parts key and value', text: '[s]\na = b=c | eval d=1\n', settings: { a: 'b=c | eval d=1' } },
  { what: 'a value may be empty', text: '[s]\na =\nb=\n', settings: { a: '', b: '' } },
  { what: 'a backslash at the end of a line continues the value', text: '[s]\na = one \\\n  | two\\\n| three\nb = 1\n', settings: { a: 'one \n  | two\n| three', b: '1' } },
  { what: 'a value may begin in the next line', text: '[s]\na = \\\none\n', settings: { a: 'one' } },
  { what: 'a backslash elsewhere is one', text: '[s]\na = C:\\Windows\\* \\d+\n', settings: { a: 'C:\\Windows\\* \\d+' } },
  { what: 'a backslash at the end of the text continues nothing', text: '[s]\na = one\\', settings: { a: 'one\\' } },
  { what: 'lines that begin with # are comments', text: '# x\n[s]\n  # a = 1 \\\na = 2\n### END ###\n', settings: { a: '2' } },
  { what: '# elsewhere is part of the value', text: '[s]\na = 1 # one\nb = x \\\n# y\n', settings: { a: '1 # one', b: 'x \n# y' } },
  { what: 'lines may end with CR and LF, and the text begin with a byte order mark', text: '\uFEFF[s]\r\na = one \\\r\ntwo\r\n', settings: { a: 'one \ntwo' } },
  { what: '[default] is the default, wherever it stands', text: '[s]\na = 1\n[default]\na = 2\nb = 2\n', settings: { a: '1', b: '2' } },
  { what: 'so are settings before the first stanza', text: 'a = 2\nb = 2\n[s]\na = 1\n', settings: { a: '1', b: '2' } },
  { what: 'keys have their case', text: '[s]\nA = 1\na = 2\n', settings: { A: '1', a: '2' } },
  { what: 'of a key that is set twice the last counts', text: '[s]\na = 1\na = 2\n', settings: { a: '2' }, warnings: ['3:1: a is set twice: the last value counts'] },
  { what: 'stanzas of one name are one', text: '[s]\na = 1\n[other]\nc = 1\n[s]\nb = 2\n', settings: { a: '1', b: '2' }, warnings: ['5:1: [s] is there twice: settings of both count, and of a key in both the last'] },
  { what: 'a line that sets nothing is an error', text: '[s]\na = 1\n  oops\nb = 2\n', settings: { a: '1', b: '2' }, errors: ['3:3: expected key = value'] },
  { what: 'blanks behind the backslash', text: '[s]\na = 1 \\ \n| two\n', settings: { a: '1 \\' }, errors: ['3:1: expected key = value: behind the backslash of the line before are blanks, so it continues nothing'] },
]
for (const { what, text, settings, warnings = [], errors = [] } of TEXTS) {
  t.test(`conf: ${what}`, async t => {
    const { stanzas } = parseConf(text)
    const stanza = stanzas.find(({ name }) => name === 's')!
    const shown = (problems: typeof stanza.errors) => problems.map(({ line, column, message }) => `${line}:${column}: ${message}`)

    t.strictSame(Object.fromEntries([...stanza.settings].map(([key, { value }]) => [key, value])), settings)
    t.strictSame(shown(stanza.warnings), warnings)
    t.strictSame(shown(stanza.errors), errors)
  })
}

t.test('conf: a broken stanza line is an error, and what follows belongs to no stanza', async t => {
  const { stanzas, errors } = parseConf('[s\na = 1\n[t]\nb = 1\n')
  t.match(errors, [{ line: 1, column: 1, message: /expected a stanza such as \[name\]/ }])
  t.strictSame(stanzas.map(({ name, settings }) => [name, [...settings.keys()]]), [['t', ['b']]])
})

const STANZA = GENERATIONS['savedsearches.conf'].replace('[a_rule]', '[ESCU - A rule v1.0/x - Rule]')
const ID = 'escu___a_rule_v1_0_x___rule'

async function show (t: Parameters<typeof detectionsOf>[0], text: string, id = ID) {
  const server = await testApp(t, { files: detectionsOf(t, { 'savedsearches.conf': text }) })
  return get(server, `detections/${id}`)
}

t.test('the name of a stanza gives the id; notes say what Hecate does its own way', async t => {
  t.match(await show(t, STANZA), {
    id: ID,
    name: 'ESCU - A rule v1.0/x - Rule',
    version: 3,
    enabled: true,
    origins: { enabled: 'file', cron: 'file', earliest: 'file', latest: 'file' },
    errors: [],
    warnings: [],
    notes: [{ line: 17, column: 1, message: /^schedule_window, allow_skew: the schedule is always continuous/ }],
  })
})

/** An edit of the stanza, and what it changes of the detection. */
const EDITS = [
  { what: 'disabled', from: 'disabled = false', to: 'disabled = 1', shown: { enabled: false, errors: [] } },
  { what: 'without disabled', from: 'disabled = false\n', to: '', shown: { enabled: true } },
  { what: 'not scheduled', from: 'enableSched = 1', to: 'enableSched = 0', shown: { enabled: false } },
  { what: 'no boolean', from: 'disabled = false', to: 'disabled = perhaps', shown: { errors: [{ line: 20, column: 12, message: /^disabled: expected 1 or 0/ }] } },
  { what: 'a schedule', from: 'cron_schedule = 0 * * * *', to: 'cron_schedule = */5 * * * *', shown: { schedule: { cron: '*/5 * * * *', earliest: '-70m@m' }, warnings: [{ line: 11, message: /overlap by 55m/ }] } },
  { what: 'no cron', from: 'cron_schedule = 0 * * * *', to: 'cron_schedule = hourly', shown: { definition: null, errors: [{ line: 11, message: /"hourly" is no cron expression/ }] } },
  { what: 'no schedule', from: /cron_schedule[^]*latest_time = -10m@m\n/, to: '', shown: { schedule: { cron: '0 * * * *', earliest: '-70m@m', latest: '-10m@m' }, origins: { cron: 'default' } } },
  { what: 'suppression', from: 'disabled = false', to: 'alert.suppress = 1\nalert.suppress.fields = pod\nalert.suppress.period = 1h', shown: { throttling: { fields: ['pod'], period_seconds: 3600, mode: 'digest' }, errors: [], warnings: [] } },
  { what: 'suppression that is off', from: 'disabled = false', to: 'alert.suppress = 0', shown: { throttling: null, warnings: [] } },
  { what: 'a condition', from: 'quantity = 0', to: 'quantity = 5', shown: { warnings: [{ message: /^quantity: conditions of an alert/ }] } },
  { what: 'real-time scheduling', from: 'realtime_schedule = 0', to: 'realtime_schedule = 1', shown: { notes: [{ message: /^realtime_schedule, schedule_window, allow_skew: the schedule is always continuous/ }] } },
  { what: 'no JSON', from: '[{"risk_object_field"', to: '[{risk_object_field', shown: { definition: null, errors: [{ line: 8, column: 27, message: /^action\.risk\.param\._risk: is no JSON/ }] } },
  { what: 'a score that is none', from: '"risk_score": 72', to: '"risk_score": 720', shown: { errors: [{ line: 8, message: /^action\.risk\.param\._risk: 0: risk_score: / }] } },
  { what: 'a threat object that is none', from: '"process_name"', to: '"tool"', shown: { errors: [{ line: 8, message: /^action\.risk\.param\._risk: 2: threat_object_type: / }] } },
  { what: 'no score of its own', from: /, "risk_score": 72/g, to: '', shown: { errors: [{ message: /0: pod: expected a risk_score/ }, { message: /1: user: expected a risk_score/ }] } },
  { what: 'the score of all', from: /, "risk_score": 72([^]*_risk_score = )0/, to: '$19', shown: { risk: { risk_objects: [{ score: 9 }, { score: 72 }] } } },
  { what: 'no message', from: /action\.risk\.param\._risk_message.*\n/, to: '', shown: { errors: [{ message: /0: pod: expected action\.risk\.param\._risk_message/ }, {}] } },
  { what: 'a message of each object', from: /"risk_score": 72/g, to: '"risk_score": 72, "risk_message": "about $pod$"', shown: { risk: { message: 'about $pod$', risk_objects: [{ field: 'pod' }, { field: 'user' }] } } },
  { what: 'an entity of the finding', from: 'action.notable.param.rule_title = A rule', to: 'action.notable.param.rule_title = In $pod$\naction.notable.param._entities = [{"risk_object_field": "tool", "risk_object_type": "other", "risk_score": 5}]', shown: { risk: { message: 'In $pod$', risk_objects: [{ field: 'tool', score: 5 }, { field: 'pod', message: '$user$ ran [$tool$] in $pod$' }, {}] } } },
  { what: 'no type, with a notable', from: ', "type": "TTP"', to: '', shown: { type: 'TTP' } },
  { what: 'no type, without a notable', from: /, "type": "TTP"([^]*)action\.notable = 1/, to: '$1action.notable = 0', shown: { type: 'Anomaly' } },
  { what: 'no type and no action', from: /action\.risk[^]*action\.notable\.param.*\n/, to: '', shown: { type: 'Hunting', risk: null, enabled: true, warnings: [] } },
  { what: 'no risk', from: 'action.risk = 1', to: 'action.risk = 0', shown: { type: 'TTP', risk: null, warnings: [{ message: /without a risk action/ }] } },
  { what: 'no search', from: /\nsearch = .*\\\n.*\n/, to: '\n', shown: { definition: null, errors: [{ line: 3, column: 1, message: /^search: / }] } },
  { what: 'a search that can not run', from: /stats count.*/, to: '\\\n  nonsense x', shown: { definition: null, errors: [{ line: 29, column: 3, message: /^search: 3:3: .*"nonsense"/ }] } },
  { what: 'a deprecated one', from: 'action.escu = 0', to: 'description = WARNING, this detection has been marked deprecated by the Splunk Threat Research team', shown: { status: 'deprecated' } },
]
t.test('a stanza says what it says', async t => {
  for (const { what, from, to, shown } of EDITS) {
    const text = STANZA.replace(from, to)
    t.not(text, STANZA, what)
    t.match(await show(t, text), shown, what)
  }
})

t.test('a bad stanza stops no other; baselines are no detections', async t => {
  const baseline = '[ESCU - Baseline]\naction.escu.search_type = support\nsearch = | tstats count\n'
  const server = await testApp(t, { files: detectionsOf(t, { 'savedsearches.conf': `oops\n${STANZA}[bad]\noops\nsearch = a=1\n${baseline}` }) })

  const { items } = await get(server, 'detections')

  t.match(items, [
    { id: 'bad', enabled: true, definition: null, errors: [{ message: 'expected key = value' }] },
    { id: ID, errors: [], definition: /^[0-9a-f]{64}$/ },
    { id: 'savedsearches_conf', name: null, errors: [{ line: 1, column: 1 }] },
  ])
  t.equal(items.length, 3)
})
