import { setTimeout } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
import type Database from 'better-sqlite3'
import { AppError } from '../../errors.js'
import { toMicroseconds } from '../../event.js'
import type { DrillDown, Evidence, Finding, FindingChange, FindingRevision, Workflow } from '../../finding.js'
import { FindingBody, saysTheSame } from '../../finding.js'
import type { Position } from '../events.js'
import { openFindingHistory, toWorkflow } from './finding-history.js'
import type { FindingFilter, FindingOrder, FindingPlace } from './finding-lists.js'
import { openFindingFacets, openFindingLists, visibilityOf } from './finding-lists.js'
import type { RunnableSlot } from './ledger.js'
import { syncWal, withoutSync } from './open.js'
import { openSeenFindings } from './seen-findings.js'

/** What a run says of one row, with the key that makes it the same finding next time. */
export interface FindingDraft {
  readonly id: string
  readonly body: FindingBody
  readonly evidence: PackedEvidence | null
  /** Kept with the evidence. */
  readonly drillDown?: DrillDown | null
  /** What is new where the finding was known and says something else. */
  readonly change: FindingChange | null
  /** What throttles it where it is new; null where nothing does. */
  readonly throttle: Throttle | null
}

/** A finding of the detection with this key that fired at a slot after `afterMs`, up to `untilMs`; one that is written before in the same run counts as well. */
export interface Throttle { readonly key: string, readonly afterMs: number, readonly untilMs: number }

export interface RunRecord {
  readonly id: string
  readonly detection_id: string
  readonly slot_ms: number
  readonly definition_hash: string
  readonly status: 'succeeded' | 'failed'
  readonly position: Position | null
  readonly earliest_us: number
  readonly latest_us: number
  readonly started_ms: number
  readonly finished_ms: number
  readonly row_count: number
  readonly scanned_events: number
  /** New findings that fired. */
  readonly created: number
  /** New findings that did not. */
  readonly throttled: number
  /** New findings that a suppression hides. */
  readonly suppressed: number
  readonly revised: number
  readonly unchanged: number
  /** Findings of the slot whose rows are there no more. */
  readonly gone: number
  readonly error: string | null
  /** What the rows don't show, one sentence each. */
  readonly warnings: readonly string[]
}

/** As it stands in the table. */
type RunRow = Omit<RunRecord, 'warnings'> & { readonly warnings: string }

export type RunCounts = Pick<RunRecord, 'created' | 'throttled' | 'suppressed' | 'revised' | 'unchanged' | 'gone'>

/** The backfill that a run is part of. */
export interface RunOfBackfill {
  readonly id: string
  /** Called in the transaction that ends the run. */
  readonly ran: (run: RunRecord, isShort: boolean) => void
}

/** What a run that succeeded changes beside its own row. */
export interface RunOutcome {
  readonly position: Position
  readonly drafts: readonly FindingDraft[]
  /** As it was when the run began. */
  readonly slot: RunnableSlot
  /** Events of the window were dropped before, or are in a damaged partition. */
  readonly isShort: boolean
  readonly backfill: RunOfBackfill | undefined
  readonly isAfter: (a: Position, b: Position) => boolean
  /** Which findings of the window that the definition gave, in whatever slot, are gone where this run does not give them; null for none. */
  readonly speaksFor: ((finding: FindingBody) => boolean) | null
  /** What is said of a finding whose row is gone, or there again. */
  readonly appearance: (row: 'gone' | 'back', definitionHashBefore: string | null) => FindingChange
}

/**
 * What was written of a finding. `created` is told of one that is shown for the first time, also where a revision takes it out of a suppression; `changed`
 * where a person has set status, disposition or owner, `commented` where he has only said something. A revision may set the status as well: it re-opens what was done with.
 */
export interface FindingWrite {
  readonly what: 'created' | 'throttled' | 'suppressed' | 'revised' | 'changed' | 'commented' | 'gone' | 'ended'
  readonly nowMs: number
  /** What people had said of it until then; undefined of a new one. */
  readonly before?: Workflow | undefined
}

/** A finding as it stands now, and what was written of it. Called in the transaction that wrote it: what throws undoes that. */
export type FindingWritten = (finding: Finding, write: FindingWrite) => void

/** The suppression that is to hide a finding, null without. Called in the transaction that writes the finding. */
export type SuppressionOf = (body: FindingBody, nowMs: number) => string | null

/** A finding that no run gives. `change` is what is new where it is known; without, a known one stays as it is. */
export type OwnFinding = Pick<FindingDraft, 'id' | 'body'> & Partial<Pick<FindingDraft, 'change'>>

/** That what a finding says is over. */
export interface FindingEnd { readonly id: string, readonly atMs: number, readonly change: FindingChange }

interface FindingRow {
  readonly id: string
  readonly status: Finding['status']
  readonly disposition: Finding['disposition']
  readonly owner: string | null
  readonly history_count: number
  readonly revision: number
  readonly position: Position
  readonly run_id: string
  readonly created_ms: number
  readonly updated_ms: number
  readonly time_us: number
  readonly slot_ms: number | null
  readonly gone_ms: number | null
  readonly backfill_id: string | null
  readonly throttled_by: string | null
  readonly suppressed_by: string | null
  readonly body: string
  /** Of the revision. */
  readonly change: string | null
}

/** What leaves a finding out of lists. */
type Marks = Pick<Finding, 'throttled_by' | 'suppressed_by'>

interface RevisionRow { readonly revision: number, readonly run_id: string, readonly created_ms: number, readonly body: string, readonly change: string | null }

/** The events that a finding comes from as they are kept: gzip of a JSON array. */
export interface PackedEvidence { readonly event_count: number, readonly kept_count: number, readonly approximate: boolean, readonly events: Uint8Array }

interface EvidenceRow { readonly event_count: number, readonly approximate: number, readonly events: Uint8Array }

/** How a run's findings are written where there are many. */
export interface Pacing {
  readonly findingsPerCommit: number
  /** Between two commits. */
  readonly pause: () => Promise<unknown>
}

/** To write one takes about a quarter of a millisecond of the thread that takes events too: between two commits, of two or three milliseconds each, a request is to get as far as it can. */
const PACING: Pacing = { findingsPerCommit: 8, pause: () => setTimeout(4) }

/** For who takes no events. */
export const AT_ONCE: Pacing = { findingsPerCommit: Infinity, pause: async () => {} }

/** Findings and the runs that gave them, in control.db. Who keeps something of each finding is in `listeners`. */
export function openFindingStore (db: Database.Database, listeners: readonly FindingWritten[] = [], suppressionOf: SuppressionOf = () => null, { findingsPerCommit, pause }: Pacing = PACING) {
  const history = openFindingHistory(db)
  const facets = openFindingFacets(db)
  const lists = openFindingLists(db)
  const columns = 'finding.*, (SELECT change FROM finding_revision AS last WHERE last.finding_id = finding.id AND last.revision = finding.revision) AS change'
  const select = db.prepare<[string], FindingRow>(`SELECT ${columns} FROM finding WHERE id = ?`)
  const selectLast = db.prepare<[string], { body: string, definition_hash: string | null }>('SELECT body, definition_hash FROM finding LEFT JOIN run ON run.id = run_id WHERE finding.id = ?')
  // uses finding_detection_id_slot_ms_idx
  const selectIdsOfSlot = db.prepare<[string, number], string>('SELECT id FROM finding WHERE detection_id = ? AND slot_ms = ? AND gone_ms IS NULL').pluck()
  // uses finding_detection_id_time_us_idx
  const selectOfOtherSlots = db.prepare<[string, number, number, number], Pick<FindingRow, 'id' | 'body'>>('SELECT id, body FROM finding WHERE detection_id = ? AND time_us >= ? AND time_us < ? AND slot_ms <> ? AND gone_ms IS NULL')
  const insert = db.prepare(`
    INSERT INTO finding (id, detection_id, time_us, status, score, revision, position, run_id, slot_ms, backfill_id, created_ms, updated_ms, body, throttle_key, fired_slot_ms, throttled_by, suppressed_by)
    VALUES (@id, @detection_id, @time_us, 'new', @score, 1, @position, @run_id, @slot_ms, @backfill_id, @now_ms, @now_ms, @body, @throttle_key, @fired_slot_ms, @throttled_by, @suppressed_by)
  `)
  // uses finding_detection_id_throttle_key_fired_slot_ms_idx
  const selectFired = db.prepare<object, string>(`
    SELECT id FROM finding WHERE detection_id = @detectionId AND throttle_key = @key AND fired_slot_ms > @afterMs AND fired_slot_ms <= @untilMs ORDER BY fired_slot_ms DESC LIMIT 1
  `).pluck()
  const revise = db.prepare(`
    UPDATE finding SET time_us = @time_us, score = @score, revision = @revision, position = @position, run_id = @run_id, slot_ms = @slot_ms, gone_ms = @gone_ms, updated_ms = @now_ms, body = @body,
      suppressed_by = @suppressed_by
    WHERE id = @id
  `)
  const confirm = db.prepare<[Position, number, string]>('UPDATE finding SET position = ?, slot_ms = ? WHERE id = ?')
  const nameRun = db.prepare<[runId: string, id: string]>('UPDATE finding SET run_id = ? WHERE id = ?')
  const nameRunOfRevision = db.prepare<[runId: string, id: string, revision: number]>('UPDATE finding_revision SET run_id = ? WHERE finding_id = ? AND revision = ?')
  const prepareTake = (count: 'created' | 'throttled' | 'suppressed' | 'revised') => db.prepare<[runId: string]>(`UPDATE run SET ${count} = ${count} - 1 WHERE id = ?`)
  const takeFrom = { created: prepareTake('created'), throttled: prepareTake('throttled'), suppressed: prepareTake('suppressed'), revised: prepareTake('revised') }
  const selectRunStatus = db.prepare<[string], RunRecord['status']>('SELECT status FROM run WHERE id = ?').pluck()
  const insertRevision = db.prepare(`
    INSERT INTO finding_revision (finding_id, revision, position, run_id, created_ms, body, change) VALUES (@id, @revision, @position, @run_id, @now_ms, @body, @change)
  `)
  const putEvidence = db.prepare(`
    INSERT INTO finding_evidence (finding_id, event_count, kept_count, approximate, events, drill_down) VALUES (@id, @event_count, @kept_count, @approximate, @events, @drill_down)
    ON CONFLICT (finding_id) DO UPDATE SET event_count = @event_count, kept_count = @kept_count, approximate = @approximate, events = @events, drill_down = @drill_down
  `)
  const selectRevisions = db.prepare<object, RevisionRow>('SELECT * FROM finding_revision WHERE finding_id = @id AND revision < @before ORDER BY revision DESC LIMIT @limit')
  const selectEvidence = db.prepare<[string], EvidenceRow>('SELECT event_count, approximate, events FROM finding_evidence WHERE finding_id = ?')
  const selectDrillDown = db.prepare<[string], string | null>('SELECT drill_down FROM finding_evidence WHERE finding_id = ?').pluck()
  const putRun = db.prepare<RunRow>(`
    INSERT OR REPLACE INTO run (id, detection_id, slot_ms, definition_hash, status, position, earliest_us, latest_us, started_ms, finished_ms, row_count,
      scanned_events, created, throttled, suppressed, revised, unchanged, gone, error, warnings)
    VALUES (@id, @detection_id, @slot_ms, @definition_hash, @status, @position, @earliest_us, @latest_us, @started_ms, @finished_ms, @row_count,
      @scanned_events, @created, @throttled, @suppressed, @revised, @unchanged, @gone, @error, @warnings)
  `)
  const failRun = db.prepare<RunRecord>('UPDATE run SET finished_ms = @finished_ms, error = @error WHERE id = @id')
  const doneSlot = db.prepare(`
    UPDATE slot SET state = 'done', position = @position, row_count = @row_count, tries = 0, error = NULL, done_ms = @finished_ms,
      short = iif(first_done_ms IS NULL, @short, short), first_done_ms = coalesce(first_done_ms, @finished_ms), late_runs = late_runs + @late_runs,
      waived_by = NULL, waived_reason = NULL, waived_ms = NULL
    WHERE detection_id = @detection_id AND slot_ms = @slot_ms
  `)
  const selectLatePosition = db.prepare<[string, number], Position | null>('SELECT late_position FROM slot WHERE detection_id = ? AND slot_ms = ?').pluck()
  const seeLate = db.prepare<[string, number]>(`
    UPDATE slot SET late_position = NULL, late_since_ms = NULL, late_due_ms = NULL, waiting_events = 0 WHERE detection_id = ? AND slot_ms = ?
  `)
  const failSlot = db.prepare(`
    UPDATE slot SET state = 'failed', tries = tries + 1, next_try_ms = @next_try_ms, error = @error
    WHERE detection_id = @detection_id AND slot_ms = @slot_ms
  `)
  // uses run_detection_id_started_ms_idx
  const selectRuns = db.prepare<object, RunRow>(`
    SELECT * FROM run WHERE detection_id = @detection_id AND (started_ms, id) < (@before_ms, @before_id) ORDER BY started_ms DESC, id DESC LIMIT @limit
  `)
  const selectLastSuccess = db.prepare<[], { detection_id: string, finished_ms: number }>(`
    SELECT detection_id, max(finished_ms) AS finished_ms FROM run WHERE status = 'succeeded' GROUP BY detection_id
  `)
  const selectMany = db.prepare<[string], FindingRow>(`SELECT ${columns} FROM finding WHERE id IN (SELECT value FROM json_each(?))`)
  const selectAfter = db.prepare<[string, number], FindingRow>(`SELECT ${columns} FROM finding WHERE id > ? ORDER BY id LIMIT ?`)
  const selectAll = db.prepare<[], FindingRow>(`SELECT ${columns} FROM finding WHERE throttled_by IS NULL AND suppressed_by IS NULL ORDER BY time_us, detection_id, id`)

  function write ({ id, body, change, evidence, drillDown, throttle }: FindingDraft, run: RunRecord, { position, backfill, isAfter, appearance }: RunOutcome): Exclude<keyof RunCounts, 'gone'> {
    const before = select.get(id)
    const bodyBefore = before === undefined ? null : JSON.parse(before.body) as FindingBody
    const isBack = before !== undefined && before.gone_ms !== null
    const isNews = bodyBefore === null || !saysTheSame(bodyBefore, body)
    // An older position never overwrites a newer one; the same row writes no revision.
    if (before !== undefined && (isAfter(before.position, position) || (!isBack && !isNews))) {
      if (isAfter(before.position, position)) return 'unchanged'
      confirm.run(position, Math.max(run.slot_ms, before.slot_ms ?? 0), id)
      return isOfFailedRun(before) ? takeOver(before, run) : 'unchanged'
    }
    const marks = before === undefined ? marksOfNew(body, throttle, run.finished_ms) : marksOfRevised(before, body, isNews, run.finished_ms)
    const said = change !== null ? (isBack ? { ...change, row: 'back' as const } : change) : isBack ? appearance('back', run.definition_hash) : null
    const what = put({ id, before, body, marks, isNews, change: said, nowMs: run.finished_ms }, {
      position, run_id: run.id, slot_ms: Math.max(run.slot_ms, before?.slot_ms ?? 0), backfill_id: backfill?.id ?? null,
      throttle_key: throttle?.key ?? null, fired_slot_ms: throttle === null || visibilityOf(marks) !== 'shown' ? null : run.slot_ms,
    })
    if (evidence !== null) putEvidence.run({ id, ...evidence, approximate: evidence.approximate ? 1 : 0, drill_down: drillDown == null ? null : JSON.stringify(drillDown) })
    return what
  }

  /** What a run that was cut off has written of a finding, and this one gives as it is, is of this one, and no more of that: who adds up what runs have created counts it once. */
  function takeOver (before: FindingRow, run: RunRecord): 'created' | 'throttled' | 'suppressed' | 'revised' {
    const what = before.revision === 1 ? createdAs(before) : 'revised'
    takeFrom[what].run(before.run_id)
    nameRun.run(run.id, before.id)
    nameRunOfRevision.run(run.id, before.id, before.revision)
    return what
  }

  function isOfFailedRun ({ run_id: runId }: FindingRow): boolean {
    return selectRunStatus.get(runId) === 'failed'
  }

  interface Written {
    readonly id: string
    /** As it stood; undefined for a new one. */
    readonly before: FindingRow | undefined
    readonly body: FindingBody
    readonly marks: Marks
    /** Whether the body says something else than before. */
    readonly isNews: boolean
    readonly change: FindingChange | null
    readonly nowMs: number
  }

  /** Writes a finding or its next revision with all that lists look it up by, re-opens what was done with, and tells the listeners. */
  function put ({ id, before, body, marks, isNews, change, nowMs }: Written, origin: { readonly position: Position, readonly run_id: string, readonly slot_ms: number | null, readonly backfill_id: string | null, readonly throttle_key: string | null, readonly fired_slot_ms: number | null }): 'created' | 'throttled' | 'suppressed' | 'revised' {
    const row = {
      ...origin, ...marks, id, now_ms: nowMs, body: JSON.stringify(body), gone_ms: null, detection_id: body.detection.id, time_us: toMicroseconds(body.time), score: body.risk.score,
      revision: (before?.revision ?? 0) + 1, change: change === null ? null : JSON.stringify(change),
    }
    if (before === undefined) insert.run(row)
    else revise.run(row)
    insertRevision.run(row)
    facets.put(before === undefined ? null : { id, visibility: visibilityOf(before), timeUs: before.time_us, body: JSON.parse(before.body) as FindingBody }, { id, visibility: visibilityOf(marks), timeUs: row.time_us, body })
    if (before !== undefined && change !== null) reopen(before, isNews, change, nowMs)
    const what = before !== undefined ? 'revised' : createdAs(marks)
    tell(id, before !== undefined && before.suppressed_by !== null && marks.suppressed_by === null ? 'created' : what, nowMs, before)
    return what
  }

  /** What leaves a new finding out of lists. One that is suppressed has not fired, and throttles none. */
  function marksOfNew (body: FindingBody, throttle: Throttle | null, nowMs: number): Marks {
    const suppressedBy = suppressionOf(body, nowMs)
    const throttledBy = suppressedBy === null && throttle !== null ? selectFired.get({ detectionId: body.detection.id, ...throttle }) ?? null : null
    return { throttled_by: throttledBy, suppressed_by: suppressedBy }
  }

  /** What hides a finding has to hide what is new of it too. One that was shown stays so: somebody may work on it. */
  function marksOfRevised (before: FindingRow, body: FindingBody, isNews: boolean, nowMs: number): Marks {
    const { throttled_by: throttledBy, suppressed_by: suppressedBy } = before
    return { throttled_by: throttledBy, suppressed_by: suppressedBy !== null && isNews ? suppressionOf(body, nowMs) : suppressedBy }
  }

  /**
   * What was done with is to be looked at again where its row says something else, or is there again and was done with while it was gone. What a person
   * said of it stays.
   */
  function reopen (before: FindingRow, isNews: boolean, { text }: FindingChange, nowMs: number): void {
    if (before.status !== 'resolved' && before.status !== 'closed') return
    if (isNews || history.isStatusOf(before.id, before.revision)) history.add(before.id, before, { ...before, status: 'new' }, { by: null, atMs: nowMs, reason: text })
  }

  function tell (id: string, what: FindingWrite['what'], nowMs: number, before?: Workflow): void {
    if (listeners.length === 0) return
    const finding = toFinding(select.get(id)!)
    for (const listener of listeners) listener(finding, { what, nowMs, before: before === undefined ? undefined : toWorkflow(before) })
  }

  /** What a run has to write of one finding. */
  type RunWrite = { readonly draft: FindingDraft } | { readonly goneId: string }

  interface Part {
    readonly writes: readonly RunWrite[]
    /** Of the run until here; added to. */
    readonly counts: { -readonly [name in keyof RunCounts]: number }
  }

  function writeAll (run: RunRecord, outcome: RunOutcome, { writes, counts }: Part): void {
    for (const one of writes) {
      if ('draft' in one) counts[write(one.draft, run, outcome)]++
      else if (markGone(one.goneId, run, outcome)) counts.gone++
    }
  }

  const writePart = db.transaction((run: Omit<RunRecord, keyof RunCounts>, outcome: RunOutcome, part: Part): void => {
    writeAll({ ...run, ...NO_COUNTS }, outcome, part)
    putRun.run(toRunRow({ ...run, ...part.counts }))
  })

  const endRun = db.transaction((run: Omit<RunRecord, keyof RunCounts>, outcome: RunOutcome, part: Part): RunRecord => {
    const { position, slot, isShort, backfill, isAfter } = outcome
    writeAll({ ...run, ...NO_COUNTS }, outcome, part)
    const counted = { ...run, ...part.counts }
    putRun.run(toRunRow(counted))
    doneSlot.run({ ...counted, short: isShort ? 1 : 0, late_runs: slot.position !== null && slot.late_due_ms !== null ? 1 : 0 })
    const latePosition = selectLatePosition.get(run.detection_id, run.slot_ms) ?? null
    if (latePosition === null || !isAfter(latePosition, position)) seeLate.run(run.detection_id, run.slot_ms)
    backfill?.ran(counted, isShort)
    return counted
  })

  /** Findings of the slot, and others that the run speaks for, that it gives no more. */
  function toGo (run: Omit<RunRecord, keyof RunCounts>, { drafts, isShort, speaksFor }: RunOutcome): string[] {
    if (isShort) return [] // a window that has lost events gives no row that they made, which says nothing of the row
    const given = new Set(drafts.map(({ id }) => id))
    // Also of a slot that was never done: a run that was cut off may have given some.
    const ofSlot = selectIdsOfSlot.all(run.detection_id, run.slot_ms).filter(id => !given.has(id))
    const ofOthers = speaksFor === null
      ? []
      : selectOfOtherSlots.all(run.detection_id, run.earliest_us, run.latest_us, run.slot_ms).filter(({ id, body }) => {
        return !given.has(id) && speaksFor(JSON.parse(body) as FindingBody) && selectLast.get(id)?.definition_hash === run.definition_hash
      })
    return [...ofSlot, ...ofOthers.map(({ id }) => id)]
  }

  /** Marks a finding that the run gives no more, and says whether it did. It is kept, a person may have worked on it. */
  function markGone (id: string, run: RunRecord, { position, isAfter, appearance }: RunOutcome): boolean {
    const before = select.get(id)
    if (before === undefined || before.gone_ms !== null || isAfter(before.position, position)) return false
    const change = appearance('gone', selectLast.get(id)?.definition_hash ?? null)
    writeGone(before, { position, run_id: run.id, now_ms: run.finished_ms, slot_ms: Math.max(run.slot_ms, before.slot_ms ?? 0), gone_ms: run.finished_ms }, change)
    tell(id, 'gone', run.finished_ms, before)
    return true
  }

  /** The revision in which a finding says what it did, and is gone. */
  function writeGone (before: FindingRow, end: Pick<FindingRow, 'position' | 'run_id' | 'slot_ms' | 'gone_ms'> & { readonly now_ms: number }, change: FindingChange): void {
    const row = { ...before, ...end, revision: before.revision + 1, change: JSON.stringify(change) }
    revise.run({ ...row, score: (JSON.parse(before.body) as FindingBody).risk.score })
    insertRevision.run(row)
  }

  /** In the order of the ids; those that are not there are left out. */
  function many (ids: readonly string[]): Finding[] {
    const found = new Map(selectMany.all(JSON.stringify(ids)).map(row => [row.id, toFinding(row)]))
    return ids.flatMap(id => found.get(id) ?? [])
  }

  return {
    /** What was done with findings. */
    history,
    /** Tells the listeners what another store has written of a finding, in the transaction that wrote it. */
    tell,
    /** The body of a finding as it stands, and the definition of the run that gave it; undefined where there is none. */
    last (id: string): { readonly body: FindingBody, readonly definitionHash: string | null } | undefined {
      const row = selectLast.get(id)
      return row === undefined ? undefined : { body: FindingBody.parse(JSON.parse(row.body)), definitionHash: row.definition_hash }
    },
    /**
     * The findings of a run that succeeded, the run, and its slot's new position: in one transaction, or where it gives many findings in several, of which only the last says that the
     * slot is done. A run that is cut off between them, by `signal` too, stands as failed; its slot is still to be done, and the next run takes over what was written.
     */
    async commitRun (run: Omit<RunRecord, keyof RunCounts>, outcome: RunOutcome, signal?: AbortSignal): Promise<RunRecord> {
      const counts = { ...NO_COUNTS }
      // What is gone goes first: a detection whose rows have got other keys must not count twice towards anybody's risk, not even for a moment.
      const writes: RunWrite[] = [...toGo(run, outcome).map(goneId => ({ goneId })), ...outcome.drafts.map(draft => ({ draft }))]
      let written = 0
      for (; writes.length - written > findingsPerCommit; written += findingsPerCommit) {
        const part = { writes: writes.slice(written, written + findingsPerCommit), counts }
        withoutSync(db, () => { writePart({ ...run, status: 'failed', error: CUT_OFF }, outcome, part) })
        await pause()
        if (signal?.aborted === true) throw new AppError('unavailable', 'the run was stopped')
      }
      await syncWal(db) // here the last commit would, while others wait
      return endRun(run, outcome, { writes: writes.slice(written), counts })
    },
    /** One transaction: a run that failed, and when its slot is tried again. What it has written until then it has. */
    failRun: db.transaction((run: RunRecord, nextTryMs: number): void => {
      if (failRun.run(run).changes === 0) putRun.run(toRunRow(run))
      failSlot.run({ ...run, next_try_ms: nextTryMs })
    }),
    /** Adds findings of Hecate's own and revises those that have a change, all or none; others that are there stay as they are. */
    putOwn: db.transaction((findings: readonly OwnFinding[], position: Position, nowMs: number): void => {
      for (const { id, body, change = null } of findings) {
        const before = select.get(id)
        if (before !== undefined && change === null) continue
        const marks = before === undefined ? marksOfNew(body, null, nowMs) : marksOfRevised(before, body, true, nowMs)
        put({ id, before, body, marks, isNews: true, change: before === undefined ? null : change, nowMs }, { position, run_id: NO_RUN, slot_ms: null, backfill_id: null, throttle_key: null, fired_slot_ms: null })
      }
    }),
    /** Says of findings of Hecate's own that they are over, each once, all or none. One that nobody has worked on is resolved. */
    endOwn: db.transaction((ends: readonly FindingEnd[], position: Position, nowMs: number): void => {
      for (const { id, atMs, change } of ends) {
        const before = select.get(id)
        if (before === undefined || before.gone_ms !== null) continue
        writeGone(before, { position, run_id: NO_RUN, now_ms: nowMs, slot_ms: before.slot_ms, gone_ms: atMs }, change)
        if (before.status === 'new') history.add(id, before, { ...before, status: 'resolved' }, { by: null, atMs: nowMs, reason: change.text })
        tell(id, 'ended', nowMs, before)
      }
    }),
    /** Newest first, after the run `before` where given. */
    runs (detectionId: string, limit: number, before?: { readonly startedMs: number, readonly id: string }): RunRecord[] {
      return selectRuns.all({ detection_id: detectionId, limit, before_ms: before?.startedMs ?? Infinity, before_id: before?.id ?? '' }).map(row => ({ ...row, warnings: JSON.parse(row.warnings) as string[] }))
    },
    /** When a run of each detection last succeeded; epoch milliseconds. */
    lastSuccess: (): ReadonlyMap<string, number> => new Map(selectLastSuccess.all().map(row => [row.detection_id, row.finished_ms])),
    /** At most `limit` findings, behind a place where given. What is asked for is looked for in pieces, between which others get their turn. */
    list: async (filter: FindingFilter, order: FindingOrder, limit: number, after?: FindingPlace): Promise<Finding[]> => many((await lists.page(filter, order, limit, after)).map(({ id }) => id)),
    /** The same without what they say. */
    places: lists.page,
    /** All that are shown, the oldest event time first, of equal ones by detection; read as they are taken. */
    * each (): Generator<Finding> {
      for (const row of selectAll.iterate()) yield toFinding(row)
    },
    /** Some findings, throttled and suppressed ones too, in the order of their ids, which says nothing else of them. */
    after: (id: string, limit: number): Finding[] => selectAfter.all(id, limit).map(toFinding),
    count: lists.count,
    /** Findings with a risk object of this value, whose event time is before `beforeUs`; a bounded number of them. */
    seen: openSeenFindings(db),
    many,
    get (id: string): Finding | undefined {
      const row = select.get(id)
      return row === undefined ? undefined : toFinding(row)
    },
    /** Newest first, before the revision `before` where given. */
    revisions (id: string, limit: number, before = Infinity): FindingRevision[] {
      return selectRevisions.all({ id, limit, before }).map(row => ({
        ...JSON.parse(row.body) as FindingBody,
        revision: row.revision,
        created_at: new Date(row.created_ms).toISOString(),
        run: row.run_id,
        change: row.change === null ? null : JSON.parse(row.change) as FindingChange,
      }))
    },
    /** The search that lists the contributing events. */
    drillDown (id: string): DrillDown | null {
      const text = selectDrillDown.get(id) ?? null
      return text === null ? null : JSON.parse(text) as DrillDown
    },
    evidence (id: string): Evidence | null {
      const row = selectEvidence.get(id)
      if (row === undefined) return null
      return { event_count: row.event_count, approximate: row.approximate === 1, events: unpackEvents(row.events) }
    },
  }
}
export type FindingStore = ReturnType<typeof openFindingStore>

/** What a run counts a new finding as. */
function createdAs (marks: Marks): 'created' | 'throttled' | 'suppressed' {
  return ({ shown: 'created', throttled: 'throttled', suppressed: 'suppressed' } as const)[visibilityOf(marks)]
}

const NO_COUNTS: RunCounts = { created: 0, throttled: 0, suppressed: 0, revised: 0, unchanged: 0, gone: 0 }

/** What a run says of itself until all of its findings are written. */
const CUT_OFF = 'not all findings of the run have been written'

/** In place of a run's id. */
const NO_RUN = ''

/** How many warnings of a run are kept, and how much of each. */
const MAX_WARNINGS = 100
const MAX_WARNING = 1_000

function toRunRow (run: RunRecord): RunRow {
  return { ...run, warnings: JSON.stringify(run.warnings.slice(0, MAX_WARNINGS).map(text => text.slice(0, MAX_WARNING))) }
}

function toFinding (row: FindingRow): Finding {
  return {
    id: row.id,
    ...JSON.parse(row.body) as FindingBody,
    status: row.status,
    disposition: row.disposition,
    owner: row.owner,
    revision: row.revision,
    etag: `"${row.revision}.${row.history_count}"`,
    created_at: new Date(row.created_ms).toISOString(),
    updated_at: new Date(row.updated_ms).toISOString(),
    run: row.run_id,
    backfill: row.backfill_id,
    throttled_by: row.throttled_by,
    suppressed_by: row.suppressed_by,
    gone_at: row.gone_ms === null ? null : new Date(row.gone_ms).toISOString(),
    change: row.change === null ? null : JSON.parse(row.change) as FindingChange,
  }
}

/** The events that are kept of a finding. */
export function unpackEvents (packed: Uint8Array): Evidence['events'] {
  return JSON.parse(gunzipSync(packed).toString()) as Evidence['events']
}
