-- +goose Up

-- Pauses that a person made. They end only when a person ends them.
CREATE TABLE upkeep_pauses (
    kind   TEXT NOT NULL CHECK (kind IN ('remote', 'sync')),
    name   TEXT NOT NULL,
    reason TEXT NOT NULL,
    since  INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;
