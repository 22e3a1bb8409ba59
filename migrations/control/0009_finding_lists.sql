-- Lists have either the findings that fired or those that were throttled, which may be many times as many: each goes by its own.
CREATE INDEX finding_time_us_fired_idx ON finding (time_us, id) WHERE throttled_by IS NULL;
CREATE INDEX finding_time_us_throttled_idx ON finding (time_us, id) WHERE throttled_by IS NOT NULL;
