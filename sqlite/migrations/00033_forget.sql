-- +goose Up

-- The highest generation of a group that was forgotten: one that is made later under
-- its key begins above it, so that no request of it looks like one of before.
ALTER TABLE upkeep_syncs ADD COLUMN forgotten INTEGER NOT NULL DEFAULT 0;
CREATE INDEX upkeep_groups_gone ON upkeep_groups (synced_at) WHERE deleted_generation > 0 AND remote_id IS NULL;

-- +goose Down
DROP INDEX upkeep_groups_gone;
ALTER TABLE upkeep_syncs DROP COLUMN forgotten;
