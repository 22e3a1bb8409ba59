import { setImmediate } from 'node:timers/promises'
import TinyQueue from 'tinyqueue'
import type { Window } from '../event.js'
import type { FindingStore } from '../store/control/findings.js'
import type { PostingColumns, PostingCursor, RiskDetection, RiskObjectRow, RiskPosting, RiskStore } from '../store/control/risk.js'
import type { Tactic } from './attack.js'
import { tacticsOf } from './attack.js'

/** So many postings are read at a time, in some milliseconds: HEC is answered between. */
const AT_A_TIME = 5_000

/** So many objects are weighed at a time. */
const OBJECTS_AT_A_TIME = 5_000

/** So many findings that were there before are posted at a time, in a transaction of about 10 ms. */
const OLD_AT_A_TIME = 100

export interface RiskDeps {
  readonly store: RiskStore
  readonly findings: Pick<FindingStore, 'after'>
  /** The postings of one detection add at most so many times the highest of them. */
  readonly cap: number
  /** A posting counts half when it is so much older than the end of the range; 0: age makes no difference. */
  readonly halfLifeMs: number
}

/** What postings of one detection, with the same techniques, add up to, each weighed by its age. */
interface Tally { readonly riskDetectionId: number, postings: number, sum: number, highest: number, lastUs: number }

/** Detections with their techniques, as postings name them. */
interface Dictionary { readonly byId: ReadonlyMap<number, RiskDetection>, readonly hasTwins: boolean }

/** What one detection adds to the score of an object. */
export interface DetectionShare {
  readonly id: string
  readonly findings: number
  /** Of the weighed scores. */
  readonly sum: number
  /** Of the weighed scores. */
  readonly highest: number
  /** What of the sum counts. */
  readonly counted: number
}

/** The risk of an object in a range of event time. */
export interface ObjectRisk {
  readonly object: RiskObjectRow
  readonly score: number
  readonly findings: number
  readonly lastUs: number
  /** The largest share first. */
  readonly detections: readonly DetectionShare[]
  readonly tactics: readonly Tactic[]
  readonly techniques: readonly string[]
  /** Techniques that the table of tactics does not know. */
  readonly unknownTechniques: readonly string[]
}

/** A posting, and what of it counts. */
export interface ExplainedPosting extends RiskPosting {
  /** What its age leaves of it: 1 is all. */
  readonly weight: number
  readonly counted: number
}

export interface RiskFilter { readonly window: Window, readonly type?: string | undefined, readonly value?: string | undefined, readonly minScore?: number | undefined }

/** A page of objects, and how many there are on all. */
export interface RiskList { readonly items: ObjectRisk[], readonly total: number }

/** A place in the list of objects. */
export interface ObjectPlace { readonly score: number, readonly objectId: number }

/** Scores of risk objects, made of postings whenever somebody asks. */
export function openRisk ({ store, findings, cap, halfLifeMs }: RiskDeps) {
  function weightOf (timeUs: number, latestUs: number): number {
    return halfLifeMs === 0 ? 1 : 2 ** ((timeUs - latestUs) / (halfLifeMs * 1_000))
  }

  /** Adds up the postings of a range, object by object, in turns. What changes meanwhile may be met or not. */
  async function tally ({ earliestUs, latestUs }: Window, read: (after: PostingCursor) => PostingColumns): Promise<Map<number, Tally[]>> {
    const objects = new Map<number, Tally[]>()
    let after: PostingCursor = { timeUs: earliestUs, id: 0 }
    for (;;) {
      const { timeUs: times, id: ids, objectId: objectIds, riskDetectionId: riskDetectionIds, score: scores } = read(after)
      for (let i = 0; i < ids.length; i++) {
        const timeUs = times[i]!
        let tallies = objects.get(objectIds[i]!)
        if (tallies === undefined) objects.set(objectIds[i]!, tallies = [])
        addTo(tallies, riskDetectionIds[i]!, scores[i]! * weightOf(timeUs, latestUs), timeUs)
      }
      if (ids.length < AT_A_TIME) return objects
      after = { timeUs: times.at(-1)!, id: ids.at(-1)! }
      await setImmediate()
    }
  }

  /** The shares of detections: those of one detection with different techniques are one. */
  function sharesOf (tallies: readonly Tally[], detections: Dictionary): DetectionShare[] {
    const shares = new Map<string, Omit<DetectionShare, 'counted'>>()
    for (const { riskDetectionId, postings, sum, highest } of tallies) {
      const { detection_id: id } = detections.byId.get(riskDetectionId)!
      const before = shares.get(id)
      shares.set(id, { id, findings: postings + (before?.findings ?? 0), sum: sum + (before?.sum ?? 0), highest: Math.max(highest, before?.highest ?? 0) })
    }
    return [...shares.values()].map(share => ({ ...share, counted: Math.min(share.sum, cap * share.highest) }))
  }

  /** The same as of its shares, which need not be made where no detection has techniques of two kinds. */
  function quickScoreOf (tallies: readonly Tally[], detections: Dictionary): number {
    if (detections.hasTwins) return scoreOf(sharesOf(tallies, detections))
    let score = 0
    for (const { sum, highest } of tallies) score += Math.min(sum, cap * highest)
    return toHundredths(score)
  }

  function scoreOf (shares: readonly DetectionShare[]): number {
    return toHundredths(shares.reduce((total, { counted }) => total + counted, 0))
  }

  function riskOf (object: RiskObjectRow, tallies: readonly Tally[], detections: Dictionary): ObjectRisk {
    const shares = sharesOf(tallies, detections)
    const techniques = [...new Set(tallies.flatMap(({ riskDetectionId }) => detections.byId.get(riskDetectionId)!.techniques))].sort()
    return {
      object,
      score: scoreOf(shares),
      findings: shares.reduce((total, { findings }) => total + findings, 0),
      lastUs: Math.max(...tallies.map(({ lastUs }) => lastUs)),
      detections: shares.sort((a, b) => b.counted - a.counted || (a.id < b.id ? -1 : 1)),
      tactics: [...new Set(techniques.flatMap(tacticsOf))].sort(),
      techniques,
      unknownTechniques: techniques.filter(technique => tacticsOf(technique).length === 0),
    }
  }

  function dictionary (): Dictionary {
    const all = store.detections()
    return { byId: new Map(all.map(one => [one.id, one])), hasTwins: new Set(all.map(({ detection_id: id }) => id)).size < all.length }
  }

  /** The postings of all objects, or of those of a value. */
  async function tallyAll ({ window, value }: RiskFilter): Promise<ReadonlyMap<number, readonly Tally[]>> {
    if (value === undefined) return tally(window, after => store.standing(window.latestUs, after, AT_A_TIME))
    const objects = new Map<number, readonly Tally[]>()
    for (const id of store.idsOf(value)) {
      for (const [objectId, tallies] of await tally(window, after => store.standingOf(id, window.latestUs, after, AT_A_TIME))) objects.set(objectId, tallies)
    }
    return objects
  }

  async function list (filter: RiskFilter, limit: number, behind?: ObjectPlace): Promise<RiskList> {
    const { type, minScore = 0 } = filter
    const objects = await tallyAll(filter)
    const detections = dictionary()
    // The best of them, with the least on top to be pushed out: to sort all would take longer than all the rest.
    const best = new TinyQueue<ObjectPlace>([], (a, b) => order(b, a))
    let total = 0
    let weighed = 0
    for (const [objectId, tallies] of objects) {
      const place = { score: quickScoreOf(tallies, detections), objectId }
      if (++weighed % OBJECTS_AT_A_TIME === 0) await setImmediate()
      if (place.score < minScore || (type !== undefined && store.typeOf(objectId) !== type)) continue
      total++
      if (behind !== undefined && order(place, behind) <= 0) continue
      if (best.length === limit && order(place, best.peek()!) > 0) continue
      best.push(place)
      if (best.length > limit) best.pop()
    }
    const places: ObjectPlace[] = []
    while (best.length > 0) places.push(best.pop()!)
    return { items: places.reverse().map(({ objectId }) => riskOf(store.objectById(objectId), objects.get(objectId)!, detections)), total }
  }

  let lastList: Promise<unknown> = Promise.resolve()

  return {
    /** Objects with a score, the highest first, behind a place where given; and how many there are on all pages. Lists wait for one another: each has all objects of its range in memory. */
    list (filter: RiskFilter, limit: number, behind?: ObjectPlace): Promise<RiskList> {
      const turn = lastList.then(() => list(filter, limit, behind))
      lastList = turn.then(() => {}, () => {})
      return turn
    },

    /** The risk of one object; null where it has none in the range. */
    async of (object: RiskObjectRow, window: Window): Promise<ObjectRisk | null> {
      const tallies = (await tally(window, after => store.standingOf(object.id, window.latestUs, after, AT_A_TIME))).get(object.id)
      return tallies === undefined ? null : riskOf(object, tallies, dictionary())
    },

    /** Postings of an object, newest event time first, with what of each counts in its risk: where the cap takes something, it takes the same part of all postings of the detection. */
    explain (object: RiskObjectRow, risk: ObjectRisk | null, window: Window, which: 'standing' | 'all', limit: number, before?: PostingCursor): ExplainedPosting[] {
      const shares = new Map(risk?.detections.map(share => [share.id, share]))
      return store.postings(object.id, window, which, limit, before).map(posting => {
        const weight = weightOf(posting.time_us, window.latestUs)
        const share = shares.get(posting.detection_id)
        const counts = posting.ended_ms === null && share !== undefined && share.sum > 0 // it is 0 where all is so old that nothing is left
        const counted = counts ? posting.score * weight * share.counted / share.sum : 0
        return { ...posting, weight, counted: toHundredths(counted) }
      })
    },
    /** Techniques that detections have named with risk and the table of tactics does not know. */
    unknownTechniques: (): string[] => [...new Set(store.detections().flatMap(({ techniques }) => techniques))].filter(technique => tacticsOf(technique).length === 0),
    object: store.object,
    countPostings: store.countPostings,
    cap,
    halfLifeMs,

    /** Whether all findings are posted that were there before. */
    isPosted: (): boolean => store.unposted() === null,
    /** Posts some of them; gives how many. */
    postOld (nowMs: number): number {
      const after = store.unposted()
      if (after === null) return 0
      const old = findings.after(after, OLD_AT_A_TIME)
      store.postOld(old, nowMs)
      return old.length
    },
  }
}
export type Risk = ReturnType<typeof openRisk>

/** Negative where `a` comes first. */
function order (a: ObjectPlace, b: ObjectPlace): number {
  return b.score - a.score || a.objectId - b.objectId
}

/** Postings come in the order of time. An object has few detections: to look through them is faster than a map for each. */
function addTo (tallies: Tally[], riskDetectionId: number, weighed: number, timeUs: number): void {
  for (const tally of tallies) {
    if (tally.riskDetectionId !== riskDetectionId) continue
    tally.postings++
    tally.sum += weighed
    if (weighed > tally.highest) tally.highest = weighed
    tally.lastUs = timeUs
    return
  }
  tallies.push({ riskDetectionId, postings: 1, sum: weighed, highest: weighed, lastUs: timeUs })
}

function toHundredths (score: number): number {
  return Math.round(score * 100) / 100
}
