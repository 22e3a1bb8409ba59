-- Risk: what findings add to the score of whom. Times are epoch milliseconds (…_ms) or microseconds (…_us).

CREATE TABLE risk_object (
  id INTEGER PRIMARY KEY,
  type TEXT NOT NULL,
  key TEXT NOT NULL,                -- the value, or what risk.entity puts in front of it and the value; a long one is cut and ends in a hash
  value TEXT NOT NULL,              -- of the field, likewise cut
  UNIQUE (type, key)
) STRICT;
CREATE INDEX risk_object_value_idx ON risk_object (value);

-- A detection and the techniques that its findings name; one that changed its techniques has several rows.
CREATE TABLE risk_detection (
  id INTEGER PRIMARY KEY,
  detection_id TEXT NOT NULL,
  mitre_attack TEXT NOT NULL,       -- JSON array
  UNIQUE (detection_id, mitre_attack)
) STRICT;

-- One per revision of a finding and risk object. It counts as long as it stands; afterwards it is history.
CREATE TABLE risk_posting (
  id INTEGER PRIMARY KEY,
  finding_id TEXT NOT NULL REFERENCES finding,
  revision INTEGER NOT NULL,
  object_id INTEGER NOT NULL REFERENCES risk_object,
  risk_detection_id INTEGER NOT NULL REFERENCES risk_detection,
  time_us INTEGER NOT NULL,         -- of the finding
  score INTEGER NOT NULL,
  posted_ms INTEGER NOT NULL,
  ended_ms INTEGER,                 -- null: it stands
  ended_why TEXT CHECK (ended_why IN ('superseded', 'gone', 'false_positive', 'suppressed', 'entity'))
) STRICT;
CREATE INDEX risk_posting_finding_id_idx ON risk_posting (finding_id) WHERE ended_ms IS NULL;
-- Both have all that a score is made of, so that the table itself is not read; SQLite asks the first for ended_ms though it knows it.
CREATE INDEX risk_posting_time_us_idx ON risk_posting (time_us, id, object_id, risk_detection_id, score, ended_ms) WHERE ended_ms IS NULL;
CREATE INDEX risk_posting_object_id_time_us_idx ON risk_posting (object_id, time_us, id, ended_ms, risk_detection_id, score);

-- One row: what the objects' keys go by, and how far the findings that were there before are posted by it.
CREATE TABLE risk_state (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  entity TEXT NOT NULL,             -- risk.entity as JSON
  after_finding_id TEXT             -- findings up to it, in the order of their ids, are posted; null: all are
) STRICT;

-- Objects that got postings which the risk rules have not seen yet.
CREATE TABLE risk_due (
  object_id INTEGER PRIMARY KEY REFERENCES risk_object,
  earliest_us INTEGER NOT NULL,     -- event times of these postings
  latest_us INTEGER NOT NULL,
  posting_id INTEGER NOT NULL       -- the last of them
) STRICT;

-- Findings of the risk rules: what a rule said of an object around a time.
CREATE TABLE risk_episode (
  finding_id TEXT PRIMARY KEY REFERENCES finding,
  rule TEXT NOT NULL,
  object_id INTEGER NOT NULL REFERENCES risk_object,
  fired_us INTEGER NOT NULL         -- event time at which the rule's bound was first passed
) STRICT, WITHOUT ROWID;
CREATE INDEX risk_episode_object_id_rule_fired_us_idx ON risk_episode (object_id, rule, fired_us);

-- The findings that a finding of a risk rule is made of.
CREATE TABLE finding_evidence_finding (
  finding_id TEXT NOT NULL REFERENCES finding,
  evidence_id TEXT NOT NULL REFERENCES finding,
  revision INTEGER NOT NULL,        -- of the finding of the rule, that it came with
  PRIMARY KEY (finding_id, evidence_id)
) STRICT, WITHOUT ROWID;
