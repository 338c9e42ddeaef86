-- +goose Up

-- How many calls a process had under way when it renewed its slots last, and
-- since when the oldest of them: a remote that hangs is seen before its calls
-- run out of time.
ALTER TABLE upkeep.slots ADD COLUMN calls integer NOT NULL DEFAULT 0, ADD COLUMN oldest_call timestamptz;

-- +goose Down
ALTER TABLE upkeep.slots DROP COLUMN calls, DROP COLUMN oldest_call;
