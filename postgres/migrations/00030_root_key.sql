-- +goose Up

-- The root table and its primary key when the sync was installed: groups are known by
-- it, and the external ids of records are made of it.
ALTER TABLE upkeep.syncs ADD COLUMN root_key jsonb;

-- +goose Down
ALTER TABLE upkeep.syncs DROP COLUMN root_key;
