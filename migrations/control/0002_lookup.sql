-- Tables that definitions look values up in, by the hash of their content: a slot is evaluated again with the table of its definition.
CREATE TABLE lookup (
  hash TEXT PRIMARY KEY,
  body TEXT NOT NULL,               -- JSON
  created_ms INTEGER NOT NULL
) STRICT;
