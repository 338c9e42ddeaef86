package property

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/stdlib" // driver "pgx", too
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/internal/pgtest"
	"github.com/upkeep-sync/upkeep/internal/store"
	"github.com/upkeep-sync/upkeep/postgres"
	"github.com/upkeep-sync/upkeep/sqlite"
)

// few cases make the short form; more are asked for with -rapid.checks.
const few = "15"

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if !given {
		_ = flag.Set("rapid.checks", few)
	}
	_ = flag.Set("rapid.nofailfile", "true")
	goleak.VerifyTestMain(m)
}

func TestSQLite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n, changes := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		c := &checking{T: rt, schema: drawSchema(rt, false)}
		path := filepath.Join(dir, fmt.Sprint(n, ".db"))
		c.app, c.plain = open(t, "sqlite", sqliteURL(path), ""), open(t, "sqlite", sqliteURL(path+".plain"), "")
		defer c.close()
		c.create()
		db, err := sqlite.Open(path, sqlite.Config{})
		c.ok(err)
		c.store = &spying{Database: db}
		c.run("", c.transaction)
		changes += c.changes
	})
	fmt.Fprintf(os.Stderr, "property  sqlite    cases %5d  transactions %6d\n", n, changes)
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	n, changes := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		c := onPostgres(t, rt, url, n, func(*schema) {})
		defer c.close()
		c.run(fmt.Sprintf("app %d.", n), c.transaction)
		c.app.exec(fmt.Sprintf(`drop schema "app %d" cascade`, n))
		c.plain.exec(fmt.Sprintf(`drop schema "plain %d" cascade`, n))
		changes += c.changes
	})
	fmt.Fprintf(os.Stderr, "property  postgres  cases %5d  transactions %6d\n", n, changes)
}

// onPostgres begins the n-th case on a database.
func onPostgres(t *testing.T, rt *rapid.T, url string, n int, change func(*schema)) *checking {
	c := &checking{T: rt, schema: drawSchema(rt, true)}
	change(c.schema)
	c.app = open(t, "pgx", url, fmt.Sprintf(`drop schema if exists upkeep cascade; create schema "app %[1]d"; set search_path to "app %[1]d"`, n))
	c.plain = open(t, "pgx", url, fmt.Sprintf(`create schema "plain %[1]d"; set search_path to "plain %[1]d"`, n))
	c.create()
	db, err := postgres.Open(context.Background(), url)
	c.ok(err)
	c.store = &spying{Database: db}
	return c
}

// Attached partitions have a property of their own: among all that may happen
// they are too rare to be seen in a few cases.
func TestAttachedPartitions(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		c := onPostgres(t, rt, url, n, func(s *schema) {
			s.tables[0].partitioned = true
			for i := range s.tables[0].links {
				s.tables[0].links[i].unique = false // without the key there can be none
			}
		})
		defer c.close()
		c.run(fmt.Sprintf("app %d.", n), func(ctx context.Context) {
			c.blind = true
			c.attach(ctx, c.schema.tables[0], true)
		})
		c.app.exec(fmt.Sprintf(`drop schema "app %d" cascade`, n))
		c.plain.exec(fmt.Sprintf(`drop schema "plain %d" cascade`, n))
	})
}

func sqliteURL(path string) string {
	return "file:" + path + "?_pragma=busy_timeout(20000)&_pragma=journal_mode(wal)&_pragma=foreign_keys(1)&_pragma=synchronous(off)"
}

// spying remembers what was installed.
type spying struct {
	upkeep.Database
	shapes []*store.Shape
	plan   string
}

func (s *spying) Install(ctx context.Context, shapes []*store.Shape, plan, replaces string) error {
	s.shapes, s.plan = shapes, plan
	return s.Database.Install(ctx, shapes, plan, replaces)
}

// place is one database's application.
type place struct {
	db   *sql.DB
	conn *sql.Conn
}

func open(t testing.TB, driver, url, first string) *place {
	db, err := sql.Open(driver, url)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	p := &place{db, conn}
	if first != "" {
		if err := p.exec(first); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func (p *place) exec(sql string) error {
	if command, lines, is := strings.Cut(sql, " from stdin\n"); is {
		return p.conn.Raw(func(c any) error {
			_, err := c.(*stdlib.Conn).Conn().PgConn().CopyFrom(context.Background(), strings.NewReader(lines), command+" from stdin")
			return err
		})
	}
	_, err := p.conn.ExecContext(context.Background(), sql)
	return err
}

// checking is one case.
type checking struct {
	*rapid.T
	schema     *schema
	app, plain *place // the same application, with Upkeep and without
	store      *spying
	engine     *upkeep.Engine

	before  map[string]string // composites, by root key
	seen    map[string]int64  // generations
	changes int
	blind   bool // triggers were away, or could not read the row
}

func (c *checking) ok(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

func (c *checking) close() {
	for _, p := range []*place{c.app, c.plain} {
		_ = p.conn.Close()
		_ = p.db.Close()
	}
	if c.store != nil {
		_ = c.store.Close()
	}
}

func (c *checking) create() {
	for _, sql := range c.schema.create() {
		c.ok(c.app.exec(sql))
		c.ok(c.plain.exec(sql))
		c.Log(sql)
	}
}

func (c *checking) run(prefix string, step func(context.Context)) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	remote := memory.New(memory.Config{})
	conn := remote.Connect()
	defer conn.Close()
	for range rapid.IntRange(0, 12).Draw(c.T, "rows before") {
		_ = c.both(c.schema.drawInsert(c.T)) // refused by both, or taken
	}
	var err error
	c.engine, err = upkeep.New(upkeep.Config{Database: c.store, Syncs: []upkeep.AnySync{c.schema.declaration(prefix, &upkeep.Remote{Name: "r", Connection: conn})}})
	c.ok(err)
	c.ok(c.engine.Install(ctx))
	c.seen = map[string]int64{}
	c.check(ctx)
	for range rapid.IntRange(1, 8).Draw(c.T, "transactions") {
		step(ctx)
		c.check(ctx)
	}
}

// both runs a statement in both databases. That one refuses what the other
// takes is an error of ours.
func (c *checking) both(sql string) error {
	c.Helper()
	a, b := c.app.exec(sql), c.plain.exec(sql)
	c.Log(sql, "->", b)
	if (a == nil) != (b == nil) {
		c.Fatalf("%s\nwith Upkeep: %v\nwithout: %v", sql, a, b)
	}
	return a
}

func (c *checking) transaction(ctx context.Context) {
	if rapid.IntRange(0, 3).Draw(c.T, "schema change") == 0 {
		alter := c.alterSQLite
		if c.schema.postgres {
			alter = c.alter
		}
		alter(ctx)
		return
	}
	c.changes++
	statements := c.schema.drawTransaction(c.T)
	c.ok(c.both("begin"))
	for i, sql := range statements {
		last := i == len(statements)-1
		switch {
		case last && strings.HasPrefix(sql, "prepare"):
			c.twoPhase(ctx, sql == "prepare")
			return
		case last && sql == "commit":
			if c.both(sql) != nil && !c.schema.postgres {
				c.ok(c.both("rollback")) // a deferred constraint
			}
			return
		}
		// SQLite would let it go on, but counts broken foreign keys wrong after a
		// failure, unless the table has a trigger.
		if c.both(sql) != nil {
			c.ok(c.both("rollback"))
			return
		}
	}
}

// twoPhase prepares, lets a fold pass, and ends.
func (c *checking) twoPhase(ctx context.Context, commit bool) {
	a, b := c.app.exec("prepare transaction 'with'"), c.plain.exec("prepare transaction 'without'")
	if (a == nil) != (b == nil) {
		c.Fatalf("prepare transaction\nwith Upkeep: %v\nwithout: %v", a, b)
	}
	if a != nil {
		return // a deferred constraint: rolled back
	}
	c.fold(ctx)
	word := map[bool]string{true: "commit", false: "rollback"}[commit]
	c.Log(word, "prepared")
	c.ok(c.app.exec(word + " prepared 'with'"))
	c.ok(c.plain.exec(word + " prepared 'without'"))
}

// check folds all there is, and compares.
func (c *checking) check(ctx context.Context) {
	c.Helper()
	c.fold(ctx)
	all := c.read()
	now := c.schema.recompute(all)
	groups := map[string]store.Group{}
	page, err := c.store.Groups(ctx, "all", "", store.ID{}, 10_000)
	c.ok(err)
	for _, g := range page {
		groups[g.Key] = g
	}
	keys := slices.Sorted(maps.Keys(now))
	found, _, err := c.store.Load(ctx, c.store.shapes[0], keys)
	c.ok(err)
	for _, k := range keys {
		g, there := groups[k]
		was, before := c.before[k]
		switch {
		case !there:
			c.Fatalf("row %q has no group", k)
		case g.DeleteSeen:
			c.Fatalf("row %q is there, and counts as deleted", k)
		case (!before || was != now[k]) && g.Generation == c.seen[k]:
			c.Fatalf("the composite of %q changed, and its group was not raised\nfrom %s\nto   %s", k, was, now[k])
		case found[k].Err != nil || found[k].Row == nil:
			c.Fatalf("%q was not loaded: %v", k, found[k].Err)
		}
		if got := text(loaded(c.schema.root, found[k].Row)); got != now[k] {
			c.Fatalf("%q was loaded as\n%s\nand is\n%s", k, got, now[k])
		}
	}
	for k := range c.before {
		if _, still := now[k]; still {
			continue
		}
		// A deletion that no trigger saw raises its group, and deletes nothing.
		if g := groups[k]; g.Generation == c.seen[k] || !g.DeleteSeen && !c.blind {
			c.Fatalf("row %q is gone; its group: generation %d (was %d), delete seen: %v", k, g.Generation, c.seen[k], g.DeleteSeen)
		}
	}
	c.before, c.blind = now, false
	for k, g := range groups {
		c.seen[k] = g.Generation
	}
}

// fold folds, and passes over the rows where a sweep was asked for.
func (c *checking) fold(ctx context.Context) {
	c.Helper()
	for range 1000 {
		f, err := c.store.Fold(ctx, c.store.shapes, c.store.plan, 3)
		c.ok(err)
		state, err := c.store.Sync(ctx, "all")
		c.ok(err)
		if state.Backfill.Running {
			_, err := c.store.Backfill(ctx, c.store.shapes[0], 2)
			c.ok(err)
			continue
		}
		if n, err := c.store.Pending(ctx, 1); err == nil && n == 0 && !f.More {
			return
		}
	}
	c.Fatal("the fold never comes to an end")
}

// read reads all rows, and sees that Upkeep changed nothing of them.
func (c *checking) read() content {
	c.Helper()
	var all content
	for _, tb := range c.schema.tables {
		a, err := c.app.rows(tb)
		c.ok(err)
		b, err := c.plain.rows(tb)
		c.ok(err)
		if x, y := text(a), text(b); x != y {
			c.Fatalf("table %s with Upkeep\n%s\nand without\n%s", tb.name, x, y)
		}
		all = append(all, a)
	}
	return all
}

func (p *place) rows(tb *table) (found []row, err error) {
	rows, err := p.conn.QueryContext(context.Background(), "select "+quoted(tb.columns())+" from "+quote(tb.name)+" order by "+quoted(tb.key))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close(), rows.Err()) }()
	columns := tb.columns()
	for rows.Next() {
		values := make([]any, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		r := row{}
		for i, c := range columns {
			r[c.name] = values[i]
		}
		found = append(found, r)
	}
	return found, nil
}
