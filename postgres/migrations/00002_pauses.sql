-- +goose Up

-- Pauses that a person made. They end only when a person ends them.
CREATE TABLE upkeep.pauses (
    kind   text COLLATE "C" NOT NULL CHECK (kind IN ('remote', 'sync')),
    name   text COLLATE "C" NOT NULL,
    reason text NOT NULL,
    since  timestamptz NOT NULL,
    PRIMARY KEY (kind, name)
);
REVOKE ALL ON upkeep.pauses FROM PUBLIC;

-- +goose Down
DROP TABLE upkeep.pauses;
