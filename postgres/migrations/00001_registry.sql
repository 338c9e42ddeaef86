-- +goose Up

-- Everything of Upkeep is in this schema. Other roles may call what is granted
-- below and see nothing else.
GRANT USAGE ON SCHEMA upkeep TO PUBLIC;

-- The one clock. Every time that Upkeep writes or compares is read here.
CREATE FUNCTION upkeep.clock() RETURNS timestamptz
    LANGUAGE sql VOLATILE AS 'SELECT pg_catalog.clock_timestamp()';

-- The append-only log of touches. The triggers write rows with tbl; a touch by
-- hand has sync and key, and what it asks for in more: register, force,
-- deleted. A row that has path and origin in more is left of a row that leads to
-- very many groups: same contents as origin, the first row's id, only for that
-- sync and path. If it has listed, key is an array of so many keys of groups; a
-- truncated table has cursor: only keys after it. Each column costs every
-- trigger some time, so that what is rare has one together.
CREATE TABLE upkeep.touch (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at       timestamptz NOT NULL DEFAULT upkeep.clock(),
    xid      xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
    tbl      text COLLATE "C",
    op       text COLLATE "C" NOT NULL,
    old      jsonb,          -- key columns of the row before (not of an insert)
    new      jsonb,          -- and after, of an insert and where they changed
    columns  text[],         -- watched columns that changed; NULL: not known
    sync     text COLLATE "C",
    key      text COLLATE "C",
    more     jsonb
);
-- The log is a queue: small, and always the same pages. Vacuum by the number
-- of dead rows, without pauses.
ALTER TABLE upkeep.touch SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 10000,
    autovacuum_vacuum_cost_delay = 0);

-- One row for each group. deleted_generation is above zero when, of the root
-- row's inserts and deletes, a delete was folded last. due_at is the queue: when a worker has something to
-- do here, NULL when there is nothing.
--   dirty and free        now, or the next attempt
--   held                  lease_until
--   clean but in doubt    in_doubt_until
--   waiting               the net under the wake-up
--   parked, clean         NULL
CREATE TABLE upkeep.groups (
    sync               text COLLATE "C" NOT NULL,
    key                text COLLATE "C" NOT NULL,
    generation         bigint NOT NULL DEFAULT 1,
    synced_generation  bigint NOT NULL DEFAULT 0,
    forced_generation  bigint NOT NULL DEFAULT 0,
    deleted_generation bigint NOT NULL DEFAULT 0,
    epoch              bigint NOT NULL DEFAULT 0,
    holder             text,
    lease_until        timestamptz,
    in_doubt_until     timestamptz,
    due_at             timestamptz,
    backfill           boolean NOT NULL DEFAULT false,
    parked             boolean NOT NULL DEFAULT false,
    attempts           integer NOT NULL DEFAULT 0,
    reason             text NOT NULL DEFAULT '',
    waits_for          text[] COLLATE "C" NOT NULL DEFAULT '{}',
    refs               text[] COLLATE "C" NOT NULL DEFAULT '{}',
    remote_id          text NOT NULL DEFAULT '',
    external_id        text NOT NULL DEFAULT '',
    digests            bytea,
    cause              jsonb,
    touched_at         timestamptz,
    dirty_since        timestamptz,
    synced_at          timestamptz,
    PRIMARY KEY (sync, key)
) WITH (fillfactor = 80);
CREATE INDEX groups_due ON upkeep.groups (sync, backfill, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX groups_waits_for ON upkeep.groups USING gin (waits_for) WITH (fastupdate = off)
    WHERE waits_for <> '{}';
CREATE INDEX groups_refs ON upkeep.groups USING gin (refs) WITH (fastupdate = off)
    WHERE refs <> '{}';
ALTER TABLE upkeep.groups SET (
    autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 0);

-- History: what was tried at the remote, without any value of a record.
CREATE TABLE upkeep.attempts (
    id      bigint GENERATED ALWAYS AS IDENTITY,
    sync    text COLLATE "C" NOT NULL,
    key     text COLLATE "C" NOT NULL,
    at      timestamptz NOT NULL,
    epoch   bigint NOT NULL,
    action  text NOT NULL,
    outcome text NOT NULL,
    status  integer NOT NULL,
    message text NOT NULL,
    fields  text[] NOT NULL,
    took_us bigint NOT NULL
);
CREATE INDEX attempts_group ON upkeep.attempts (sync, key, id);
CREATE INDEX attempts_at ON upkeep.attempts (at);

-- One row for each sync. pass is the passing over its root table: '' when none
-- runs, else 'root' or 'groups'.
CREATE TABLE upkeep.syncs (
    sync       text COLLATE "C" PRIMARY KEY,
    version    text NOT NULL DEFAULT '',
    touches    bigint NOT NULL DEFAULT 0,
    calls      bigint NOT NULL DEFAULT 0,
    saved      bigint NOT NULL DEFAULT 0,
    pass       text NOT NULL DEFAULT '',
    sweep      boolean NOT NULL DEFAULT false,
    force      boolean NOT NULL DEFAULT false,
    again      boolean NOT NULL DEFAULT false,  -- sweep once more after this pass
    cursor     text COLLATE "C",
    done       bigint NOT NULL DEFAULT 0,
    total      bigint NOT NULL DEFAULT 0,
    started_at timestamptz
);

-- A remote's limits, shared by all processes.
CREATE TABLE upkeep.remotes (
    remote       text COLLATE "C" PRIMARY KEY,
    tokens       double precision,
    tokens_at    timestamptz,
    paused_until timestamptz,
    broken       boolean NOT NULL DEFAULT false,
    probe_at     timestamptz,
    failures     integer NOT NULL DEFAULT 0,
    reason       text NOT NULL DEFAULT ''
) WITH (fillfactor = 50);
CREATE TABLE upkeep.slots (
    remote text COLLATE "C" NOT NULL,
    holder text COLLATE "C" NOT NULL,
    held   integer NOT NULL,
    wants  boolean NOT NULL,    -- false: has given all back
    until  timestamptz NOT NULL,
    PRIMARY KEY (remote, holder)
) WITH (fillfactor = 50);

-- The tables whose triggers are in place. A table that is here and lacks a
-- trigger was changed without our knowing: there is a gap to sweep.
CREATE TABLE upkeep.watched (
    tbl text COLLATE "C" PRIMARY KEY
);

-- secret is the key of the digests; plan is an opaque digest of the
-- configuration that the triggers were made for.
CREATE TABLE upkeep.settings (
    one    boolean PRIMARY KEY DEFAULT true CHECK (one),
    secret bytea NOT NULL,
    plan   text
);
-- Random and known to this database alone: two version 4 UUIDs hold 244 bits
-- from the server's strong random source.
INSERT INTO upkeep.settings (secret)
    VALUES (decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));

-- +goose StatementBegin
CREATE FUNCTION upkeep.touch(sync text, key text, register boolean DEFAULT false, force boolean DEFAULT false,
        deleted boolean DEFAULT false)
    RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO upkeep.touch (op, sync, key, more)
    VALUES (CASE WHEN $3 THEN 'register' ELSE 'touch' END, $1, $2,
        CASE WHEN $3 OR $4 OR $5 THEN jsonb_build_object('register', $3, 'force', $4, 'deleted', $5) END)
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION upkeep.touch(text, text, boolean, boolean, boolean) FROM PUBLIC;
COMMENT ON FUNCTION upkeep.touch(text, text, boolean, boolean, boolean) IS
    'Touches one group by hand, in the calling transaction. Grant EXECUTE to the roles that may.';

-- The triggers of a table, its partitions' parent and its inheritance children.
-- Clones on partitions are left out: they come and go with their parent's.
-- +goose StatementBegin
CREATE FUNCTION upkeep.triggers_of(tbl regclass)
    RETURNS TABLE (name name, rel regclass) LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH RECURSIVE tree(oid) AS (
        SELECT coalesce(pg_partition_root($1), $1)::oid
        UNION SELECT i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = tree.oid)
    SELECT g.tgname, g.tgrelid::regclass
    FROM pg_trigger g JOIN tree ON tree.oid = g.tgrelid JOIN pg_proc p ON p.oid = g.tgfoid
    WHERE p.pronamespace = 'upkeep'::regnamespace AND g.tgparentid = 0
    ORDER BY g.tgrelid, g.tgname
$$;
-- +goose StatementEnd

-- The second half of release, with Upkeep's rights. It only notes what is so:
-- that the table has no trigger of ours.
-- +goose StatementBegin
CREATE FUNCTION upkeep.note_release(tbl regclass)
    RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM upkeep.triggers_of(tbl)) THEN
        RAISE EXCEPTION 'table % still has triggers of upkeep: call upkeep.release', tbl;
    END IF;
    -- The watched names under which the table is known: its own, and those of
    -- the tables that it inherits from. A part with a dot or a quote in it is
    -- written in quotes.
    WITH RECURSIVE up(oid) AS (
        SELECT tbl::oid UNION SELECT i.inhparent FROM pg_inherits i JOIN up ON i.inhrelid = up.oid),
    written(tbl) AS (
        SELECT string_agg(CASE WHEN part ~ '[."]' THEN '"' || replace(part, '"', '""') || '"' ELSE part END, '.' ORDER BY place)
        FROM up JOIN pg_class c ON c.oid = up.oid JOIN pg_namespace n ON n.oid = c.relnamespace
            CROSS JOIN LATERAL (VALUES (1, n.nspname::text), (2, c.relname::text)) AS name(place, part)
        GROUP BY c.oid),
    gone AS (
        DELETE FROM upkeep.watched w USING written WHERE w.tbl = written.tbl
        RETURNING w.tbl)
    INSERT INTO upkeep.touch (tbl, op) SELECT gone.tbl, 'release' FROM gone;
END
$$;
-- +goose StatementEnd

-- With the caller's rights: who may drop the table's triggers, its owner, may
-- release it.
-- +goose StatementBegin
CREATE FUNCTION upkeep.release(tbl regclass)
    RETURNS void LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    t record;
BEGIN
    FOR t IN SELECT name, rel FROM upkeep.triggers_of(tbl) LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', t.name, t.rel);
    END LOOP;
    PERFORM upkeep.note_release(tbl);
END
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION upkeep.release(regclass) IS
    'Call it in a migration''s transaction before a watched column is dropped or retyped. It drops Upkeep''s triggers on the table and asks for a sweep; a running worker puts the triggers back after the commit.';

-- No other role reads or writes any of this.
REVOKE ALL ON ALL TABLES IN SCHEMA upkeep FROM PUBLIC;
REVOKE ALL ON FUNCTION upkeep.clock() FROM PUBLIC;

-- +goose Down
DROP SCHEMA upkeep CASCADE;
