import type Database from 'better-sqlite3'

/** What became of a finding. Changed: a person or a rule set its status, disposition or owner, or commented on it. */
export const LOGGED_KINDS = ['created', 'revised', 'gone', 'changed'] as const
export type LoggedKind = typeof LOGGED_KINDS[number]

/** A change of a finding. What each column is: migrations/control/0016_stream.sql. */
export interface LoggedChange {
  readonly number: number
  readonly at_ms: number
  readonly what: LoggedKind
  readonly before: string | null
  readonly finding: string
}

/** Where in the log somebody is; that of the beginning is 0 and 0. */
export type LogPlace = Pick<LoggedChange, 'number' | 'at_ms'>

/** What is kept: whichever is reached first. The newest change is kept always. */
export interface LogBounds { readonly changes: number, readonly bytes: number, readonly ageMs: number }

const BEGINNING: LogPlace = { number: 0, at_ms: 0 }

/** The newest changes of findings, in control.db. */
export function openFindingLog (db: Database.Database, { changes, bytes, ageMs }: LogBounds) {
  const insert = db.prepare('INSERT INTO finding_log (at_ms, what, before, finding, end_bytes) VALUES (@at_ms, @what, @before, @finding, @end_bytes)')
  const selectNewest = db.prepare<[], LogPlace & { end_bytes: number }>('SELECT number, at_ms, end_bytes FROM finding_log ORDER BY number DESC LIMIT 1')
  const selectOldest = db.prepare<[], number>('SELECT number FROM finding_log ORDER BY number LIMIT 1').pluck()
  const selectAtMs = db.prepare<[number], number>('SELECT at_ms FROM finding_log WHERE number = ?').pluck()
  const selectAfter = db.prepare<[number: number, limit: number], LoggedChange>('SELECT number, at_ms, what, before, finding FROM finding_log WHERE number > ? ORDER BY number LIMIT ?')
  const removeOldest = db.prepare<object>(`
    DELETE FROM finding_log WHERE number = (SELECT number FROM finding_log ORDER BY number LIMIT 1) AND number < @newest
      AND (number <= @newest - @changes OR end_bytes <= @endBytes - @bytes OR at_ms < @beforeMs)
  `)

  /** Removes what is over the bounds, from the oldest on, at most `limit`. */
  function trim (nowMs: number, limit: number): void {
    const newest = selectNewest.get()
    if (newest === undefined) return
    const params = { newest: newest.number, endBytes: newest.end_bytes, changes, bytes, beforeMs: nowMs - ageMs }
    for (let removed = 0; removed < limit && removeOldest.run(params).changes > 0; removed++);
  }

  return {
    /** In the transaction of whoever calls, with which it is undone. */
    add (change: Omit<LoggedChange, 'number'>): void {
      insert.run({ ...change, end_bytes: (selectNewest.get()?.end_bytes ?? 0) + Buffer.byteLength(change.finding) })
      trim(change.at_ms, MAX_REMOVED)
    },
    /** Changes behind a place, the oldest first: at most `limit`, and no more after so many bytes. */
    after ({ number }: Pick<LogPlace, 'number'>, limit: number, maxBytes: number): LoggedChange[] {
      const page: LoggedChange[] = []
      let size = 0
      for (const change of selectAfter.iterate(number, limit)) {
        page.push(change)
        size += change.finding.length
        if (size >= maxBytes) break
      }
      return page
    },
    newest: (): LogPlace => selectNewest.get() ?? BEGINNING,
    /** Whether all that came behind a place is there. */
    reaches: ({ number, at_ms: atMs }: LogPlace): boolean => number === 0 ? atMs === 0 && (selectOldest.get() ?? 1) === 1 : selectAtMs.get(number) === atMs,
    /** Removes what has become too old. */
    trim: (nowMs: number): void => trim(nowMs, MAX_TRIMMED),
  }
}
export type FindingLog = ReturnType<typeof openFindingLog>

/** More than one, so that after a large finding the log comes back to its size. */
const MAX_REMOVED = 100
const MAX_TRIMMED = 1_000
