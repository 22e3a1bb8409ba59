-- Times are epoch milliseconds (…_ms) or microseconds (…_us). JSON columns hold what the API shows.

CREATE TABLE hec_token (
  name TEXT PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,        -- SHA-256 of the token, hex; the token itself is nowhere
  "index" TEXT NOT NULL,
  indexes TEXT NOT NULL,            -- JSON array
  sourcetype TEXT,
  source TEXT,
  host TEXT,
  ack INTEGER NOT NULL,
  enabled INTEGER NOT NULL,
  query_string_auth INTEGER NOT NULL,
  defaults TEXT NOT NULL,           -- JSON object of strings
  created_ms INTEGER NOT NULL
) STRICT;

-- Use of each token, those of the configuration too. By hash: a name that gets a new secret begins anew.
CREATE TABLE hec_token_use (
  hash TEXT PRIMARY KEY,
  last_used_ms INTEGER NOT NULL,
  requests INTEGER NOT NULL,        -- that the token let in
  events INTEGER NOT NULL           -- stored
) STRICT, WITHOUT ROWID;

CREATE TABLE api_key (
  name TEXT PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  role TEXT NOT NULL,
  created_ms INTEGER NOT NULL
) STRICT;

-- What the API has set for a detection; null where its file or the default holds.
CREATE TABLE detection_setting (
  detection_id TEXT PRIMARY KEY,
  enabled INTEGER,
  cron TEXT,
  earliest TEXT,
  latest TEXT
) STRICT;

-- Everything effective of a detection, by its hash; a slot is evaluated again with the definition it was first run with.
CREATE TABLE definition (
  hash TEXT PRIMARY KEY,
  detection_id TEXT NOT NULL,
  body TEXT NOT NULL,               -- JSON
  created_ms INTEGER NOT NULL
) STRICT;

-- When a detection was enabled: slots are owed from then on, until it was disabled (null: it still is enabled).
CREATE TABLE enabled_period (
  detection_id TEXT NOT NULL,
  from_ms INTEGER NOT NULL,
  to_ms INTEGER,
  PRIMARY KEY (detection_id, from_ms)
) STRICT, WITHOUT ROWID;

-- The ledger: one row per detection and slot, with the definition it is (to be) run with.
CREATE TABLE slot (
  detection_id TEXT NOT NULL,
  slot_ms INTEGER NOT NULL,
  definition_hash TEXT NOT NULL REFERENCES definition,
  manual INTEGER NOT NULL,          -- 1: a scheduled_time off the schedule
  state TEXT NOT NULL CHECK (state IN ('owed', 'running', 'done', 'failed', 'waived')),
  position TEXT,                    -- how far events were visible to the last run that succeeded
  row_count INTEGER,
  tries INTEGER NOT NULL,           -- failures since the last success
  next_try_ms INTEGER NOT NULL,
  error TEXT,
  PRIMARY KEY (detection_id, slot_ms)
) STRICT, WITHOUT ROWID;
CREATE INDEX slot_due_idx ON slot (next_try_ms, slot_ms) WHERE state IN ('owed', 'running', 'failed');

-- Evaluations that ended, one row each.
CREATE TABLE run (
  id TEXT PRIMARY KEY,
  detection_id TEXT NOT NULL,
  slot_ms INTEGER NOT NULL,
  definition_hash TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('succeeded', 'failed')),
  position TEXT,
  earliest_us INTEGER NOT NULL,
  latest_us INTEGER NOT NULL,
  started_ms INTEGER NOT NULL,
  finished_ms INTEGER NOT NULL,
  row_count INTEGER NOT NULL,
  scanned_events INTEGER NOT NULL,
  created INTEGER NOT NULL,
  revised INTEGER NOT NULL,
  unchanged INTEGER NOT NULL,
  error TEXT
) STRICT;
CREATE INDEX run_detection_id_started_ms_idx ON run (detection_id, started_ms, id);

CREATE TABLE finding (
  id TEXT PRIMARY KEY,              -- hash of the detection and the key
  detection_id TEXT NOT NULL,
  time_us INTEGER NOT NULL,
  status TEXT NOT NULL,
  score INTEGER NOT NULL,           -- the highest of its risk objects
  revision INTEGER NOT NULL,
  position TEXT NOT NULL,           -- of the run that gave this revision, or gave it again
  run_id TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL,
  body TEXT NOT NULL                -- JSON: what the run said of the row
) STRICT;
CREATE INDEX finding_time_us_idx ON finding (time_us, id);
CREATE INDEX finding_detection_id_time_us_idx ON finding (detection_id, time_us, id);

CREATE TABLE finding_revision (
  finding_id TEXT NOT NULL REFERENCES finding,
  revision INTEGER NOT NULL,
  position TEXT NOT NULL,
  run_id TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (finding_id, revision)
) STRICT, WITHOUT ROWID;

CREATE TABLE finding_risk_object (
  finding_id TEXT NOT NULL REFERENCES finding,
  field TEXT NOT NULL,
  type TEXT NOT NULL,
  value TEXT NOT NULL,
  score INTEGER NOT NULL,
  PRIMARY KEY (finding_id, field, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX finding_risk_object_value_idx ON finding_risk_object (value, finding_id);

-- Events that a finding comes from, kept beyond retention: gzip of a JSON array of events.
CREATE TABLE finding_evidence (
  finding_id TEXT PRIMARY KEY REFERENCES finding,
  event_count INTEGER NOT NULL,     -- that contribute; not all need be kept
  kept_count INTEGER NOT NULL,
  approximate INTEGER NOT NULL,     -- 1: a BY field was computed, so these may be too many
  events BLOB NOT NULL
) STRICT;
