-- +goose Up

-- What a remote itself said last of how many requests are used of those that
-- it allows, by all of its users.
CREATE TABLE upkeep_quotas (
    remote  TEXT PRIMARY KEY,
    used    INTEGER NOT NULL,
    allowed INTEGER NOT NULL,
    at      INTEGER NOT NULL
) WITHOUT ROWID;
