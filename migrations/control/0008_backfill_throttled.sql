-- New findings of a backfill's runs that were throttled; they are not among the created.
ALTER TABLE backfill ADD COLUMN throttled INTEGER NOT NULL DEFAULT 0;
