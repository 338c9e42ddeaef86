-- +goose Up

-- Which configuration took the place of which, the last ones only: those that
-- take turns are seen in it. syncs is a JSON object, with a digest of each
-- sync's declaration.
CREATE TABLE upkeep_plans (
    id     INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL, -- microseconds
    plan   TEXT NOT NULL,
    holder TEXT NOT NULL,
    syncs  TEXT NOT NULL
);

-- What a process can't do as things are, for people: its last error at it. A row
-- goes when it works again.
CREATE TABLE upkeep_failures (
    stage  TEXT NOT NULL,
    holder TEXT NOT NULL,
    since  INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (stage, holder)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE upkeep_plans;
DROP TABLE upkeep_failures;
