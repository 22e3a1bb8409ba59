import type Database from 'better-sqlite3'
import type { Window } from '../../event.js'
import type { RunCounts } from './findings.js'

export const BACKFILL_STATES = ['queued', 'running', 'succeeded', 'failed', 'cancelled'] as const
export type BackfillState = typeof BACKFILL_STATES[number]

/** A backfill as it stands. What each column is: migrations/control/0006_backfill.sql, 0008_backfill_throttled.sql, 0011_workflow.sql. */
export interface Backfill extends RunCounts {
  readonly number: number
  readonly id: string
  readonly detection_id: string
  readonly definition_hash: string
  readonly earliest_us: number
  readonly latest_us: number
  readonly dry_run: 0 | 1
  readonly state: BackfillState
  readonly total_slots: number
  readonly next_slot_ms: number | null
  readonly done_slots: number
  readonly failed_slots: number
  readonly short_slots: number
  readonly lost_slots: number
  readonly row_count: number
  readonly tries: number
  readonly next_try_ms: number
  readonly slot_error: string | null
  readonly error: string | null
  readonly kept_rows: number
  readonly kept_bytes: number
  readonly rows_cut: number
  readonly created_by: string
  readonly created_ms: number
  readonly started_ms: number | null
  readonly finished_ms: number | null
}

export type NewBackfill = Pick<Backfill, 'id' | 'detection_id' | 'definition_hash' | 'earliest_us' | 'latest_us' | 'dry_run' | 'total_slots' | 'next_slot_ms' | 'created_by' | 'created_ms'>

/** What became of the slot at the cursor. */
export type SlotOutcome = Partial<RunCounts & Pick<Backfill, 'row_count' | 'failed_slots' | 'short_slots' | 'lost_slots' | 'slot_error'>>

/** A row that a dry run gave. */
export interface BackfillRow { readonly number: number, readonly slot_ms: number, readonly earliest_us: number, readonly latest_us: number, readonly body: string }

/** So much of a dry run's rows is kept: more are nothing that anybody could read. */
export const MAX_KEPT_ROWS = 10_000
const MAX_KEPT_BYTES = 64 << 20

/** And of all dry runs together. */
const MAX_ALL_BYTES = 512 << 20

/** Backfills in control.db, and the rows of dry runs. */
export function openBackfillStore (db: Database.Database) {
  const insert = db.prepare(`
    INSERT INTO backfill (id, detection_id, definition_hash, earliest_us, latest_us, dry_run, state, total_slots, next_slot_ms, created_by, created_ms)
    VALUES (@id, @detection_id, @definition_hash, @earliest_us, @latest_us, @dry_run, 'queued', @total_slots, @next_slot_ms, @created_by, @created_ms)
  `)
  const select = db.prepare<[string], Backfill>('SELECT * FROM backfill WHERE id = ?')
  const selectPage = db.prepare<object, Backfill>('SELECT * FROM backfill WHERE number < @before AND (@state IS NULL OR state = @state) ORDER BY number DESC LIMIT @limit')
  // uses backfill_detection_id_idx
  const selectPageOf = db.prepare<object, Backfill>(`
    SELECT * FROM backfill WHERE detection_id = @detectionId AND number < @before AND (@state IS NULL OR state = @state) ORDER BY number DESC LIMIT @limit
  `)
  // all use backfill_open_idx; what runs is before what waits
  const selectCurrent = db.prepare<[], Backfill>("SELECT * FROM backfill WHERE state IN ('queued', 'running') ORDER BY state DESC, number LIMIT 1")
  const countOpen = db.prepare<[], number>("SELECT count(*) FROM backfill WHERE state IN ('queued', 'running')").pluck()
  const countRunning = db.prepare<[], number>("SELECT count(*) FROM backfill WHERE state IN ('queued', 'running') AND state = 'running'").pluck()
  const begin = db.prepare<[number, string]>("UPDATE backfill SET state = 'running', started_ms = ? WHERE id = ? AND state = 'queued'")
  const advance = db.prepare(`
    UPDATE backfill SET next_slot_ms = @nextSlotMs, done_slots = done_slots + 1, tries = 0, next_try_ms = 0, failed_slots = failed_slots + @failed_slots,
      short_slots = short_slots + @short_slots, lost_slots = lost_slots + @lost_slots, row_count = row_count + @row_count, created = created + @created,
      throttled = throttled + @throttled, suppressed = suppressed + @suppressed, revised = revised + @revised, unchanged = unchanged + @unchanged, gone = gone + @gone, slot_error = coalesce(@slot_error, slot_error)
    WHERE id = @id
  `)
  const retry = db.prepare<[number, string]>('UPDATE backfill SET tries = tries + 1, next_try_ms = ? WHERE id = ?')
  const end = db.prepare(`
    UPDATE backfill SET state = @state, error = @error, finished_ms = @nowMs, total_slots = iif(@state = 'cancelled', total_slots, done_slots)
    WHERE id = @id AND state IN ('queued', 'running')
  `)
  // uses backfill_detection_id_idx
  const selectCovering = db.prepare<object, string>(`
    SELECT DISTINCT definition_hash FROM backfill
    WHERE detection_id = @detectionId AND dry_run = 0 AND state <> 'cancelled' AND earliest_us <= @earliestUs AND latest_us >= @latestUs
  `).pluck()
  const insertRow = db.prepare('INSERT INTO backfill_row (backfill_id, slot_ms, earliest_us, latest_us, body) VALUES (@id, @slotMs, @earliestUs, @latestUs, @body)')
  const sumBytes = db.prepare<[], number>('SELECT coalesce(sum(kept_bytes), 0) FROM backfill').pluck()
  const keep = db.prepare('UPDATE backfill SET kept_rows = @rows, kept_bytes = @bytes, rows_cut = @cut WHERE id = @id')
  // uses backfill_row_backfill_id_idx
  const selectRows = db.prepare<object, BackfillRow>(`
    SELECT number, slot_ms, earliest_us, latest_us, body FROM backfill_row WHERE backfill_id = @id AND number > @after ORDER BY number LIMIT @limit
  `)
  const deleteRows = db.prepare<[number]>('DELETE FROM backfill_row WHERE backfill_id IN (SELECT id FROM backfill WHERE kept_rows > 0 AND finished_ms < ?)')
  const keepNone = db.prepare<[number]>('UPDATE backfill SET kept_rows = 0, kept_bytes = 0 WHERE kept_rows > 0 AND finished_ms < ?')

  function advanceTo (id: string, nextSlotMs: number | null, outcome: SlotOutcome): void {
    advance.run({
      failed_slots: 0, short_slots: 0, lost_slots: 0, row_count: 0, created: 0, throttled: 0, suppressed: 0, revised: 0, unchanged: 0, gone: 0, slot_error: null, ...outcome, id, nextSlotMs,
    })
  }

  return {
    add (backfill: NewBackfill): Backfill {
      insert.run(backfill)
      return select.get(backfill.id)!
    },
    get: (id: string): Backfill | undefined => select.get(id),
    /** The last that was asked for first, those before the number `before` where given. */
    list ({ detectionId, state }: { readonly detectionId?: string | undefined, readonly state?: BackfillState | undefined }, limit: number, before = Infinity): Backfill[] {
      const params = { state: state ?? null, limit, before }
      return detectionId === undefined ? selectPage.all(params) : selectPageOf.all({ ...params, detectionId })
    },
    /** The one that runs, else the next. */
    current: (): Backfill | undefined => selectCurrent.get(),
    /** How many run or wait. */
    openCount: (): number => countOpen.get()!,
    runningCount: (): number => countRunning.get()!,
    begin: (id: string, nowMs: number): void => { begin.run(nowMs, id) },
    /** The slot at the cursor is done with. Also of one that was cancelled meanwhile: its slot was under way. */
    advance: advanceTo,
    /** One transaction: the rows of a slot, and that it is done with. */
    keepRows: db.transaction((id: string, { slotMs, window }: { readonly slotMs: number, readonly window: Window }, rows: readonly string[], nextSlotMs: number | null, outcome: SlotOutcome): void => {
      const { kept_rows, kept_bytes, rows_cut } = select.get(id)!
      const kept = { rows: kept_rows, bytes: kept_bytes, cut: rows_cut }
      const maxBytes = rows.length === 0 ? 0 : Math.min(MAX_KEPT_BYTES, MAX_ALL_BYTES - sumBytes.get()! + kept_bytes)
      for (const body of rows) {
        const bytes = Buffer.byteLength(body)
        if (kept.cut > 0 || kept.rows >= MAX_KEPT_ROWS || kept.bytes + bytes > maxBytes) kept.cut++
        else {
          insertRow.run({ id, slotMs, ...window, body })
          kept.rows++
          kept.bytes += bytes
        }
      }
      keep.run({ id, ...kept })
      advanceTo(id, nextSlotMs, { ...outcome, row_count: rows.length })
    }),
    /** The slot at the cursor failed, and is tried again. */
    retry: (id: string, nextTryMs: number): void => { retry.run(nextTryMs, id) },
    /** Says whether it was still open. */
    end: (id: string, state: Exclude<BackfillState, 'queued' | 'running'>, error: string | null, nowMs: number): boolean => end.run({ id, state, error, nowMs }).changes > 0,
    /** The definitions of those that write, were not cancelled, and reach over a stretch of time. */
    covering: (detectionId: string, window: Window): string[] => selectCovering.all({ detectionId, ...window }),
    /** In the order of slots, after the row `after` where given. */
    rows: (id: string, limit: number, after = 0): BackfillRow[] => selectRows.all({ id, limit, after }),
    /** Rows of dry runs that ended before that go. */
    forgetRows: db.transaction((beforeMs: number): void => {
      deleteRows.run(beforeMs)
      keepNone.run(beforeMs)
    }),
  }
}
export type BackfillStore = ReturnType<typeof openBackfillStore>
