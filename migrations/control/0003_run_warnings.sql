-- What a run's rows don't show, such as texts that were too costly for a regular expression: a JSON array of sentences.
ALTER TABLE run ADD COLUMN warnings TEXT NOT NULL DEFAULT '[]';
