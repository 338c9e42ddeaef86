-- +goose Up

-- The touch log. Triggers of the application's tables append to it, in the
-- application's own transaction. "names" are the logged columns, as a JSON
-- array; "old" and "new" their values as SQL literals joined by commas.
CREATE TABLE upkeep_touch (
    id    INTEGER PRIMARY KEY, -- no AUTOINCREMENT: its sqlite_sequence could never be removed
    tbl   TEXT NOT NULL DEFAULT '',
    op    TEXT NOT NULL,
    names TEXT,
    old   TEXT,
    new   TEXT,
    cols  TEXT,                -- that changed: JSON strings, each followed by a comma
    at    INTEGER,             -- microseconds
    sync  TEXT,                -- by hand, and references: the group
    key   TEXT,
    force INTEGER NOT NULL DEFAULT 0,
    deleted INTEGER NOT NULL DEFAULT 0 -- by hand: the row was deleted
);
-- Rows that an INSERT or UPDATE is about to replace, if it does.
CREATE INDEX upkeep_touch_replacing ON upkeep_touch (tbl) WHERE op = 'replacing';

CREATE TABLE upkeep_groups (
    sync               TEXT NOT NULL,
    key                TEXT NOT NULL,
    generation         INTEGER NOT NULL DEFAULT 1,
    synced_generation  INTEGER NOT NULL DEFAULT 0,
    forced_generation  INTEGER NOT NULL DEFAULT 0,
    deleted_generation INTEGER NOT NULL DEFAULT 0, -- of the last delete of the root row; -1: it was inserted since
    epoch              INTEGER NOT NULL DEFAULT 0,
    holder             TEXT,
    lease_until        INTEGER,
    in_doubt_until     INTEGER,
    due_at             INTEGER, -- when a worker has something to do here; NULL: not before something happens
    backfill           INTEGER NOT NULL DEFAULT 0,
    attempts           INTEGER NOT NULL DEFAULT 0,
    parked             INTEGER NOT NULL DEFAULT 0,
    waiting            INTEGER NOT NULL DEFAULT 0,
    reason             TEXT,
    refs               TEXT,    -- JSON: [["sync","key"], ...]
    remote_id          TEXT,
    external_id        TEXT,
    digests            BLOB,
    cause              TEXT,    -- JSON
    touched_at         INTEGER,
    dirty_since        INTEGER,
    synced_at          INTEGER,
    PRIMARY KEY (sync, key)
) WITHOUT ROWID;
CREATE INDEX upkeep_groups_due ON upkeep_groups (sync, backfill, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX upkeep_groups_holder ON upkeep_groups (holder) WHERE holder IS NOT NULL;

-- Who waits for a group, and who refers to it.
CREATE TABLE upkeep_edges (
    on_sync TEXT NOT NULL,
    on_key  TEXT NOT NULL,
    kind    TEXT NOT NULL, -- 'wait' or 'ref'
    sync    TEXT NOT NULL,
    key     TEXT NOT NULL,
    PRIMARY KEY (on_sync, on_key, kind, sync, key)
) WITHOUT ROWID;
CREATE INDEX upkeep_edges_from ON upkeep_edges (sync, key, kind);

CREATE TABLE upkeep_attempts (
    id      INTEGER PRIMARY KEY,
    sync    TEXT NOT NULL,
    key     TEXT NOT NULL,
    at      INTEGER NOT NULL,
    epoch   INTEGER NOT NULL,
    action  TEXT NOT NULL,
    outcome TEXT NOT NULL,
    status  INTEGER NOT NULL,
    message TEXT NOT NULL,
    fields  TEXT NOT NULL, -- JSON array of names
    took    INTEGER NOT NULL
);
CREATE INDEX upkeep_attempts_group ON upkeep_attempts (sync, key, id);
CREATE INDEX upkeep_attempts_at ON upkeep_attempts (at);

CREATE TABLE upkeep_syncs (
    sync    TEXT PRIMARY KEY,
    version TEXT NOT NULL DEFAULT '',
    phase   TEXT NOT NULL DEFAULT '', -- of the backfill: '', 'rows', 'groups'
    cursor  TEXT NOT NULL DEFAULT '', -- the last key passed
    run     INTEGER NOT NULL DEFAULT 0, -- counts starts and steps
    sweep   INTEGER NOT NULL DEFAULT 0,
    force   INTEGER NOT NULL DEFAULT 0,
    done    INTEGER NOT NULL DEFAULT 0,
    total   INTEGER NOT NULL DEFAULT 0,
    touches INTEGER NOT NULL DEFAULT 0,
    calls   INTEGER NOT NULL DEFAULT 0,
    saved   INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TABLE upkeep_settings (
    name  TEXT PRIMARY KEY,
    value ANY
) WITHOUT ROWID;

CREATE TABLE upkeep_remotes (
    remote       TEXT PRIMARY KEY,
    tokens       INTEGER,              -- millionths of a request
    refilled_at  INTEGER,
    paused_until INTEGER NOT NULL DEFAULT 0,
    broken       INTEGER NOT NULL DEFAULT 0,
    probe_at     INTEGER NOT NULL DEFAULT 0,
    failures     INTEGER NOT NULL DEFAULT 0,
    reason       TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;

CREATE TABLE upkeep_slots (
    remote TEXT NOT NULL,
    holder TEXT NOT NULL,
    held   INTEGER NOT NULL,
    until  INTEGER NOT NULL,
    PRIMARY KEY (remote, holder)
) WITHOUT ROWID;
