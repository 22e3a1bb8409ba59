import { setImmediate } from 'node:timers/promises'
import { AppError } from '../errors.js'
import type { Window } from '../event.js'
import { SplError } from '../spl/errors.js'
import type { Backfill, BackfillStore } from '../store/control/backfills.js'
import type { RunRecord } from '../store/control/findings.js'
import type { LedgerStore } from '../store/control/ledger.js'
import { runnable } from './active.js'
import type { CompiledSchedule } from './definition.js'
import type { Definitions } from './definitions.js'
import type { Detections } from './detections.js'
import { rowToJson } from './findings.js'
import type { Ledger } from './ledger.js'
import type { RunDeps } from './run.js'
import { evaluate } from './run.js'
import { countsWithin, slotsWithin } from './slots.js'

/** What backfills tell of, for the log and the metrics. */
export interface BackfillReport {
  /** A slot is done with. Lost: it stays as it was, since its window has lost events. */
  readonly slot: (status: 'succeeded' | 'failed' | 'lost') => void
  /** A slot has failed for good. */
  readonly failed: (backfill: Backfill, slotMs: number, failure: unknown) => void
  readonly ended: (backfill: Backfill) => void
}

export interface BackfillDeps extends Pick<RunDeps, 'events' | 'now' | 'newId' | 'signal'> {
  readonly backfills: BackfillStore
  readonly definitions: Definitions
  readonly detections: Detections
  readonly ledger: Ledger
  readonly ledgerStore: LedgerStore
  readonly report: BackfillReport
}

/** Years of a slot a minute. More would take days, and nobody asks for it on purpose. */
export const MAX_SLOTS = 1_000_000

/** More that wait than anybody can look through. */
const MAX_OPEN = 100

/** How often it is looked whether there is something to do. */
const LOOK_MS = 1_000

/** A slot that fails is tried again after these times, then it stays failed: what ails a store for longer is not to hold up all the others. */
const RETRIES_MS = [30_000, 60_000]

/** How long the rows of a dry run are kept after its end. */
const KEEP_ROWS_MS = 7 * 86_400_000

/** Days that are counted in one go, while nothing else has its turn. */
const COUNTED_DAYS = 50

/** How fast a backfill is. */
export interface Pace {
  /** Null before anything is known of it. */
  readonly slotsPerSecond: number | null
  /** Null where it does not run. */
  readonly etaSeconds: number | null
}

/**
 * Evaluates detections over stretches of the past: one backfill at a time, slot by slot, oldest first, while the ledger has nothing to do. A backfill keeps to the definition that
 * was in force when it was asked for.
 */
export function openBackfills ({ events, backfills, definitions, detections, ledger, ledgerStore, report, now, newId, signal }: BackfillDeps) {
  let counting: Promise<unknown> = Promise.resolve()
  let pace: { readonly id: string, readonly fromMs: number, readonly fromSlots: number } | null = null

  /** Throws AppError `invalid` above MAX_SLOTS. */
  async function countSlots (schedule: CompiledSchedule, window: Window, timeZone: string): Promise<number> {
    let total = 0
    let days = 0
    for (const count of countsWithin(schedule, window, timeZone)) {
      total += count
      if (total > MAX_SLOTS) throw new AppError('invalid', `these are more than ${MAX_SLOTS.toLocaleString('en')} slots; ask for a shorter range`)
      if (++days % COUNTED_DAYS === 0) await setImmediate()
    }
    return total
  }

  /** The slot after one, null behind the last. */
  function slotAfter (backfill: Backfill, slotMs: number): number | null {
    const { nextSlot, windowOf } = definitions.schedule(backfill.definition_hash)
    const nextMs = nextSlot(slotMs)
    return windowOf(nextMs).latestUs <= endUs(backfill) ? nextMs : null
  }

  async function runSlot (backfill: Backfill, slotMs: number, nowMs: number): Promise<void> {
    const { id, detection_id: detectionId, definition_hash: definitionHash } = backfill
    const nextSlotMs = slotAfter(backfill, slotMs)
    const window = definitions.schedule(definitionHash).windowOf(slotMs)
    if (pace?.id !== id) pace = { id, fromMs: nowMs, fromSlots: backfill.done_slots }
    const lost = () => {
      backfills.advance(id, nextSlotMs, { lost_slots: 1 })
      report.slot('lost')
    }
    if (backfill.dry_run === 1) {
      const ofEvents = ledger.eventsOf(detectionId, slotMs, window)
      if (ofEvents === 'lost') return lost()
      const { rows } = await evaluate(definitions.get(definitionHash), slotMs, window, events.position(), { events, signal })
      const bodies = rows.map(({ values }) => JSON.stringify(rowToJson(values)))
      backfills.keepRows(id, { slotMs, window }, bodies, nextSlotMs, { short_slots: ofEvents === 'short' ? 1 : 0 })
      report.slot('succeeded')
      return
    }
    const ran = await ledger.backfill(detectionId, { slotMs, definitionHash, window }, {
      id,
      // In the transaction that ends the run: after a kill the slot is either counted and behind the cursor, or it is evaluated again, and takes over what was written.
      ran: ({ row_count, created, throttled, suppressed, revised, unchanged, gone }: RunRecord, isShort) => {
        backfills.advance(id, nextSlotMs, { row_count, created, throttled, suppressed, revised, unchanged, gone, short_slots: isShort ? 1 : 0 })
      },
    })
    if (ran === null) return lost()
    if (ran.failure !== null) throw ran.failure
    report.slot('succeeded')
  }

  /** The next try takes over what one that failed has written, so that one more of them after a kill does no harm. */
  function failSlot (backfill: Backfill, slotMs: number, failure: unknown): void {
    const retryMs = isLasting(failure) ? undefined : RETRIES_MS[backfill.tries]
    if (retryMs !== undefined) {
      backfills.retry(backfill.id, now() + retryMs)
      return
    }
    backfills.advance(backfill.id, slotAfter(backfill, slotMs), { failed_slots: 1, slot_error: failure instanceof Error ? failure.message : String(failure) })
    report.slot('failed')
    report.failed(backfill, slotMs, failure)
  }

  function end (backfill: Backfill, state: 'succeeded' | 'failed' | 'cancelled', error: string | null): void {
    if (!backfills.end(backfill.id, state, error, now())) return
    report.ended(backfills.get(backfill.id)!)
  }

  return {
    /**
     * Asks for all slots of a detection's schedule as it is now whose whole window lies in a range, and has ended. Throws AppError `not_found`, `invalid` where the detection
     * can't run, where there is no such slot or too many, `conflict` where too many backfills wait.
     */
    async create (idOrUuid: string, { earliestUs, latestUs }: Window, { isDryRun, by }: { readonly isDryRun: boolean, readonly by: string }): Promise<Backfill> {
      const compiled = runnable(detections.get(idOrUuid))
      if (backfills.openCount() >= MAX_OPEN) throw new AppError('conflict', `${MAX_OPEN} backfills wait already`)
      const nowMs = now()
      const window = { earliestUs, latestUs: Math.min(latestUs, nowMs * 1000) }
      const [firstMs] = slotsWithin(compiled, window)
      if (firstMs === undefined) throw new AppError('invalid', 'no slot of the detection has its whole window in that range and before now')
      const counted = counting.then(() => countSlots(compiled, window, compiled.definition.time_zone)) // one at a time: a range of centuries takes a while
      counting = counted.catch(() => {})
      const total = await counted
      definitions.keep(compiled, nowMs)
      backfills.forgetRows(nowMs - KEEP_ROWS_MS)
      return backfills.add({
        id: newId(), detection_id: compiled.definition.detection_id, definition_hash: compiled.hash, earliest_us: earliestUs, latest_us: latestUs, dry_run: isDryRun ? 1 : 0,
        total_slots: total, next_slot_ms: firstMs, created_by: by, created_ms: nowMs,
      })
    },

    /** Throws AppError `not_found`. */
    get: (id: string): Backfill => found(backfills.get(id)),

    list: backfills.list,

    /** Ends it; the slot under way is still done. Again changes nothing. Throws AppError `not_found`, `conflict` where it has ended otherwise. */
    cancel (id: string): Backfill {
      const backfill = found(backfills.get(id))
      end(backfill, 'cancelled', null)
      const { state } = found(backfills.get(id))
      if (state !== 'cancelled') throw new AppError('conflict', `the backfill has ${state}`)
      return found(backfills.get(id))
    },

    /** Rows of a dry run, after the row `after` where given. Throws AppError `not_found`, also where they are kept no more. */
    rows (id: string, limit: number, after?: number) {
      const { dry_run: dryRun, finished_ms: finishedMs } = found(backfills.get(id))
      if (dryRun === 0) throw new AppError('not_found', 'only a dry run has rows')
      if (finishedMs !== null && finishedMs < now() - KEEP_ROWS_MS) throw new AppError('not_found', `rows of a dry run are kept for ${KEEP_ROWS_MS / 86_400_000} days`)
      return backfills.rows(id, limit, after)
    },

    paceOf (backfill: Backfill): Pace {
      const isOver = backfill.finished_ms !== null
      const [fromMs, fromSlots] = isOver ? [backfill.started_ms, 0] : pace?.id === backfill.id ? [pace.fromMs, pace.fromSlots] : [null, 0]
      const seconds = fromMs === null ? 0 : ((isOver ? backfill.finished_ms : now()) - fromMs) / 1000
      const done = backfill.done_slots - fromSlots
      const slotsPerSecond = seconds > 0 && done > 0 ? done / seconds : null
      return { slotsPerSecond, etaSeconds: isOver || slotsPerSecond === null ? null : (backfill.total_slots - backfill.done_slots) / slotsPerSecond }
    },

    /** Does the next slot, where there is one and nothing goes before it; gives the time to look again, which may be past. */
    async turn (nowMs: number): Promise<number> {
      await setImmediate() // a slot that is passed over takes no time, and there may be many: requests are to have their turn
      const backfill = backfills.current()
      if (backfill === undefined || ledger.hasWork(nowMs)) return nowMs + LOOK_MS
      const { id, state, tries, next_try_ms: nextTryMs, next_slot_ms: slotMs, failed_slots: failed, slot_error: slotError } = backfill
      if (state === 'queued') backfills.begin(id, nowMs)
      if (slotMs === null) {
        if (failed === 0) end(backfill, 'succeeded', null)
        else end(backfill, 'failed', `${failed} of ${backfill.done_slots} slots failed; the last: ${slotError ?? ''}`)
        return nowMs
      }
      if (nextTryMs > nowMs && nextTryMs <= nowMs + Math.max(...RETRIES_MS)) return Math.min(nextTryMs, nowMs + LOOK_MS)
      try {
        if (tries > 0 && ledgerStore.slot(backfill.detection_id, slotMs)?.state === 'waived') throw new AppError('invalid', 'the slot was waived after it had failed')
        await runSlot(backfill, slotMs, nowMs)
      } catch (error) {
        if (signal.aborted) throw error // the process ends: the next one goes on here
        failSlot(backfill, slotMs, error)
      }
      return nowMs
    },
  }
}
export type Backfills = ReturnType<typeof openBackfills>

/** Windows that end later are left out. */
function endUs ({ latest_us: latestUs, created_ms: createdMs }: Backfill): number {
  return Math.min(latestUs, createdMs * 1000)
}

function found (backfill: Backfill | undefined): Backfill {
  if (backfill === undefined) throw new AppError('not_found', 'there is no such backfill')
  return backfill
}

/** Whether the same happens at every try: what was asked for can't be done. */
function isLasting (failure: unknown): boolean {
  return failure instanceof SplError || (failure instanceof AppError && failure.code === 'invalid')
}
