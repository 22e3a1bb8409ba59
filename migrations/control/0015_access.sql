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
