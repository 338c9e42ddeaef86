package postgres_test

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// A publication of all tables names ours, too. PostgreSQL refuses to update and
// to delete rows of a table that is published and has no key.
func TestTablesThatArePublishedArePruned(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.migrate()
	b.exec(`CREATE PUBLICATION everything FOR ALL TABLES`)
	if keyless := b.query(`SELECT c.oid::regclass::text FROM pg_class c WHERE c.relnamespace = 'upkeep'::regnamespace AND c.relkind IN ('r', 'p')
		AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)`); len(keyless) > 0 {
		t.Errorf("tables without a primary key: %s", strings.Join(keyless, ", "))
	}
	b.fillHistory()
	b.ok(b.db.Prune(b.ctx, time.Hour))
	if left := b.history(); left != "" {
		t.Errorf("left: %s", left)
	}
}

// What keeps one kind of history from being pruned keeps none of the others.
func TestPruneGoesOnAfterAFailure(t *testing.T) {
	t.Parallel()
	for _, table := range []string{"attempts", "command_gaps", "commands", "missed"} {
		b := newBench(t)
		b.migrate()
		b.fillHistory()
		b.exec(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''not this one''; END'`,
			`CREATE TRIGGER refuse BEFORE DELETE ON upkeep.`+table+` FOR EACH ROW EXECUTE FUNCTION refuse()`)
		if err := b.db.Prune(b.ctx, time.Hour); err == nil || strings.Count(err.Error(), "not this one") != 1 {
			t.Errorf("%s: %v", table, err)
		}
		if left := b.history(); left != table {
			t.Errorf("%s: left: %s", table, left)
		}
	}
}

// fillHistory puts an old row into each table that is pruned.
func (b *bench) fillHistory() {
	b.t.Helper()
	b.exec(`INSERT INTO upkeep.groups (sync, key) VALUES ('s', '1')`,
		`INSERT INTO upkeep.attempts (sync, key, at, epoch, action, outcome, status, message, fields, took_us)
			VALUES ('s', '1', now() - interval '1 day', 1, 'update', 'ok', 200, '', '{}', 1)`,
		`INSERT INTO upkeep.command_gaps (sync, key, at, reason) VALUES ('s', '1', now() - interval '1 day', 'old')`,
		`INSERT INTO upkeep.commands (sync, key, at, snapshot, payload) VALUES ('s', '1', now() - interval '1 day', pg_current_snapshot(), '{}')`,
		`INSERT INTO upkeep.missed (sync, key, at, fields, columns) VALUES ('s', '1', now() - interval '1 day', '{}', '{}')`)
}

// history names the tables that still have an old row.
func (b *bench) history() string {
	b.t.Helper()
	return strings.Join(b.query(`SELECT 'attempts' FROM upkeep.attempts WHERE at < now() - interval '1 hour'
		UNION ALL SELECT 'command_gaps' FROM upkeep.command_gaps WHERE at < now() - interval '1 hour'
		UNION ALL SELECT 'commands' FROM upkeep.commands WHERE at < now() - interval '1 hour'
		UNION ALL SELECT 'missed' FROM upkeep.missed WHERE at < now() - interval '1 hour'`), " ")
}

// Publications are told by what they publish, and before there is anything of
// ours by what they would.
func TestPublications(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE things (id int PRIMARY KEY)`, `CREATE PUBLICATION a_few FOR TABLE things`)
	told := func(installed bool, want ...string) {
		t.Helper()
		names, there, err := b.db.Publications(b.ctx)
		b.ok(err)
		if there != installed || !slices.Equal(names, want) {
			t.Errorf("installed %v: %v, want %v %v", there, names, installed, want)
		}
	}
	told(false)
	b.exec(`CREATE PUBLICATION everything FOR ALL TABLES`, `CREATE SCHEMA upkeep`)
	told(false, "everything")
	all := []string{"everything"}
	if b.query(`SELECT (current_setting('server_version_num')::int >= 150000)::text`)[0] == "true" {
		b.exec(`CREATE PUBLICATION ours FOR TABLES IN SCHEMA upkeep`)
		all = append(all, "ours")
	}
	told(false, all...)
	b.migrate()
	told(true, all...)
	b.exec(`DROP PUBLICATION everything`)
	told(true, all[1:]...)
	b.exec(`CREATE PUBLICATION a_touch FOR TABLE upkeep.touch`)
	told(true, append([]string{"a_touch"}, all[1:]...)...)
}
