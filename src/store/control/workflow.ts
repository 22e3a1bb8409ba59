import type Database from 'better-sqlite3'
import { AppError } from '../../errors.js'
import type { Finding, Workflow } from '../../finding.js'
import type { Deed } from './finding-history.js'
import type { FindingStore } from './findings.js'

/** What of a finding a person changes. */
export type WorkflowChange = { readonly [name in keyof Workflow]?: Workflow[name] | undefined }

export interface Changed<T = Finding> { readonly before: T, readonly after: T }

/** What people do with findings, in control.db: the change, its entry in the history and what listeners keep of it are in one transaction. */
export function openWorkflowStore (db: Database.Database, { history, get, many, tell }: Pick<FindingStore, 'history' | 'get' | 'many' | 'tell'>) {
  /** The finding before and after; the same where nothing changed. */
  function changeOne (before: Finding, change: WorkflowChange, deed: Deed): Changed {
    const after = afterOf(before, change)
    if (!history.add(before.id, before, after, deed)) return { before, after: before }
    tell(before.id, isChange(before, after) ? 'changed' : 'commented', deed.atMs, before)
    return { before, after: get(before.id)! }
  }

  return {
    /** Throws AppError `not_found`, and `precondition_failed` where the finding's etag isn't one that is asked for. */
    change: db.transaction((id: string, change: WorkflowChange, deed: Deed, isExpected: (etag: string) => boolean): Changed => {
      const before = get(id)
      if (before === undefined) throw new AppError('not_found', 'there is no such finding')
      if (!isExpected(before.etag)) throw new AppError('precondition_failed', `the finding was changed meanwhile: its ETag is ${before.etag}`)
      return changeOne(before, change, deed)
    }),
    /** What each of the findings would be changed to, with the ETag that it has; those that are not there are left out. */
    preview: (ids: readonly string[], change: WorkflowChange): Changed[] => many(ids).map(before => ({ before, after: { ...before, ...afterOf(before, change) } })),
    /**
     * One transaction. A finding whose ETag is not the one given is left as it is, and not among what comes back. The comment goes to those that change, or to
     * all where there is nothing to change.
     */
    changeAll: db.transaction((etags: ReadonlyMap<string, string>, change: WorkflowChange, deed: Deed): Changed[] => many([...etags.keys()])
      .filter(before => before.etag === etags.get(before.id))
      .map(before => Object.keys(change).length === 0 || isChange(before, afterOf(before, change)) ? changeOne(before, change, deed) : { before, after: before })),
    history: history.list,
    comments: history.comments,
  }
}
export type WorkflowStore = ReturnType<typeof openWorkflowStore>

/** What a change makes of a finding. */
export function afterOf ({ status, disposition, owner }: Workflow, change: WorkflowChange): Workflow {
  return {
    status: change.status ?? status,
    disposition: change.disposition === undefined ? disposition : change.disposition,
    owner: change.owner === undefined ? owner : change.owner,
  }
}

export function isChange (before: Workflow, after: Workflow): boolean {
  return before.status !== after.status || before.disposition !== after.disposition || before.owner !== after.owner
}
