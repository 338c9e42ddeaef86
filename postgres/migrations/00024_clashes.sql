-- +goose Up

-- How often in a row the group was parked because another record at the remote
-- has a value of its own: such a one is tried again by itself.
ALTER TABLE upkeep.groups ADD COLUMN clashes smallint NOT NULL DEFAULT 0;
CREATE INDEX groups_clashes ON upkeep.groups (sync) WHERE clashes > 0;

-- +goose Down
DROP INDEX upkeep.groups_clashes;
ALTER TABLE upkeep.groups DROP COLUMN clashes;
