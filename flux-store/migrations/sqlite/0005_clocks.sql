-- `due` was asked for as a length of time, which a clock that is set back does not change.
ALTER TABLE flux_executions ADD COLUMN is_delay INTEGER;
