-- +goose Up

-- Bulk jobs at remotes, until all their results are recorded.
CREATE TABLE upkeep_jobs (
    id          INTEGER PRIMARY KEY,
    remote      TEXT NOT NULL,
    remote_job  TEXT NOT NULL,
    sync        TEXT NOT NULL,
    record_type TEXT NOT NULL,
    action      TEXT NOT NULL,
    state       TEXT NOT NULL,
    rows        INTEGER NOT NULL,
    processed   INTEGER NOT NULL DEFAULT 0,
    failed      INTEGER NOT NULL DEFAULT 0,
    message     TEXT NOT NULL DEFAULT '',
    holder      TEXT,               -- NULL: nobody follows it
    lease_until INTEGER,
    since       INTEGER NOT NULL
);
-- The groups that are in a job, until their results are recorded. Their rows
-- in groups are held by it, with no end of a lease.
CREATE TABLE upkeep_job_groups (
    job         INTEGER NOT NULL,
    key         TEXT NOT NULL,
    epoch       INTEGER NOT NULL,
    generation  INTEGER NOT NULL,
    external_id TEXT NOT NULL,
    remote_id   TEXT NOT NULL,
    digests     BLOB,
    refs        TEXT NOT NULL,      -- JSON: [["sync","key"], ...]
    sent        TEXT NOT NULL,      -- JSON: [["sync","key","remote id"], ...], of the refs that are new
    PRIMARY KEY (job, key)
) WITHOUT ROWID;
CREATE INDEX upkeep_job_groups_external_id ON upkeep_job_groups (job, external_id);
CREATE INDEX upkeep_job_groups_remote_id ON upkeep_job_groups (job, remote_id) WHERE remote_id <> '';
