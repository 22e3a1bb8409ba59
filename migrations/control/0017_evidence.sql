-- The search that lists the contributing events: JSON of search, earliest and latest; null where none is known.
ALTER TABLE finding_evidence ADD COLUMN drill_down TEXT;
