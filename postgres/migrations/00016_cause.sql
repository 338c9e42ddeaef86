-- +goose Up

-- Why a group was raised last. As a row and not as JSON: to make an object of
-- JSON for each group took longer than all else of a fold.
CREATE TYPE upkeep.cause AS (
    "table" text COLLATE "C",
    key     text COLLATE "C",   -- of the row, as groups.key has it
    op      text COLLATE "C",
    columns text[],             -- that changed
    tx      xid8,
    at      timestamptz
);
ALTER TABLE upkeep.groups ALTER COLUMN cause TYPE upkeep.cause
    USING CASE WHEN cause IS NOT NULL THEN jsonb_populate_record(NULL::upkeep.cause, cause) END;

-- +goose Down
ALTER TABLE upkeep.groups ALTER COLUMN cause TYPE jsonb USING to_jsonb(cause);
DROP TYPE upkeep.cause;
