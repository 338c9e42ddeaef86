-- +goose Up

-- Finds who else has an external id. Those that are made of the sync and the key
-- can't be another's, and cost nothing.
CREATE INDEX upkeep_groups_external_id ON upkeep_groups (sync, external_id)
    WHERE external_id IS NOT NULL AND external_id <> sync || '-' || key;

-- +goose Down
DROP INDEX upkeep_groups_external_id;
