-- +goose Up

-- Whether the limit of deletes has let the group's delete go, which has not
-- succeeded yet: so it is not counted again.
ALTER TABLE upkeep.groups ADD COLUMN granted boolean NOT NULL DEFAULT false;

-- +goose Down
ALTER TABLE upkeep.groups DROP COLUMN granted;
