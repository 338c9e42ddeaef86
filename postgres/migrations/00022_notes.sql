-- +goose Up

-- Which configuration took the place of which, the last ones only: those that
-- take turns are seen in it. syncs is a digest of each sync's declaration.
CREATE TABLE upkeep.plans (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at     timestamptz NOT NULL,
    plan   text NOT NULL,
    holder text NOT NULL,
    syncs  jsonb NOT NULL
);
REVOKE ALL ON TABLE upkeep.plans FROM PUBLIC;

-- +goose Down
DROP TABLE upkeep.plans;
