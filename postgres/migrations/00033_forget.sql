-- +goose Up

-- The highest generation of a group that was forgotten: one that is made later under
-- its key begins above it, so that no request of it looks like one of before.
ALTER TABLE upkeep.syncs ADD COLUMN forgotten bigint NOT NULL DEFAULT 0;
CREATE INDEX groups_gone ON upkeep.groups (synced_at) WHERE deleted_generation > 0 AND remote_id = '';

-- +goose Down
DROP INDEX upkeep.groups_gone;
ALTER TABLE upkeep.syncs DROP COLUMN forgotten;
