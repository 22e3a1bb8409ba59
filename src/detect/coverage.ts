import type { Window } from '../event.js'
import { toSeconds } from '../event.js'
import type { EnabledPeriod } from '../store/control/detections.js'
import type { DroppedTimes, RemovedSlots, Slot, SlotOrigin } from '../store/control/ledger.js'
import { SLOT_STATES } from '../store/control/ledger.js'
import type { CompiledSchedule } from './definition.js'
import { intersect, subtract, union } from './stretches.js'

/**
 * Why event time is not covered. Of several that explain a stretch the first is told: those of a slot before those of the schedule, and of these what asks for an answer before what
 * somebody has decided.
 */
export const GAP_CAUSES = [
  'missing', 'failed', 'owed', 'data_dropped', 'waived', 'not_kept', 'not_due_yet', 'disabled', 'schedule_edit', 'window_shorter_than_period', 'before_first_enabled',
] as const
export type GapCause = typeof GAP_CAUSES[number]

/** Gaps that nobody need worry about. */
export const HARMLESS_CAUSES: ReadonlySet<GapCause> = new Set(['not_due_yet', 'before_first_enabled'])

/** Of the ledger, and two of its own: a slot that should be in it and is not, and one that came in before its time, when the clock was ahead. */
export const COVERAGE_STATES = [...SLOT_STATES, 'missing', 'not_due'] as const
export type CoverageState = typeof COVERAGE_STATES[number]

/** A slot of the ledger, or one that should be there. */
export interface CoverageSlot {
  readonly slotMs: number
  readonly definitionHash: string
  readonly origin: SlotOrigin
  readonly window: Window
  readonly state: CoverageState
  /** Null where the ledger has none. */
  readonly row: Slot | null
}

/** A stretch of event time that no evaluation has seen. */
export interface Gap extends Window {
  readonly cause: GapCause
  /** Of what was waived; stretches that somebody else waived, or for another reason, are gaps of their own. */
  readonly waived: { readonly by: string, readonly reason: string } | null
}

export interface CoverageTotals {
  /** Slots on the schedule and of backfills. */
  readonly slots: number
  readonly states: Readonly<Record<CoverageState, number>>
  /** Those whose window was evaluated, whatever became of a later evaluation. */
  readonly evaluated: number
  /** Slots off the schedule that somebody asked for; they cover nothing. */
  readonly manual: number
  /** Evaluated when events of the window had been dropped. */
  readonly short: number
  readonly late: {
    /** Slots that were evaluated again for late events. */
    readonly slots: number
    readonly evaluations: number
    readonly events: number
    readonly waiting_events: number
    readonly too_late_events: number
  }
  readonly seconds: number
  readonly covered_seconds: number
  readonly gaps: Readonly<Record<GapCause, { readonly count: number, readonly seconds: number }>>
}

export interface Coverage {
  readonly window: Window
  readonly totals: CoverageTotals
  /** In order. With what is covered they are the whole window, and none overlaps another; of more than MAX_GAPS the first. */
  readonly gaps: readonly Gap[]
  /** Those that are not among them, though the totals have them. */
  readonly moreGaps: number
  /** Of the slots up to this one the ledger has not kept all; null where it has. Epoch milliseconds. */
  readonly keptAfterMs: number | null
}

/** A schedule whose windows never meet has half a million gaps in a year of minutes, which nobody can read. */
export const MAX_GAPS = 10_000

/** What is known of a detection beside its slots. */
export interface CoverageContext {
  /** The oldest first. */
  readonly periods: readonly EnabledPeriod[]
  readonly schedule: (definitionHash: string) => CompiledSchedule
  /** The newest slot on the schedule in the ledger; null where there is none. */
  readonly lastMs: number | null
  /** What went from the ledger because of its age, as it stands when it is asked for. */
  readonly removed: () => RemovedSlots | undefined
  readonly nowMs: number
}

const MINUTE_MS = 60_000

/**
 * The slots of the ledger, and those that should be there by the periods, from `fromMs` on and before `toMs`, in order. What came due after the newest slot of the ledger is only
 * not there yet, and owed. Up to the newest slot that went because of its age there are only those that the ledger still has.
 */
export function * withMissing (rows: Iterable<Slot>, { fromMs, toMs }: { readonly fromMs: number, readonly toMs: number }, context: CoverageContext): Generator<CoverageSlot> {
  const { nowMs } = context
  const due = openDue(context, fromMs)
  for (const row of rows) {
    for (let slot = due.nextBefore(row.slot_ms); slot !== null; slot = due.nextBefore(row.slot_ms)) yield slot
    due.skip(row.slot_ms)
    const isEarly = row.state === 'owed' && row.tries === 0 && row.done_ms === null && row.slot_ms > nowMs
    yield {
      slotMs: row.slot_ms, definitionHash: row.definition_hash, origin: row.origin, row,
      window: { earliestUs: row.earliest_us, latestUs: row.latest_us },
      state: isEarly ? 'not_due' : row.state,
    }
  }
  for (let slot = due.nextBefore(toMs); slot !== null; slot = due.nextBefore(toMs)) yield slot
}

/** Goes over the slots that came due while a definition was in force, those from `fromMs` on. */
function openDue ({ periods, schedule, lastMs, removed, nowMs }: CoverageContext, fromMs: number) {
  const goneMs = () => removed()?.slot_ms ?? -Infinity
  const spans: { readonly afterMs: number, readonly untilMs: number, readonly hash: string, readonly isOpen: boolean }[] = []
  let endMs = fromMs - 1
  for (const { from_ms: periodMs, to_ms: toMs, definition_hash: hash } of periods) {
    const afterMs = Math.max(periodMs, endMs) // where the clock went back periods may overlap: what came due then is in the ledger
    endMs = Math.max(endMs, toMs ?? nowMs)
    if (hash !== null) spans.push({ afterMs, untilMs: Math.min(toMs ?? nowMs, nowMs), hash, isOpen: toMs === null })
  }
  let span = 0
  let atMs = Math.max(fromMs - 1, goneMs())
  let nextMs = -Infinity // of the span, after atMs; to be found where it is not

  return {
    skip (slotMs: number): void { atMs = Math.max(atMs, slotMs) },
    nextBefore (limitMs: number): CoverageSlot | null {
      for (; span < spans.length; span++, nextMs = -Infinity) {
        const { afterMs, untilMs, hash, isOpen } = spans[span]!
        atMs = Math.max(atMs, afterMs)
        if (atMs < untilMs && atMs + 1 < limitMs) {
          // A schedule knows whole minutes: nothing is between two of them. Asking costs 0.1 ms, which of a year of minutes are 50 s.
          if (atMs % MINUTE_MS === 0 && limitMs <= atMs + MINUTE_MS) return null
          const { nextSlot, windowOf } = schedule(hash)
          if (nextMs <= atMs) nextMs = nextSlot(atMs)
          if (nextMs < limitMs && nextMs <= untilMs) {
            atMs = nextMs
            const untilGoneMs = goneMs()
            if (atMs <= untilGoneMs) { // it went since we began
              atMs = untilGoneMs
              return this.nextBefore(limitMs)
            }
            return { slotMs: atMs, definitionHash: hash, origin: 'schedule', row: null, window: windowOf(atMs), state: isOpen && (lastMs === null || atMs > lastMs) ? 'owed' : 'missing' }
          }
        }
        if (untilMs >= limitMs - 1) return null // the rest of the span may be asked for later
      }
      return null
    },
  }
}

/** Whether its window was evaluated once at least, be it that it is run again now, or that a later run failed. */
export function isEvaluated ({ state, row }: CoverageSlot): boolean {
  return state === 'done' || (row !== null && row.done_ms !== null)
}

/** What its window, if it has not been evaluated, is for event time. */
function causeOf (state: CoverageState): GapCause {
  switch (state) {
    case 'running': return 'owed'
    case 'not_due': return 'not_due_yet'
    case 'done': throw new Error('what is done is no gap')
    case 'owed': case 'failed': case 'waived': case 'missing': return state
    default: return state satisfies never
  }
}

/** The place that a slot has among those on the schedule; of one that never was, only its window's beginning counts. */
type Edge = Pick<CoverageSlot, 'slotMs' | 'definitionHash'>

/**
 * Adds up what of event time is covered, slot by slot, and finds what explains the rest. Wants the slots whose windows touch the window in order, with those on the schedule that are
 * nearest on both sides.
 */
export function openCoverage (window: Window, context: CoverageContext & { readonly dropped: readonly DroppedTimes[] }) {
  const { periods, schedule, dropped, nowMs } = context
  const removed = context.removed()
  let covered: Window[] = []
  let claims = Object.fromEntries(GAP_CAUSES.map(cause => [cause, [] as Gap[]])) as Record<GapCause, Gap[]>
  const states = Object.fromEntries(COVERAGE_STATES.map(state => [state, 0])) as Record<CoverageState, number>
  const sums = { slots: 0, evaluated: 0, manual: 0, short: 0 }
  const late = { slots: 0, evaluations: 0, events: 0, waiting_events: 0, too_late_events: 0 }
  const sink = openGapSink()
  let settledUs = window.earliestUs
  let coveredUs = 0
  let last: Edge | null = null
  let isPassed = false // what went from the ledger
  let endUs = -Infinity // of the windows on the schedule so far

  function clip ({ earliestUs, latestUs }: Window): Window {
    return { earliestUs: Math.max(earliestUs, window.earliestUs), latestUs: Math.min(latestUs, window.latestUs) }
  }

  function cover (stretch: Window): void {
    const { earliestUs, latestUs } = clip(stretch)
    const before = covered.at(-1)
    if (before !== undefined && earliestUs >= before.earliestUs && earliestUs <= before.latestUs) covered[covered.length - 1] = { ...before, latestUs: Math.max(before.latestUs, latestUs) }
    else if (earliestUs < latestUs) covered.push({ earliestUs, latestUs })
  }

  function claim (cause: GapCause, stretch: Window, waived: Gap['waived'] = null): void {
    const own = claims[cause]
    const { earliestUs, latestUs } = clip(stretch)
    const before = own.at(-1)
    if (before !== undefined && earliestUs >= before.earliestUs && earliestUs <= before.latestUs && isSameWaiver(before, { waived })) own[own.length - 1] = { ...before, latestUs: Math.max(before.latestUs, latestUs) }
    else if (earliestUs < latestUs) own.push({ earliestUs, latestUs, cause, waived })
  }

  function count (slot: CoverageSlot): void {
    const { row } = slot
    if (row !== null) {
      late.slots += Math.min(row.late_runs, 1)
      late.evaluations += row.late_runs
      late.events += row.late_events
      late.waiting_events += row.waiting_events
      late.too_late_events += row.too_late_events
      sums.short += row.short
    }
    states[slot.state]++
    sums.slots++
    if (isEvaluated(slot)) sums.evaluated++
  }

  function account (slot: CoverageSlot): void {
    const { row, state } = slot
    if (!isEvaluated(slot)) {
      claim(causeOf(state), slot.window, state === 'waived' ? { by: row!.waived_by!, reason: row!.waived_reason! } : null)
    } else if (row?.short === 1) {
      const lost = lostOf(row, dropped)
      for (const stretch of lost) claim('data_dropped', stretch)
      for (const stretch of subtract([slot.window], lost)) cover(stretch)
    } else {
      cover(slot.window)
    }
  }

  /** Between the windows before and one that begins only behind them. */
  function explainHole (edge: Edge, { earliestUs }: Pick<Window, 'earliestUs'>): void {
    const before = last ?? begin(edge, earliestUs)
    if (before !== null && earliestUs > endUs) claim(causeBetween(before, edge), { earliestUs: endUs, latestUs: earliestUs })
  }

  /** What there is to see begins with the window of the first slot that was to come; null where that is the slot itself, which its window gives. */
  function begin ({ slotMs, definitionHash }: Edge, earliestUs: number): Edge | null {
    const [first] = periods
    const hash = first?.definition_hash ?? null
    const firstMs = first === undefined || hash === null ? Infinity : schedule(hash).nextSlot(first.from_ms)
    const isFirst = hash === null || slotMs < firstMs || (slotMs === firstMs && definitionHash === hash)
    const startUs = isFirst ? earliestUs : schedule(hash).windowOf(firstMs).earliestUs
    claim('before_first_enabled', { earliestUs: -Infinity, latestUs: startUs })
    endUs = Math.max(endUs, startUs)
    return isFirst ? null : { slotMs: first!.from_ms, definitionHash: hash }
  }

  /**
   * Goes on behind what went from the ledger, of which the slots that were kept say what they know and nothing else. Those before the first one that went are all there; what is between them and it is explained as ever.
   * From its end on all is there again.
   */
  function passRemoved (): void {
    if (removed?.slot_ms == null || isPassed) return
    isPassed = true
    const edge = { slotMs: removed.slot_ms, definitionHash: removed.definition_hash! }
    explainHole(dueAfter(last?.slotMs ?? -Infinity) ?? edge, { earliestUs: removed.earliest_us })
    last = edge
    endUs = Math.max(endUs, removed.latest_us)
  }

  /** Whether a slot is behind the first one that went. The first slot that is told may have others before it, which are of no account. */
  function isBehindRemoved ({ slotMs, window: { earliestUs } }: CoverageSlot): boolean {
    if (removed?.slot_ms == null) return false
    return slotMs > removed.slot_ms || earliestUs >= removed.earliest_us || (last !== null && (dueAfter(last.slotMs)?.slotMs ?? Infinity) < slotMs)
  }

  /** The next slot that came due by the periods, be it in the ledger or not. */
  function dueAfter (afterMs: number): Edge | null {
    for (const { from_ms: fromMs, to_ms: toMs, definition_hash: definitionHash } of periods) {
      if (definitionHash === null || (toMs ?? nowMs) <= afterMs) continue
      const slotMs = schedule(definitionHash).nextSlot(Math.max(fromMs, afterMs))
      if (slotMs <= (toMs ?? nowMs)) return { slotMs, definitionHash }
    }
    return null
  }

  function causeBetween (before: Edge, after: Edge): GapCause {
    const [one, other] = [schedule(before.definitionHash), schedule(after.definitionHash)]
    const wasDisabled = !isInForce(periods, before.slotMs, after.slotMs)
    if (one.scheduleText === other.scheduleText && (!wasDisabled || one.nextSlot(before.slotMs) === after.slotMs)) return 'window_shorter_than_period'
    return wasDisabled ? 'disabled' : 'schedule_edit'
  }

  /** Behind the last window that could be evaluated. */
  function explainRest (): void {
    const open = periods.find(({ to_ms: toMs, definition_hash: hash }) => toMs === null && hash !== null)
    if (open === undefined) {
      explainEnd()
      return
    }
    const { nextSlot, windowOf } = schedule(open.definition_hash!)
    const slotMs = nextSlot(Math.max(open.from_ms, last?.slotMs ?? -Infinity))
    const next = windowOf(slotMs)
    const edge = { slotMs, definitionHash: open.definition_hash! }
    const isLeftOpen = last !== null && slotMs > nowMs && causeBetween(last, edge) === 'window_shorter_than_period'
    if (!isLeftOpen) explainHole(edge, next)
    if (slotMs > nowMs) claim('not_due_yet', { earliestUs: isLeftOpen ? endUs : Math.max(endUs, next.earliestUs), latestUs: Infinity })
  }

  function explainEnd (): void {
    if (last === null) begin({ slotMs: Infinity, definitionHash: '' }, Infinity) // none ever came due
    claim('disabled', { earliestUs: endUs, latestUs: Infinity })
  }

  function settle (untilUs: number): void {
    if (untilUs <= settledUs) return
    const stretch = { earliestUs: settledUs, latestUs: untilUs }
    const coveredSet = intersect(union(covered.sort((a, b) => a.earliestUs - b.earliestUs)), [stretch])
    const gaps: Gap[] = []
    let rest = subtract([stretch], coveredSet)
    for (const cause of GAP_CAUSES) {
      const own = intersect(inOrder(claims[cause]), rest)
      gaps.push(...own)
      rest = subtract(rest, union(own))
    }
    gaps.push(...rest.map(one => ({ ...one, cause: 'missing' as const, waived: null }))) // what nothing explains is no less a gap
    for (const gap of gaps.sort((a, b) => a.earliestUs - b.earliestUs)) sink.add(gap)
    coveredUs += lengthUs(coveredSet)
    settledUs = untilUs
    const isLeft = ({ latestUs }: Window) => latestUs > untilUs
    covered = covered.filter(isLeft)
    claims = Object.fromEntries(GAP_CAUSES.map(cause => [cause, claims[cause].filter(isLeft)])) as Record<GapCause, Gap[]>
  }

  if (removed !== undefined) claim('not_kept', { earliestUs: removed.earliest_us, latestUs: removed.latest_us })

  return {
    /** No slot that is still to come has a window that begins before a time: what is before that need not be kept. */
    settle (untilUs: number): void {
      settle(Math.min(untilUs, endUs, window.latestUs)) // a hole begins where the windows before it end
    },
    add (slot: CoverageSlot): void {
      const touches = slot.window.latestUs > window.earliestUs && slot.window.earliestUs < window.latestUs
      if (slot.origin === 'manual') {
        if (touches) sums.manual++
        return
      }
      if (touches) count(slot)
      account(slot)
      if (slot.origin !== 'schedule') return
      if (isBehindRemoved(slot)) passRemoved()
      if (last !== null && slot.slotMs < last.slotMs) { // what is around it went
        endUs = Math.max(endUs, slot.window.latestUs)
        return
      }
      explainHole(slot, slot.window)
      last = { slotMs: slot.slotMs, definitionHash: slot.definitionHash }
      endUs = Math.max(endUs, slot.window.latestUs)
    },
    finish (): Coverage {
      passRemoved()
      explainRest()
      settle(window.latestUs)
      const { gaps, moreGaps, byCause } = sink.end()
      return {
        window,
        gaps,
        moreGaps,
        keptAfterMs: removed?.slot_ms ?? null,
        totals: { ...sums, states, late, seconds: toSeconds(window.latestUs - window.earliestUs), covered_seconds: toSeconds(coveredUs), gaps: byCause },
      }
    },
  }
}

/** What of its window had lost events before it was first evaluated. */
function lostOf (row: Slot, dropped: readonly DroppedTimes[]): Window[] {
  const window = { earliestUs: row.earliest_us, latestUs: row.latest_us }
  const before = dropped.filter(({ dropped_ms: droppedMs }) => droppedMs <= (row.first_done_ms ?? Infinity))
  const lost = intersect(union(before.map(({ earliest_us: earliestUs, latest_us: latestUs }) => ({ earliestUs, latestUs }))), [window])
  return lost.length > 0 ? lost : [window] // the slot knows that it lost some
}

/** Whether definitions were in force from one time to another without a pause. */
function isInForce (periods: readonly EnabledPeriod[], fromMs: number, toMs: number): boolean {
  let reachedMs = fromMs
  for (const { from_ms: periodMs, to_ms: endMs } of periods) if (periodMs <= reachedMs) reachedMs = Math.max(reachedMs, endMs ?? Infinity)
  return reachedMs >= toMs
}

function isSameWaiver (a: Pick<Gap, 'waived'>, b: Pick<Gap, 'waived'>): boolean {
  return a.waived?.by === b.waived?.by && a.waived?.reason === b.waived?.reason
}

/** Claims of one cause, none of which overlaps another. */
function inOrder (claims: Gap[]): Gap[] {
  const ordered: Gap[] = []
  for (const claim of claims.sort((a, b) => a.earliestUs - b.earliestUs)) {
    const before = ordered.at(-1)
    if (before === undefined || claim.earliestUs > before.latestUs) ordered.push(claim)
    else if (isSameWaiver(before, claim)) ordered[ordered.length - 1] = { ...before, latestUs: Math.max(before.latestUs, claim.latestUs) }
    else if (claim.latestUs > before.latestUs) ordered.push({ ...claim, earliestUs: before.latestUs })
  }
  return ordered
}

/** Takes gaps in order, and makes one of those of one cause that meet. */
function openGapSink () {
  const gaps: Gap[] = []
  const sums = Object.fromEntries(GAP_CAUSES.map(cause => [cause, { count: 0, us: 0 }])) as Record<GapCause, { count: number, us: number }>
  let moreGaps = 0
  let last: Gap | null = null

  function keep (gap: Gap): void {
    sums[gap.cause].count++
    sums[gap.cause].us += lengthUs([gap])
    if (gaps.length < MAX_GAPS) gaps.push(gap)
    else moreGaps++
  }

  return {
    add (gap: Gap): void {
      if (last !== null && last.latestUs === gap.earliestUs && last.cause === gap.cause && isSameWaiver(last, gap)) {
        last = { ...last, latestUs: gap.latestUs }
        return
      }
      if (last !== null) keep(last)
      last = gap
    },
    end (): { gaps: Gap[], moreGaps: number, byCause: CoverageTotals['gaps'] } {
      if (last !== null) keep(last)
      return { gaps, moreGaps, byCause: Object.fromEntries(GAP_CAUSES.map(cause => [cause, { count: sums[cause].count, seconds: toSeconds(sums[cause].us) }])) as CoverageTotals['gaps'] }
    },
  }
}

function lengthUs (stretches: readonly Window[]): number {
  return stretches.reduce((sum, { earliestUs, latestUs }) => sum + latestUs - earliestUs, 0)
}
