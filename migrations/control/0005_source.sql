-- Who sends events: a row for each index, sourcetype, cluster and node. Null is events without that field; of the row 0 all four are: it has all sources beyond
-- those that are told apart.
CREATE TABLE source (
  id INTEGER PRIMARY KEY AUTOINCREMENT,   -- not dealt again: hours of a source that is gone may still be there
  "index" TEXT,
  sourcetype TEXT,
  cluster_name TEXT,
  node_name TEXT,
  first_arrival_ms INTEGER NOT NULL,
  last_arrival_ms INTEGER NOT NULL,
  last_time_us INTEGER NOT NULL,    -- the newest event time
  events INTEGER NOT NULL,
  silent_since_ms INTEGER,          -- the last arrival before the silence that has a finding; null without
  back_ms INTEGER                   -- the first arrival after it; null once the finding says so
) STRICT;
CREATE UNIQUE INDEX source_index_sourcetype_cluster_name_node_name_idx ON source ("index", sourcetype, cluster_name, node_name);

-- What came of a source in an hour of arrival. By hour first: what is written at one time lies together, and so does what is too old.
CREATE TABLE source_hour (
  hour_ms INTEGER NOT NULL,         -- when it began
  source_id INTEGER NOT NULL,
  events INTEGER NOT NULL,
  lag TEXT NOT NULL,                -- JSON: events by bucket of how late they came
  max_lag_us INTEGER NOT NULL,
  from_the_future INTEGER NOT NULL, -- events whose time was after their arrival
  lost_events INTEGER NOT NULL,     -- that Tetragon says it dropped
  throttled INTEGER NOT NULL,       -- how often Tetragon says that it began to throttle
  PRIMARY KEY (hour_ms, source_id)
) STRICT, WITHOUT ROWID;
