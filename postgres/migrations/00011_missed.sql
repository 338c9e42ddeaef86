-- +goose Up

-- Changes that the capture did not see, as audits found them.
CREATE TABLE upkeep.missed (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sync    text COLLATE "C" NOT NULL,
    key     text COLLATE "C" NOT NULL,
    at      timestamptz NOT NULL,
    fields  text[] NOT NULL,
    columns text[] NOT NULL
);
REVOKE ALL ON upkeep.missed FROM PUBLIC;

-- +goose Down
DROP TABLE upkeep.missed;
