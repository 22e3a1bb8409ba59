-- API keys: until when they are taken (null: for good), and whether they are.
ALTER TABLE api_key ADD COLUMN expires_ms INTEGER;
ALTER TABLE api_key ADD COLUMN enabled INTEGER NOT NULL DEFAULT 1;

-- Use of each key, those of the configuration too. By hash: a name that gets a new secret begins anew.
CREATE TABLE api_key_use (
  hash TEXT PRIMARY KEY,
  last_used_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Sessions of browsers, each begun with a key, which may be one of the configuration.
CREATE TABLE session (
  hash TEXT PRIMARY KEY,            -- SHA-256 of the cookie, hex; the cookie itself is nowhere
  key_hash TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,      -- however much it is used
  last_used_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_key_hash_created_ms_idx ON session (key_hash, created_ms);

-- Who changed what, and whose key was not taken.
CREATE TABLE audit (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  at_ms INTEGER NOT NULL,
  made_by TEXT,                     -- name of the API key, or of the user who ran a command; null: nobody that is known
  role TEXT,                        -- of the key
  how TEXT CHECK (how IN ('bearer', 'session', 'command')),
  action TEXT NOT NULL,             -- noun and verb, such as token.add
  target_type TEXT NOT NULL,        -- the noun
  target_id TEXT,                   -- null: several, or one that was never made
  outcome TEXT NOT NULL CHECK (outcome IN ('begun', 'done', 'failed', 'refused')),
  before TEXT,                      -- JSON: what the change was of; so the next
  after TEXT,
  request_id TEXT,
  address TEXT,                     -- null: of a command, or of more addresses than are told apart
  count INTEGER NOT NULL DEFAULT 1, -- refused keys that the row stands for
  last_ms INTEGER NOT NULL          -- the last of them
) STRICT;
CREATE INDEX audit_at_ms_idx ON audit (at_ms, number);
CREATE INDEX audit_made_by_at_ms_idx ON audit (made_by, at_ms, number);
CREATE INDEX audit_action_at_ms_idx ON audit (action, at_ms, number);
CREATE INDEX audit_target_at_ms_idx ON audit (target_type, target_id, at_ms, number);

-- Findings of which nothing was written for long go, with all that refers to them.
CREATE INDEX finding_updated_ms_idx ON finding (updated_ms);
CREATE INDEX finding_evidence_finding_evidence_id_idx ON finding_evidence_finding (evidence_id);
CREATE INDEX finding_facet_finding_id_idx ON finding_facet (finding_id);
CREATE INDEX risk_posting_finding_id_all_idx ON risk_posting (finding_id);
