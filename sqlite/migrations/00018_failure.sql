-- +goose Up

-- Why the pass over a sync's tables does not go on: they can't be read, say. Its
-- touches are left to that pass meanwhile. Empty: it goes on.
ALTER TABLE upkeep_syncs ADD COLUMN failure TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE upkeep_syncs DROP COLUMN failure;
