-- +goose Up

-- Bulk jobs at remotes, until all their results are recorded.
CREATE TABLE upkeep.jobs (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    remote      text COLLATE "C" NOT NULL,
    remote_job  text NOT NULL,
    sync        text COLLATE "C" NOT NULL,
    record_type text NOT NULL,
    action      text NOT NULL,
    state       text NOT NULL,
    rows        integer NOT NULL,
    processed   integer NOT NULL DEFAULT 0,
    failed      integer NOT NULL DEFAULT 0,
    message     text NOT NULL DEFAULT '',
    holder      text COLLATE "C",    -- NULL: nobody follows it
    lease_until timestamptz,
    since       timestamptz NOT NULL
);
-- The groups that are in a job, until their results are recorded. Their rows
-- in groups are held by it, with no end of a lease.
CREATE TABLE upkeep.job_groups (
    job         bigint NOT NULL REFERENCES upkeep.jobs,
    key         text COLLATE "C" NOT NULL,
    epoch       bigint NOT NULL,
    generation  bigint NOT NULL,
    external_id text COLLATE "C" NOT NULL,
    remote_id   text COLLATE "C" NOT NULL,
    digests     bytea,
    refs        text NOT NULL,       -- JSON array, as groups.refs has them
    sent        text NOT NULL,       -- JSON object: the remote ids that new ones of them were sent as
    PRIMARY KEY (job, key)
);
CREATE INDEX job_groups_external_id ON upkeep.job_groups (job, external_id);
CREATE INDEX job_groups_remote_id ON upkeep.job_groups (job, remote_id) WHERE remote_id <> '';
-- Filled and emptied again by thousands.
ALTER TABLE upkeep.job_groups SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 10000,
    autovacuum_vacuum_cost_delay = 0);
REVOKE ALL ON upkeep.jobs, upkeep.job_groups FROM PUBLIC;

-- +goose Down
DROP TABLE upkeep.job_groups, upkeep.jobs;
