-- +goose Up

-- What a remote itself said last of how many requests are used of those that
-- it allows, by all of its users.
CREATE TABLE upkeep.quotas (
    remote  text COLLATE "C" PRIMARY KEY,
    used    bigint NOT NULL,
    allowed bigint NOT NULL,
    at      timestamptz NOT NULL
) WITH (fillfactor = 50);
REVOKE ALL ON upkeep.quotas FROM PUBLIC;

-- +goose Down
DROP TABLE upkeep.quotas;
