-- Which definition of an enabled detection was in force; a change of it ends the period and begins the next. Null: from before that was kept.
ALTER TABLE enabled_period ADD COLUMN definition_hash TEXT;

-- The ledger: one row per detection and slot, with the definition it is (to be) run with.
CREATE TABLE ledger_slot (
  detection_id TEXT NOT NULL,
  slot_ms INTEGER NOT NULL,
  definition_hash TEXT NOT NULL REFERENCES definition,
  origin TEXT NOT NULL CHECK (origin IN ('schedule', 'manual', 'backfill')),
  earliest_us INTEGER NOT NULL,     -- the window; both are 0 of slots from before this was kept, until the next start
  latest_us INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('owed', 'running', 'done', 'failed', 'waived')),
  position TEXT,                    -- how far events were visible to the last run that succeeded
  row_count INTEGER,
  tries INTEGER NOT NULL,           -- failures since the last success
  next_try_ms INTEGER NOT NULL,
  error TEXT,
  first_done_ms INTEGER,            -- from then on late events are waited for
  done_ms INTEGER,                  -- the last evaluation that succeeded
  late_position TEXT,               -- of the last event that came for it; where that is after `position` the slot is evaluated again
  late_since_ms INTEGER,            -- when events were first seen that no evaluation has seen
  late_due_ms INTEGER,              -- when it is evaluated again for them; null without
  waiting_events INTEGER NOT NULL DEFAULT 0,   -- late events that no evaluation has seen
  late_events INTEGER NOT NULL DEFAULT 0,      -- that came after an evaluation
  late_runs INTEGER NOT NULL DEFAULT 0,        -- evaluations for late events
  too_late_events INTEGER NOT NULL DEFAULT 0,  -- that came when others of the window were dropped, so that there is no evaluation
  short INTEGER NOT NULL DEFAULT 0, -- 1: events of the window had been dropped before its first evaluation
  waived_by TEXT,
  waived_reason TEXT,
  waived_ms INTEGER,
  PRIMARY KEY (detection_id, slot_ms)
) STRICT, WITHOUT ROWID;
INSERT INTO ledger_slot (detection_id, slot_ms, definition_hash, origin, earliest_us, latest_us, state, position, row_count, tries, next_try_ms, error, first_done_ms, done_ms)
SELECT slot.detection_id, slot.slot_ms, slot.definition_hash, iif(manual = 1, 'manual', 'schedule'), coalesce(min(run.earliest_us), 0), coalesce(min(run.latest_us), 0),
  state, slot.position, slot.row_count, tries, next_try_ms, slot.error,
  min(run.finished_ms) FILTER (WHERE run.status = 'succeeded'), max(run.finished_ms) FILTER (WHERE run.status = 'succeeded')
FROM slot LEFT JOIN run ON run.detection_id = slot.detection_id AND run.slot_ms = slot.slot_ms AND run.definition_hash = slot.definition_hash
GROUP BY slot.detection_id, slot.slot_ms;
DROP TABLE slot;
ALTER TABLE ledger_slot RENAME TO slot;
CREATE INDEX slot_due_idx ON slot (next_try_ms, slot_ms) WHERE state IN ('owed', 'running', 'failed');
CREATE INDEX slot_late_due_ms_idx ON slot (late_due_ms) WHERE late_due_ms IS NOT NULL;
CREATE INDEX slot_first_done_ms_idx ON slot (first_done_ms, detection_id, definition_hash, origin, earliest_us, latest_us);

-- How far the search for late events has come; one row, written in the transaction of what it found.
CREATE TABLE sweep (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  position TEXT NOT NULL
) STRICT;

-- Late events for windows whose slots are not waited for any more, and events without a field that a detection groups by.
CREATE TABLE detection_count (
  detection_id TEXT NOT NULL,
  name TEXT NOT NULL,               -- too_late, or lacking: and the field
  events INTEGER NOT NULL,
  last_ms INTEGER NOT NULL,
  PRIMARY KEY (detection_id, name)
) STRICT, WITHOUT ROWID;

-- Partitions that are gone: what is evaluated after that sees less of these times.
CREATE TABLE dropped_partition (
  name TEXT PRIMARY KEY,
  reason TEXT NOT NULL,             -- age, size
  event_count INTEGER NOT NULL,
  earliest_us INTEGER,              -- times of its events; null where there was none
  latest_us INTEGER,                -- exclusive
  dropped_ms INTEGER NOT NULL
) STRICT;

-- The slot that a finding's row was last seen in; null from before this was kept.
ALTER TABLE finding ADD COLUMN slot_ms INTEGER;
-- When a later evaluation of that slot gave the row no more; null while it does.
ALTER TABLE finding ADD COLUMN gone_ms INTEGER;
CREATE INDEX finding_detection_id_slot_ms_idx ON finding (detection_id, slot_ms);
-- What a revision says that the one before did not, JSON; null of the first.
ALTER TABLE finding_revision ADD COLUMN change TEXT;
-- Findings of the slot whose rows were there no more.
ALTER TABLE run ADD COLUMN gone INTEGER NOT NULL DEFAULT 0;
