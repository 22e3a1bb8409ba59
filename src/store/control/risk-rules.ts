import type Database from 'better-sqlite3'
import type { Finding } from '../../finding.js'
import { withoutSync } from './open.js'
import type { RiskDue } from './risk.js'

/** What a rule said of an object, from when its bound was first passed. */
export interface RiskEpisode { readonly finding_id: string, readonly rule: string, readonly object_id: number, readonly fired_us: number }

/** An episode that is new or has new evidence. */
export interface EpisodeWrite { readonly episode: RiskEpisode, readonly newEvidence: readonly string[] }

/** What the rules have said of an object. */
export interface Settled { readonly due: RiskDue, readonly writes: readonly EpisodeWrite[] }

export interface EvidenceFindingRow { readonly id: string, readonly detection_id: string, readonly time_us: number, readonly score: number, readonly status: Finding['status'], readonly revision: number }

/** What the risk rules have still to see and what they are made of, in control.db. */
export function openRiskRuleStore (db: Database.Database) {
  const selectDue = db.prepare<[number], RiskDue>('SELECT * FROM risk_due ORDER BY posting_id LIMIT ?')
  const deleteDue = db.prepare<RiskDue>('DELETE FROM risk_due WHERE object_id = @object_id AND posting_id = @posting_id')
  // uses risk_episode_object_id_rule_fired_us_idx
  const selectEpisodes = db.prepare<object, RiskEpisode>(`
    SELECT * FROM risk_episode WHERE object_id = @objectId AND rule = @rule AND fired_us > @afterUs AND fired_us < @beforeUs ORDER BY fired_us
  `)
  const insertEpisode = db.prepare<RiskEpisode>('INSERT INTO risk_episode (finding_id, rule, object_id, fired_us) VALUES (@finding_id, @rule, @object_id, @fired_us) ON CONFLICT DO NOTHING')
  const selectFinding = db.prepare<[number], string>('SELECT finding_id FROM risk_posting WHERE id = ?').pluck()
  const selectEvidenceIds = db.prepare<[string], string>('SELECT evidence_id FROM finding_evidence_finding WHERE finding_id = ?').pluck()
  const insertEvidence = db.prepare<[string, string, string]>(`
    INSERT INTO finding_evidence_finding (finding_id, evidence_id, revision) VALUES (?, ?, (SELECT revision FROM finding WHERE id = ?)) ON CONFLICT DO NOTHING
  `)
  // The evidence of one finding has a bound: to sort it is nothing.
  const selectEvidence = db.prepare<object, EvidenceFindingRow>(`
    SELECT finding.id, detection_id, time_us, score, status, evidence.revision
    FROM finding_evidence_finding AS evidence JOIN finding ON finding.id = evidence_id
    WHERE finding_id = @findingId AND (time_us, finding.id) < (@timeUs, @id) ORDER BY time_us DESC, finding.id DESC LIMIT @limit
  `)
  const settle = db.transaction((objects: readonly Settled[], put: () => void): void => {
    put()
    for (const { due, writes } of objects) {
      for (const { episode, newEvidence } of writes) {
        insertEpisode.run(episode)
        for (const id of newEvidence) insertEvidence.run(episode.finding_id, id, episode.finding_id)
      }
      deleteDue.run(due)
    }
  })
  const countEvidence = db.prepare<[string], number>('SELECT count(*) FROM finding_evidence_finding WHERE finding_id = ?').pluck()
  return {
    /** Objects with postings that the rules have not seen, the longest waiting first. */
    due: (limit: number): RiskDue[] => selectDue.all(limit),
    /** Of a rule and object, between two times, the oldest first. */
    episodes: (objectId: number, rule: string, afterUs: number, beforeUs: number): RiskEpisode[] => selectEpisodes.all({ objectId, rule, afterUs, beforeUs }),
    findingOf: (postingId: number): string => selectFinding.get(postingId)!,
    evidenceIds: (findingId: string): string[] => selectEvidenceIds.all(findingId),
    /**
     * One transaction for some objects: the findings, which `put` writes, what they are made of, and that the postings were seen; what has come meanwhile stays due. Where a power cut
     * undoes it, the rules see the postings again.
     */
    settle: (objects: readonly Settled[], put: () => void): void => { withoutSync(db, () => settle(objects, put)) },
    /** Findings that one of a risk rule is made of, newest event time first, before a place where given. */
    evidence: (findingId: string, limit: number, before?: { readonly timeUs: number, readonly id: string }): EvidenceFindingRow[] => selectEvidence.all({ findingId, limit, timeUs: before?.timeUs ?? Infinity, id: before?.id ?? '' }),
    countEvidence: (findingId: string): number => countEvidence.get(findingId)!,
  }
}
export type RiskRuleStore = ReturnType<typeof openRiskRuleStore>
