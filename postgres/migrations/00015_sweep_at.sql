-- +goose Up

-- When a forced sweep begins by itself: after a restore, once no job of the
-- remote's can run any more that the registry has forgotten.
ALTER TABLE upkeep.syncs ADD COLUMN sweep_at timestamptz;

-- +goose Down
ALTER TABLE upkeep.syncs DROP COLUMN sweep_at;
