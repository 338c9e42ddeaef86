-- +goose Up

-- The generation that the end of a doubt raised last, and nothing else has forced:
-- as long as it is the forced one, what is surely at the remote need not be sent.
ALTER TABLE upkeep.groups ADD COLUMN settled_generation bigint NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE upkeep.groups DROP COLUMN settled_generation;
