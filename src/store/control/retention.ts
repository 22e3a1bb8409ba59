import type Database from 'better-sqlite3'
import type { Slot } from './ledger.js'

type OldSlot = Pick<Slot, 'detection_id' | 'slot_ms' | 'definition_hash' | 'origin' | 'earliest_us' | 'latest_us'>

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
  // A slot is as old as the last that was said of it: one of the past that a backfill has evaluated is new. What is owed, running or failed stays, and the newest slot of a
  // detection, on the schedule and of all, whatever its age: from there on the schedule goes on.
  const selectSlots = db.prepare<{ beforeMs: number, limit: number }, OldSlot>(`
    SELECT detection_id, slot_ms, definition_hash, origin, earliest_us, latest_us FROM slot INDEXED BY slot_age_idx
    WHERE state IN ('done', 'waived') AND max(slot_ms, coalesce(done_ms, 0), coalesce(waived_ms, 0)) < @beforeMs AND late_due_ms IS NULL
      AND slot_ms < (SELECT max(slot_ms) FROM slot AS other WHERE other.detection_id = slot.detection_id)
      AND (origin <> 'schedule' OR slot_ms < (SELECT max(slot_ms) FROM slot AS other WHERE other.detection_id = slot.detection_id AND origin = 'schedule'))
      AND detection_id NOT IN (SELECT detection_id FROM backfill WHERE state IN ('queued', 'running'))
    ORDER BY max(slot_ms, coalesce(done_ms, 0), coalesce(waived_ms, 0)) LIMIT @limit
  `)
  // uses run_detection_id_slot_ms_idx; findings name runs, and go on doing so
  const deleteRuns = db.prepare<[detectionId: string, slotMs: number]>('DELETE FROM run WHERE detection_id = ? AND slot_ms = ?')
  const deleteSlot = db.prepare<[detectionId: string, slotMs: number]>('DELETE FROM slot WHERE detection_id = ? AND slot_ms = ?')
  const isNewer = 'excluded.slot_ms > coalesce(slot_ms, excluded.slot_ms - 1)'
  const putRemoved = db.prepare<object>(`
    INSERT INTO removed_slots (detection_id, earliest_us, latest_us, slot_ms, definition_hash)
    VALUES (@detection_id, @earliest_us, @latest_us, iif(@origin = 'schedule', @slot_ms, NULL), iif(@origin = 'schedule', @definition_hash, NULL))
    ON CONFLICT (detection_id) DO UPDATE SET earliest_us = min(earliest_us, excluded.earliest_us), latest_us = max(latest_us, excluded.latest_us),
      slot_ms = iif(${isNewer}, excluded.slot_ms, slot_ms), definition_hash = iif(${isNewer}, excluded.definition_hash, definition_hash)
  `)
  return {
    /** Removes at most `limit` findings of which nothing was written since `beforeMs`, with all that is kept of each, in one transaction; gives how many. */
    removeFindings: db.transaction((beforeMs: number, limit: number): number => {
      const old = selectFindings.all({ beforeMs, limit })
      if (old.length > 0) for (const statement of deleteFindings) statement.run({ ids: JSON.stringify(old) })
      return old.length
    }),
    /**
     * Removes at most `limit` slots that are over and of which nothing was written since `beforeMs`, with their runs, in one transaction that also keeps what went for coverage
     * (LedgerStore `removed`); gives how many. Nothing of a detection for which a backfill runs or waits.
     */
    removeSlots: db.transaction((beforeMs: number, limit: number): number => {
      const old = selectSlots.all({ beforeMs, limit })
      for (const slot of old) {
        deleteRuns.run(slot.detection_id, slot.slot_ms)
        deleteSlot.run(slot.detection_id, slot.slot_ms)
        putRemoved.run(slot)
      }
      return old.length
    }),
    /** Removes at most `limit` entries of the audit log from before `beforeMs`; gives how many. */
    removeAudit: (beforeMs: number, limit: number): number => deleteAudit.run(beforeMs, limit).changes,
  }
}
export type RetentionStore = ReturnType<typeof openRetentionStore>
