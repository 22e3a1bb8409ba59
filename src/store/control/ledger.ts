import type Database from 'better-sqlite3'
import type { Position } from '../events.js'

export type SlotState = 'owed' | 'running' | 'done' | 'failed' | 'waived'

/** One row of the ledger. */
export interface Slot {
  readonly detection_id: string
  readonly slot_ms: number
  readonly definition_hash: string
  readonly manual: 0 | 1
  readonly state: SlotState
  readonly position: Position | null
  readonly row_count: number | null
  readonly tries: number
  readonly next_try_ms: number
  readonly error: string | null
}

/** How slots stand, over all detections. */
export interface LedgerCounts { readonly owed: number, readonly failed: number, readonly oldest_owed_ms: number | null }

/** The ledger in control.db: which slots of which detection are owed, running, done, failed or waived. */
export function openLedgerStore (db: Database.Database) {
  const selectLast = db.prepare<[string], number | null>(`
    SELECT max(slot_ms) FROM slot WHERE detection_id = ? AND manual = 0
  `).pluck()
  const insertOwed = db.prepare<[string, number, string, number, number]>(`
    INSERT INTO slot (detection_id, slot_ms, definition_hash, manual, state, tries, next_try_ms) VALUES (?, ?, ?, ?, 'owed', 0, ?)
    ON CONFLICT (detection_id, slot_ms) DO NOTHING
  `)
  const makeScheduled = db.prepare<[string, number]>('UPDATE slot SET manual = 0 WHERE detection_id = ? AND slot_ms = ?')
  const select = db.prepare<[string, number], Slot>('SELECT * FROM slot WHERE detection_id = ? AND slot_ms = ?')
  // uses slot_due_idx
  const selectDue = db.prepare<[number], Slot>(`
    SELECT *, min(slot_ms) FROM slot WHERE state IN ('owed', 'running', 'failed') AND next_try_ms <= ? GROUP BY detection_id
  `)
  const selectNextTry = db.prepare<[], number | null>("SELECT min(next_try_ms) FROM slot WHERE state IN ('owed', 'running', 'failed')").pluck()
  const selectCounts = db.prepare<[], LedgerCounts>(`
    SELECT count(*) FILTER (WHERE state <> 'failed') AS owed, count(*) FILTER (WHERE state = 'failed') AS failed, min(slot_ms) AS oldest_owed_ms
    FROM slot WHERE state IN ('owed', 'running', 'failed')
  `)
  const start = db.prepare<[string, number]>("UPDATE slot SET state = 'running' WHERE detection_id = ? AND slot_ms = ?")
  const release = db.prepare("UPDATE slot SET state = 'owed' WHERE state = 'running'")
  return {
    /** The newest slot on the schedule; epoch milliseconds. Null before the first. */
    lastSlot: (detectionId: string): number | null => selectLast.get(detectionId) ?? null,
    /** Adds slots that are owed, all or none. One that is there, as a manual run, becomes one of the schedule. */
    owe: db.transaction((detectionId: string, definitionHash: string, slotsMs: readonly number[]) => {
      for (const slotMs of slotsMs) {
        insertOwed.run(detectionId, slotMs, definitionHash, 0, slotMs)
        makeScheduled.run(detectionId, slotMs)
      }
    }),
    /** The slot, added as a manual one where the ledger has none at that time. */
    oweManual: (detectionId: string, definitionHash: string, slotMs: number): Slot => {
      insertOwed.run(detectionId, slotMs, definitionHash, 1, slotMs)
      return select.get(detectionId, slotMs)!
    },
    slot: (detectionId: string, slotMs: number): Slot | undefined => select.get(detectionId, slotMs),
    /** The oldest slot of each detection that can be run at `nowMs`. */
    oldestDue: (nowMs: number): Slot[] => selectDue.all(nowMs),
    /** When something can be run next, of what is owed; null where nothing is. */
    nextTryMs: (): number | null => selectNextTry.get() ?? null,
    counts: (): LedgerCounts => selectCounts.get()!,
    start: (detectionId: string, slotMs: number): void => { start.run(detectionId, slotMs) },
    /** At the start: what the last process left running is owed again. */
    releaseRunning: (): void => { release.run() },
  }
}
export type LedgerStore = ReturnType<typeof openLedgerStore>
