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

-- What a process can't do as things are, for people: its last error at it. A row
-- goes when it works again.
CREATE TABLE upkeep.failures (
    stage  text NOT NULL,
    holder text NOT NULL,
    since  timestamptz NOT NULL,
    at     timestamptz NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (stage, holder)
);
REVOKE ALL ON TABLE upkeep.plans, upkeep.failures FROM PUBLIC;

-- +goose Down
DROP TABLE upkeep.plans, upkeep.failures;
