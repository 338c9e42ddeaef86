-- +goose Up

-- How often in a row the group was parked because another record at the remote
-- has a value of its own: such a one is tried again by itself.
ALTER TABLE upkeep_groups ADD COLUMN clashes INTEGER NOT NULL DEFAULT 0;
CREATE INDEX upkeep_groups_clashes ON upkeep_groups (sync) WHERE clashes > 0;

-- +goose Down
DROP INDEX upkeep_groups_clashes;
ALTER TABLE upkeep_groups DROP COLUMN clashes;
