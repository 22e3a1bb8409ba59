-- The whole schema of a new partition: events that arrived on one day (UTC).

-- What the catalogue knows of the partition; one row, written in the transaction of the events it speaks of.
CREATE TABLE partition (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  fields_hash TEXT NOT NULL,        -- of the field tables its columns were written with
  first_id INTEGER,                 -- null while empty
  last_id INTEGER NOT NULL,         -- the mark that ids are dealt from; never falls
  event_count INTEGER NOT NULL,
  min_time_us INTEGER,
  max_time_us INTEGER,
  merged_id INTEGER NOT NULL,       -- blocks up to this id are as large as they become while events come
  packed INTEGER NOT NULL           -- 1: its blocks are as small as they become, and nothing came since
) STRICT;

-- Values of columns with few different ones; a number (is_number) is kept as its text.
CREATE TABLE dictionary (
  id INTEGER PRIMARY KEY,
  field TEXT NOT NULL,
  value TEXT NOT NULL,
  is_number INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX dictionary_field_value_idx ON dictionary (field, value, is_number);

-- Events stored together. Ids first_id..last_id, without a gap.
CREATE TABLE block (
  first_id INTEGER PRIMARY KEY,
  last_id INTEGER NOT NULL,
  min_time_us INTEGER NOT NULL,
  max_time_us INTEGER NOT NULL,
  odd INTEGER NOT NULL,             -- 1: some event has a field that its column can't hold; search reads the envelopes
  columns BLOB NOT NULL,            -- times and searched fields (store/sqlite/column-block.ts)
  data BLOB NOT NULL                -- envelopes and lines as they came (store/sqlite/block.ts)
) STRICT;
-- They hold all that decides whether a search looks into a block.
CREATE INDEX block_max_time_us_idx ON block (max_time_us, first_id, last_id, min_time_us, odd);
CREATE INDEX block_min_time_us_idx ON block (min_time_us, first_id, last_id, max_time_us, odd);

-- Requests whose re-send is answered as they were and stored no more; written in the transaction of their events.
CREATE TABLE resend (
  id INTEGER PRIMARY KEY,           -- in the order of arrival
  hash BLOB NOT NULL,               -- SHA-256 of sender, what decides the events, and body
  arrival_us INTEGER NOT NULL,
  stored INTEGER NOT NULL,
  unknown_keys INTEGER NOT NULL,
  skipped INTEGER NOT NULL,
  fault_code INTEGER,               -- of the reply that the request got; null: Success
  fault_number INTEGER
) STRICT;
CREATE UNIQUE INDEX resend_hash_idx ON resend (hash);
