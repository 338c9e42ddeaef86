-- +goose Up

-- What people did by hand, for those who ask who did it. Rows are added, and deleted
-- when they are a year old; none is changed.
CREATE TABLE upkeep_interventions (
    id     INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL, -- microseconds
    by     TEXT NOT NULL,
    did    TEXT NOT NULL,
    remote TEXT NOT NULL,
    sync   TEXT NOT NULL,
    key    TEXT NOT NULL,
    detail TEXT NOT NULL
);
CREATE INDEX upkeep_interventions_of ON upkeep_interventions (sync, key, id);

-- +goose Down
DROP TABLE upkeep_interventions;
