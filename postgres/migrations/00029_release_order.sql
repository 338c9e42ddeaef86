-- +goose Up

-- Of a partition it locks the topmost parent first, and all below in the server's
-- order, as who reads or writes the parent does. It took the partition's lock first
-- and came to the parent with the first trigger: an application that had the parent
-- and went on to the partition waited in a circle with it, and lost. Of the parents
-- it is the topmost that the caller may lock: who may not lock one can't drop a
-- trigger of it either, and needs none where only the partition is watched. The
-- table itself comes last, in case it was detached meanwhile.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION upkeep.release(tbl regclass)
    RETURNS void LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    top regclass;
    t record;
BEGIN
    IF EXISTS (SELECT FROM pg_class c WHERE c.oid = tbl AND c.relkind IN ('r', 'p')) THEN
        SELECT a.relid INTO top
        FROM pg_partition_ancestors(tbl) WITH ORDINALITY AS a(relid, up)
        WHERE has_table_privilege(a.relid, 'UPDATE, DELETE, TRUNCATE')
        ORDER BY a.up DESC LIMIT 1;
        EXECUTE format('LOCK TABLE %s, %s IN ACCESS EXCLUSIVE MODE', coalesce(top, tbl), tbl);
    END IF;
    FOR t IN SELECT name, rel FROM upkeep.triggers_of(tbl) LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', t.name, t.rel);
    END LOOP;
    PERFORM upkeep.note_release(tbl);
END
$$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION upkeep.release(tbl regclass)
    RETURNS void LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    t record;
BEGIN
    IF EXISTS (SELECT FROM pg_class c WHERE c.oid = tbl AND c.relkind IN ('r', 'p')) THEN
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', tbl);
    END IF;
    FOR t IN SELECT name, rel FROM upkeep.triggers_of(tbl) LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', t.name, t.rel);
    END LOOP;
    PERFORM upkeep.note_release(tbl);
END
$$;
-- +goose StatementEnd
