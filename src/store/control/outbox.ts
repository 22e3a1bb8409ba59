import type Database from 'better-sqlite3'
import { syncWal } from './open.js'

export const DELIVERY_STATES = ['pending', 'delivered', 'dead'] as const
export type DeliveryState = typeof DELIVERY_STATES[number]

/** What happened to a finding. */
export const NOTICE_KINDS = ['created', 'revised', 'gone'] as const
export type NoticeKind = typeof NOTICE_KINDS[number]

/** What there is to tell of a finding. */
export interface Notice {
  readonly finding_id: string
  readonly revision: number
  readonly what: NoticeKind
  readonly written_ms: number
  /** JSON: as the API showed it then. */
  readonly finding: string
}

/** A notice on its way to one target, without its text. What each column is: migrations/control/0013_delivery.sql. */
export interface Delivery extends Omit<Notice, 'finding'> {
  readonly number: number
  readonly id: string
  readonly target: string
  readonly state: DeliveryState
  readonly tries: number
  readonly since_ms: number
  readonly next_try_ms: number
  readonly ended_ms: number | null
  readonly status: number | null
  readonly error: string | null
}

/** The next of a target. */
export type PendingDelivery = Delivery & Pick<Notice, 'finding'>

/** How a try ended. */
export interface TryOutcome { readonly status: number | null, readonly error: string | null }

export interface DeliveryFilter {
  readonly target?: string | undefined
  readonly state?: DeliveryState | undefined
  readonly finding?: string | undefined
}

/** What waits for one target, and what was given up. */
export interface DeliveryCounts { readonly target: string, readonly pending: number, readonly dead: number, readonly oldest_pending_ms: number | null }

/** What is to be told of findings, by target, in control.db. */
export function openOutboxStore (db: Database.Database) {
  const columns = 'delivery.number, id, target, state, tries, since_ms, next_try_ms, ended_ms, status, error, finding_id, revision, what, written_ms'
  const from = 'delivery JOIN notice ON notice.number = notice_number'
  const insertNotice = db.prepare('INSERT INTO notice (finding_id, revision, what, written_ms, finding) VALUES (@finding_id, @revision, @what, @written_ms, @finding)')
  const insert = db.prepare("INSERT INTO delivery (id, notice_number, target, state, since_ms) VALUES (@id, @notice_number, @target, 'pending', @written_ms)")
  const select = db.prepare<[string], Delivery>(`SELECT ${columns} FROM ${from} WHERE id = ?`)
  // uses delivery_target_state_idx, as do those below of a target and a state
  const selectHead = db.prepare<[string], PendingDelivery>(`SELECT ${columns}, finding FROM ${from} WHERE target = ? AND state = 'pending' ORDER BY delivery.number LIMIT 1`)
  const succeed = db.prepare("UPDATE delivery SET state = 'delivered', tries = tries + 1, ended_ms = @nowMs, status = @status, error = NULL WHERE id = @id AND state = 'pending'")
  const fail = db.prepare("UPDATE delivery SET tries = tries + 1, next_try_ms = @nextTryMs, status = @status, error = @error WHERE id = @id AND state = 'pending'")
  const giveUp = db.prepare("UPDATE delivery SET state = 'dead', tries = tries + 1, ended_ms = @nowMs, status = @status, error = @error WHERE id = @id AND state = 'pending'")
  const revive = "UPDATE delivery SET state = 'pending', tries = 0, since_ms = @nowMs, next_try_ms = 0, ended_ms = NULL WHERE state = 'dead'"
  const reviveOne = db.prepare(`${revive} AND id = @id`)
  const reviveSome = db.prepare<object, number>(`
    ${revive} AND number IN (SELECT number FROM delivery WHERE target = @target AND state = 'dead' AND number > @after ORDER BY number LIMIT @limit) RETURNING number
  `).pluck()
  const removeOne = db.prepare<[string], number>("DELETE FROM delivery WHERE id = ? AND state <> 'delivered' RETURNING notice_number").pluck()
  const removeSome = db.prepare<object, number>(`
    DELETE FROM delivery WHERE number IN (SELECT number FROM delivery WHERE target = @target AND state = @state ORDER BY number LIMIT @limit) RETURNING notice_number
  `).pluck()
  // uses delivery_state_ended_ms_idx
  const removeOld = db.prepare<object, number>(`
    DELETE FROM delivery WHERE number IN (SELECT number FROM delivery WHERE state = @state AND ended_ms < @beforeMs LIMIT @limit) RETURNING notice_number
  `).pluck()
  // uses delivery_notice_number_idx
  const removeNotice = db.prepare<{ number: number }>('DELETE FROM notice WHERE number = @number AND NOT EXISTS (SELECT 1 FROM delivery WHERE notice_number = @number)')
  // Steps from target to target in delivery_target_state_idx: of what was delivered, which is most, none is read.
  const selectCounts = db.prepare<[], { target: string, state: DeliveryState, count: number, first: number }>(`
    WITH RECURSIVE one (target) AS (SELECT min(target) FROM delivery UNION ALL SELECT (SELECT min(target) FROM delivery WHERE target > one.target) FROM one WHERE target IS NOT NULL)
    SELECT one.target, left.state, (SELECT count(*) FROM delivery WHERE target = one.target AND state = left.state) AS count,
      (SELECT min(number) FROM delivery WHERE target = one.target AND state = left.state) AS first
    FROM one CROSS JOIN (SELECT 'pending' AS state UNION ALL SELECT 'dead') AS left WHERE first IS NOT NULL
  `)
  const selectWritten = db.prepare<[number], number>(`SELECT written_ms FROM ${from} WHERE delivery.number = ?`).pluck()

  /** The lists of deliveries that meet a condition, the newest first. */
  function prepareLists (condition: string, counted = 'delivery') {
    return {
      page: db.prepare<object, Delivery>(`SELECT ${columns} FROM ${from} WHERE ${condition} AND delivery.number < @before ORDER BY delivery.number DESC LIMIT @limit`),
      count: db.prepare<object, number>(`SELECT count(*) FROM ${counted} WHERE ${condition}`).pluck(),
    }
  }
  const lists = {
    all: prepareLists('true'),
    target: prepareLists('target = @target'), // uses delivery_target_idx
    state: prepareLists('state = @state'), // uses delivery_state_idx
    both: prepareLists('target = @target AND state = @state'),
    finding: prepareLists('finding_id = @finding AND (@target IS NULL OR target = @target) AND (@state IS NULL OR state = @state)', from), // uses notice_finding_id_idx
  }
  function listOf ({ target, state, finding }: DeliveryFilter): ReturnType<typeof prepareLists> {
    if (finding !== undefined) return lists.finding
    if (target === undefined) return state === undefined ? lists.all : lists.state
    return state === undefined ? lists.target : lists.both
  }
  const toParams = ({ target = null, state = null, finding = null }: { [K in keyof DeliveryFilter]?: DeliveryFilter[K] | null }) => ({ target, state, finding })

  /** Notices go with the last delivery of theirs; gives how many deliveries went. */
  function removeNotices (numbers: readonly number[]): number {
    for (const number of new Set(numbers)) removeNotice.run({ number })
    return numbers.length
  }

  return {
    /** A notice for these targets; in the transaction of whoever calls. */
    add (notice: Notice, deliveries: readonly Pick<Delivery, 'id' | 'target'>[]): void {
      const { lastInsertRowid } = insertNotice.run(notice)
      for (const { id, target } of deliveries) insert.run({ id, target, notice_number: lastInsertRowid, written_ms: notice.written_ms })
    },
    /** Resolves when all that is here is on the disk: what somebody was told of must not come again under another id. */
    onDisk: () => syncWal(db),
    /** The oldest that waits for a target. */
    head: (target: string): PendingDelivery | undefined => selectHead.get(target),
    succeed: (id: string, status: number | null, nowMs: number): void => { succeed.run({ id, status, nowMs }) },
    /** A try failed, and there is to be another. */
    fail: (id: string, outcome: TryOutcome, nextTryMs: number): void => { fail.run({ id, ...outcome, nextTryMs }) },
    /** A try failed, and it was the last. */
    giveUp: (id: string, outcome: TryOutcome, nowMs: number): void => { giveUp.run({ id, ...outcome, nowMs }) },
    /** A dead one waits again, in its old place; says whether it was dead. */
    resend: (id: string, nowMs: number): boolean => reviveOne.run({ id, nowMs }).changes > 0,
    /** So do at most `limit` of a target, the first behind the number `after`; gives their numbers, in any order. */
    resendSome: (target: string, nowMs: number, after: number, limit: number): number[] => reviveSome.all({ target, nowMs, after, limit }),
    /** Removes one that is not delivered; says whether it did. */
    drop: db.transaction((id: string): boolean => removeNotices(removeOne.all(id)) > 0),
    /** Removes at most `limit` of a target in a state; gives how many. */
    dropSome: db.transaction((target: string, state: DeliveryState, limit: number): number => removeNotices(removeSome.all({ target, state, limit }))),
    /** Removes at most `limit` that came to that end before a time; gives how many. */
    forgetSome: db.transaction((state: DeliveryState, beforeMs: number, limit: number): number => removeNotices(removeOld.all({ state, beforeMs, limit }))),
    get: (id: string): Delivery | undefined => select.get(id),
    /** The newest first, before the number `before` where given. */
    list: (filter: DeliveryFilter, limit: number, before = Infinity): Delivery[] => listOf(filter).page.all({ ...toParams(filter), limit, before }),
    count: (filter: DeliveryFilter): number => listOf(filter).count.get(toParams(filter))!,
    /** Of every target for which something waits or was given up, by name. */
    counts (): DeliveryCounts[] {
      const byTarget = new Map<string, DeliveryCounts>()
      for (const { target, state, count, first } of selectCounts.iterate()) {
        const before = byTarget.get(target) ?? { target, pending: 0, dead: 0, oldest_pending_ms: null }
        byTarget.set(target, state === 'dead' ? { ...before, dead: count } : { ...before, pending: count, oldest_pending_ms: selectWritten.get(first) ?? null })
      }
      return [...byTarget.values()]
    },
  }
}
export type OutboxStore = ReturnType<typeof openOutboxStore>
