-- Slots of which nothing was written for long go, with their runs. What went of a detection, so that nobody takes these times for such that were never looked at.
CREATE TABLE removed_slots (
  detection_id TEXT PRIMARY KEY,
  earliest_us INTEGER NOT NULL,     -- from the first window of those that went to the last
  latest_us INTEGER NOT NULL,
  slot_ms INTEGER,                  -- the newest that went of those on the schedule, and its definition; null where none did
  definition_hash TEXT REFERENCES definition
) STRICT, WITHOUT ROWID;

-- The words of src/store/control/retention.ts, or it is not used.
CREATE INDEX slot_age_idx ON slot (max(slot_ms, coalesce(done_ms, 0), coalesce(waived_ms, 0)), detection_id) WHERE state IN ('done', 'waived');
CREATE INDEX run_detection_id_slot_ms_idx ON run (detection_id, slot_ms);
