import type Database from 'better-sqlite3'

export const AUDIT_OUTCOMES = ['begun', 'done', 'failed', 'refused'] as const

/** Who did it. `by` is the name of an API key, or of the user who ran a command. */
export interface AuditActor { readonly by: string | null, readonly role: string | null, readonly how: 'bearer' | 'session' | 'command' | null }

export interface AuditEntry extends AuditActor {
  readonly number: number
  readonly at_ms: number
  readonly action: string
  readonly target_type: string
  readonly target_id: string | null
  /** `begun`: the server ended before it knew what came of it. */
  readonly outcome: typeof AUDIT_OUTCOMES[number]
  /** JSON. */
  readonly before: string | null
  readonly after: string | null
  readonly request_id: string | null
  readonly address: string | null
  readonly count: number
  readonly last_ms: number
}

export type NewAuditEntry = Omit<AuditEntry, 'number' | 'count' | 'last_ms'>

export interface AuditFilter {
  /** From `fromMs` on, before `toMs`. */
  readonly fromMs: number
  readonly toMs: number
  readonly by?: string | undefined
  readonly how?: AuditEntry['how'] | undefined
  readonly action?: string | undefined
  readonly target_type?: string | undefined
  readonly target_id?: string | undefined
}

interface Place { readonly at_ms: number, readonly number: number }

/** Who changed what, in control.db. */
export function openAuditStore (db: Database.Database) {
  const insert = db.prepare<NewAuditEntry>(`
    INSERT INTO audit (at_ms, made_by, role, how, action, target_type, target_id, outcome, before, after, request_id, address, last_ms)
    VALUES (@at_ms, @by, @role, @how, @action, @target_type, @target_id, @outcome, @before, @after, @request_id, @address, @at_ms)
  `)
  const finish = db.prepare<Pick<AuditEntry, 'number' | 'outcome' | 'target_id' | 'before' | 'after'>>('UPDATE audit SET outcome = @outcome, target_id = @target_id, before = @before, after = @after WHERE number = @number')
  const remove = db.prepare<[number: number]>('DELETE FROM audit WHERE number = ?')
  const count = db.prepare<[more: number, lastMs: number, number: number]>('UPDATE audit SET count = count + ?, last_ms = ? WHERE number = ?')
  const columns = 'number, at_ms, made_by AS "by", role, how, action, target_type, target_id, outcome, before, after, request_id, address, count, last_ms'
  // Each filter has an index that ends in the order of the list.
  const whereOf = (filter: AuditFilter) => [
    'at_ms >= @fromMs AND at_ms < @toMs',
    ...filter.by === undefined ? [] : ['made_by = @by'],
    ...filter.how === undefined ? [] : ['how = @how'],
    ...filter.action === undefined ? [] : ['action = @action'],
    ...filter.target_type === undefined ? [] : ['target_type = @target_type'],
    ...filter.target_id === undefined ? [] : ['target_id = @target_id'],
  ].join(' AND ')
  return {
    /** Gives its number. */
    add: (entry: NewAuditEntry): number => Number(insert.run(entry).lastInsertRowid),
    finish: (entry: Pick<AuditEntry, 'number' | 'outcome' | 'target_id' | 'before' | 'after'>): void => { finish.run(entry) },
    remove: (number: number): void => { remove.run(number) },
    /** Adds to what entries stand for, all or none. */
    count: db.transaction((more: readonly { readonly number: number, readonly count: number, readonly last_ms: number }[]): void => { for (const one of more) count.run(one.count, one.last_ms, one.number) }),
    /** Runs `work` in one transaction. */
    write: <T>(work: () => T): T => db.transaction(work).immediate(),
    /** Newest first, behind `after` where given. */
    list (filter: AuditFilter, limit: number, after?: Place): AuditEntry[] {
      return db.prepare<object, AuditEntry>(`SELECT ${columns} FROM audit WHERE ${whereOf(filter)} AND (at_ms, number) < (@afterMs, @afterNumber) ORDER BY at_ms DESC, number DESC LIMIT @limit`)
        .all({ ...filter, limit, afterMs: after?.at_ms ?? Number.MAX_SAFE_INTEGER, afterNumber: after?.number ?? 0 })
    },
    total: (filter: AuditFilter): number => db.prepare<object, number>(`SELECT count(*) FROM audit WHERE ${whereOf(filter)}`).pluck().get(filter)!,
  }
}
export type AuditStore = ReturnType<typeof openAuditStore>
