import { setImmediate } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { Window } from '../event.js'
import { ALL_TIME } from '../event.js'
import type { DetectionStore } from '../store/control/detections.js'
import type { LedgerStore } from '../store/control/ledger.js'
import type { Coverage, CoverageContext, CoverageSlot } from './coverage.js'
import { openCoverage, withMissing } from './coverage.js'
import type { CompiledSchedule } from './definition.js'
import type { Definitions } from './definitions.js'
import { noneBefore, timesTouching } from './slots.js'

export interface CoverageReaderDeps {
  readonly detectionStore: DetectionStore
  readonly definitions: Pick<Definitions, 'schedule'>
  readonly ledgerStore: LedgerStore
}

/** Slots at a time, between which others have their turn: a year of minutes takes seconds. */
const TURN = 20

/** Reads the coverage of detections, those too whose files are gone, out of the ledger. */
export function openCoverageReader ({ detectionStore, definitions, ledgerStore }: CoverageReaderDeps) {
  function contextOf (id: string, nowMs: number): CoverageContext {
    return { periods: detectionStore.periods(id), schedule: definitions.schedule, lastMs: ledgerStore.lastSlot(id), removed: () => ledgerStore.removed(id), nowMs }
  }

  /** Those that the detection ever had, each once. */
  function schedulesOf (id: string): CompiledSchedule[] {
    const all = detectionStore.definitionHashes(id).map(definitions.schedule)
    return [...new Map(all.map(schedule => [schedule.scheduleText, schedule])).values()]
  }

  /** Which slots may have a window that touches a stretch. */
  function timesOf (schedules: readonly CompiledSchedule[], window: Window): { fromMs: number, toMs: number } {
    const times = schedules.map(schedule => timesTouching(schedule, window))
    return { fromMs: Math.min(...times.map(({ fromMs }) => fromMs)), toMs: Math.max(...times.map(({ toMs }) => toMs)) }
  }

  /** With those on the schedule that are nearest on both sides. Where the ledger has none there, with all that came due. */
  function slotsAround (id: string, { fromMs, toMs }: { readonly fromMs: number, readonly toMs: number }, context: CoverageContext): Generator<CoverageSlot> {
    const { beforeMs, afterMs } = ledgerStore.around(id, { fromMs, toMs })
    const times = { fromMs: Math.min(fromMs, beforeMs ?? context.periods[0]?.from_ms ?? fromMs), toMs: Math.max(toMs, (afterMs ?? context.nowMs) + 1) }
    return withMissing(ledgerStore.between(id, times.fromMs, times.toMs), times, context)
  }

  async function readOnce (id: string, window: Window, nowMs: number): Promise<Coverage> {
    const context = contextOf(id, nowMs)
    const coverage = openCoverage(window, { ...context, dropped: ledgerStore.dropped(ALL_TIME) }) // a window may reach beyond the stretch
    const schedules = schedulesOf(id)
    let count = 0
    for (const slot of slotsAround(id, timesOf(schedules, window), context)) {
      coverage.add(slot)
      if (++count % TURN !== 0) continue
      coverage.settle(Math.min(...schedules.map(schedule => noneBefore(schedule, slot.slotMs))))
      await setImmediate()
    }
    return coverage.finish()
  }

  return {
    /** Whether it ever was enabled. */
    isKnown: (id: string): boolean => detectionStore.periods(id).length > 0,
    /** Detections that ever were enabled. */
    ids: detectionStore.enabledIds,
    /** What of a stretch of event time was evaluated, as it stands at `nowMs`. Read again where slots of it went meanwhile: what is half there would be missing. */
    async read (id: string, window: Window, nowMs: number): Promise<Coverage> {
      for (;;) {
        const before = ledgerStore.removed(id)
        const coverage = await readOnce(id, window, nowMs)
        const after = ledgerStore.removed(id)
        if (after === undefined || isDeepStrictEqual(before, after) || after.earliest_us >= window.latestUs || after.latest_us <= window.earliestUs) return coverage
      }
    },
    /** What went because of its age; undefined where nothing did. */
    removed: ledgerStore.removed,
    /** Slots whose windows touch a stretch of event time, those that are missing too, in order, after the slot `afterMs` where given. */
    * slots (id: string, window: Window, nowMs: number, afterMs = -Infinity): Generator<CoverageSlot> {
      const { fromMs, toMs } = timesOf(schedulesOf(id), window)
      const times = { fromMs: Math.max(fromMs, afterMs + 1), toMs }
      for (const slot of withMissing(ledgerStore.between(id, times.fromMs, toMs), times, contextOf(id, nowMs))) {
        if (slot.window.latestUs > window.earliestUs && slot.window.earliestUs < window.latestUs) yield slot
      }
    },
  }
}
export type CoverageReader = ReturnType<typeof openCoverageReader>
