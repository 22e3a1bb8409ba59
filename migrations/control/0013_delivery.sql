-- What is told of findings. A notice is what happened to one, as the API showed it then; a delivery brings it to a target.
CREATE TABLE notice (
  number INTEGER PRIMARY KEY,
  finding_id TEXT NOT NULL,
  revision INTEGER NOT NULL,
  what TEXT NOT NULL,               -- created, revised, gone
  written_ms INTEGER NOT NULL,
  finding TEXT NOT NULL             -- JSON
) STRICT;
CREATE INDEX notice_finding_id_idx ON notice (finding_id);

CREATE TABLE delivery (
  number INTEGER PRIMARY KEY AUTOINCREMENT, -- the order in which a target gets them
  id TEXT NOT NULL UNIQUE,          -- the key by which a receiver tells a second try from a second message
  notice_number INTEGER NOT NULL REFERENCES notice (number),
  target TEXT NOT NULL,             -- its name, which the configuration may have no more
  state TEXT NOT NULL,              -- pending, delivered, dead
  tries INTEGER NOT NULL DEFAULT 0,
  since_ms INTEGER NOT NULL,        -- when it was written, or last re-sent by hand: how long it is tried counts from here
  next_try_ms INTEGER NOT NULL DEFAULT 0,
  ended_ms INTEGER,                 -- when it became delivered or dead
  status INTEGER,                   -- of the last answer
  error TEXT                        -- of the last try, where that failed
) STRICT;
-- The next of a target, and how many wait.
CREATE INDEX delivery_target_state_idx ON delivery (target, state, number);
CREATE INDEX delivery_target_idx ON delivery (target, number);
CREATE INDEX delivery_state_idx ON delivery (state, number);
CREATE INDEX delivery_state_ended_ms_idx ON delivery (state, ended_ms);
CREATE INDEX delivery_notice_number_idx ON delivery (notice_number);
