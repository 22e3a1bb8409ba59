import type { SplunkTarget } from '../config.js'
import type { Finding, FindingBody, RiskObjectValue } from '../finding.js'
import type { BuildRequest, Message } from './message.js'

/** What risk events have beside the finding, or depend on. */
export interface RiskEventContext {
  /** What was told of a finding before a revision of it, in any order. */
  readonly toldBefore: (finding: Finding) => Iterable<Pick<FindingBody, 'risk'>>
  readonly storiesOf: (detectionId: string) => readonly string[]
  readonly madeOfRisk: ReadonlySet<string>
}

/** Of one finding; more would be its row as often again. */
export const MAX_RISK_EVENTS = 1_000

/** Of threat objects and the row, in each event; and of the message. */
export const MAX_ROW_CHARS = 16_384
const MAX_MESSAGE_CHARS = 8_192

/**
 * Risk events, as the risk action of Enterprise Security writes them into its index (spl-semantics.md R100–R105): one for each value of each risk object. A revision has only those
 * that are new, or whose score rose, with what it rose by, or that have new threat objects, with a score of 0: what Splunk adds up is the highest score that the finding has had. A finding that
 * is made of risk has none: it would be counted again.
 */
export function buildSplunk ({ token, index, search_name: searchName }: Pick<SplunkTarget, 'token' | 'index' | 'search_name'>, { toldBefore, storiesOf, madeOfRisk }: RiskEventContext): BuildRequest {
  return message => {
    const { finding } = message
    if (madeOfRisk.has(finding.detection.id)) return null
    const objects = newObjects(finding, message.what === 'revised' ? toldBefore(finding) : [])
    if (objects.length === 0) return null
    const source = searchName.replaceAll('$name$', () => finding.detection.name)
    const annotations = annotationPairs(finding.mitre_attack, storiesOf(finding.detection.id))
    const envelopes = objects.slice(0, MAX_RISK_EVENTS).map(object => JSON.stringify({
      time: finding.time, host: 'hecate', index, source, sourcetype: 'stash', event: toStash(finding.time, riskPairs(message, object, { source, annotations, isCutShort: objects.length > MAX_RISK_EVENTS })),
    }))
    return { headers: { authorization: `Splunk ${token}`, 'content-type': 'application/json' }, body: envelopes.join('') }
  }
}

const keyOf = ({ type, value }: { readonly type: string, readonly value: string }) => JSON.stringify([type, value])

/** The risk objects that there is something to say of, each with the score that is to be added. */
function newObjects ({ risk }: Finding, before: Iterable<Pick<FindingBody, 'risk'>>): RiskObjectValue[] {
  const scores = new Map<string, number>()
  const threats = new Set<string>()
  for (const { risk: told } of before) {
    for (const object of told.objects) scores.set(keyOf(object), Math.max(scores.get(keyOf(object)) ?? 0, object.score))
    for (const threat of told.threat_objects) threats.add(keyOf(threat))
  }
  const hasNewThreats = risk.threat_objects.some(threat => !threats.has(keyOf(threat)))
  return risk.objects.flatMap(object => {
    const told = scores.get(keyOf(object))
    if (told === undefined) return [object]
    return object.score > told || hasNewThreats ? [{ ...object, score: Math.max(0, object.score - told) }] : []
  })
}

type Pair = readonly [key: string, value: unknown]

/** Of the frameworks a detection keeps ATT&CK alone; stories are a field of their own (R103). */
function annotationPairs (techniques: readonly string[], stories: readonly string[]): Pair[] {
  if (techniques.length + stories.length === 0) return []
  return [
    ['annotations', JSON.stringify({ ...stories.length === 0 ? {} : { analytic_story: stories }, ...techniques.length === 0 ? {} : { mitre_attack: techniques } })],
    ...techniques.length === 0 ? [] : [['annotations._frameworks', 'mitre_attack']] satisfies Pair[],
    ...techniques.flatMap((technique): Pair[] => [['annotations._all', technique], ['annotations.mitre_attack', technique]]),
    ...stories.map((story): Pair => ['analyticstories', story]),
  ]
}

function riskPairs ({ id, writtenMs, finding }: Message, { field, type, value, score, message }: RiskObjectValue, { source, annotations, isCutShort }: { readonly source: string, readonly annotations: readonly Pair[], readonly isCutShort: boolean }): Pair[] {
  const { risk, window, result } = finding
  const text = message ?? risk.message ?? ''
  const threats = risk.threat_objects.flatMap(({ type, value }): Pair[] => [['threat_object', value], ['threat_object_type', type]])
  const said: Pair[] = [
    ['search_name', source],
    ['risk_object', value],
    ['risk_object_type', type],
    ['risk_object_field', field],
    ['risk_score', score],
    ['risk_message', text.slice(0, MAX_MESSAGE_CHARS)],
    ...annotations,
    ['orig_sid', finding.run],
    ['info_min_time', Date.parse(window.earliest) / 1000],
    ['info_max_time', Date.parse(window.latest) / 1000],
    ['info_search_time', writtenMs / 1000],
    ['contributing_events_search', `| savedsearch ${quoteSpl(source)} | search ${field}=${quoteSpl(value)}`],
    ['hecate_finding', finding.id],
    ['hecate_revision', finding.revision],
    ['hecate_delivery', id],
  ]
  const row = Object.entries((result ?? {}) as Record<string, unknown>).flatMap(([key, value]): Pair[] => {
    const name = rowKey(key)
    return name === null ? [] : [value].flat().map((one): Pair => [name, one])
  })
  const { kept, isCut } = takeChars([...threats, ...row])
  return [...said, ...kept, ...isCut || isCutShort || text.length > MAX_MESSAGE_CHARS ? [['hecate_cut', 'true'] as const] : []]
}

/** Fields that every event has (R104), or every risk event (R103): those of a row get another name. */
const TAKEN: ReadonlySet<string> = new Set([
  '_time', '_raw', 'source', 'sourcetype', 'host', 'index', 'splunk_server', 'linecount', 'eventtype', 'tag', 'event_id', 'search_name', 'risk_object', 'risk_object_type', 'risk_object_field', 'risk_score', 'risk_message',
  'threat_object', 'threat_object_type', 'annotations', 'annotations._all', 'annotations._frameworks', 'annotations.mitre_attack', 'analyticstories', 'orig_sid', 'info_min_time', 'info_max_time', 'info_search_time',
  'contributing_events_search', 'hecate_finding', 'hecate_revision', 'hecate_delivery', 'hecate_cut',
])

/** What a field of a row is called in an event; null: it is left out (R104). A name that is text of an event is not to look like another pair. */
function rowKey (key: string): string | null {
  const name = key.replace(/[^\p{L}\p{N}_.:{}@-]/gu, '_')
  if (TAKEN.has(name)) return `orig_${name.replace(/^_/, '')}`
  return /^(_|date_)|^(punct|sid|rid)$/.test(key) ? null : name
}

function takeChars (pairs: readonly Pair[]): { kept: Pair[], isCut: boolean } {
  let left = MAX_ROW_CHARS
  const kept = pairs.filter(([key, value]) => {
    left -= key.length + String(value).length
    return left >= 0
  })
  return { kept, isCut: kept.length < pairs.length }
}

/** The form of the stash files that summaries and risk events are indexed from: a time, and `key="value"` once per value. */
function toStash (time: number, pairs: readonly Pair[]): string {
  return [String(time), ...pairs.map(([key, value]) => `${key}=${quoteSpl(String(value))}`)].join(', ')
}

function quoteSpl (text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`
}
