import type { FindingHistoryEntry, FindingRevision } from '../finding.js'
import type { FindingExport } from './finding-export.js'

/** Longer text is cut, and says so. */
const MAX_TEXT = 2_000

/** What would end the line, or turn it round for who reads it. */
const UNSEEN = /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/gu

/**
 * Any text as a code span of one line, in which Markdown has no links, images, HTML or mentions: its marks are longer than any run of backticks in the text
 * (CommonMark 0.31, 6.1). What can't be seen is written out.
 */
export function toCodeSpan (text: string): string {
  const cut = text.length > MAX_TEXT ? text.slice(0, MAX_TEXT) : text
  const plain = cut.toWellFormed().replace(UNSEEN, char => `\\u{${char.codePointAt(0)!.toString(16)}}`)
  if (plain === '') return '(empty)'
  const longest = Math.max(0, ...[...plain.matchAll(/`+/g)].map(([run]) => run.length))
  const mark = '`'.repeat(longest + 1)
  const pad = /^[` ]|[` ]$/.test(plain) && /[^ ]/.test(plain) ? ' ' : '' // which Markdown takes away again
  return `${mark}${pad}${plain}${pad}${mark}${cut === text ? '' : ` (cut: ${text.length} characters)`}`
}

/** Values, events and processes that are listed; the JSON has the others. */
const MAX_ITEMS = 50

function list<T> (items: readonly T[], toLine: (item: T) => string): string[] {
  return [...items.slice(0, MAX_ITEMS).map(item => `- ${toLine(item)}`), ...items.length > MAX_ITEMS ? [`- and ${items.length - MAX_ITEMS} more`] : [], ...items.length === 0 ? ['None.'] : []]
}

/** A finding to be read, or pasted into a ticket. All that events and people have said is in code spans. */
export function toMarkdown ({ finding, process_tree: tree, revisions, revisions_truncated: revisionsCut, history, history_truncated: historyCut }: FindingExport): string {
  const code = (value: unknown) => toCodeSpan(typeof value === 'string' ? value : JSON.stringify(value))
  const { detection, risk, evidence, drill_down: drillDown } = finding
  const lines = [
    `# Finding ${code(finding.id)}`,
    '',
    `- detection: ${code(detection.name)} (${code(detection.id)}, version ${detection.version})`,
    `- time: ${new Date(finding.time * 1000).toISOString()}`,
    `- severity: ${finding.severity}, score ${risk.score}`,
    `- status: ${finding.status}, disposition: ${finding.disposition ?? 'none'}, owner: ${finding.owner === null ? 'nobody' : code(finding.owner)}`,
    `- window: ${finding.window.earliest} to ${finding.window.latest}`,
    `- revision: ${finding.revision}, of ${finding.updated_at}`,
    `- ATT&CK: ${finding.mitre_attack.length === 0 ? 'none' : finding.mitre_attack.map(code).join(' ')}`,
    ...risk.message === null ? [] : [`- message: ${code(risk.message)}`],
    ...finding.suppressed_by === null ? [] : [`- suppressed by ${code(finding.suppressed_by)}`],
    ...finding.throttled_by === null ? [] : [`- throttled by ${code(finding.throttled_by)}`],
    '',
    '## Risk objects',
    '',
    ...list(risk.objects, ({ field, type, value, score }) => `${code(value)}: ${code(field)}, ${code(type)}, score ${score}`),
    '',
    '## Threat objects',
    '',
    ...list(risk.threat_objects, ({ field, type, value }) => `${code(value)}: ${code(field)}, ${code(type)}`),
    '',
    '## Row',
    '',
    ...list(Object.entries(finding.result as Readonly<Record<string, unknown>>), ([field, value]) => `${code(field)}: ${code(value)}`),
    '',
    '## Events',
    '',
    evidence === null ? 'None are kept.' : `${evidence.event_count} contribute${evidence.approximate ? ', or fewer' : ''}; ${evidence.events.length} are kept.`,
    '',
    ...list(evidence?.events ?? [], ({ time, raw }) => `${new Date(time * 1000).toISOString()} ${code(raw)}`),
    ...drillDown === null ? [] : ['', `All of them, from ${drillDown.earliest} to ${drillDown.latest}: ${code(drillDown.search)}`],
    '',
    '## Processes',
    '',
    ...list(tree.nodes, node => [
      node.start_time === null ? 'at an unknown time' : new Date(node.start_time * 1000).toISOString(),
      code([node.binary ?? '?', ...node.arguments === null ? [] : [node.arguments]].join(' ')),
      `pid ${node.pid ?? '?'}`,
      node.pod === null ? node.host ? 'on the host' : 'in a container' : `in ${code(`${node.pod.namespace ?? '?'}/${node.pod.name ?? '?'}`)}`,
      ...node.privileged === true ? ['privileged'] : [],
      ...node.crosses_to_host ? ['**steps to the host**'] : [],
      ...node.evidence ? ['contributes'] : [],
    ].join(', ')),
    ...tree.truncated ? ['', 'There may be more: a bound was met.'] : [],
    '',
    '## Revisions',
    '',
    ...list(revisions, ({ revision, created_at: at, change }: FindingRevision) => `${revision}, ${at}${change === null ? '' : `: ${code(change.text)}`}`),
    ...revisionsCut ? ['- and older ones'] : [],
    '',
    '## History',
    '',
    ...list(history, (entry: FindingHistoryEntry) => [
      `${entry.at}, ${entry.by === null ? 'Hecate' : code(entry.by)}: ${entry.kind}`,
      ...entry.after === null ? [] : [code(entry.after)],
      ...entry.comment === null ? [] : [code(entry.comment)],
      ...entry.reason === null ? [] : [code(entry.reason)],
    ].join(', ')),
    ...historyCut ? ['- and older ones'] : [],
    '',
  ]
  return lines.join('\n')
}
