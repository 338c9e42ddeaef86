-- +goose Up

-- The digest of what a person has asked to leave out, as the remote refuses it, and
-- whether something of the record is left so.
ALTER TABLE upkeep_groups ADD COLUMN skip BLOB;
ALTER TABLE upkeep_groups ADD COLUMN skipped INTEGER NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE upkeep_groups DROP COLUMN skipped;
ALTER TABLE upkeep_groups DROP COLUMN skip;
