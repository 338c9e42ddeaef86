-- +goose Up

-- The digest of what a person has asked to leave out, as the remote refuses it, and
-- whether something of the record is left so.
ALTER TABLE upkeep.groups ADD COLUMN skip bytea,
    ADD COLUMN skipped boolean NOT NULL DEFAULT false;

-- +goose Down
ALTER TABLE upkeep.groups DROP COLUMN skipped, DROP COLUMN skip;
