import { ALL_TIME } from '../event.js'
import { SplError } from '../spl/errors.js'
import type { Predicate } from '../spl/ast.js'
import type { SearchPlan } from '../spl/plan.js'
import { relevantPredicate } from '../spl/plan.js'
import type { DetectionStore } from '../store/control/detections.js'
import type { LateEvents, LedgerStore, Slot, WatchedSlot, WatchedSlots } from '../store/control/ledger.js'
import type { Arrivals, ArrivalQuery, EventStore, Lack, Position } from '../store/events.js'
import { EVERY } from './evidence.js'
import { partsOf } from './findings.js'
import type { Definitions } from './definitions.js'
import { lateDueMs } from './ledger.js'

/** So long after its first evaluation a slot waits for late events. */
export const HORIZON_MS = 7 * 86_400_000

export interface SweepDeps {
  readonly events: EventStore
  readonly detectionStore: DetectionStore
  readonly definitions: Definitions
  readonly ledger: LedgerStore
  /** Keeps what events of which source lack; called in the transaction of the sweep. */
  readonly addLacks: (lacks: readonly DetectionLack[], nowMs: number) => void
  readonly signal: AbortSignal
}

/** Events of a source that a detection looks for, without a field that it groups by. */
export interface DetectionLack extends Lack { readonly detectionId: string }

/** Events that were looked at for: `late` and `tooLate` of all detections, and what they lack. */
export interface SweepReport {
  readonly late: number
  readonly tooLate: number
  readonly lacking: readonly DetectionLack[]
}

/** Slots of one definition that wait for late events. */
interface Watch {
  readonly slots: WatchedSlots
  readonly predicate: Predicate
  /** Null where this version can't run it. */
  readonly plan: SearchPlan | null
  /** Events from then on are left to slots that are still to come, where those speak for the ones before. */
  readonly untilUs: number
  /** No slot waits for events from then on. */
  readonly endUs: number
}

/**
 * Looks at the events that came since the last time: the newest slot whose window holds one that its definition may see has late events, and so has each whose findings there are
 * its own. Where it is looked next is kept in the transaction of what was found, so nothing is passed over and nothing is counted twice. What it costs depends on new events alone.
 */
export async function sweep (nowMs: number, { events, detectionStore, definitions, ledger, addLacks, signal }: SweepDeps): Promise<SweepReport> {
  const position = events.position()
  const after = ledger.cursor(position)
  if (!events.isAfter(position, after)) return { late: 0, tooLate: 0, lacking: [] }
  const sinceMs = nowMs - HORIZON_MS

  const watches = ledger.watched(sinceMs).map(toWatch)
  const needs = detectionStore.openPeriods().flatMap(period => toNeed(period.detection_id, period.definition_hash) ?? [])
  const looked = await events.since({
    after,
    position,
    queries: [
      ...watches.map(({ predicate, endUs }): ArrivalQuery => ({ predicate, bordersUs: [ALL_TIME.earliestUs, endUs], fields: [] })),
      ...needs.map(({ predicate, fields }): ArrivalQuery => ({ predicate, bordersUs: [], fields })),
    ],
    signal,
  })
  const lacking = needs.flatMap(({ detectionId }, i) => looked[watches.length + i]!.lacking.map((lack): DetectionLack => ({ detectionId, ...lack })))

  const late: LateEvents[] = []
  const tooLate: { detectionId: string, name: string, events: number }[] = []
  const touched = watches.filter((_, i) => looked[i]!.arrivals.length > 0).map(watch => {
    const fromUs = (detectionStore.periods(watch.slots.detection_id)[0]?.from_ms ?? nowMs) * 1000
    const goneUs = ledger.removed(watch.slots.detection_id)?.latest_us ?? -Infinity
    return { watch, fromUs, goneUs, ...paint(ledger.slotsOf(watch.slots, sinceMs), { ...watch, edgesUs: [fromUs, goneUs] }) }
  })
  const found = touched.length === 0 ? [] : await events.since({ after, position, queries: touched.map(({ watch: { predicate }, bordersUs }) => ({ predicate, bordersUs, fields: [] })), signal })
  for (const [i, { watch: { slots: { detection_id: detectionId, earliest_us: firstUs, manual }, predicate }, fromUs, goneUs, ofStretch, own, bordersUs }] of touched.entries()) {
    const { arrivals } = found[i]!
    const bySlot = new Map<number, { slot: WatchedSlot, events: number, last: Position }>()
    const add = (slot: WatchedSlot, { events: count, last }: Arrivals): void => {
      const known = bySlot.get(slot.slot_ms)
      bySlot.set(slot.slot_ms, { slot, events: count + (known?.events ?? 0), last: known === undefined || events.isAfter(last, known.last) ? last : known.last })
    }
    const taken = new Set<Arrivals>()
    for (const { slot, start, end } of own) {
      for (const one of arrivals) {
        if (one.stretch < start || one.stretch >= end) continue
        taken.add(one)
        if (ofStretch[one.stretch] !== slot) add(slot, one)
      }
    }
    for (const one of arrivals) {
      const { stretch, events: count } = one
      const slot = ofStretch[stretch]
      if (slot != null) add(slot, one)
      // Of windows before all that are waited for, or of such that went with their slots. A gap between windows is coverage's to show.
      else if (!taken.has(one) && manual === 0 && bordersUs[stretch]! >= fromUs && bordersUs[stretch + 1]! <= Math.max(firstUs, goneUs)) tooLate.push({ detectionId, name: TOO_LATE, events: count })
    }
    for (const [slotMs, { slot, events: count, last }] of bySlot) late.push({ detectionId, slotMs, events: await unseen(detectionId, slot, predicate, { count, last }), last, dueMs: row => lateDueMs(row, nowMs) })
  }
  const counts = [...tooLate, ...lacking.map(({ detectionId, field, events }) => ({ detectionId, name: `${LACKING}${field}`, events }))]
  const sum = ledger.swept(position, { late, counts, alongside: () => addLacks(lacking, nowMs) }, { nowMs, isAfter: events.isAfter, isDropped })
  return { late: sum.late, tooLate: sum.tooLate + tooLate.reduce((all, { events }) => all + events, 0), lacking }

  /** How many of a slot's events its evaluation has not seen, where there was one since the search before. */
  async function unseen (detectionId: string, { slot_ms: slotMs, earliest_us: earliestUs, latest_us: latestUs }: WatchedSlot, predicate: Predicate, { count, last }: { count: number, last: Position }): Promise<number> {
    const seen = ledger.slot(detectionId, slotMs)?.position ?? null
    if (seen === null || !events.isAfter(seen, after) || !events.isAfter(last, seen)) return count
    const [left] = await events.since({ after: seen, position, queries: [{ predicate, bordersUs: [earliestUs, latestUs], fields: [] }], signal })
    return left!.arrivals[0]?.events ?? 0
  }

  function toWatch (slots: WatchedSlots): Watch {
    const { detection_id: id, definition_hash: hash, earliest_us: earliestUs, latest_us: latestUs } = slots
    const plan = planOf(hash)
    const untilUs = untilOf(slots)
    const hasOwn = plan !== null && partsOf(plan, { earliestUs, latestUs }).own.some(own => own.latestUs > untilUs)
    return { slots, plan, predicate: plan === null ? EVERY : relevantPredicate(plan), untilUs, endUs: hasOwn ? latestUs : untilUs }

    function untilOf ({ manual }: WatchedSlots): number {
      const period = detectionStore.openPeriod(id)
      const lastMs = manual === 1 || period?.definition_hash !== hash ? null : ledger.lastSlot(id)
      if (lastMs === null || period === undefined) return latestUs
      const { nextSlot, windowOf } = definitions.schedule(hash)
      return Math.min(latestUs, windowOf(nextSlot(Math.max(lastMs, period.from_ms))).earliestUs)
    }
  }

  /** The fields that an enabled detection groups its events by: an event without one is in no row. */
  function toNeed (detectionId: string, hash: string | null): { detectionId: string, predicate: Predicate, fields: string[] } | null {
    const plan = hash === null ? null : planOf(hash)
    if (plan === null) return null
    const { identity } = plan
    const fields = identity.kind === 'by' ? identity.fields.filter(({ name, computed, fillers }) => !computed && fillers === undefined && name !== '_time').map(({ name }) => name) : []
    return fields.length === 0 ? null : { detectionId, predicate: relevantPredicate(plan), fields }
  }

  /** Null where this version can't run it, though the one before could. */
  function planOf (hash: string): SearchPlan | null {
    try {
      return definitions.get(hash).plan
    } catch (error) {
      if (error instanceof SplError) return null
      throw error
    }
  }

  function isDropped (slot: Slot): boolean {
    return ledger.dropped({ earliestUs: slot.earliest_us, latestUs: slot.latest_us }).some(({ dropped_ms: droppedMs }) => slot.done_ms !== null && droppedMs >= slot.done_ms)
  }
}

/** Names of counts in control.db; LACKING has the field's name behind it. */
export const TOO_LATE = 'too_late'
export const LACKING = 'lacking:'

/** Stretches of time [a, b) between borders, and which slots events in them are late for. */
interface Painted {
  readonly bordersUs: readonly number[]
  /** Of each stretch the newest slot that speaks for all whose window holds it; null where none does. */
  readonly ofStretch: readonly (WatchedSlot | null)[]
  /** The stretches from `start` on and before `end` of which a slot has findings of its own. */
  readonly own: readonly { readonly slot: WatchedSlot, readonly start: number, readonly end: number }[]
}

/** Borders are at `edgesUs` and at the ends of what slots have alone or together; these come newest first. */
function paint (slots: readonly WatchedSlot[], { plan, edgesUs, untilUs, endUs }: Pick<Watch, 'plan' | 'untilUs' | 'endUs'> & { readonly edgesUs: readonly number[] }): Painted {
  const parts = slots.map(slot => {
    const window = { earliestUs: slot.earliest_us, latestUs: slot.latest_us }
    return { slot, ...plan === null ? { shared: window, own: [] } : partsOf(plan, window) }
  })
  const ends = parts.flatMap(({ shared, own }) => [...shared === null ? [] : [shared], ...own].flatMap(({ earliestUs, latestUs }) => [earliestUs, latestUs]))
  const bordersUs = [...new Set([ALL_TIME.earliestUs, ...[...edgesUs.filter(us => us > ALL_TIME.earliestUs), ...ends, untilUs].filter(us => us < endUs), endUs])].sort((a, b) => a - b)
  const placeOf = new Map(bordersUs.map((us, place) => [us, place]))
  const ofStretch: (WatchedSlot | null)[] = new Array<WatchedSlot | null>(Math.max(0, bordersUs.length - 1)).fill(null)
  /** The next stretch from a place on that has no slot yet. */
  const free = bordersUs.map((_, place) => place)
  const nextFree = (place: number): number => {
    let last = place
    while (free[last] !== last) last = free[last]!
    for (let at = place; at !== last;) [at, free[at]] = [free[at]!, last]
    return last
  }
  for (const { slot, shared } of parts) {
    if (shared === null) continue
    const start = placeOf.get(shared.earliestUs)
    const end = placeOf.get(Math.min(shared.latestUs, untilUs))
    if (start === undefined || end === undefined) continue
    for (let stretch = nextFree(start); stretch < end; stretch = nextFree(stretch)) {
      ofStretch[stretch] = slot
      free[stretch] = stretch + 1
    }
  }
  const own = parts.flatMap(({ slot, own }) => own.flatMap(({ earliestUs, latestUs }) => {
    const start = placeOf.get(earliestUs)
    const end = placeOf.get(Math.min(latestUs, endUs))
    return start === undefined || end === undefined ? [] : [{ slot, start, end }]
  }))
  return { bordersUs, ofStretch, own }
}
