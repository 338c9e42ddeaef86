package postgres_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// A migration that holds a table keeps nobody waiting who writes to another one:
// the version is a gap, however many groups there are.
func TestNoWaitForAnotherTablesLock(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.ordered()
	migration, app := b.session(), b.session()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	while := func(lock string, writes ...string) {
		t.Helper()
		b.run(migration, `BEGIN`, `LOCK TABLE `+lock+` IN ACCESS EXCLUSIVE MODE`)
		for _, sql := range writes {
			if _, err := app.Exec(ctx, sql); err != nil {
				t.Fatalf("%v\nin: %s", err, sql)
			}
		}
		b.run(migration, `ROLLBACK`)
	}
	while("lines", `UPDATE orders SET state = 'paid'`)
	locked := ": a table was locked from which it is read"
	b.wantGaps("orders/1"+locked, "orders/2"+locked, "orders/3"+locked)
	while("orders", `UPDATE lines SET qty = 1 WHERE id = 11`)
	unfound := "orders: the groups of a row of public.lines could not be found: SQLSTATE 55P03"
	b.wantGaps(unfound)
	b.wantCommands()
	// The rows of a transaction wait once, and not each; what was taken back tells nothing.
	b.exec(`INSERT INTO lines SELECT n, 3, 0 FROM generate_series(1000, 1999) n`, `DELETE FROM upkeep.commands`)
	while("orders", `BEGIN`, `SAVEPOINT s`, `UPDATE lines SET qty = 5 WHERE id >= 1000`, `ROLLBACK TO s`,
		`UPDATE lines SET qty = 6 WHERE id >= 1500`, `UPDATE lines SET qty = 6 WHERE id BETWEEN 1000 AND 1499`, `COMMIT`)
	b.wantGaps(unfound)
	b.wantCommands()
	b.exec(`DELETE FROM lines WHERE id >= 1000`, `DELETE FROM upkeep.commands`)

	// What the application has set itself stays.
	var has string
	b.run(app, `SET lock_timeout = '7s'`, `BEGIN`, `UPDATE lines SET qty = 2 WHERE id = 11`)
	b.ok(app.QueryRow(ctx, `SHOW lock_timeout`).Scan(&has))
	b.run(app, `COMMIT`, `RESET lock_timeout`, `BEGIN`, `UPDATE lines SET qty = 3 WHERE id = 11`)
	var none string
	b.ok(app.QueryRow(ctx, `SHOW lock_timeout`).Scan(&none))
	b.run(app, `COMMIT`)
	if has != "7s" || none != "0" {
		t.Errorf("lock_timeout of the application: %s and %s, want 7s and 0", has, none)
	}
	b.wantGaps()
	b.wantCommands("1: state paid 11=2 12=0 13=0 14=0", "1: state paid 11=3 12=0 13=0 14=0")
}

// Where everyone may create operators, those that somebody made for the types of
// the tables are not taken, or a person is told.
func TestOpenSchemaHasNoSay(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	role := "guest_" + b.query(`SELECT current_database()`)[0]
	b.exec(`GRANT CREATE ON SCHEMA public TO PUBLIC`, `CREATE ROLE `+role,
		`CREATE TABLE orders (ref varchar(20) PRIMARY KEY, state varchar(10))`,
		`CREATE TABLE lines (id int PRIMARY KEY, ref varchar(20), qty int)`,
		`INSERT INTO orders VALUES ('a', 'new')`, `INSERT INTO lines VALUES (1, 'a', 1)`)
	t.Cleanup(func() { b.exec(`DROP OWNED BY `+role, `DROP ROLE `+role) })
	b.exec(`SET ROLE ` + role + `; CREATE FUNCTION public.caught(varchar, varchar) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE 'caught'; END $$;
		CREATE OPERATOR public.= (FUNCTION = public.caught, LEFTARG = varchar, RIGHTARG = varchar);
		CREATE FUNCTION public.jsonb_build_object(text, varchar) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RAISE 'caught'; END $$; RESET ROLE`)
	b.migrate()
	s := b.shape("orders", table("orders"), "ref", "state")
	b.many(s, "lines", table("lines"), "ref", "id", "qty")
	s.Every = true
	b.install(s)
	b.exec(`UPDATE lines SET qty = 2 WHERE id = 1`)
	b.wantGaps()
	b.wantCommands("a: state new 1=2")
	warned := func() string {
		t.Helper()
		found, err := b.db.Rights(b.ctx, []*store.Shape{s})
		b.ok(err)
		i := slices.IndexFunc(found, func(f store.Finding) bool { return f.Subject == "schema public" })
		if i < 0 {
			return ""
		}
		return found[i].Message + " " + found[i].Fix
	}
	if got := warned(); got != "" {
		t.Errorf("warned of a schema that has no say: %s", got)
	}
	s.Root.Members[0].Where = "qty > 0"
	if got := warned(); !strings.Contains(got, "orders") || !strings.Contains(got, "REVOKE CREATE ON SCHEMA") {
		t.Errorf("warned: %q", got)
	}
	b.exec(`REVOKE CREATE ON SCHEMA public FROM PUBLIC`)
	if got := warned(); got != "" {
		t.Errorf("warned of a schema where only its owner creates: %s", got)
	}
}
