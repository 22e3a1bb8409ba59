-- Events that a detection looks for, and that lack a field which it groups by, so that they are in no row. By the hour in which that was seen, as source_hour.
CREATE TABLE source_lack (
  hour_ms INTEGER NOT NULL,
  source_id INTEGER NOT NULL,
  detection_id TEXT NOT NULL,
  field TEXT NOT NULL,
  events INTEGER NOT NULL,
  PRIMARY KEY (hour_ms, source_id, detection_id, field)
) STRICT, WITHOUT ROWID;
