-- +goose Up

-- The root table and its primary key when the sync was installed: groups are known by
-- it, and the external ids of records are made of it.
ALTER TABLE upkeep_syncs ADD COLUMN root_key TEXT;

-- +goose Down
ALTER TABLE upkeep_syncs DROP COLUMN root_key;
