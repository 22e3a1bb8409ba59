import type Database from 'better-sqlite3'
import type { FindingChange, FindingHistoryEntry, Workflow } from '../../finding.js'

/** Who did something with a finding, when, and what is said of it. */
export interface Deed {
  /** Null: Hecate itself. */
  readonly by: string | null
  readonly atMs: number
  readonly comment?: string | undefined
  /** Why Hecate did it. */
  readonly reason?: string | undefined
}

interface HistoryRow {
  readonly kind: FindingHistoryEntry['kind']
  readonly revision: number
  readonly number: number
  readonly at_ms: number
  readonly made_by: string | null
  readonly before: string | null
  readonly after: string | null
  readonly comment: string | null
  readonly reason: string | null
  /** Of a revision. */
  readonly change: string | null
}

/** A place in the history of a finding: revisions have the number 0, what was done with them stands behind. */
export interface HistoryPlace { readonly revision: number, readonly number: number }

/** What was done with findings, in control.db. Who writes opens the transaction. */
export function openFindingHistory (db: Database.Database) {
  const set = db.prepare('UPDATE finding SET status = @status, disposition = @disposition, owner = @owner, updated_ms = @at_ms WHERE id = @id')
  const count = db.prepare<[string], { revision: number, number: number }>('UPDATE finding SET history_count = history_count + 1 WHERE id = ? RETURNING revision, history_count AS number')
  const insert = db.prepare(`
    INSERT INTO finding_history (finding_id, revision, number, at_ms, made_by, before, after, comment, reason)
    VALUES (@id, @revision, @number, @at_ms, @made_by, @before, @after, @comment, @reason)
  `)
  const selectStatusSet = db.prepare<[string, number], number>("SELECT 1 FROM finding_history WHERE finding_id = ? AND revision = ? AND after ->> 'status' IS NOT NULL LIMIT 1").pluck()
  // Both halves come in the order of their primary keys, so that none is read further than the page.
  const select = db.prepare<object, HistoryRow>(`
    SELECT iif(after IS NULL, 'comment', 'change') AS kind, revision, number, at_ms, made_by, before, after, comment, reason, NULL AS change FROM finding_history
    WHERE finding_id = @id AND (revision, number) < (@before_revision, @before_number)
    UNION ALL
    SELECT 'revision', revision, 0, created_ms, NULL, NULL, NULL, NULL, NULL, change FROM finding_revision
    WHERE finding_id = @id AND revision <= @before_revision AND (revision < @before_revision OR @before_number > 0)
    ORDER BY revision DESC, number DESC LIMIT @limit
  `)
  // uses finding_history_comment_idx
  const selectComments = db.prepare<object, HistoryRow>(`
    SELECT iif(after IS NULL, 'comment', 'change') AS kind, revision, number, at_ms, made_by, before, after, comment, reason, NULL AS change FROM finding_history
    WHERE finding_id = @id AND comment IS NOT NULL AND number < @before_number ORDER BY number DESC LIMIT @limit
  `)

  return {
    /** Writes down what was done, and sets what has changed; false where nothing has, and there is no comment. */
    add (id: string, before: Workflow, after: Workflow, { by, atMs, comment, reason }: Deed): boolean {
      const changed = (['status', 'disposition', 'owner'] as const).filter(name => before[name] !== after[name])
      if (changed.length === 0 && comment === undefined) return false
      if (changed.length > 0) set.run({ id, ...toWorkflow(after), at_ms: atMs })
      const toJson = (of: Workflow) => changed.length === 0 ? null : JSON.stringify(Object.fromEntries(changed.map(name => [name, of[name]])))
      insert.run({ id, ...count.get(id), at_ms: atMs, made_by: by, before: toJson(before), after: toJson(after), comment: comment ?? null, reason: reason ?? null })
      return true
    },
    /** Whether the status was set while the finding had this revision. */
    isStatusOf: (id: string, revision: number): boolean => selectStatusSet.get(id, revision) === 1,
    /** Newest first, before a place where given; with what stands at the place behind. */
    list: (id: string, limit: number, before?: HistoryPlace): (FindingHistoryEntry & HistoryPlace)[] =>
      select.all({ id, limit, before_revision: before?.revision ?? Infinity, before_number: before?.number ?? 0 }).map(toEntry),
    /** Those with a comment, newest first, before the number of one where given. */
    comments: (id: string, limit: number, before = Infinity): (FindingHistoryEntry & HistoryPlace)[] => selectComments.all({ id, limit, before_number: before }).map(toEntry),
  }
}
export type FindingHistory = ReturnType<typeof openFindingHistory>

/** Nothing of a finding but what a person sets. */
export function toWorkflow ({ status, disposition, owner }: Workflow): Workflow {
  return { status, disposition, owner }
}

function toEntry ({ kind, revision, number, at_ms: atMs, made_by: by, before, after, comment, reason, change }: HistoryRow): FindingHistoryEntry & HistoryPlace {
  const parse = (json: string | null) => json === null ? null : JSON.parse(json) as Partial<Workflow>
  return {
    kind, revision, number, by, before: parse(before), after: parse(after), comment,
    at: new Date(atMs).toISOString(),
    reason: change === null ? reason : (JSON.parse(change) as FindingChange).text,
  }
}
