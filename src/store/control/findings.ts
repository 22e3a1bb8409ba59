import { gunzipSync, gzipSync } from 'node:zlib'
import type Database from 'better-sqlite3'
import type { Window } from '../../event.js'
import { toMicroseconds } from '../../event.js'
import type { Evidence, Finding, FindingChange, FindingRevision } from '../../finding.js'
import { FindingBody, saysTheSame } from '../../finding.js'
import type { Position } from '../events.js'
import type { RunnableSlot } from './ledger.js'

/** What a run says of one row, with the key that makes it the same finding next time. */
export interface FindingDraft {
  readonly id: string
  readonly body: FindingBody
  readonly evidence: Evidence | null
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

export type RunCounts = Pick<RunRecord, 'created' | 'throttled' | 'revised' | 'unchanged' | 'gone'>

/** The backfill that a run is part of. */
export interface RunOfBackfill {
  readonly id: string
  /** Called in the transaction of the run. */
  readonly ran: (run: RunRecord, isShort: boolean) => void
}

/** What a run that succeeded changes beside its own row. */
export interface RunOutcome {
  readonly position: Position
  readonly drafts: readonly FindingDraft[]
  /** As it was when the run began. */
  readonly slot: RunnableSlot
  /** Events of the window were dropped before. */
  readonly isShort: boolean
  readonly backfill: RunOfBackfill | undefined
  readonly isAfter: (a: Position, b: Position) => boolean
  /** What is said of a finding whose row is gone, or there again. */
  readonly appearance: (row: 'gone' | 'back', definitionHashBefore: string | null) => FindingChange
}

/** A finding as it stands now, and what was written of it. Called in the transaction that wrote it: what throws undoes that. */
export type FindingWritten = (finding: Finding, write: { readonly what: 'created' | 'throttled' | 'revised' | 'gone' | 'ended', readonly nowMs: number }) => void

/** A finding that no run gives. */
export type OwnFinding = Pick<FindingDraft, 'id' | 'body'>

/** That what a finding says is over. */
export interface FindingEnd { readonly id: string, readonly atMs: number, readonly change: FindingChange }

export interface FindingFilter {
  readonly window: Window
  readonly status?: string | undefined
  readonly detection?: string | undefined
  readonly risk_object?: string | undefined
  readonly min_score?: number | undefined
  /** Throttled findings too, or them alone; none of them where it is undefined. */
  readonly throttled?: 'include' | 'only' | undefined
}

interface FindingRow {
  readonly id: string
  readonly status: Finding['status']
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
  readonly body: string
  /** Of the revision. */
  readonly change: string | null
}

interface RevisionRow { readonly revision: number, readonly run_id: string, readonly created_ms: number, readonly body: string, readonly change: string | null }

interface EvidenceRow { readonly event_count: number, readonly approximate: number, readonly events: Buffer }

/** The most that the kept events of one finding may take, compressed. */
const MAX_EVIDENCE_BYTES = 256 << 10

/** Findings and the runs that gave them, in control.db. Who keeps something of each finding is in `listeners`. */
export function openFindingStore (db: Database.Database, listeners: readonly FindingWritten[] = []) {
  const columns = 'finding.*, (SELECT change FROM finding_revision AS last WHERE last.finding_id = finding.id AND last.revision = finding.revision) AS change'
  const select = db.prepare<[string], FindingRow>(`SELECT ${columns} FROM finding WHERE id = ?`)
  const selectLast = db.prepare<[string], { body: string, definition_hash: string | null }>('SELECT body, definition_hash FROM finding LEFT JOIN run ON run.id = run_id WHERE finding.id = ?')
  // uses finding_detection_id_slot_ms_idx
  const selectOfSlot = db.prepare<[string, number], FindingRow>('SELECT *, NULL AS change FROM finding WHERE detection_id = ? AND slot_ms = ? AND gone_ms IS NULL')
  const insert = db.prepare(`
    INSERT INTO finding (id, detection_id, time_us, status, score, revision, position, run_id, slot_ms, backfill_id, created_ms, updated_ms, body, throttle_key, fired_slot_ms, throttled_by)
    VALUES (@id, @detection_id, @time_us, 'new', @score, 1, @position, @run_id, @slot_ms, @backfill_id, @now_ms, @now_ms, @body, @throttle_key, @fired_slot_ms, @throttled_by)
  `)
  // uses finding_detection_id_throttle_key_fired_slot_ms_idx
  const selectFired = db.prepare<object, string>(`
    SELECT id FROM finding WHERE detection_id = @detectionId AND throttle_key = @key AND fired_slot_ms > @afterMs AND fired_slot_ms <= @untilMs ORDER BY fired_slot_ms DESC LIMIT 1
  `).pluck()
  const revise = db.prepare(`
    UPDATE finding SET time_us = @time_us, score = @score, revision = @revision, position = @position, run_id = @run_id, slot_ms = @slot_ms, gone_ms = @gone_ms, updated_ms = @now_ms, body = @body
    WHERE id = @id
  `)
  const resolveNew = db.prepare<[string]>("UPDATE finding SET status = 'resolved' WHERE id = ? AND status = 'new'")
  const confirm = db.prepare<[Position, number, string]>('UPDATE finding SET position = ?, slot_ms = ? WHERE id = ?')
  const insertRevision = db.prepare(`
    INSERT INTO finding_revision (finding_id, revision, position, run_id, created_ms, body, change) VALUES (@id, @revision, @position, @run_id, @now_ms, @body, @change)
  `)
  const deleteRiskObjects = db.prepare<[string]>('DELETE FROM finding_risk_object WHERE finding_id = ?')
  const insertRiskObject = db.prepare(`
    INSERT INTO finding_risk_object (finding_id, field, type, value, score) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
  `)
  const putEvidence = db.prepare(`
    INSERT INTO finding_evidence (finding_id, event_count, kept_count, approximate, events) VALUES (@id, @event_count, @kept_count, @approximate, @events)
    ON CONFLICT (finding_id) DO UPDATE SET event_count = @event_count, kept_count = @kept_count, approximate = @approximate, events = @events
  `)
  const selectRevisions = db.prepare<object, RevisionRow>('SELECT * FROM finding_revision WHERE finding_id = @id AND revision < @before ORDER BY revision DESC LIMIT @limit')
  const selectEvidence = db.prepare<[string], EvidenceRow>('SELECT event_count, approximate, events FROM finding_evidence WHERE finding_id = ?')
  const insertRun = db.prepare<RunRow>(`
    INSERT INTO run (id, detection_id, slot_ms, definition_hash, status, position, earliest_us, latest_us, started_ms, finished_ms, row_count,
      scanned_events, created, throttled, revised, unchanged, gone, error, warnings)
    VALUES (@id, @detection_id, @slot_ms, @definition_hash, @status, @position, @earliest_us, @latest_us, @started_ms, @finished_ms, @row_count,
      @scanned_events, @created, @throttled, @revised, @unchanged, @gone, @error, @warnings)
  `)
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
  /** The lists of findings that meet a condition which is also that of an index by their time. */
  function prepareLists (condition: string) {
    const where = `
      ${condition} AND time_us >= @earliestUs AND time_us < @latestUs
      AND (@status IS NULL OR status = @status) AND (@detection IS NULL OR detection_id = @detection) AND score >= @min_score
      AND (@risk_object IS NULL OR id IN (SELECT finding_id FROM finding_risk_object WHERE value = @risk_object))
    `
    return {
      page: db.prepare<object, FindingRow>(`
        SELECT ${columns} FROM finding WHERE ${where} AND (time_us, id) < (@before_us, @before_id) ORDER BY time_us DESC, id DESC LIMIT @limit
      `),
      count: db.prepare<object, number>(`SELECT count(*) FROM finding WHERE ${where}`).pluck(),
    }
  }
  const lists = {
    fired: prepareLists('throttled_by IS NULL'), // uses finding_time_us_fired_idx
    only: prepareLists('throttled_by IS NOT NULL'), // uses finding_time_us_throttled_idx
    include: prepareLists('true'), // uses finding_time_us_idx
  }
  const selectAll = db.prepare<[], FindingRow>(`SELECT ${columns} FROM finding WHERE throttled_by IS NULL ORDER BY time_us, detection_id, id`)

  function write ({ id, body, change, evidence, throttle }: FindingDraft, run: RunRecord, { position, backfill, isAfter, appearance }: RunOutcome): 'created' | 'throttled' | 'revised' | 'unchanged' {
    const before = select.get(id)
    const isBack = before !== undefined && before.gone_ms !== null
    // An older position never overwrites a newer one; the same row writes no revision.
    if (before !== undefined && (isAfter(before.position, position) || (!isBack && saysTheSame(JSON.parse(before.body) as FindingBody, body)))) {
      if (!isAfter(before.position, position)) confirm.run(position, Math.max(run.slot_ms, before.slot_ms ?? 0), id)
      return 'unchanged'
    }
    const throttledBy = before === undefined && throttle !== null ? selectFired.get({ detectionId: body.detection.id, ...throttle }) ?? null : null
    const row = {
      id, position, run_id: run.id, now_ms: run.finished_ms, body: JSON.stringify(body), slot_ms: Math.max(run.slot_ms, before?.slot_ms ?? 0), gone_ms: null,
      detection_id: body.detection.id, time_us: toMicroseconds(body.time), score: body.risk.score, revision: (before?.revision ?? 0) + 1,
      change: change !== null ? JSON.stringify(isBack ? { ...change, row: 'back' } : change) : isBack ? JSON.stringify(appearance('back', run.definition_hash)) : null,
      throttle_key: throttle?.key ?? null, fired_slot_ms: throttle === null || throttledBy !== null ? null : run.slot_ms, throttled_by: throttledBy,
    }
    if (before === undefined) insert.run({ ...row, backfill_id: backfill?.id ?? null })
    else revise.run(row)
    insertRevision.run(row)
    deleteRiskObjects.run(id)
    for (const { field, type, value, score } of body.risk.objects) insertRiskObject.run(id, field, type, value, score)
    if (evidence !== null) putEvidence.run({ id, ...packEvidence(evidence) })
    const what = before !== undefined ? 'revised' : throttledBy === null ? 'created' : 'throttled'
    tell(id, what, run.finished_ms)
    return what
  }

  function tell (id: string, what: Parameters<FindingWritten>[1]['what'], nowMs: number): void {
    if (listeners.length === 0) return
    const finding = toFinding(select.get(id)!)
    for (const listener of listeners) listener(finding, { what, nowMs })
  }

  /** Marks findings of the slot that the run gave no more; gives how many. They are kept, a person may have worked on them. */
  function markGone (run: RunRecord, { position, drafts, isAfter, appearance }: RunOutcome): number {
    const given = new Set(drafts.map(({ id }) => id))
    const gone = selectOfSlot.all(run.detection_id, run.slot_ms).filter(({ id, position: seen }) => !given.has(id) && !isAfter(seen, position))
    for (const { id, revision, time_us, body } of gone) {
      const { risk: { score } } = JSON.parse(body) as FindingBody
      const row = {
        id, position, run_id: run.id, now_ms: run.finished_ms, body, slot_ms: run.slot_ms, gone_ms: run.finished_ms, time_us, score, revision: revision + 1,
        change: JSON.stringify(appearance('gone', selectLast.get(id)?.definition_hash ?? null)),
      }
      revise.run(row)
      insertRevision.run(row)
      tell(id, 'gone', run.finished_ms)
    }
    return gone.length
  }

  return {
    /** The body of a finding as it stands, and the definition of the run that gave it; undefined where there is none. */
    last (id: string): { readonly body: FindingBody, readonly definitionHash: string | null } | undefined {
      const row = selectLast.get(id)
      return row === undefined ? undefined : { body: FindingBody.parse(JSON.parse(row.body)), definitionHash: row.definition_hash }
    },
    /** One transaction: the findings of a run that succeeded, the run, and its slot's new position. */
    commitRun: db.transaction((run: Omit<RunRecord, keyof RunCounts>, outcome: RunOutcome): RunRecord => {
      const { position, drafts, slot, isShort, backfill, isAfter } = outcome
      const counts = { created: 0, throttled: 0, revised: 0, unchanged: 0, gone: 0 }
      const record = { ...run, ...counts }
      for (const draft of drafts) counts[write(draft, record, outcome)]++
      // A window that has lost events gives no row that they made, which says nothing of the row.
      if (slot.position !== null && !isShort) counts.gone = markGone(record, outcome)
      const counted = { ...run, ...counts }
      insertRun.run(toRunRow(counted))
      doneSlot.run({ ...counted, short: isShort ? 1 : 0, late_runs: slot.position !== null && slot.late_due_ms !== null ? 1 : 0 })
      const latePosition = selectLatePosition.get(run.detection_id, run.slot_ms) ?? null
      if (latePosition === null || !isAfter(latePosition, position)) seeLate.run(run.detection_id, run.slot_ms)
      backfill?.ran(counted, isShort)
      return counted
    }),
    /** One transaction: a run that failed, and when its slot is tried again. */
    failRun: db.transaction((run: RunRecord, nextTryMs: number): void => {
      insertRun.run(toRunRow(run))
      failSlot.run({ ...run, next_try_ms: nextTryMs })
    }),
    /** Adds findings of Hecate's own, all or none; those that are there stay as they are. */
    putOwn: db.transaction((findings: readonly OwnFinding[], position: Position, nowMs: number): void => {
      for (const { id, body } of findings) {
        if (select.get(id) !== undefined) continue
        const row = {
          id, position, run_id: NO_RUN, now_ms: nowMs, body: JSON.stringify(body), slot_ms: null, backfill_id: null, throttle_key: null, fired_slot_ms: null, throttled_by: null, detection_id: body.detection.id,
          time_us: toMicroseconds(body.time), score: body.risk.score, revision: 1, change: null,
        }
        insert.run(row)
        insertRevision.run(row)
        tell(id, 'created', nowMs)
      }
    }),
    /** Says of findings of Hecate's own that they are over, each once, all or none. One that nobody has worked on is resolved. */
    endOwn: db.transaction((ends: readonly FindingEnd[], position: Position, nowMs: number): void => {
      for (const { id, atMs, change } of ends) {
        const before = select.get(id)
        if (before === undefined || before.gone_ms !== null) continue
        const row = { ...before, position, run_id: NO_RUN, now_ms: nowMs, gone_ms: atMs, revision: before.revision + 1, change: JSON.stringify(change) }
        revise.run({ ...row, score: (JSON.parse(before.body) as FindingBody).risk.score })
        insertRevision.run(row)
        resolveNew.run(id)
        tell(id, 'ended', nowMs)
      }
    }),
    /** Newest first, after the run `before` where given. */
    runs (detectionId: string, limit: number, before?: { readonly startedMs: number, readonly id: string }): RunRecord[] {
      return selectRuns.all({ detection_id: detectionId, limit, before_ms: before?.startedMs ?? Infinity, before_id: before?.id ?? '' }).map(row => ({ ...row, warnings: JSON.parse(row.warnings) as string[] }))
    },
    /** When a run of each detection last succeeded; epoch milliseconds. */
    lastSuccess: (): ReadonlyMap<string, number> => new Map(selectLastSuccess.all().map(row => [row.detection_id, row.finished_ms])),
    /** Newest event time first, after the finding `before` where given. */
    list (filter: FindingFilter, limit: number, before?: { readonly timeUs: number, readonly id: string }): Finding[] {
      return lists[filter.throttled ?? 'fired'].page.all({ ...toParams(filter), limit, before_us: before?.timeUs ?? Infinity, before_id: before?.id ?? '' }).map(toFinding)
    },
    /** All that fired, the oldest event time first, of equal ones by detection; read as they are taken. */
    * each (): Generator<Finding> {
      for (const row of selectAll.iterate()) yield toFinding(row)
    },
    count: (filter: FindingFilter): number => lists[filter.throttled ?? 'fired'].count.get(toParams(filter)) ?? 0,
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
    evidence (id: string): Evidence | null {
      const row = selectEvidence.get(id)
      if (row === undefined) return null
      return { event_count: row.event_count, approximate: row.approximate === 1, events: JSON.parse(gunzipSync(row.events).toString()) as Evidence['events'] }
    },
  }
}
export type FindingStore = ReturnType<typeof openFindingStore>

/** In place of a run's id. */
const NO_RUN = ''

/** How many warnings of a run are kept, and how much of each. */
const MAX_WARNINGS = 100
const MAX_WARNING = 1_000

function toRunRow (run: RunRecord): RunRow {
  return { ...run, warnings: JSON.stringify(run.warnings.slice(0, MAX_WARNINGS).map(text => text.slice(0, MAX_WARNING))) }
}

function toParams ({ window, status, detection, risk_object: riskObject, min_score: minScore }: FindingFilter) {
  return { ...window, status: status ?? null, detection: detection ?? null, risk_object: riskObject ?? null, min_score: minScore ?? 0 }
}

function toFinding (row: FindingRow): Finding {
  return {
    id: row.id,
    ...JSON.parse(row.body) as FindingBody,
    status: row.status,
    disposition: null,
    owner: null,
    revision: row.revision,
    created_at: new Date(row.created_ms).toISOString(),
    updated_at: new Date(row.updated_ms).toISOString(),
    run: row.run_id,
    backfill: row.backfill_id,
    throttled_by: row.throttled_by,
    gone_at: row.gone_ms === null ? null : new Date(row.gone_ms).toISOString(),
    change: row.change === null ? null : JSON.parse(row.change) as FindingChange,
  }
}

/** As many of the events, from the first, as fit compressed. */
function packEvidence ({ event_count, approximate, events }: Evidence) {
  for (let kept = events.length; ; kept = Math.floor(kept / 2)) {
    const packed = gzipSync(JSON.stringify(events.slice(0, kept)))
    if (packed.length <= MAX_EVIDENCE_BYTES || kept === 0) return { event_count, kept_count: kept, approximate: approximate ? 1 : 0, events: packed }
  }
}
