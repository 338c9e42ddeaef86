-- +goose Up

-- What people did by hand, for those who ask who did it. Rows are added, and deleted
-- when they are a year old; none is changed.
CREATE TABLE upkeep.interventions (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at     timestamptz NOT NULL,
    by     text NOT NULL,
    role   text NOT NULL,
    did    text NOT NULL,
    remote text NOT NULL,
    sync   text NOT NULL,
    key    text NOT NULL,
    detail text NOT NULL
);
CREATE INDEX interventions_of ON upkeep.interventions (sync, key, id);
REVOKE ALL ON TABLE upkeep.interventions FROM PUBLIC;

-- +goose Down
DROP TABLE upkeep.interventions;
