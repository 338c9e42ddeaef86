-- +goose Up

-- Deletes of records in the hour that began at since; held: the limit was
-- reached, and a person is asked.
CREATE TABLE upkeep.deletes (
    sync    text COLLATE "C" PRIMARY KEY,
    since   timestamptz NOT NULL,
    used    bigint NOT NULL DEFAULT 0,
    allowed bigint NOT NULL DEFAULT 0,  -- by a person, beside the limit
    held    boolean NOT NULL DEFAULT false
);
REVOKE ALL ON upkeep.deletes FROM PUBLIC;

-- +goose Down
DROP TABLE upkeep.deletes;
