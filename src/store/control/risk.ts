import type Database from 'better-sqlite3'
import type { Window } from '../../event.js'
import { toMicroseconds } from '../../event.js'
import type { Finding } from '../../finding.js'
import type { FindingWritten } from './findings.js'

/** Whose risk it is. */
export interface RiskEntity {
  readonly type: string
  /** Tells apart what counts apart; the value, or more than that. */
  readonly key: string
  /** Of the field. */
  readonly value: string
}

export interface RiskObjectRow extends RiskEntity { readonly id: number }

/** Why a posting counts no more. */
export const END_REASONS = ['superseded', 'gone', 'false_positive', 'suppressed', 'entity'] as const
export type EndReason = typeof END_REASONS[number]

/** What a finding adds, as it stands: each entity once, or none and why. */
export interface RiskOfFinding {
  readonly entities: readonly (RiskEntity & { readonly score: number })[]
  readonly why: 'gone' | 'false_positive' | 'suppressed' | null
}

/** What a score is made of, a column each, all of one length and in the order of event time. */
export interface PostingColumns {
  readonly timeUs: readonly number[]
  readonly id: readonly number[]
  readonly objectId: readonly number[]
  /** Of a detection and its techniques. */
  readonly riskDetectionId: readonly number[]
  readonly score: readonly number[]
}

export interface RiskPosting {
  readonly id: number
  readonly finding_id: string
  readonly revision: number
  readonly detection_id: string
  readonly time_us: number
  readonly score: number
  readonly posted_ms: number
  readonly ended_ms: number | null
  readonly ended_why: EndReason | null
}

/** A detection and techniques that its findings name. */
export interface RiskDetection { readonly id: number, readonly detection_id: string, readonly techniques: readonly string[] }

/** A place behind a posting in the order of time. */
export interface PostingCursor { readonly timeUs: number, readonly id: number }

/** An object whose postings the risk rules have not all seen. */
export interface RiskDue { readonly object_id: number, readonly earliest_us: number, readonly latest_us: number, readonly posting_id: number }

interface Standing { readonly id: number, readonly revision: number, readonly object_id: number, readonly risk_detection_id: number, readonly time_us: number, readonly score: number }

export interface RiskStoreDeps {
  readonly riskOf: (finding: Finding) => RiskOfFinding
  /** What makes the keys what they are, as text: where it changes, all findings are posted again. */
  readonly entity: string
  /** Called with what was posted, and what ended. */
  readonly count?: (what: 'posted' | EndReason, postings: number) => void
}

/** Postings of risk, in control.db. */
export function openRiskStore (db: Database.Database, { riskOf, entity, count = () => {} }: RiskStoreDeps) {
  const selectObject = db.prepare<[type: string, key: string], RiskObjectRow>('SELECT * FROM risk_object WHERE type = ? AND key = ?')
  const selectOfValue = db.prepare<[string], number>('SELECT id FROM risk_object WHERE value = ?').pluck() // uses risk_object_value_idx
  const selectType = db.prepare<[number], string>('SELECT type FROM risk_object WHERE id = ?').pluck()
  const selectObjectById = db.prepare<[number], RiskObjectRow>('SELECT * FROM risk_object WHERE id = ?')
  const insertObject = db.prepare('INSERT INTO risk_object (type, key, value) VALUES (@type, @key, @value)')
  const selectDetection = db.prepare<[string, string], number>('SELECT id FROM risk_detection WHERE detection_id = ? AND mitre_attack = ?').pluck()
  const insertDetection = db.prepare<[string, string]>('INSERT INTO risk_detection (detection_id, mitre_attack) VALUES (?, ?)')
  const selectDetections = db.prepare<[], { id: number, detection_id: string, mitre_attack: string }>('SELECT * FROM risk_detection')
  // uses risk_posting_finding_id_idx
  const selectStanding = db.prepare<[string], Standing>('SELECT * FROM risk_posting WHERE finding_id = ? AND ended_ms IS NULL ORDER BY object_id')
  const insert = db.prepare(`
    INSERT INTO risk_posting (finding_id, revision, object_id, risk_detection_id, time_us, score, posted_ms)
    VALUES (@finding_id, @revision, @object_id, @risk_detection_id, @time_us, @score, @now_ms)
  `)
  const end = db.prepare('UPDATE risk_posting SET ended_ms = @now_ms, ended_why = @why WHERE id = @id')
  const putDue = db.prepare(`
    INSERT INTO risk_due (object_id, earliest_us, latest_us, posting_id) VALUES (@object_id, @time_us, @time_us, @posting_id)
    ON CONFLICT (object_id) DO UPDATE SET earliest_us = min(earliest_us, @time_us), latest_us = max(latest_us, @time_us), posting_id = @posting_id
  `)
  // Columns as JSON arrays: a million rows one by one take three times as long.
  const scored = 'time_us, id, object_id, risk_detection_id, score'
  const columns = 'json_group_array(time_us), json_group_array(id), json_group_array(object_id), json_group_array(risk_detection_id), json_group_array(score)'
  const isBehind = '(time_us, id) > (@timeUs, @id) AND time_us < @latestUs AND ended_ms IS NULL ORDER BY time_us, id LIMIT @limit'
  // uses risk_posting_time_us_idx alone
  const selectListed = db.prepare<object, string[]>(`SELECT ${columns} FROM (SELECT ${scored} FROM risk_posting WHERE ${isBehind})`).raw()
  // uses risk_posting_object_id_time_us_idx alone
  const selectOfObject = db.prepare<object, string[]>(`SELECT ${columns} FROM (SELECT ${scored} FROM risk_posting WHERE object_id = @objectId AND ${isBehind})`).raw()
  // uses risk_posting_object_id_time_us_idx
  const selectPostings = db.prepare<object, RiskPosting>(`
    SELECT risk_posting.*, detection_id FROM risk_posting JOIN risk_detection ON risk_detection.id = risk_detection_id
    WHERE object_id = @objectId AND time_us >= @earliestUs AND (time_us, risk_posting.id) < (@timeUs, @id) AND (@all = 1 OR ended_ms IS NULL)
    ORDER BY time_us DESC, risk_posting.id DESC LIMIT @limit
  `)
  const countPostings = db.prepare<object, number>(`
    SELECT count(*) FROM risk_posting WHERE object_id = @objectId AND time_us >= @earliestUs AND time_us < @latestUs AND (@all = 1 OR ended_ms IS NULL)
  `).pluck()
  const selectState = db.prepare<[], { entity: string, after_finding_id: string | null }>('SELECT * FROM risk_state')
  const putState = db.prepare('REPLACE INTO risk_state (id, entity, after_finding_id) VALUES (1, @entity, @after)')
  const selectAnyFinding = db.prepare<[], string>('SELECT id FROM finding LIMIT 1').pluck()

  const state = selectState.get()
  if (state?.entity !== entity) putState.run({ entity, after: selectAnyFinding.get() === undefined ? null : '' })

  function objectId (of: RiskEntity): number {
    const { type, key, value } = of
    return selectObject.get(type, key)?.id ?? Number(insertObject.run({ type, key, value }).lastInsertRowid)
  }

  function detectionId ({ detection, mitre_attack: techniques }: Finding): number {
    const text = JSON.stringify(techniques)
    return selectDetection.get(detection.id, text) ?? Number(insertDetection.run(detection.id, text).lastInsertRowid)
  }

  /** Makes the postings that stand those of the finding as it is now; gives the new ones. */
  function post (finding: Finding, nowMs: number): { readonly postingId: number, readonly objectId: number, readonly timeUs: number }[] {
    const { entities, why } = riskOf(finding)
    const standing = selectStanding.all(finding.id)
    if (entities.length === 0 && standing.length === 0) return []
    const timeUs = toMicroseconds(finding.time)
    const next = entities.map(of => ({ object_id: objectId(of), risk_detection_id: detectionId(finding), time_us: timeUs, score: of.score, revision: finding.revision }))
      .sort((a, b) => a.object_id - b.object_id)
    const isSame = next.length === standing.length && next.every((one, i) => {
      const before = standing[i]!
      return one.revision === before.revision && one.object_id === before.object_id && one.risk_detection_id === before.risk_detection_id && one.time_us === before.time_us && one.score === before.score
    })
    if (isSame) return []
    for (const before of standing) {
      const reason = why ?? (before.revision === finding.revision ? 'entity' : 'superseded')
      end.run({ id: before.id, now_ms: nowMs, why: reason })
      count(reason, 1)
    }
    count('posted', next.length)
    return next.map(one => ({ postingId: Number(insert.run({ ...one, finding_id: finding.id, now_ms: nowMs }).lastInsertRowid), objectId: one.object_id, timeUs }))
  }

  return {
    /** Posts what is written, in the transaction that writes it: a listener of the finding store. */
    written: ((finding, { nowMs }) => {
      for (const { postingId, objectId, timeUs } of post(finding, nowMs)) putDue.run({ object_id: objectId, time_us: timeUs, posting_id: postingId })
    }) satisfies FindingWritten,
    /** Findings behind this one, in the order of their ids, are not posted yet by what the keys go by now; null where all are. */
    unposted: (): string | null => selectState.get()!.after_finding_id,
    /** Posts findings that were there before, in the order of their ids; without any, all are posted. The risk rules say nothing of them. */
    postOld: db.transaction((findings: readonly Finding[], nowMs: number): void => {
      for (const finding of findings) post(finding, nowMs)
      putState.run({ entity, after: findings.at(-1)?.id ?? null })
    }),
    object: (type: string, key: string): RiskObjectRow | undefined => selectObject.get(type, key),
    /** Objects of a value, whatever their keys and types. */
    idsOf: (value: string): number[] => selectOfValue.all(value),
    typeOf: (id: number): string => selectType.get(id)!,
    objectById: (id: number): RiskObjectRow => selectObjectById.get(id)!,
    detections: (): RiskDetection[] => selectDetections.all().map(({ id, detection_id, mitre_attack: techniques }) => ({ id, detection_id, techniques: JSON.parse(techniques) as string[] })),
    /** Standing postings of a range of event time behind a place. */
    standing: (latestUs: number, after: PostingCursor, limit: number): PostingColumns => toColumns(selectListed.get({ latestUs, ...after, limit })!),
    /** The same of one object. */
    standingOf: (objectId: number, latestUs: number, after: PostingCursor, limit: number): PostingColumns => toColumns(selectOfObject.get({ objectId, latestUs, ...after, limit })!),
    /** Postings of an object, newest event time first, before a place where given; those that have ended too, or not. */
    postings (objectId: number, { earliestUs, latestUs }: Window, which: 'standing' | 'all', limit: number, before: PostingCursor = { timeUs: latestUs, id: 0 }): RiskPosting[] {
      return selectPostings.all({ objectId, earliestUs, ...before, all: which === 'all' ? 1 : 0, limit })
    },
    countPostings: (objectId: number, window: Window, which: 'standing' | 'all'): number => countPostings.get({ objectId, ...window, all: which === 'all' ? 1 : 0 })!,
  }
}
export type RiskStore = ReturnType<typeof openRiskStore>

function toColumns (texts: readonly string[]): PostingColumns {
  const [timeUs, id, objectId, riskDetectionId, score] = texts.map(text => JSON.parse(text) as number[]) as [number[], number[], number[], number[], number[]]
  return { timeUs, id, objectId, riskDetectionId, score }
}
