-- +goose Up

-- Finds who else has an external id. Those that are made of the sync and the key
-- can't be another's, and cost nothing. Hashed, since they may be of any length.
CREATE INDEX groups_external_id ON upkeep.groups USING hash (external_id)
    WHERE external_id <> '' AND external_id COLLATE "C" <> sync || '-' || key;

-- +goose Down
DROP INDEX upkeep.groups_external_id;
