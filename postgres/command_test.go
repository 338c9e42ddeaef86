package postgres_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// ordered makes three orders with four lines each, and a sync that delivers
// every version of them.
func (b *bench) ordered() *store.Shape {
	b.t.Helper()
	b.exec(`CREATE TABLE orders (id int PRIMARY KEY, state text)`,
		`CREATE TABLE lines (id int PRIMARY KEY, order_id int REFERENCES orders ON DELETE CASCADE, qty int)`,
		`CREATE INDEX ON lines (order_id)`,
		`INSERT INTO orders SELECT n, 'new' FROM generate_series(1, 3) n`,
		`INSERT INTO lines SELECT 10 * o + l, o, 0 FROM generate_series(1, 3) o, generate_series(1, 4) l`)
	b.migrate()
	s := b.shape("orders", table("orders"), "id", "state")
	b.many(s, "lines", table("lines"), "order_id", "id", "qty")
	s.Every = true
	b.install(s)
	return s
}

// commands are what waits: "key: payload" of each, with what is not certain.
func (b *bench) commands() []string {
	b.t.Helper()
	return b.query(`SELECT key || ': ' || coalesce('state ' || (payload->>'state') || coalesce((
			SELECT string_agg(format(' %s=%s', l->>'id', l->>'qty'), '' ORDER BY l->>'id') FROM jsonb_array_elements(payload->'lines') l), ''), 'deleted') || CASE WHEN unordered <> '' THEN ' (' || unordered || ')' ELSE '' END
		FROM upkeep.commands ORDER BY number`)
}

func (b *bench) wantCommands(want ...string) {
	b.t.Helper()
	if got := b.commands(); !slices.Equal(got, want) {
		b.t.Errorf("commands\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
	b.exec(`DELETE FROM upkeep.commands`)
	if got := b.query(`SELECT key FROM upkeep.command_pending`); len(got) > 0 {
		b.t.Errorf("pending after the commit: %v", got)
	}
}

func (b *bench) wantGaps(want ...string) {
	b.t.Helper()
	got := b.query(`SELECT sync || coalesce('/' || key, '') || ': ' || reason FROM upkeep.command_gaps ORDER BY id`)
	if !slices.Equal(got, want) {
		b.t.Errorf("gaps\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
	b.exec(`DELETE FROM upkeep.command_gaps`)
}

// session is a connection of the application that stays.
func (b *bench) session(settings ...string) *pgx.Conn {
	b.t.Helper()
	c, err := pgx.Connect(b.ctx, b.url)
	b.ok(err)
	b.t.Cleanup(func() { _ = c.Close(b.ctx) })
	for _, s := range settings {
		_, err := c.Exec(b.ctx, s)
		b.ok(err)
	}
	return c
}

func (b *bench) run(c *pgx.Conn, sql ...string) {
	b.t.Helper()
	for _, s := range sql {
		if _, err := c.Exec(b.ctx, s); err != nil {
			b.t.Fatalf("%v\nin: %s", err, s)
		}
	}
}

// A transaction is one version of each group that it changed, as it was at the
// commit; what was rolled back is none.
func TestCommandsOfTransactions(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.ordered()
	b.exec(`UPDATE orders SET state = 'paid' WHERE id = 1`)
	b.wantCommands("1: state paid 11=0 12=0 13=0 14=0")
	b.exec(`BEGIN; UPDATE lines SET qty = 1 WHERE id = 11; UPDATE lines SET qty = 2 WHERE id = 11; UPDATE lines SET qty = 3 WHERE id = 12; COMMIT`)
	b.wantCommands("1: state paid 11=2 12=3 13=0 14=0")
	b.exec(`UPDATE orders SET state = 'paid' WHERE id = 1`, `UPDATE lines SET qty = 2 WHERE id = 11`)
	b.wantCommands()
	b.exec(`UPDATE lines SET order_id = 2 WHERE id = 11`) // both orders have a new version
	b.wantCommands("1: state paid 12=3 13=0 14=0", "2: state new 11=2 21=0 22=0 23=0 24=0")
	b.exec(`BEGIN; UPDATE orders SET state = 'no' WHERE id = 3; ROLLBACK`)
	b.wantCommands()
	b.exec(`BEGIN; UPDATE lines SET qty = 1 WHERE id = 31; SAVEPOINT s; UPDATE lines SET qty = 2 WHERE id = 31;
		UPDATE lines SET qty = 9 WHERE id = 21; ROLLBACK TO s; COMMIT`)
	b.wantCommands("3: state new 31=1 32=0 33=0 34=0")
	b.exec(`DELETE FROM orders WHERE id = 3`)
	b.wantCommands("3: deleted")
	b.exec(`BEGIN; INSERT INTO orders VALUES (4, 'new'); DELETE FROM orders WHERE id = 4; COMMIT`)
	b.wantCommands("4: deleted")
	b.exec(`INSERT INTO orders VALUES (6, 'x')`)
	b.wantCommands("6: state x")
	b.exec(`UPDATE orders SET id = 7 WHERE id = 6`) // another key is another group
	b.wantCommands("6: deleted", "7: state x")
	b.wantGaps()
}

// Immediate constraints bring the trigger forward; still a transaction is one
// version, its last.
func TestCommandsImmediate(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.ordered()
	b.exec(`BEGIN; SET CONSTRAINTS ALL IMMEDIATE; UPDATE lines SET qty = 1 WHERE id = 11; UPDATE orders SET state = 'paid' WHERE id = 1;
		UPDATE lines SET qty = 2 WHERE order_id = 1; COMMIT`)
	b.wantCommands("1: state paid 11=2 12=2 13=2 14=2")
	b.exec(`BEGIN; SET CONSTRAINTS ALL IMMEDIATE; UPDATE lines SET qty = 3 WHERE id = 11; SAVEPOINT s; UPDATE lines SET qty = 4 WHERE id = 11;
		ROLLBACK TO s; COMMIT`)
	b.wantCommands("1: state paid 11=3 12=2 13=2 14=2")
}

// Transactions that change different rows of one group are ordered by their
// commits, and the later one's version has the earlier one's change.
func TestCommandsOfConcurrentTransactions(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.ordered()
	first, second := b.session(), b.session()
	b.run(first, `BEGIN`, `UPDATE lines SET qty = 1 WHERE id = 11`)
	b.run(second, `BEGIN`, `UPDATE lines SET qty = 2 WHERE id = 12`, `COMMIT`)
	b.run(first, `COMMIT`)
	b.wantCommands("1: state new 11=0 12=2 13=0 14=0", "1: state new 11=1 12=2 13=0 14=0")

	// One that is past its locks and not yet committed is waited for.
	b.run(first, `BEGIN`, `UPDATE lines SET qty = 3 WHERE id = 11`, `SET CONSTRAINTS ALL IMMEDIATE`)
	done := make(chan error)
	go func() {
		_, err := second.Exec(b.ctx, `UPDATE lines SET qty = 4 WHERE id = 12`)
		done <- err
	}()
	b.until(`SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()`)
	b.run(first, `COMMIT`)
	b.ok(<-done)
	b.wantCommands("1: state new 11=3 12=2 13=0 14=0", "1: state new 11=3 12=4 13=0 14=0")
}

// Transactions that would wait for each other in a circle, through our lock and
// the application's, both succeed. So does one with little time.
func TestCommandsMakeNoDeadlock(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.ordered()
	first, second := b.session(`SET statement_timeout = '800ms'`), b.session()
	b.run(first, `BEGIN`, `UPDATE lines SET qty = 1 WHERE id = 11`)
	b.run(second, `BEGIN`, `UPDATE lines SET qty = 2 WHERE id = 12`, `SET CONSTRAINTS ALL IMMEDIATE`)
	done := make(chan error)
	go func() {
		_, err := second.Exec(b.ctx, `UPDATE lines SET qty = 3 WHERE id = 11`)
		done <- err
	}()
	b.until(`SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`)
	b.run(first, `COMMIT`)
	b.ok(<-done)
	b.run(second, `COMMIT`)
	b.wantCommands("1: state new 11=1 12=0 13=0 14=0 (another transaction that had changed the group was not over in time)",
		"1: state new 11=3 12=2 13=0 14=0")
}

// A transaction that reads from one snapshot may miss what others did: its
// versions say so.
func TestCommandsOfSnapshots(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.ordered()
	b.exec(`BEGIN ISOLATION LEVEL REPEATABLE READ; UPDATE lines SET qty = qty + 1 WHERE id = 11; COMMIT`)
	b.wantCommands("1: state new 11=1 12=0 13=0 14=0 (its transaction was repeatable read, and may not have seen another one that changed the group)")
	b.wantGaps()
}

// What a serializable transaction reads may fail another one, or itself: no version
// is read there. It leaves one gap for each table, whatever was rolled back.
func TestNoCommandsOfSerializable(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.ordered()
	const gap = "orders: a SERIALIZABLE transaction changed public.lines, and to read the version could have failed it"
	c := b.session()
	for range 2 { // what was told is of a transaction, not of the session
		b.run(c, `BEGIN ISOLATION LEVEL SERIALIZABLE`, `SAVEPOINT s`, `UPDATE lines SET qty = 9 WHERE id = 11`, `ROLLBACK TO s`,
			`UPDATE lines SET qty = qty + 1`, `SAVEPOINT s`, `DELETE FROM lines WHERE id = 12`, `RELEASE s`, `UPDATE lines SET qty = qty + 1`, `COMMIT`)
		b.wantCommands()
		b.wantGaps(gap)
	}
	b.run(c, `BEGIN ISOLATION LEVEL SERIALIZABLE`, `TRUNCATE lines`, `UPDATE orders SET state = 'paid'`, `COMMIT`)
	b.wantGaps(gap, strings.Replace(gap, "lines", "orders", 1))
	b.run(c, `BEGIN ISOLATION LEVEL SERIALIZABLE`, `SELECT upkeep.command('orders', '1', '{"id": 1}')`, `COMMIT`)
	b.wantGaps("orders/1: it was asked for in a SERIALIZABLE transaction, and to read it could have failed that")
	b.wantCommands()
	b.run(c, `UPDATE orders SET state = 'new' WHERE id = 1`)
	b.wantCommands("1: state new")
	b.wantGaps()

	// Where all are serializable they are many: of those that are alike one a minute is kept.
	b.exec(`INSERT INTO upkeep.command_gaps (sync, key, at, reason) SELECT 'orders', k, date_trunc('minute', now()) - n * interval '20 seconds', 'why'
		FROM generate_series(1, 6) n, (VALUES (NULL), ('1')) x(k)`)
	b.ok(b.db.Prune(b.ctx, time.Hour))
	if got := b.query(`SELECT count(*) FILTER (WHERE key IS NULL) || ' ' || count(key) FROM upkeep.command_gaps`)[0]; got != "2 6" {
		t.Errorf("gaps of the sync and of a group: %s, want 2 and 6", got)
	}
}

// A prepared transaction holds its place among the others.
func TestCommandsOfPreparedTransactions(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.ordered()
	b.exec(`BEGIN; UPDATE lines SET qty = 1 WHERE id = 11; PREPARE TRANSACTION 'one'`)
	b.wantCommands()
	b.exec(`COMMIT PREPARED 'one'`)
	b.wantCommands("1: state new 11=1 12=0 13=0 14=0")
	b.exec(`BEGIN; UPDATE lines SET qty = 2 WHERE id = 11; PREPARE TRANSACTION 'two'`, `ROLLBACK PREPARED 'two'`)
	b.wantCommands()
}

// What can't be captured is a gap, and the application's write goes through.
func TestCommandGaps(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.ordered()
	b.exec(`TRUNCATE lines`)
	b.wantGaps("orders: public.lines was truncated")
	b.exec(`INSERT INTO lines VALUES (11, 1, 0)`, `DELETE FROM upkeep.commands`)

	// A loaded column was renamed: PostgreSQL tells the trigger, not the function.
	b.exec(`ALTER TABLE lines RENAME qty TO quantity`, `UPDATE lines SET quantity = 7 WHERE id = 11`)
	b.wantCommands()
	got := b.query(`SELECT sync || coalesce('/' || key, '') || ': ' || reason FROM upkeep.command_gaps ORDER BY id`)
	if len(got) == 0 || !strings.Contains(strings.Join(got, "\n"), "42703") {
		t.Errorf("gaps after a rename: %v", got)
	}
	b.exec(`DELETE FROM upkeep.command_gaps`, `ALTER TABLE lines RENAME quantity TO qty`)

	// A column goes in one step, as with the touch triggers; what changes before
	// the triggers are back is a gap.
	b.exec(`BEGIN; SELECT upkeep.release('lines'); ALTER TABLE lines DROP COLUMN qty; COMMIT`)
	b.exec(`UPDATE lines SET order_id = 2 WHERE id = 11`)
	s.Root.Members[0].Columns = s.Root.Members[0].Columns[:1]
	b.install(s)
	b.wantGaps("orders: the triggers on public.lines were away until now")
	b.exec(`UPDATE lines SET order_id = 1 WHERE id = 11`)
	b.wantCommands("1: state new 11=", "2: state new")
}

// The application's role needs no right in our schema.
func TestCommandsOfAnotherRole(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.ordered()
	b.exec(`CREATE ROLE `+b.role()+` LOGIN`, `GRANT ALL ON orders, lines TO `+b.role(),
		`ALTER TABLE lines OWNER TO `+b.role(), `ALTER TABLE orders OWNER TO `+b.role())
	t.Cleanup(func() {
		b.exec(`REASSIGN OWNED BY `+b.role()+` TO postgres`, `DROP OWNED BY `+b.role(), `DROP ROLE `+b.role())
	})
	app := b.session(`SET ROLE ` + b.role())
	b.run(app, `UPDATE lines SET qty = 1 WHERE id = 11`)
	b.wantCommands("1: state new 11=1 12=0 13=0 14=0")
	b.wantGaps()
}

// A row that belongs to very many groups is a gap and not a thousand reads at
// the application's commit; one transaction over many groups is captured whole.
func TestCommandsOfManyGroups(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE customers (id int PRIMARY KEY, name text)`,
		`CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customers, state text)`, `CREATE INDEX ON orders (customer_id)`,
		`INSERT INTO customers VALUES (1, 'a'), (2, 'b')`,
		`INSERT INTO orders SELECT n, CASE WHEN n <= 1001 THEN 1 ELSE 2 END, 'new' FROM generate_series(1, 1051) n`)
	b.migrate()
	s := b.shape("orders", table("orders"), "id", "state")
	m := b.member(table("customers"), "name")
	info, err := b.db.Table(b.ctx, table("orders"))
	b.ok(err)
	m.Name, m.Relation, m.Via, m.To = "customer", store.BelongsTo, b.columns(info, "customer_id"), m.Key
	s.Root.Members = append(s.Root.Members, m)
	s.Every = true
	b.install(s)
	b.exec(`UPDATE customers SET name = 'A' WHERE id = 1`)
	b.wantGaps("orders: a row of public.customers belongs to more than 1000 groups")
	b.exec(`UPDATE customers SET name = 'B' WHERE id = 2`, `UPDATE orders SET state = 'paid'`)
	if got := b.query(`SELECT count(*) || ' ' || count(DISTINCT key) FROM upkeep.commands WHERE unordered = ''`); got[0] != "1101 1051" {
		t.Errorf("commands and groups: %s", got[0])
	}
	b.wantGaps()
}

// The oracle of random transactions: a version is the one before it with the
// changes of its own transaction, and every committed transaction is one.
func TestCommandsOfRandomTransactions(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.ordered()
	const workers, rounds = 8, 40
	type change struct{ line, qty int }
	var mu sync.Mutex
	changes := map[string][]change{} // by transaction
	var wg sync.WaitGroup
	for w := range workers {
		random := rand.New(rand.NewPCG(uint64(w), 42))
		c := b.session()
		wg.Go(func() {
			for n := range rounds {
				if err := func() error {
					tx, err := c.Begin(b.ctx)
					if err != nil {
						return err
					}
					defer tx.Rollback(b.ctx)
					var own []change
					// In one order, so that the application makes no deadlock itself.
					for order := 1; order <= 3; order++ {
						for line := 1; line <= 4; line++ {
							if random.IntN(6) > 0 {
								continue
							}
							ch := change{10*order + line, 1 + w*rounds + n}
							back := random.IntN(4) == 0
							sql := fmt.Sprintf(`UPDATE lines SET qty = %d WHERE id = %d`, ch.qty, ch.line)
							if back {
								sql = "SAVEPOINT s; " + sql + "; ROLLBACK TO s"
							} else {
								own = append(own, ch)
							}
							if _, err := tx.Exec(b.ctx, sql); err != nil {
								return err
							}
						}
					}
					if random.IntN(8) == 0 {
						return nil
					}
					var xid string
					if err := tx.QueryRow(b.ctx, `SELECT pg_current_xact_id()::text`).Scan(&xid); err != nil {
						return err
					}
					mu.Lock()
					changes[xid] = own
					mu.Unlock()
					return tx.Commit(b.ctx)
				}(); err != nil {
					t.Errorf("a transaction of the application failed: %v", err)
				}
			}
		})
	}
	wg.Wait()
	versions := 0
	for order := 1; order <= 3; order++ {
		state := map[string]any{}
		for line := 1; line <= 4; line++ {
			state[fmt.Sprint(10*order+line)] = 0.0
		}
		seen := map[string]bool{}
		for _, text := range b.query(`SELECT jsonb_build_array(xid::text, unordered, (SELECT jsonb_object_agg(l->>'id', l->'qty') FROM jsonb_array_elements(payload->'lines') l))::text
			FROM upkeep.commands WHERE key = $1 ORDER BY number`, fmt.Sprint(order)) {
			var row []any
			b.ok(json.Unmarshal([]byte(text), &row))
			xid := row[0].(string)
			for _, ch := range changes[xid] {
				if ch.line/10 == order {
					state[fmt.Sprint(ch.line)] = float64(ch.qty)
				}
			}
			if fmt.Sprint(row[2]) != fmt.Sprint(state) || row[1] != "" || seen[xid] {
				t.Fatalf("order %d, transaction %s (%s): version %v, want %v", order, xid, row[1], row[2], state)
			}
			seen[xid] = true
			versions++
		}
		for xid, own := range changes {
			concerned := slices.ContainsFunc(own, func(ch change) bool { return ch.line/10 == order })
			if concerned != seen[xid] {
				t.Errorf("transaction %s changed order %d: %t, a command: %t", xid, order, concerned, seen[xid])
			}
		}
	}
	t.Logf("%d versions of %d transactions", versions, len(changes))
	b.wantGaps()
}

// until waits for a condition.
func (b *bench) until(sql string) {
	b.t.Helper()
	for range 10_000 {
		if b.query(`SELECT (` + sql + `)::text`)[0] == "true" {
			return
		}
	}
	b.t.Fatalf("it never became true: %s", sql)
}

// role is a role's name of this test.
func (b *bench) role() string {
	return "app_" + b.url[strings.LastIndex(b.url, "/")+1:strings.Index(b.url, "?")]
}

// The functions that read composites are a part of the capture: one that is
// missing or altered is told, planned and put back.
func TestComposeFunctionsAreExamined(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.ordered()
	look := func(action string) {
		t.Helper()
		found, err := b.db.Inspect(b.ctx, []*store.Shape{s})
		b.ok(err)
		changes, err := b.db.Preview(b.ctx, []*store.Shape{s})
		b.ok(err)
		if action == "" {
			if len(found)+len(changes) > 0 {
				t.Errorf("found %+v, planned %+v; want nothing", found, changes)
			}
			return
		}
		if len(found) != 1 || found[0].Subject != s.Sync || !strings.Contains(found[0].Message, "missing or was altered") {
			t.Errorf("found %+v", found)
		}
		if len(changes) != 1 || changes[0].Action != action || !strings.HasPrefix(changes[0].Trigger, "compose_") {
			t.Errorf("planned %+v, want one to %s", changes, action)
		}
	}
	look("")
	name := b.query(`SELECT proname::text FROM pg_proc WHERE proname LIKE 'compose\_%'`)[0]
	b.exec(`DROP FUNCTION upkeep.` + name + `(jsonb)`)
	look("create")
	b.install(s)
	look("")
	b.exec(`CREATE OR REPLACE FUNCTION upkeep.` + name + `(jsonb) RETURNS jsonb STABLE LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'`)
	look("replace")
	b.install(s)
	look("")
	b.exec(`UPDATE orders SET state = 'paid' WHERE id = 1`)
	b.wantCommands("1: state paid 11=0 12=0 13=0 14=0")
}
