-- +goose Up

-- Whether the limit of deletes has let the group's delete go, which has not
-- succeeded yet: so it is not counted again.
ALTER TABLE upkeep_groups ADD COLUMN granted INTEGER NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE upkeep_groups DROP COLUMN granted;
