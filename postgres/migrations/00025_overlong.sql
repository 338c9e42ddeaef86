-- +goose Up

-- When a row was met last, since the pass over the sync's root table began that
-- was last, which can have no group: no index takes its key. NULL: none was.
ALTER TABLE upkeep.syncs ADD COLUMN overlong_at timestamptz;

-- +goose Down
ALTER TABLE upkeep.syncs DROP COLUMN overlong_at;
