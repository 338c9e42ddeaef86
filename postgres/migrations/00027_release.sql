-- +goose Up

-- Locks the table before it looks for triggers: while those of an earlier release are
-- away there is none to drop, so that nothing kept a worker from putting them back
-- between this and the migration's own statement, which then failed.
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

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION upkeep.release(tbl regclass)
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
