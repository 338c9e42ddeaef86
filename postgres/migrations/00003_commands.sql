-- +goose Up

-- The ordered lane. While a transaction of the application is open, the groups
-- that it changed are noted here by the triggers of the syncs that deliver
-- every version; at its commit each becomes a command. No row outlives its
-- transaction, so nothing is lost with the table after a crash, and the key
-- begins with the transaction, so none ever waits for another one.
CREATE UNLOGGED TABLE upkeep.command_pending (
    xid  xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
    sync text COLLATE "C" NOT NULL,
    key  text COLLATE "C" NOT NULL,
    root jsonb NOT NULL,                  -- the root key's columns
    gone boolean NOT NULL DEFAULT false,  -- if there is no root row now: it was deleted
    PRIMARY KEY (xid, sync, key)
);

-- Commands that wait for their delivery, in the order of their numbers within
-- a group. payload is NULL when the root row was deleted.
CREATE TABLE upkeep.commands (
    number          bigint GENERATED ALWAYS AS IDENTITY,
    sync            text COLLATE "C" NOT NULL,
    key             text COLLATE "C" NOT NULL,
    xid             xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
    at              timestamptz NOT NULL DEFAULT upkeep.clock(),
    snapshot        pg_snapshot NOT NULL,      -- in which it was read
    payload         jsonb,
    unordered       text NOT NULL DEFAULT '',  -- why its place or its being whole is not certain
    refused         text NOT NULL DEFAULT '',  -- why it was not taken
    refused_version text NOT NULL DEFAULT '',  -- by which mapping
    PRIMARY KEY (sync, key, number)
);
CREATE INDEX commands_at ON upkeep.commands (at);

-- The transaction whose version ended the group's record last. A version that
-- was read in a snapshot which does not have it yet would make the record again.
ALTER TABLE upkeep.groups ADD COLUMN ended_xid xid8;
CREATE INDEX commands_xid ON upkeep.commands (xid, sync, key);

-- Versions that did not become commands; kept as long as history.
CREATE TABLE upkeep.command_gaps (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sync   text COLLATE "C" NOT NULL,
    key    text COLLATE "C",               -- NULL: any group of the sync
    xid    xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
    at     timestamptz NOT NULL DEFAULT upkeep.clock(),
    reason text NOT NULL
);
CREATE INDEX command_gaps_group ON upkeep.command_gaps (sync, key, id);
CREATE INDEX command_gaps_at ON upkeep.command_gaps (at);

ALTER TABLE upkeep.command_pending SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 10000,
    autovacuum_vacuum_cost_delay = 0);
ALTER TABLE upkeep.commands SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 10000,
    autovacuum_vacuum_cost_delay = 0);

-- A lock of this transaction, asked for again and again and never waited for:
-- a wait would be an edge that PostgreSQL's deadlock detector sees, and the
-- application's transaction might be the one that it ends.
-- +goose StatementBegin
CREATE FUNCTION upkeep.try_command_lock(id bigint, shared boolean, until timestamptz)
    RETURNS boolean LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    pause double precision := 0.001;
BEGIN
    LOOP
        IF (shared AND pg_try_advisory_xact_lock_shared(id)) OR (NOT shared AND pg_try_advisory_xact_lock(id)) THEN
            RETURN true;
        END IF;
        IF clock_timestamp() >= until THEN
            RETURN false;
        END IF;
        PERFORM pg_sleep(pause);
        pause := least(pause * 1.5, 0.01);
    END LOOP;
END
$$;
-- +goose StatementEnd

-- Orders this transaction among the others that change its groups, and returns
-- the groups ("sync/key") for which that did not succeed in time. The locks are
-- held until the transaction is over, so that the number that a command gets
-- under one is in the order of the commits. A transaction over many groups
-- takes one lock of the whole sync instead of many: the server's table of
-- locks is small.
-- +goose StatementBegin
CREATE FUNCTION upkeep.lock_commands(mine xid8, until timestamptz)
    RETURNS text[] LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    many boolean;
    missed text[] := '{}';
    late text[] := '{}';
    s record;
    g record;
BEGIN
    SELECT count(*) > 32 INTO many FROM (
        SELECT FROM upkeep.command_pending WHERE xid = mine LIMIT 33) p;
    FOR s IN SELECT DISTINCT sync FROM upkeep.command_pending WHERE xid = mine ORDER BY sync LOOP
        IF NOT upkeep.try_command_lock(hashtextextended(s.sync, 8244229), NOT many, until) THEN
            late := late || s.sync;
        END IF;
    END LOOP;
    IF many THEN
        SELECT coalesce(array_agg(sync || '/' || key), '{}') INTO missed FROM upkeep.command_pending
        WHERE xid = mine AND sync = ANY (late);
        RETURN missed;
    END IF;
    FOR g IN SELECT sync, key FROM upkeep.command_pending WHERE xid = mine ORDER BY sync, key LOOP
        IF NOT upkeep.try_command_lock(hashtextextended(g.sync || '/' || g.key, 8244230), false, until) OR g.sync = ANY (late) THEN
            missed := missed || (g.sync || '/' || g.key);
        END IF;
    END LOOP;
    RETURN missed;
EXCEPTION WHEN OTHERS THEN -- the table of locks is full
    SELECT coalesce(array_agg(sync || '/' || key), '{}') INTO missed FROM upkeep.command_pending WHERE xid = mine;
    RETURN missed;
END
$$;
-- +goose StatementEnd

-- Runs once for each row of command_pending, at the commit (or sooner, if the
-- application makes constraints immediate; then a later change in the same
-- transaction brings its group here again, and the last version stays). The
-- first of a transaction's rows does the work for all. It must never fail and
-- never use up the time that the application gave its statement. A serializable
-- transaction has no such rows: what is read here could fail it, or another one.
-- +goose StatementBegin
CREATE FUNCTION upkeep.commit_commands()
    RETURNS trigger LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET row_security = off SET enable_seqscan = off SET jit = off
    SET datestyle = 'ISO, YMD' SET timezone = 'UTC' SET intervalstyle = 'postgres' SET extra_float_digits = 1
AS $$
DECLARE
    began timestamptz := clock_timestamp();
    allowed interval := nullif(current_setting('statement_timeout')::interval, '0');
    whole interval := nullif(current_setting('transaction_timeout', true)::interval, '0');
    patience timestamptz;
    deadline timestamptz;
    missed text[];
    isolation text := current_setting('transaction_isolation');
    unordered text;
    gap text;
    composite jsonb;
    snapshot pg_snapshot;
    locked boolean := false;
    p record;
BEGIN
    IF NOT EXISTS (SELECT FROM upkeep.command_pending c WHERE c.xid = NEW.xid AND c.sync = NEW.sync AND c.key = NEW.key) THEN
        RETURN NULL;
    END IF;
    deadline := least(statement_timestamp() + allowed / 2, transaction_timestamp() + whole * 0.7, 'infinity');
    patience := least(began + interval '2 seconds', statement_timestamp() + allowed / 4, deadline);
    missed := upkeep.lock_commands(NEW.xid, patience);
    -- From here on each statement sees what the holders of the locks before us
    -- have committed, unless this transaction reads from one snapshot.
    FOR p IN WITH mine AS (DELETE FROM upkeep.command_pending c WHERE c.xid = NEW.xid RETURNING c.*)
        SELECT * FROM mine ORDER BY sync, key
    LOOP
        gap := NULL;
        composite := NULL;
        IF clock_timestamp() > deadline THEN
            gap := 'statement_timeout left no time to read it';
        ELSIF locked THEN -- no commit waits twice
            gap := 'a table was locked from which it is read';
        ELSE
            BEGIN
                EXECUTE format('SELECT upkeep.%I($1), pg_current_snapshot()', 'compose_' || left(encode(sha256(convert_to(p.sync, 'UTF8')), 'hex'), 10))
                    INTO composite, snapshot USING p.root;
            EXCEPTION
            WHEN lock_not_available THEN
                gap := 'a table was locked from which it is read';
                locked := true;
            WHEN OTHERS THEN
                -- Messages of other classes may hold a row's values.
                gap := 'it could not be read: SQLSTATE ' || SQLSTATE || CASE WHEN SQLSTATE LIKE '42%' THEN ', ' || SQLERRM ELSE '' END;
            END;
        END IF;
        -- Of this transaction the last version counts.
        DELETE FROM upkeep.commands c WHERE c.xid = p.xid AND c.sync = p.sync AND c.key = p.key;
        IF gap IS NOT NULL THEN
            INSERT INTO upkeep.command_gaps (sync, key, reason) VALUES (p.sync, p.key, gap);
        ELSIF composite IS NOT NULL OR p.gone THEN
            unordered := CASE
                WHEN (p.sync || '/' || p.key) = ANY (missed) THEN 'another transaction that had changed the group was not over in time'
                WHEN isolation LIKE 'read %' THEN ''
                ELSE 'its transaction was ' || isolation || ', and may not have seen another one that changed the group' END;
            INSERT INTO upkeep.commands (sync, key, snapshot, payload, unordered) VALUES (p.sync, p.key, snapshot, composite, unordered);
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE CONSTRAINT TRIGGER commit_commands AFTER INSERT ON upkeep.command_pending
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION upkeep.commit_commands();
ALTER TABLE upkeep.command_pending ENABLE ALWAYS TRIGGER commit_commands;

-- In a serializable transaction nothing of ours reads, so it is a gap there.
-- +goose StatementBegin
CREATE FUNCTION upkeep.command(sync text, key text, root jsonb)
    RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO upkeep.command_pending (sync, key, root, gone)
    SELECT $1, $2, $3, true WHERE current_setting('transaction_isolation') <> 'serializable'
    ON CONFLICT DO NOTHING;
    INSERT INTO upkeep.command_gaps (sync, key, reason)
    SELECT $1, $2, 'it was asked for in a SERIALIZABLE transaction, and to read it could have failed that'
    WHERE current_setting('transaction_isolation') = 'serializable'
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION upkeep.command(text, text, jsonb) IS
    'Makes a command of the version that a group has when the calling transaction commits. Grant EXECUTE to the roles that may.';

REVOKE ALL ON upkeep.command_pending, upkeep.commands, upkeep.command_gaps FROM PUBLIC;
REVOKE ALL ON FUNCTION upkeep.try_command_lock(bigint, boolean, timestamptz), upkeep.lock_commands(xid8, timestamptz),
    upkeep.commit_commands(), upkeep.command(text, text, jsonb) FROM PUBLIC;

-- +goose Down
DROP FUNCTION upkeep.command(text, text, jsonb);
ALTER TABLE upkeep.groups DROP COLUMN ended_xid;
DROP TABLE upkeep.command_pending, upkeep.commands, upkeep.command_gaps;
DROP FUNCTION upkeep.commit_commands(), upkeep.lock_commands(xid8, timestamptz),
    upkeep.try_command_lock(bigint, boolean, timestamptz);
