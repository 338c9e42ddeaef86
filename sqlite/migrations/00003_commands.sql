-- +goose Up

-- Commands of the ordered lane that wait for their delivery, in the order of
-- their numbers. payload is NULL when the root row was gone.
CREATE TABLE upkeep_commands (
    number          INTEGER PRIMARY KEY,
    sync            TEXT NOT NULL,
    key             TEXT NOT NULL,
    at              INTEGER NOT NULL, -- microseconds
    payload         TEXT,
    refused         TEXT NOT NULL DEFAULT '',
    refused_version TEXT NOT NULL DEFAULT ''
);
CREATE INDEX upkeep_commands_group ON upkeep_commands (sync, key, number);
CREATE INDEX upkeep_commands_at ON upkeep_commands (at);

-- The last number that a command got: none is used twice, though commands go.
CREATE TABLE upkeep_command_number (last INTEGER NOT NULL);
INSERT INTO upkeep_command_number VALUES (0);

-- Versions that did not become commands; kept as long as history.
CREATE TABLE upkeep_command_gaps (
    id     INTEGER PRIMARY KEY,
    sync   TEXT NOT NULL,
    key    TEXT NOT NULL,
    at     INTEGER NOT NULL,
    reason TEXT NOT NULL
);
CREATE INDEX upkeep_command_gaps_group ON upkeep_command_gaps (sync, key, id);
CREATE INDEX upkeep_command_gaps_at ON upkeep_command_gaps (at);
