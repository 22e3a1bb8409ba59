-- What became of findings, for those who listen: the newest changes alone. Written in the transaction that writes the finding.
CREATE TABLE finding_log (
  number INTEGER PRIMARY KEY AUTOINCREMENT, -- without gaps: what is rolled back takes no number
  at_ms INTEGER NOT NULL,           -- with the number it tells a change from one of the same number, of a database that was restored
  what TEXT NOT NULL,               -- created, revised, gone, changed
  before TEXT,                      -- JSON: status, disposition and owner until then; null of a new finding
  finding TEXT NOT NULL,            -- JSON: as the API showed it then
  end_bytes INTEGER NOT NULL        -- size of this finding and of all before: the sum of a stretch is a difference
) STRICT;
