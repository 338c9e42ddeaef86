-- +goose Up

-- Changes that the capture did not see, as audits found them. The lists are
-- JSON.
CREATE TABLE upkeep_missed (
    id      INTEGER PRIMARY KEY,
    sync    TEXT NOT NULL,
    key     TEXT NOT NULL,
    at      INTEGER NOT NULL,
    fields  TEXT NOT NULL,
    columns TEXT NOT NULL
);
