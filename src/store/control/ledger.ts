import type Database from 'better-sqlite3'
import type { Window } from '../../event.js'
import type { Position } from '../events.js'

export const SLOT_STATES = ['owed', 'running', 'done', 'failed', 'waived'] as const
export type SlotState = typeof SLOT_STATES[number]

/** Why a slot is in the ledger: its schedule, somebody asked for that time, or for the past. */
export const SLOT_ORIGINS = ['schedule', 'manual', 'backfill'] as const
export type SlotOrigin = typeof SLOT_ORIGINS[number]

/** One row of the ledger. What each column is: migrations/control/0004_ledger.sql. */
export interface Slot {
  readonly detection_id: string
  readonly slot_ms: number
  readonly definition_hash: string
  readonly origin: SlotOrigin
  readonly earliest_us: number
  readonly latest_us: number
  readonly state: SlotState
  readonly position: Position | null
  readonly row_count: number | null
  readonly tries: number
  readonly next_try_ms: number
  readonly error: string | null
  readonly first_done_ms: number | null
  readonly done_ms: number | null
  readonly late_position: Position | null
  readonly late_since_ms: number | null
  readonly late_due_ms: number | null
  readonly waiting_events: number
  readonly late_events: number
  readonly late_runs: number
  readonly too_late_events: number
  readonly short: 0 | 1
  readonly waived_by: string | null
  readonly waived_reason: string | null
  readonly waived_ms: number | null
}

/** What a run has to know of its slot. */
export type RunnableSlot = Pick<Slot, 'detection_id' | 'slot_ms' | 'definition_hash' | 'earliest_us' | 'latest_us' | 'position' | 'late_due_ms'>

/** A slot that comes into the ledger. */
export interface NewSlot { readonly slotMs: number, readonly definitionHash: string, readonly window: Window }

/** From the first window to the last of the slots that were evaluated with a definition. */
export interface DefinedStretch { readonly detection_id: string, readonly definition_hash: string, readonly earliest_us: number, readonly latest_us: number }

/** What of a detection's slots went because of their age: the windows of all from the first to the last, and the newest of those on the schedule; null where none of these did. */
export interface RemovedSlots {
  readonly earliest_us: number
  readonly latest_us: number
  readonly slot_ms: number | null
  readonly definition_hash: string | null
}

/** How slots stand, over all detections. The oldest is one that was never evaluated. */
export interface LedgerCounts { readonly owed: number, readonly failed: number, readonly late: number, readonly oldest_owed_ms: number | null }

/** Slots of one definition that late events are waited for: the windows of all of them together. */
export interface WatchedSlots { readonly detection_id: string, readonly definition_hash: string, readonly manual: 0 | 1, readonly earliest_us: number, readonly latest_us: number }

export type WatchedSlot = Pick<Slot, 'slot_ms' | 'earliest_us' | 'latest_us'>

/** Late events for one slot. `last` is the position of the last of them. */
export interface LateEvents { readonly detectionId: string, readonly slotMs: number, readonly events: number, readonly last: Position, readonly dueMs: (slot: Slot) => number }

/** Counts of events that no slot shows. */
export interface DetectionCount { readonly detection_id: string, readonly name: string, readonly events: number, readonly last_ms: number }

export interface SlotFilter {
  readonly detectionId?: string | undefined
  readonly state?: SlotState | undefined
  /** Only slots that wait for an evaluation because of late events. */
  readonly isLate?: boolean | undefined
  /** Slots from `fromMs` on, before `toMs`. */
  readonly fromMs: number
  readonly toMs: number
}

/** The ledger in control.db: which slots of which detection are owed, running, done, failed or waived. */
export function openLedgerStore (db: Database.Database) {
  const selectLast = db.prepare<[string], number | null>("SELECT max(slot_ms) FROM slot WHERE detection_id = ? AND origin = 'schedule'").pluck()
  const insertSlot = db.prepare(`
    INSERT INTO slot (detection_id, slot_ms, definition_hash, origin, earliest_us, latest_us, state, tries, next_try_ms)
    VALUES (@detectionId, @slotMs, @definitionHash, @origin, @earliestUs, @latestUs, 'owed', 0, @slotMs)
    ON CONFLICT (detection_id, slot_ms) DO NOTHING
  `)
  const makeScheduled = db.prepare<[string, number]>("UPDATE slot SET origin = 'schedule' WHERE detection_id = ? AND slot_ms = ?")
  const isSameWindow = 'earliest_us = @earliestUs AND latest_us = @latestUs'
  // Another window has not been evaluated, though the one before was.
  const redefine = db.prepare(`
    UPDATE slot SET definition_hash = @definitionHash, earliest_us = @earliestUs, latest_us = @latestUs, origin = iif(origin = 'manual', 'backfill', origin),
      first_done_ms = iif(${isSameWindow}, first_done_ms, NULL), done_ms = iif(${isSameWindow}, done_ms, NULL)
    WHERE detection_id = @detectionId AND slot_ms = @slotMs
  `)
  const setWindow = db.prepare('UPDATE slot SET earliest_us = @earliestUs, latest_us = @latestUs WHERE detection_id = @detection_id AND slot_ms = @slot_ms')
  const selectWithoutWindow = db.prepare<[], Slot>('SELECT * FROM slot WHERE latest_us = 0')
  const select = db.prepare<[string, number], Slot>('SELECT * FROM slot WHERE detection_id = ? AND slot_ms = ?')
  // A time to try again that lies further ahead than any is given was given by a clock that was wrong.
  const isOpen = "state IN ('owed', 'running', 'failed')" // the words of slot_due_idx, or that is not used
  const isDue = `${isOpen} AND state <> 'running' AND (next_try_ms <= @nowMs OR (tries > 0 AND next_try_ms > @nowMs + @longestMs))`
  // A slot of a backfill is the backfill's alone until it was evaluated.
  const isOurs = "(origin <> 'backfill' OR first_done_ms IS NOT NULL)"
  // Without these words the whole ledger is read in the order of GROUP BY.
  const selectCurrent = db.prepare<object, Slot>(`
    SELECT * FROM slot INDEXED BY slot_due_idx WHERE ${isOpen} AND state = 'owed' AND tries = 0 AND next_try_ms <= @nowMs AND origin = 'schedule'
      AND slot_ms = (SELECT max(slot_ms) FROM slot AS other WHERE other.detection_id = slot.detection_id AND origin = 'schedule' AND slot_ms <= @nowMs)
  `)
  const selectBacklog = db.prepare<object, Slot>(`SELECT *, min(slot_ms) FROM slot INDEXED BY slot_due_idx WHERE ${isDue} AND ${isOurs} GROUP BY detection_id`)
  const selectLate = db.prepare<object, Slot>(`
    SELECT *, min(slot_ms) FROM slot INDEXED BY slot_late_due_ms_idx
    WHERE state = 'done' AND late_due_ms IS NOT NULL AND (late_due_ms <= @nowMs OR late_due_ms > max(@nowMs, slot_ms) + @longestMs)
    GROUP BY detection_id
  `)
  const selectNextTry = db.prepare<[number], number | null>(`
    SELECT min(ms) FROM (
      SELECT next_try_ms AS ms FROM slot WHERE ${isOpen} AND state <> 'running' AND ${isOurs}
      UNION ALL SELECT late_due_ms FROM slot WHERE late_due_ms IS NOT NULL AND state = 'done'
    ) WHERE ms > ?
  `).pluck()
  // One that is only evaluated again is not owed, and nobody waits for what it finds.
  const isOwed = `${isOurs} AND (state = 'owed' OR (state = 'running' AND first_done_ms IS NULL))`
  const isAwaited = "origin <> 'backfill' AND first_done_ms IS NULL"
  const selectCounts = db.prepare<[], LedgerCounts>(`
    SELECT count(*) FILTER (WHERE ${isOwed}) AS owed, count(*) FILTER (WHERE state = 'failed') AS failed,
      (SELECT count(*) FROM slot WHERE late_due_ms IS NOT NULL AND state = 'done') AS late,
      min(slot_ms) FILTER (WHERE ${isAwaited}) AS oldest_owed_ms
    FROM slot WHERE state IN ('owed', 'running', 'failed')
  `)
  const selectCountsOf = db.prepare<[], LedgerCounts & { readonly detection_id: string }>(`
    SELECT detection_id, count(*) FILTER (WHERE ${isOwed}) AS owed, count(*) FILTER (WHERE state = 'failed') AS failed,
      count(*) FILTER (WHERE state = 'done') AS late, min(slot_ms) FILTER (WHERE ${isAwaited}) AS oldest_owed_ms
    FROM (
      SELECT detection_id, state, slot_ms, origin, first_done_ms FROM slot WHERE state IN ('owed', 'running', 'failed')
      UNION ALL SELECT detection_id, state, slot_ms, origin, first_done_ms FROM slot WHERE late_due_ms IS NOT NULL AND state = 'done'
    ) GROUP BY detection_id
  `)
  const start = db.prepare<[string, number]>("UPDATE slot SET state = 'running' WHERE detection_id = ? AND slot_ms = ?")
  const failAgain = db.prepare(`UPDATE slot SET state = 'failed' WHERE state = 'running' AND tries > 0 AND NOT ${isOurs}`)
  const forget = db.prepare(`DELETE FROM slot WHERE state IN ('owed', 'running') AND NOT ${isOurs}`)
  const release = db.prepare("UPDATE slot SET state = 'owed' WHERE state = 'running'")
  const waive = db.prepare(`
    UPDATE slot SET state = 'waived', waived_by = @by, waived_reason = @reason, waived_ms = @nowMs, late_due_ms = NULL, late_since_ms = NULL
    WHERE detection_id = @detectionId AND slot_ms >= @fromMs AND slot_ms < @toMs AND state IN ('owed', 'failed')
  `)
  // uses slot_first_done_ms_idx
  const selectWatched = db.prepare<[number], WatchedSlots>(`
    SELECT detection_id, definition_hash, origin = 'manual' AS manual, min(earliest_us) AS earliest_us, max(latest_us) AS latest_us
    FROM (
      SELECT detection_id, definition_hash, origin, earliest_us, latest_us FROM slot WHERE first_done_ms >= ?
      UNION ALL SELECT detection_id, definition_hash, origin, earliest_us, latest_us FROM slot WHERE first_done_ms IS NULL
    ) GROUP BY detection_id, definition_hash, origin = 'manual'
  `)
  const selectSlotsOf = db.prepare<object, WatchedSlot>(`
    SELECT slot_ms, earliest_us, latest_us FROM slot WHERE detection_id = @detectionId AND definition_hash = @definitionHash AND (origin = 'manual') = @manual
      AND state <> 'waived' AND (first_done_ms IS NULL OR first_done_ms >= @sinceMs) ORDER BY slot_ms DESC
  `)
  const raise = db.prepare(`
    UPDATE slot SET late_position = @last, late_due_ms = @dueMs, late_since_ms = @sinceMs, late_events = late_events + @lateEvents, waiting_events = waiting_events + @lateEvents, too_late_events = too_late_events + @tooLateEvents
    WHERE detection_id = @detectionId AND slot_ms = @slotMs
  `)
  const giveUp = db.prepare<[string, number]>(`
    UPDATE slot SET state = 'done', tries = 0, error = NULL, late_due_ms = NULL, late_since_ms = NULL, waiting_events = 0, late_events = late_events - waiting_events, too_late_events = too_late_events + waiting_events
    WHERE detection_id = ? AND slot_ms = ?
  `)
  const addCount = db.prepare(`
    INSERT INTO detection_count (detection_id, name, events, last_ms) VALUES (@detectionId, @name, @events, @nowMs)
    ON CONFLICT (detection_id, name) DO UPDATE SET events = events + @events, last_ms = @nowMs
  `)
  const selectDetectionCounts = db.prepare<[], DetectionCount>('SELECT * FROM detection_count ORDER BY detection_id, name')
  const beginCursor = db.prepare<[Position]>('INSERT INTO sweep (one, position) VALUES (1, ?) ON CONFLICT DO NOTHING')
  const selectCursor = db.prepare<[], Position>('SELECT position FROM sweep').pluck()
  const putCursor = db.prepare<[Position]>('INSERT INTO sweep (one, position) VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET position = excluded.position')
  const insertDropped = db.prepare(`
    INSERT INTO dropped_partition (name, reason, event_count, earliest_us, latest_us, dropped_ms) VALUES (@name, @reason, @events, @earliestUs, @latestUs, @nowMs)
    ON CONFLICT (name) DO NOTHING
  `)
  const selectDropped = db.prepare<Window, DroppedTimes>(`
    SELECT name, earliest_us, latest_us, dropped_ms FROM dropped_partition WHERE earliest_us < @latestUs AND latest_us > @earliestUs ORDER BY earliest_us
  `)
  const selectPage = db.prepare<object, Slot>(`
    SELECT * FROM slot
    WHERE (@detectionId IS NULL OR detection_id = @detectionId) AND (@state IS NULL OR state = @state) AND (@isLate = 0 OR late_due_ms IS NOT NULL)
      AND slot_ms >= @fromMs AND slot_ms < @toMs AND (slot_ms, detection_id) > (@afterMs, @afterId)
    ORDER BY slot_ms, detection_id LIMIT @limit
  `)
  // uses the primary key
  const selectEndingIn = db.prepare<object, Slot>(`
    SELECT * FROM slot WHERE detection_id = @detectionId AND latest_us > @earliestUs AND earliest_us < @latestUs ORDER BY slot_ms
  `)
  // these use the primary key
  const selectBetween = db.prepare<[string, number, number], Slot>('SELECT * FROM slot WHERE detection_id = ? AND slot_ms >= ? AND slot_ms < ? ORDER BY slot_ms LIMIT 1000')
  const selectScheduledBefore = db.prepare<[string, number], number>("SELECT slot_ms FROM slot WHERE detection_id = ? AND slot_ms < ? AND origin = 'schedule' ORDER BY slot_ms DESC LIMIT 1").pluck()
  const selectScheduledFrom = db.prepare<[string, number], number>("SELECT slot_ms FROM slot WHERE detection_id = ? AND slot_ms >= ? AND origin = 'schedule' ORDER BY slot_ms LIMIT 1").pluck()

  const selectRemoved = db.prepare<[string], RemovedSlots>('SELECT earliest_us, latest_us, slot_ms, definition_hash FROM removed_slots WHERE detection_id = ?')

  // uses slot_definition_hash_idx twice for each definition, and definition_detection_id_idx
  const isEvaluated = "definition_hash = hash AND slot_ms >= @sinceMs AND first_done_ms IS NOT NULL AND origin <> 'manual'"
  const stretchesOf = (where: string) => `
    SELECT * FROM (
      SELECT detection_id, hash AS definition_hash,
        (SELECT earliest_us FROM slot WHERE ${isEvaluated} ORDER BY slot_ms LIMIT 1) AS earliest_us, (SELECT latest_us FROM slot WHERE ${isEvaluated} ORDER BY slot_ms DESC LIMIT 1) AS latest_us
      FROM definition ${where}
    ) WHERE earliest_us IS NOT NULL
  `
  const selectStretches = db.prepare<object, DefinedStretch>(stretchesOf(''))
  const selectStretchesOf = db.prepare<object, DefinedStretch>(stretchesOf('WHERE detection_id = @detectionId'))

  const toRow = (detectionId: string, origin: SlotOrigin, { slotMs, definitionHash, window }: NewSlot) => ({ detectionId, origin, slotMs, definitionHash, ...window })

  return {
    /** The newest slot on the schedule; epoch milliseconds. Null before the first. */
    lastSlot: (detectionId: string): number | null => selectLast.get(detectionId) ?? null,
    /** Adds slots of the schedule that are owed, all or none. One that is there, as a manual run, becomes one of the schedule. */
    owe: db.transaction((detectionId: string, slots: readonly NewSlot[]) => {
      for (const slot of slots) {
        insertSlot.run(toRow(detectionId, 'schedule', slot))
        makeScheduled.run(detectionId, slot.slotMs)
      }
    }),
    /** The slot, added as one of `origin` where the ledger has none at that time. */
    oweOther (detectionId: string, origin: SlotOrigin, slot: NewSlot): Slot {
      insertSlot.run(toRow(detectionId, origin, slot))
      return select.get(detectionId, slot.slotMs)!
    },
    /**
     * One transaction: a slot of a backfill is being evaluated. It is of another definition from now on where the ledger had it, and the backfill's where somebody had run it
     * by hand.
     */
    startBackfill: db.transaction((detectionId: string, slot: NewSlot): Slot => {
      const row = toRow(detectionId, 'backfill', slot)
      insertSlot.run(row)
      redefine.run(row)
      start.run(detectionId, slot.slotMs)
      return select.get(detectionId, slot.slotMs)!
    }),
    /** The stretches that were evaluated with each definition, by slots of `sinceMs` or later that are still on it; of one detection, or of all. */
    stretches: (sinceMs: number, detectionId?: string): DefinedStretch[] => detectionId === undefined ? selectStretches.all({ sinceMs }) : selectStretchesOf.all({ sinceMs, detectionId }),
    /** Slots from before windows were kept. */
    withoutWindow: (): Slot[] => selectWithoutWindow.all(),
    setWindow: ({ detection_id, slot_ms }: Slot, window: Window): void => { setWindow.run({ detection_id, slot_ms, ...window }) },
    slot: (detectionId: string, slotMs: number): Slot | undefined => select.get(detectionId, slotMs),
    /** Of each detection the newest slot, where it has just come due and was never tried. */
    current: (nowMs: number): Slot[] => selectCurrent.all({ nowMs }),
    /** Of each detection the oldest slot that is owed or failed and can be tried at `nowMs`, and the oldest with late events. No next try is longer than `longestMs` away. */
    backlog: (nowMs: number, longestMs: number): Slot[] => [...selectBacklog.all({ nowMs, longestMs }), ...selectLate.all({ nowMs, longestMs })],
    /** When something can be run next after `nowMs`, of what is owed or late; null where nothing is. */
    nextTryMs: (nowMs: number): number | null => selectNextTry.get(nowMs) ?? null,
    counts: (): LedgerCounts => selectCounts.get()!,
    /** Of each detection that has any of them. */
    countsOf: (): readonly (LedgerCounts & { readonly detection_id: string })[] => selectCountsOf.all(),
    start: (detectionId: string, slotMs: number): void => { start.run(detectionId, slotMs) },
    /** At the start: what the last process left running is owed again. A slot that a backfill had begun comes with it, should it go on. */
    releaseRunning: db.transaction((): void => {
      failAgain.run()
      forget.run()
      release.run()
    }),
    /** Owed and failed slots of a stretch of time are not to be run. Gives how many there were. */
    waive: (detectionId: string, stretch: { readonly fromMs: number, readonly toMs: number }, { by, reason, nowMs }: { readonly by: string, readonly reason: string, readonly nowMs: number }): number => {
      return waive.run({ detectionId, ...stretch, by, reason, nowMs }).changes
    },
    /** Slots of each definition that were first evaluated at `sinceMs` or later, or are still to be. */
    watched: (sinceMs: number): WatchedSlots[] => selectWatched.all(sinceMs),
    /** Those slots one by one, the newest first. */
    slotsOf: ({ detection_id: detectionId, definition_hash: definitionHash, manual }: WatchedSlots, sinceMs: number): WatchedSlot[] => selectSlotsOf.all({ detectionId, definitionHash, manual, sinceMs }),
    /** How far the search for late events has come; it begins at a position. */
    cursor (begin: Position): Position {
      beginCursor.run(begin)
      return selectCursor.get()!
    },
    /**
     * One transaction: what a search for late events found, and how far it has come. Events that an evaluation of the slot has seen are not late for it, and where
     * `isDropped` they come too late. What is to be kept `alongside` is called in it. Gives the events that are late and too late.
     */
    swept: db.transaction((position: Position, found: { readonly late: readonly LateEvents[], readonly counts: readonly { readonly detectionId: string, readonly name: string, readonly events: number }[], readonly alongside: () => void }, { nowMs, isAfter, isDropped }: { readonly nowMs: number, readonly isAfter: (a: Position, b: Position) => boolean, readonly isDropped: (slot: Slot) => boolean }): { late: number, tooLate: number } => {
      const sum = { late: 0, tooLate: 0 }
      for (const { detectionId, slotMs, events, last, dueMs } of found.late) {
        const slot = select.get(detectionId, slotMs)
        if (slot === undefined || (slot.position !== null && !isAfter(last, slot.position))) continue
        const isTooLate = slot.first_done_ms !== null && isDropped(slot)
        const lateEvents = slot.first_done_ms !== null && !isTooLate ? events : 0
        const tooLateEvents = isTooLate ? events : 0
        sum.late += lateEvents
        sum.tooLate += tooLateEvents
        raise.run({
          detectionId, slotMs, lateEvents, tooLateEvents,
          last: slot.late_position !== null && isAfter(slot.late_position, last) ? slot.late_position : last,
          dueMs: isTooLate ? slot.late_due_ms : dueMs(slot),
          sinceMs: isTooLate ? slot.late_since_ms : slot.late_since_ms ?? nowMs,
        })
      }
      for (const one of found.counts) addCount.run({ ...one, nowMs })
      found.alongside()
      putCursor.run(position)
      return sum
    }),
    /** Of a slot that was evaluated: it is to be seen again up to a position, though no late event is known. */
    lookAgain (detectionId: string, slotMs: number, { last, dueMs, nowMs }: { readonly last: Position, readonly dueMs: number, readonly nowMs: number }): void {
      raise.run({ detectionId, slotMs, last, dueMs, sinceMs: nowMs, lateEvents: 0, tooLateEvents: 0 })
    },
    /** The slot stays as it was evaluated: its late events come too late. */
    giveUp: (detectionId: string, slotMs: number): void => { giveUp.run(detectionId, slotMs) },
    /** What no slot shows, such as events that came when no slot waited for them any more. */
    detectionCounts: (): DetectionCount[] => selectDetectionCounts.all(),
    /** Keeps that a partition is gone, and the times of its events. */
    addDropped: (dropped: { readonly name: string, readonly reason: string, readonly events: number, readonly earliestUs: number | null, readonly latestUs: number | null, readonly nowMs: number }): void => { insertDropped.run(dropped) },
    /** Partitions that are gone and had events that may lie in a window, the earliest first. */
    dropped: (window: Window): DroppedTimes[] => selectDropped.all(window),
    /** Oldest first, after the slot `after` where given; of one time by detection. */
    list: ({ detectionId, state, isLate, fromMs, toMs }: SlotFilter, limit: number, after?: { readonly slotMs: number, readonly detectionId: string }): Slot[] => {
      return selectPage.all({ detectionId: detectionId ?? null, state: state ?? null, isLate: isLate === true ? 1 : 0, fromMs, toMs, limit, afterMs: after?.slotMs ?? -Infinity, afterId: after?.detectionId ?? '' })
    },
    /** The slots of a detection from `fromMs` on and before `toMs`, oldest first. Read as they are taken: no statement is open in between. */
    * between (detectionId: string, fromMs: number, toMs: number): Generator<Slot> {
      for (let page = selectBetween.all(detectionId, fromMs, toMs); page.length > 0; page = selectBetween.all(detectionId, page.at(-1)!.slot_ms + 1, toMs)) yield * page
    },
    /** The nearest slots on the schedule on both sides of a stretch of slots: before `fromMs`, and at `toMs` or later. Null where there are none. */
    around: (detectionId: string, { fromMs, toMs }: { readonly fromMs: number, readonly toMs: number }): { beforeMs: number | null, afterMs: number | null } => ({
      beforeMs: selectScheduledBefore.get(detectionId, fromMs) ?? null, afterMs: selectScheduledFrom.get(detectionId, toMs) ?? null,
    }),
    /** What went because of its age; undefined where nothing did. */
    removed: (detectionId: string): RemovedSlots | undefined => selectRemoved.get(detectionId),
    /** The slots of a detection whose windows touch a stretch of event time, oldest first. */
    touching: (detectionId: string, window: Window): Slot[] => selectEndingIn.all({ detectionId, ...window }),
  }
}
export type LedgerStore = ReturnType<typeof openLedgerStore>

/** Times of the events of a partition that is gone; `latest_us` is exclusive. */
export interface DroppedTimes { readonly name: string, readonly earliest_us: number, readonly latest_us: number, readonly dropped_ms: number }
