-- +goose Up

-- When a forced sweep begins by itself: after a restore, once no job of the
-- remote's can run any more that the registry has forgotten.
ALTER TABLE upkeep_syncs ADD COLUMN sweep_at INTEGER;

-- +goose Down
ALTER TABLE upkeep_syncs DROP COLUMN sweep_at;
