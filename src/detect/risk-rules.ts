import { createHash } from 'node:crypto'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { toRfc3339, toSeconds } from '../event.js'
import type { FindingBody, FindingChange } from '../finding.js'
import { severityOf } from '../finding.js'
import type { FindingStore, OwnFinding } from '../store/control/findings.js'
import type { RiskDue, RiskObjectRow, RiskStore } from '../store/control/risk.js'
import type { EpisodeWrite, RiskEpisode, RiskRuleStore } from '../store/control/risk-rules.js'
import type { EventStore } from '../store/events.js'
import { tacticsOf } from './attack.js'
import { durationText, toChange } from './change.js'
import type { RulePosting } from './sliding-risk.js'
import { openSlidingRisk } from './sliding-risk.js'

/** In place of a detection's: no file has it. */
const RULES = {
  score: { id: 'hecate___risk_score', name: 'Hecate - Risk score', version: 1 },
  tactics: { id: 'hecate___risk_tactics', name: 'Hecate - Tactics against one object', version: 1 },
  detections: { id: 'hecate___risk_detections', name: 'Hecate - Detections of one object', version: 1 },
} as const
export type RiskRule = keyof typeof RULES

/** Their findings add nothing to any risk: they are made of it. */
export const RISK_RULE_IDS: ReadonlySet<string> = new Set(Object.values(RULES).map(({ id }) => id))

/** So many findings are the evidence of one at most; it is full then, and says so. */
export const MAX_EVIDENCE = 1_000

const POSTINGS_AT_A_TIME = 5_000
const OBJECTS_AT_A_TIME = 100
/** HEC waits for a commit: each is a short one, and between two of them a request is to get as far as it can. */
const OBJECTS_PER_COMMIT = 10
const PAUSE_MS = 2

/** A rule that is on: whether its value passes its bound in any stretch of so much event time. */
export interface RuleSettings { readonly rule: RiskRule, readonly passes: (value: number) => boolean, readonly bound: string, readonly spanMs: number }

export interface RiskRuleConfig {
  readonly score: { readonly over: number, readonly in: number }
  readonly tactics: { readonly at_least: number, readonly in: number }
  readonly detections: { readonly at_least: number, readonly in: number }
}

export interface RiskRulesDeps {
  readonly events: Pick<EventStore, 'position'>
  readonly store: RiskRuleStore
  readonly risk: Pick<RiskStore, 'standingOf' | 'detections' | 'objectById'>
  readonly findings: Pick<FindingStore, 'putOwn' | 'last'>
  readonly config: RiskRuleConfig
  readonly cap: number
  readonly signal: AbortSignal
  readonly report: (rule: RiskRule, change: 'created' | 'revised') => void
}

/** A window in which a rule's bound is passed: postings from the first to the last, by their places. */
interface Passed { readonly first: number, readonly last: number, readonly value: number }

/** An episode and what this look at it has found. */
interface EpisodeLook { readonly episode: RiskEpisode, readonly isNew: boolean, readonly evidence: Set<string>, readonly newEvidence: string[], next: number, peak: Passed }

/** What the rules say of an object, before it is written. */
interface Evaluated {
  readonly due: RiskDue
  readonly own: readonly OwnFinding[]
  readonly writes: readonly EpisodeWrite[]
  readonly told: readonly { readonly rule: RiskRule, readonly change: 'created' | 'revised' }[]
}

/** Rules over the postings of each risk object. They look at an object whenever it has got some; what they say are findings of their own. */
export function openRiskRules ({ events, store, risk, findings, config, cap, signal, report }: RiskRulesDeps) {
  const rules = settingsOf(config)
  const longestUs = Math.max(0, ...rules.map(({ spanMs }) => spanMs)) * 1_000

  /** Standing postings of an object in every window that holds one of those that are due. */
  async function read ({ object_id: objectId, earliest_us: earliestUs, latest_us: latestUs }: RiskDue): Promise<RulePosting[]> {
    const postings: RulePosting[] = []
    let detections = new Map<number, Pick<RulePosting, 'detection' | 'techniques' | 'tactics'>>()
    let after = { timeUs: earliestUs - longestUs, id: 0 }
    for (;;) {
      const { timeUs, id, riskDetectionId, score } = risk.standingOf(objectId, latestUs + longestUs, after, POSTINGS_AT_A_TIME)
      if (riskDetectionId.some(one => !detections.has(one))) {
        detections = new Map(risk.detections().map(({ id, detection_id: detection, techniques }) => [id, { detection, techniques, tactics: [...new Set(techniques.flatMap(tacticsOf))] }]))
      }
      for (let i = 0; i < id.length; i++) postings.push({ id: id[i]!, timeUs: timeUs[i]!, score: score[i]!, ...detections.get(riskDetectionId[i]!)! })
      if (id.length < POSTINGS_AT_A_TIME) return postings
      after = { timeUs: timeUs.at(-1)!, id: id.at(-1)! }
      await setImmediate()
    }
  }

  /** Every window of the rule that ends at a posting, holds one that is due and passes the bound. */
  function * passedOf ({ rule, passes, spanMs }: RuleSettings, postings: readonly RulePosting[], { earliest_us: earliestUs, latest_us: latestUs }: RiskDue): Generator<Passed> {
    const sliding = openSlidingRisk(cap)
    let first = 0
    for (const [last, posting] of postings.entries()) {
      sliding.add(posting)
      for (; postings[first]!.timeUs <= posting.timeUs - spanMs * 1_000; first++) sliding.remove(postings[first]!)
      const value = sliding[rule]()
      if (posting.timeUs >= earliestUs && postings[first]!.timeUs <= latestUs && passes(value)) yield { first, last, value }
    }
  }

  /**
   * What the rule says of the object. One finding has all windows that end less than a span from when its bound was first passed: what goes on for
   * longer is another one, as it would be in Splunk after a day of throttling.
   */
  function look (settings: RuleSettings, object: RiskObjectRow, postings: readonly RulePosting[], due: RiskDue): EpisodeLook[] {
    const { rule, spanMs } = settings
    const spanUs = spanMs * 1_000
    const looks: EpisodeLook[] = store.episodes(object.id, rule, due.earliest_us - spanUs, due.latest_us + 2 * spanUs).map(episode => ({
      episode, isNew: false, evidence: new Set(store.evidenceIds(episode.finding_id)), newEvidence: [], next: 0, peak: { first: 0, last: 0, value: 0 },
    }))
    for (const passed of passedOf(settings, postings, due)) {
      const firedUs = postings[passed.last]!.timeUs
      let one = looks.find(({ episode }) => Math.abs(firedUs - episode.fired_us) < spanUs)
      if (one === undefined) {
        one = { episode: { finding_id: idOf(rule, object, firedUs), rule, object_id: object.id, fired_us: firedUs }, isNew: true, evidence: new Set(), newEvidence: [], next: 0, peak: passed }
        looks.push(one)
      }
      addEvidence(one, passed, postings)
    }
    return looks.filter(({ newEvidence }) => newEvidence.length > 0)
  }

  function addEvidence (one: EpisodeLook, passed: Passed, postings: readonly RulePosting[]): void {
    for (one.next = Math.max(one.next, passed.first); one.next <= passed.last && one.evidence.size < MAX_EVIDENCE; one.next++) {
      const id = store.findingOf(postings[one.next]!.id)
      if (one.evidence.has(id)) continue
      one.evidence.add(id)
      one.newEvidence.push(id)
    }
    if (passed.value >= one.peak.value) one.peak = passed
  }

  function toOwn ({ episode, isNew, evidence, peak }: EpisodeLook, settings: RuleSettings, object: RiskObjectRow, postings: readonly RulePosting[]): OwnFinding {
    const before = isNew ? undefined : findings.last(episode.finding_id)?.body
    const body = bodyOf(settings, object, episode.fired_us, postings.slice(peak.first, peak.last + 1), evidence.size)
    if (before === undefined) return { id: episode.finding_id, body }
    // The window in which most was found stays what the finding tells of; the evidence is that of all.
    const { value = 0 } = before.result as { value?: number }
    const next: FindingBody = peak.value >= value ? body : { ...before, result: { ...before.result as object, ...countOf(evidence.size) } }
    return { id: episode.finding_id, body: next, change: changeOf(before, next) }
  }

  function bodyOf ({ rule, bound, spanMs }: RuleSettings, { type, key, value }: RiskObjectRow, firedUs: number, window: readonly RulePosting[], evidence: number): FindingBody {
    const sliding = openSlidingRisk(cap)
    for (const posting of window) sliding.add(posting)
    const score = Math.min(100, Math.round(sliding.score()))
    const detections = [...new Set(window.map(({ detection }) => detection))].sort()
    const tactics = [...new Set(window.flatMap(posting => posting.tactics))].sort()
    const techniques = [...new Set(window.flatMap(posting => posting.techniques))].sort()
    const what = { score: `risk score ${sliding.score()}`, tactics: `${tactics.length} ATT&CK tactics`, detections: `${detections.length} detections` }[rule]
    return {
      detection: RULES[rule],
      time: toSeconds(firedUs),
      result: {
        risk_object_type: type, risk_object: value, risk_key: key, value: sliding[rule](), bound, risk_score: sliding.score(), detections, tactics, ...countOf(evidence),
      },
      risk: {
        score,
        message: `${what} of ${type} ${value} in ${durationText(spanMs / 1_000)}, ${bound}: ${detections.length} detections, tactics ${tactics.join(', ') || 'unknown'}`,
        objects: [{ field: 'risk_object', type, value, score }],
        threat_objects: [],
      },
      severity: severityOf(score),
      mitre_attack: techniques,
      window: { earliest: toRfc3339(window.at(-1)!.timeUs - spanMs * 1_000), latest: toRfc3339(window.at(-1)!.timeUs) },
    }
  }

  async function evaluate (due: RiskDue): Promise<Evaluated> {
    const postings = await read(due)
    const object = risk.objectById(due.object_id)
    const own: OwnFinding[] = []
    const writes: EpisodeWrite[] = []
    const told: { rule: RiskRule, change: 'created' | 'revised' }[] = []
    for (const settings of rules) {
      for (const one of look(settings, object, postings, due)) {
        own.push(toOwn(one, settings, object, postings))
        writes.push(one)
        told.push({ rule: settings.rule, change: one.isNew ? 'created' : 'revised' })
      }
    }
    return { due, own, writes, told }
  }

  function settle (all: readonly Evaluated[], nowMs: number): void {
    store.settle(all, () => { findings.putOwn(all.flatMap(({ own }) => own), events.position(), nowMs) })
    for (const { told } of all) for (const { rule, change } of told) report(rule, change)
  }

  return {
    /** Looks at all objects that got postings since. What it was about to see when the process ended is seen by the next. */
    async evaluate (nowMs: number): Promise<void> {
      for (let due = store.due(OBJECTS_AT_A_TIME); due.length > 0; due = store.due(OBJECTS_AT_A_TIME)) {
        for (let from = 0; from < due.length; from += OBJECTS_PER_COMMIT) {
          const evaluated: Evaluated[] = []
          for (const one of due.slice(from, from + OBJECTS_PER_COMMIT)) {
            if (signal.aborted) return
            evaluated.push(await evaluate(one))
            await setImmediate()
          }
          settle(evaluated, nowMs)
          await setTimeout(PAUSE_MS)
        }
      }
    },
    evidence: store.evidence,
    countEvidence: store.countEvidence,
  }
}
export type RiskRules = ReturnType<typeof openRiskRules>

/** Those that are on. */
function settingsOf ({ score, tactics, detections }: RiskRuleConfig): RuleSettings[] {
  const atLeast = (rule: 'tactics' | 'detections', { at_least: least, in: spanMs }: RiskRuleConfig['tactics']): RuleSettings[] => least === 0
    ? []
    : [{ rule, passes: value => value >= least, bound: `at least ${least}`, spanMs }]
  return [
    ...score.over === 0 ? [] : [{ rule: 'score' as const, passes: (value: number) => value > score.over, bound: `above ${score.over}`, spanMs: score.in }],
    ...atLeast('tactics', tactics),
    ...atLeast('detections', detections),
  ]
}

function countOf (evidence: number): { findings: number, findings_full?: true } {
  return { findings: evidence, ...evidence < MAX_EVIDENCE ? {} : { findings_full: true as const } }
}

function changeOf (before: FindingBody, after: FindingBody): FindingChange {
  return toChange(before, after, { reason: 'evidence', late: null })
}

function idOf (rule: RiskRule, { type, key }: RiskObjectRow, firedUs: number): string {
  return createHash('sha256').update(JSON.stringify([RULES[rule].id, type, key, firedUs])).digest('hex').slice(0, 32)
}
