-- Throttling: what a finding is throttled by, a hash of its detection's fields and their values; null where its detection had no throttling when it was created.
ALTER TABLE finding ADD COLUMN throttle_key TEXT;
-- The slot that it fired at; null where it did not, or has no key.
ALTER TABLE finding ADD COLUMN fired_slot_ms INTEGER;
-- The finding that had fired, for which it did not.
ALTER TABLE finding ADD COLUMN throttled_by TEXT;
CREATE INDEX finding_detection_id_throttle_key_fired_slot_ms_idx ON finding (detection_id, throttle_key, fired_slot_ms) WHERE fired_slot_ms IS NOT NULL;
-- New findings of the run that were throttled.
ALTER TABLE run ADD COLUMN throttled INTEGER NOT NULL DEFAULT 0;
