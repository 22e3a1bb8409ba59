-- What people say of a finding, beside its status.
ALTER TABLE finding ADD COLUMN disposition TEXT;
ALTER TABLE finding ADD COLUMN owner TEXT;
-- Entries of finding_history that it has.
ALTER TABLE finding ADD COLUMN history_count INTEGER NOT NULL DEFAULT 0;
-- The suppression that hides it. Of this and throttled_by at least one is null.
ALTER TABLE finding ADD COLUMN suppressed_by TEXT;
-- As severityOf has it.
ALTER TABLE finding ADD COLUMN severity TEXT GENERATED ALWAYS AS (
  CASE WHEN score <= 20 THEN 'informational' WHEN score <= 40 THEN 'low' WHEN score <= 60 THEN 'medium' WHEN score <= 80 THEN 'high' ELSE 'critical' END
) VIRTUAL;

-- What was done with a finding. Revisions are not in here, but in finding_revision; the key puts both into one order.
CREATE TABLE finding_history (
  finding_id TEXT NOT NULL REFERENCES finding,
  revision INTEGER NOT NULL,        -- that the finding had then
  number INTEGER NOT NULL,          -- from 1 on in each finding
  at_ms INTEGER NOT NULL,
  made_by TEXT,                     -- name of the API key; null: Hecate itself
  before TEXT,                      -- JSON: the members that changed, of status, disposition, owner; null of a comment alone
  after TEXT,
  comment TEXT,
  reason TEXT,                      -- why Hecate did it
  PRIMARY KEY (finding_id, revision, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX finding_history_comment_idx ON finding_history (finding_id, number) WHERE comment IS NOT NULL;

-- What a finding is looked up by, of which it may have several: risk objects and ATT&CK techniques.
CREATE TABLE finding_facet (
  kind TEXT NOT NULL,               -- risk_object, technique
  value TEXT NOT NULL,              -- of a sub-technique its technique too
  visibility TEXT NOT NULL,         -- shown, throttled, suppressed
  time_us INTEGER NOT NULL,         -- of the finding
  finding_id TEXT NOT NULL REFERENCES finding,
  PRIMARY KEY (kind, value, visibility, time_us, finding_id)
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO finding_facet
SELECT 'risk_object', value, iif(throttled_by IS NULL, 'shown', 'throttled'), time_us, id FROM finding_risk_object CROSS JOIN finding ON id = finding_id;
INSERT OR IGNORE INTO finding_facet
SELECT 'technique', technique.value, iif(throttled_by IS NULL, 'shown', 'throttled'), time_us, finding.id FROM finding, json_each(body, '$.mitre_attack') AS technique;
INSERT OR IGNORE INTO finding_facet
SELECT kind, substr(value, 1, instr(value, '.') - 1), visibility, time_us, finding_id FROM finding_facet WHERE kind = 'technique' AND instr(value, '.') > 0;

-- Lists go by what is asked for, newest first. What else may be asked for stands behind it: rows of the table are large, and are not to be read to be passed over.
DROP INDEX finding_time_us_fired_idx;
DROP INDEX finding_time_us_throttled_idx;
CREATE INDEX finding_shown_idx ON finding (time_us, id, status, disposition, owner, detection_id, score) WHERE throttled_by IS NULL AND suppressed_by IS NULL;
CREATE INDEX finding_shown_status_idx ON finding (status, time_us, id, disposition, owner, detection_id, score) WHERE throttled_by IS NULL AND suppressed_by IS NULL;
CREATE INDEX finding_shown_disposition_idx ON finding (disposition, time_us, id, status, owner, detection_id, score) WHERE throttled_by IS NULL AND suppressed_by IS NULL;
CREATE INDEX finding_shown_owner_idx ON finding (owner, time_us, id, status, disposition, detection_id, score) WHERE throttled_by IS NULL AND suppressed_by IS NULL;
CREATE INDEX finding_shown_detection_id_idx ON finding (detection_id, time_us, id, status, disposition, owner, score) WHERE throttled_by IS NULL AND suppressed_by IS NULL;
CREATE INDEX finding_shown_severity_idx ON finding (severity, time_us, id, status, disposition, owner, detection_id, score) WHERE throttled_by IS NULL AND suppressed_by IS NULL;
CREATE INDEX finding_throttled_idx ON finding (time_us, id, status, disposition, owner, detection_id, score) WHERE throttled_by IS NOT NULL;
CREATE INDEX finding_suppressed_idx ON finding (time_us, id, status, disposition, owner, detection_id, score) WHERE suppressed_by IS NOT NULL;
CREATE INDEX finding_suppressed_by_idx ON finding (suppressed_by, time_us, id, status, disposition, owner, detection_id, score) WHERE suppressed_by IS NOT NULL;

-- What people have said that findings are to be hidden by.
CREATE TABLE suppression (
  number INTEGER PRIMARY KEY,       -- in the order of making
  id TEXT NOT NULL UNIQUE,
  detection_id TEXT,                -- null: all detections
  condition TEXT NOT NULL,          -- SPL, as of the search command
  reason TEXT NOT NULL,
  enabled INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  created_by TEXT NOT NULL,         -- name of the API key
  created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL,
  deleted_ms INTEGER,               -- it stays, for what it has hidden
  hit_count INTEGER NOT NULL DEFAULT 0,
  last_hit_ms INTEGER
) STRICT;
CREATE INDEX suppression_kept_idx ON suppression (number) WHERE deleted_ms IS NULL;

CREATE TABLE suppression_history (
  suppression_id TEXT NOT NULL REFERENCES suppression (id),
  number INTEGER NOT NULL,          -- from 1 on in each suppression
  at_ms INTEGER NOT NULL,
  made_by TEXT NOT NULL,
  before TEXT,                      -- JSON: the members that changed; null where it was made
  after TEXT,                       -- null where it was deleted
  PRIMARY KEY (suppression_id, number)
) STRICT, WITHOUT ROWID;

-- New findings of the run, and of a backfill's runs, that were suppressed; they are not among the created.
ALTER TABLE run ADD COLUMN suppressed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE backfill ADD COLUMN suppressed INTEGER NOT NULL DEFAULT 0;
