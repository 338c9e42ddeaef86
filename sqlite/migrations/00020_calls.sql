-- +goose Up

-- How many calls a process had under way when it renewed its slots last, and
-- since when the oldest of them: a remote that hangs is seen before its calls
-- run out of time.
ALTER TABLE upkeep_slots ADD COLUMN calls INTEGER NOT NULL DEFAULT 0;
ALTER TABLE upkeep_slots ADD COLUMN oldest_call INTEGER;

-- +goose Down
ALTER TABLE upkeep_slots DROP COLUMN oldest_call;
ALTER TABLE upkeep_slots DROP COLUMN calls;
