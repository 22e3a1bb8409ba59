import type Database from 'better-sqlite3'

/** Removes from control.db what is too old, a piece at a time: in between others have their turn. */
export function openRetentionStore (db: Database.Database) {
  // uses finding_updated_ms_idx; of what a finding of a risk rule is made, nothing goes before that finding does (finding_evidence_finding_evidence_id_idx)
  const selectFindings = db.prepare<{ beforeMs: number, limit: number }, string>(`
    SELECT id FROM finding WHERE updated_ms < @beforeMs
      AND NOT EXISTS (SELECT 1 FROM finding_evidence_finding AS made JOIN finding AS rule ON rule.id = made.finding_id WHERE made.evidence_id = finding.id AND rule.updated_ms >= @beforeMs)
    ORDER BY updated_ms LIMIT @limit
  `).pluck()
  const ids = 'SELECT value FROM json_each(@ids)'
  // What refers to findings, before the findings themselves: foreign keys hold. A table that is forgotten here makes the last statement fail.
  const deleteFindings = [
    `DELETE FROM delivery WHERE notice_number IN (SELECT number FROM notice WHERE finding_id IN (${ids}))`,
    `DELETE FROM notice WHERE finding_id IN (${ids})`,
    `DELETE FROM finding_evidence_finding WHERE finding_id IN (${ids}) OR evidence_id IN (${ids})`,
    `DELETE FROM risk_episode WHERE finding_id IN (${ids})`,
    `DELETE FROM risk_posting WHERE finding_id IN (${ids})`,
    `DELETE FROM finding_facet WHERE finding_id IN (${ids})`,
    `DELETE FROM finding_history WHERE finding_id IN (${ids})`,
    `DELETE FROM finding_evidence WHERE finding_id IN (${ids})`,
    `DELETE FROM finding_risk_object WHERE finding_id IN (${ids})`,
    `DELETE FROM finding_revision WHERE finding_id IN (${ids})`,
    `DELETE FROM finding WHERE id IN (${ids})`,
  ].map(text => db.prepare<{ ids: string }>(text))
  // uses audit_at_ms_idx; what an entry of refused keys still counts is at its last_ms
  const deleteAudit = db.prepare<[beforeMs: number, limit: number]>('DELETE FROM audit WHERE number IN (SELECT number FROM audit WHERE at_ms < ? ORDER BY at_ms LIMIT ?)')
  return {
    /** Removes at most `limit` findings of which nothing was written since `beforeMs`, with all that is kept of each, in one transaction; gives how many. */
    removeFindings: db.transaction((beforeMs: number, limit: number): number => {
      const old = selectFindings.all({ beforeMs, limit })
      if (old.length > 0) for (const statement of deleteFindings) statement.run({ ids: JSON.stringify(old) })
      return old.length
    }),
    /** Removes at most `limit` entries of the audit log from before `beforeMs`; gives how many. */
    removeAudit: (beforeMs: number, limit: number): number => deleteAudit.run(beforeMs, limit).changes,
  }
}
export type RetentionStore = ReturnType<typeof openRetentionStore>
