-- Stretches of the past for which somebody wants a detection evaluated.
CREATE TABLE backfill (
  number INTEGER PRIMARY KEY,       -- they are done in the order of asking
  id TEXT NOT NULL UNIQUE,
  detection_id TEXT NOT NULL,
  definition_hash TEXT NOT NULL REFERENCES definition,   -- in force when it was asked for
  earliest_us INTEGER NOT NULL,
  latest_us INTEGER NOT NULL,       -- exclusive; windows that end after created_ms are left out
  dry_run INTEGER NOT NULL,         -- 1: gives rows, and changes nothing
  state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
  total_slots INTEGER NOT NULL,
  next_slot_ms INTEGER,             -- the cursor: what is before it is done with; null at the end
  done_slots INTEGER NOT NULL DEFAULT 0,    -- that are done with, failed and lost ones too
  failed_slots INTEGER NOT NULL DEFAULT 0,
  short_slots INTEGER NOT NULL DEFAULT 0,   -- evaluated though events of the window had been dropped
  lost_slots INTEGER NOT NULL DEFAULT 0,    -- left as they were: events were dropped after they had been evaluated
  row_count INTEGER NOT NULL DEFAULT 0,
  created INTEGER NOT NULL DEFAULT 0,       -- of findings, as its runs counted them; so the next three
  revised INTEGER NOT NULL DEFAULT 0,
  unchanged INTEGER NOT NULL DEFAULT 0,
  gone INTEGER NOT NULL DEFAULT 0,
  tries INTEGER NOT NULL DEFAULT 0,         -- failures of the slot at the cursor
  next_try_ms INTEGER NOT NULL DEFAULT 0,
  slot_error TEXT,                  -- of the last slot that failed for good
  error TEXT,
  kept_rows INTEGER NOT NULL DEFAULT 0,     -- of a dry run; so the next two
  kept_bytes INTEGER NOT NULL DEFAULT 0,
  rows_cut INTEGER NOT NULL DEFAULT 0,      -- rows that came when there were too many to keep
  created_by TEXT NOT NULL,         -- name of the API key
  created_ms INTEGER NOT NULL,
  started_ms INTEGER,
  finished_ms INTEGER
) STRICT;
CREATE INDEX backfill_open_idx ON backfill (state DESC, number) WHERE state IN ('queued', 'running');
CREATE INDEX backfill_detection_id_idx ON backfill (detection_id, number);

-- Rows of dry runs; they go some days after its end.
CREATE TABLE backfill_row (
  number INTEGER PRIMARY KEY,       -- in the order of slots, of one slot as the search gives them
  backfill_id TEXT NOT NULL REFERENCES backfill (id),
  slot_ms INTEGER NOT NULL,
  earliest_us INTEGER NOT NULL,
  latest_us INTEGER NOT NULL,
  body TEXT NOT NULL                -- JSON
) STRICT;
CREATE INDEX backfill_row_backfill_id_idx ON backfill_row (backfill_id, number);

-- The backfill that created a finding; null where a run of the schedule or by hand did.
ALTER TABLE finding ADD COLUMN backfill_id TEXT REFERENCES backfill (id);

-- Which stretch of the past was evaluated with which definition: two looks into these say so.
CREATE INDEX definition_detection_id_idx ON definition (detection_id, hash);
CREATE INDEX slot_definition_hash_idx ON slot (definition_hash, slot_ms, earliest_us, latest_us) WHERE first_done_ms IS NOT NULL AND origin <> 'manual';
