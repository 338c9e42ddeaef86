-- +goose Up

-- Deletes of records in the hour that began at since; held: the limit was
-- reached, and a person is asked.
CREATE TABLE upkeep_deletes (
    sync    TEXT NOT NULL PRIMARY KEY,
    since   INTEGER NOT NULL,
    used    INTEGER NOT NULL DEFAULT 0,
    allowed INTEGER NOT NULL DEFAULT 0,  -- by a person, beside the limit
    held    INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
