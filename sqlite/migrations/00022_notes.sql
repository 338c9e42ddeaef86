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

-- +goose Down
DROP TABLE upkeep_plans;
