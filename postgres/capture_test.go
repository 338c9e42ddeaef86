package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// An update is a touch when the stored value differs, even if the type's own
// equality says it does not.
func TestUpdateComparesStoredValues(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE EXTENSION citext`, `CREATE DOMAIN price AS numeric`, `CREATE TYPE mood AS ENUM ('a', 'b')`,
		`CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`,
		`CREATE TABLE t (id int PRIMARY KEY, n numeric, c citext, j json, jb jsonb, f float8, x xml, a int[], d price,
			e mood, nc text COLLATE nocase, txt text, ch char(5), ts timestamptz, p numeric(8,2), other int)`)
	b.migrate()
	s := b.shape("s", table("t"), "n", "c", "j", "jb", "f", "x", "a", "d", "e", "nc", "txt", "ch", "ts", "p")
	b.install(s)
	b.exec(`INSERT INTO t (id) VALUES (1)`)
	b.fold(s)
	for _, c := range []struct {
		set  string
		want int
	}{
		{"n = 1.0", 1}, {"n = 1.00", 1}, {"n = 1.00", 0}, {"n = 'NaN'", 1}, {"n = 'NaN'", 0},
		{"c = 'abc'", 1}, {"c = 'ABC'", 1}, {"c = 'ABC'", 0},
		{`j = '{"a":1}'`, 1}, {`j = '{"a": 1}'`, 1}, {`j = '{"a": 1}'`, 0}, {`j = '"\u0000"'`, 1},
		{`jb = '{"a":1.0}'`, 1}, {`jb = '{"a":1.00}'`, 1}, {`jb = '{"a":1.00}'`, 0},
		{"f = 0", 1}, {"f = '-0'", 1}, {"f = 'NaN'", 1}, {"f = 'NaN'", 0},
		{"x = '<a/>'", 1}, {"x = '<a></a>'", 1}, {"x = '<a></a>'", 0},
		{"a = '{1,2}'", 1}, {"a = '{1,2}'", 0}, {"d = 1.0", 1}, {"d = 1.00", 1}, {"d = 1.00", 0},
		{"e = 'a'", 1}, {"e = 'b'", 1}, {"e = 'b'", 0},
		{"nc = 'abc'", 1}, {"nc = 'ABC'", 1}, {"nc = 'ABC'", 0},
		{"txt = ''", 1}, {"txt = NULL", 1}, {"txt = repeat('x', 100000)", 1}, {"txt = repeat('x', 100000)", 0},
		{"ch = 'a'", 1}, {"ch = 'a  '", 0}, {"ts = '2026-01-01 00:00Z'", 1}, {"ts = '2026-01-01 01:00+01'", 0},
		{"p = 1", 1}, {"p = 1.00", 0}, {"p = 1.01", 1}, {"p = 'NaN'", 1}, {"p = 'NaN'", 0}, {"p = NULL", 1},
		{"other = 1", 0}, {"id = id", 0},
	} {
		b.exec(`UPDATE t SET ` + c.set)
		b.folds(c.want, c.set, s)
	}
}

// A value that can't be made jsonb may not make a write of the application
// fail.
func TestValuesThatJSONRefuses(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE t (id int PRIMARY KEY, j json, watched text)`)
	b.migrate()
	s := b.shape("s", table("t"), "watched", "j")
	b.install(s)
	b.exec(`INSERT INTO t VALUES (1, '{"a":"\u0000","b":1e999999,"c":"\ud800"}', 'x')`,
		`UPDATE t SET watched = 'y'`, `UPDATE t SET j = '"\u0000 "'`, `DELETE FROM t`)
	b.folds(0, "made and gone again", s)
}

// The function runs for a role that has no right on the schema upkeep, and
// nothing the role does can lead it astray.
func TestRoleWithoutRights(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	role := "app_" + strings.TrimPrefix(b.query(`SELECT current_database()`)[0], "test_")
	b.exec(`CREATE TABLE t (id int PRIMARY KEY, v text)`, `CREATE ROLE `+role, `GRANT INSERT, UPDATE, DELETE, SELECT ON t TO `+role,
		`GRANT TEMPORARY ON DATABASE `+b.query(`SELECT current_database()`)[0]+` TO `+role)
	t.Cleanup(func() { b.exec(`DROP OWNED BY `+role, `DROP ROLE `+role) })
	b.migrate()
	s := b.shape("s", table("t"), "v")
	b.install(s)
	c, err := b.app.Acquire(b.ctx)
	b.ok(err)
	defer func() { _ = c.Conn().Close(b.ctx); c.Release() }()
	for _, sql := range []string{`SET ROLE ` + role,
		`CREATE TEMP TABLE touch (tbl text, op text, old jsonb, new jsonb, columns text[])`,
		`CREATE TEMP TABLE pg_attribute (attrelid oid, attname name, attisdropped bool)`,
		`CREATE FUNCTION pg_temp.array_remove(text[], text) RETURNS text[] LANGUAGE sql AS 'SELECT 1/0::text[]'`,
		`SET search_path = pg_temp, public`,
		`INSERT INTO t VALUES (1, 'a')`, `UPDATE t SET v = 'b'`} {
		if _, err := c.Exec(b.ctx, sql); err != nil && !strings.Contains(sql, "array_remove") {
			t.Fatalf("%v\nin: %s", err, sql)
		}
	}
	b.folds(1, "what the role wrote", s)
	for _, sql := range []string{`SELECT * FROM upkeep.touch`, `INSERT INTO upkeep.touch (op) VALUES ('sweep')`,
		`SELECT upkeep.touch('s', '1')`, `SELECT upkeep.release('t')`, `SELECT secret FROM upkeep.settings`} {
		_, err := c.Exec(b.ctx, sql)
		if err == nil {
			t.Errorf("a role without rights may: %s", sql)
		}
	}
}

// The function runs with Upkeep's rights and under the caller's search path:
// no operator, function or type that the caller puts in front may be taken for
// the server's own.
func TestSearchPathHasNoSay(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	name := b.query(`SELECT current_database()`)[0]
	role := "evil_" + name
	b.exec(`CREATE TABLE public.t (id int PRIMARY KEY, v text, n numeric, u uuid)`, `CREATE ROLE `+role,
		`GRANT INSERT, UPDATE, DELETE, SELECT ON t TO `+role, `CREATE SCHEMA evil AUTHORIZATION `+role, `GRANT TEMPORARY ON DATABASE `+name+` TO `+role)
	t.Cleanup(func() { b.exec(`DROP OWNED BY `+role, `DROP ROLE `+role) })
	b.migrate()
	s := b.shape("s", table("t"), "v", "n", "u")
	b.install(s)
	c, err := b.app.Acquire(b.ctx)
	b.ok(err)
	defer func() { _ = c.Conn().Close(b.ctx); c.Release() }()
	run := func(sql string) {
		t.Helper()
		if _, err := c.Exec(b.ctx, sql); err != nil {
			t.Fatalf("%v\nin: %s", err, sql)
		}
	}
	run(`SET ROLE ` + role)
	run(`SET search_path = evil`)
	for _, typ := range []string{"text", "int4", "bool", "numeric", "uuid", "int8", "oid", "name", "record"} {
		f := "caught_" + typ
		run(`CREATE FUNCTION ` + f + `(pg_catalog.` + typ + `, pg_catalog.` + typ + `) RETURNS pg_catalog.bool LANGUAGE plpgsql AS $$ BEGIN RAISE 'caught'; END $$`)
		for _, operator := range []string{"=", "<>", "*<>", "||"} {
			if typ != "record" {
				run(`CREATE OPERATOR evil.` + operator + ` (FUNCTION = ` + f + `, LEFTARG = pg_catalog.` + typ + `, RIGHTARG = pg_catalog.` + typ + `)`)
			}
		}
	}
	for _, f := range []string{`array_remove(pg_catalog.anyarray, pg_catalog.anyelement)`, `jsonb_build_object(VARIADIC pg_catalog."any")`,
		`record_image_ne(pg_catalog.record, pg_catalog.record)`, `record_image_eq(pg_catalog.record, pg_catalog.record)`, `count()`, `lower(pg_catalog.text)`, `clock()`, `clock_timestamp()`, `pg_current_xact_id()`} {
		if strings.Contains(f, `"any"`) {
			continue // only C functions take it
		}
		run(`CREATE FUNCTION evil.` + f + ` RETURNS pg_catalog.void LANGUAGE plpgsql AS $$ BEGIN RAISE 'caught'; END $$`)
	}
	run(`CREATE TABLE evil.pg_attribute (attrelid pg_catalog.int4)`)
	run(`CREATE DOMAIN evil.jsonb AS pg_catalog.text CHECK (value IS NULL)`)
	run(`CREATE DOMAIN evil.name AS pg_catalog.text CHECK (value IS NULL)`)
	run(`CREATE DOMAIN pg_temp.jsonb AS pg_catalog.text CHECK (value IS NULL)`)
	run(`CREATE TEMP TABLE touch (tbl pg_catalog.text)`)
	run(`SET search_path = evil, pg_temp, pg_catalog`)
	run(`INSERT INTO public.t VALUES (1, 'a', 1)`)
	run(`UPDATE public.t SET v = 'b', n = 2, u = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'`)
	run(`UPDATE public.t SET id = 2`)
	run(`DELETE FROM public.t`)
	b.exec(`ALTER TABLE public.t RENAME v TO renamed`)
	run(`INSERT INTO public.t VALUES (1, 'a', 1)`)
	run(`UPDATE public.t SET renamed = 'b'`)
	b.exec(`ALTER TABLE public.t RENAME id TO key`)
	run(`UPDATE public.t SET renamed = 'c'`)
	got := b.query(`SELECT concat_ws(' ', tbl, op, old, new, columns) FROM upkeep.touch ORDER BY id`)
	want := []string{
		`public.t insert {"id": 1}`, `public.t update {"id": 1} {n,u,v}`, `public.t update {"id": 1} {"id": 2} {id}`,
		`public.t delete {"id": 2}`, `public.t insert {"id": 1}`, `public.t update {"id": 1}`, `public.t sweep`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("the log has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestTwoPhaseCommit(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE t (id int PRIMARY KEY, v text)`)
	b.migrate()
	s := b.shape("s", table("t"), "v")
	b.install(s)
	name := b.query(`SELECT current_database()`)[0]
	c, err := b.app.Acquire(b.ctx)
	b.ok(err)
	defer c.Release()
	for _, sql := range []string{`BEGIN`, `INSERT INTO t VALUES (1, 'a')`, `PREPARE TRANSACTION '` + name + `'`} {
		if _, err := c.Exec(b.ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	b.exec(`INSERT INTO t VALUES (2, 'later, but earlier committed')`)
	b.folds(1, "before the commit", s)
	b.exec(`COMMIT PREPARED '` + name + `'`)
	b.folds(1, "after the commit", s)
}

// The owner of a partitioned table, who has no right on anything of Upkeep's,
// makes and attaches partitions as before.
func TestPartitionsByTheirOwner(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	owner := "owner_" + strings.TrimPrefix(b.query(`SELECT current_database()`)[0], "test_")
	t.Cleanup(func() { b.exec(`DROP OWNED BY `+owner+` CASCADE`, `DROP ROLE `+owner) })
	b.exec(`CREATE ROLE `+owner, `GRANT CREATE ON SCHEMA public TO `+owner,
		`CREATE TABLE t (id int, v text, PRIMARY KEY (id)) PARTITION BY RANGE (id)`,
		`CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (100) PARTITION BY RANGE (id)`,
		`ALTER TABLE t OWNER TO `+owner, `ALTER TABLE t1 OWNER TO `+owner)
	b.migrate()
	s := b.shape("s", table("t"), "v")
	b.install(s)
	b.exec(`SET ROLE `+owner+`; CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (100) TO (200); RESET ROLE`,
		`SET ROLE `+owner+`; CREATE TABLE t11 PARTITION OF t1 FOR VALUES FROM (0) TO (50); RESET ROLE`,
		`SET ROLE `+owner+`; CREATE TABLE t3 (LIKE t); ALTER TABLE t3 ADD PRIMARY KEY (id); ALTER TABLE t ATTACH PARTITION t3 FOR VALUES FROM (200) TO (300); RESET ROLE`,
		`SET ROLE `+owner+`; INSERT INTO t VALUES (1, 'a'), (120, 'b'), (220, 'c'); RESET ROLE`)
	b.folds(3, "in partitions of the owner's", s)
}

func TestPartitions(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE t (id int, v text, PRIMARY KEY (id)) PARTITION BY RANGE (id)`,
		`CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (100)`,
		`CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (100) TO (200) PARTITION BY RANGE (id)`,
		`CREATE TABLE t2a PARTITION OF t2 FOR VALUES FROM (100) TO (150)`)
	b.migrate()
	s := b.shape("s", table("t"), "v")
	b.install(s)
	b.exec(`INSERT INTO t VALUES (1, 'a'), (120, 'b')`)
	b.folds(2, "through the parent", s)
	b.exec(`INSERT INTO t1 VALUES (2, 'a')`, `UPDATE t2a SET v = 'c'`)
	b.folds(2, "through the partitions", s)
	b.exec(`ANALYZE t`)
	info, err := b.db.Table(b.ctx, s.Root.Table)
	b.ok(err)
	if info.Rows != 3 {
		t.Errorf("a partitioned table of 3 rows is told with %d", info.Rows)
	}
	b.exec(`UPDATE t SET id = 121 WHERE id = 1`)
	b.folds(2, "a row that moves to another partition", s)
	if !b.group("s", "1").DeleteSeen || b.group("s", "121").DeleteSeen {
		t.Error("DeleteSeen does not follow the key")
	}
	b.exec(`SET session_replication_role = replica; UPDATE t SET v = 'x' WHERE id = 121`)
	b.exec(`RESET session_replication_role`)
	b.folds(1, "as a replica", s)
	b.intact(s)
	b.exec(`CREATE TABLE t3 PARTITION OF t FOR VALUES FROM (200) TO (300)`)
	found, err := b.db.Inspect(b.ctx, []*store.Shape{s})
	b.ok(err)
	if len(found) == 0 {
		t.Error("a new partition without a truncate trigger is not reported")
	}
	b.exec(`INSERT INTO t VALUES (201, 'new partition')`)
	b.install(s)
	b.intact(s)
	b.fold(s)
	b.pass(s, 100)
	b.syncAll(s)
	b.exec(`TRUNCATE t2`)
	b.fold(s)
	if !b.group("s", "121").DeleteSeen {
		t.Error("a truncated partition goes unseen")
	}
}

// intact checks that Inspect finds nothing.
func (b *bench) intact(shapes ...*store.Shape) {
	b.t.Helper()
	found, err := b.db.Inspect(b.ctx, shapes)
	b.ok(err)
	if len(found) > 0 {
		b.t.Errorf("capture is not intact: %+v", found)
	}
}

func TestInheritance(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE t (id int PRIMARY KEY, v text)`, `CREATE TABLE child (extra int) INHERITS (t)`)
	b.migrate()
	s := b.shape("s", table("t"), "v")
	b.install(s)
	b.exec(`INSERT INTO child VALUES (7, 'a', 1)`)
	b.folds(1, "a child's row", s)
	b.exec(`UPDATE child SET extra = 2`)
	b.folds(0, "a column that only the child has", s)
	b.exec(`SELECT upkeep.release('child')`)
	if n := b.query(`SELECT count(*)::text FROM pg_trigger WHERE tgname LIKE 'upkeep%' AND tgrelid = 'child'::regclass`); n[0] != "0" {
		t.Errorf("release left %s triggers on the child", n)
	}
	b.install(s)
	b.intact(s)
}

func TestCopyUpsertAndTruncate(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE o (id int PRIMARY KEY, v text)`,
		`CREATE TABLE l (id int PRIMARY KEY, o_id int REFERENCES o ON DELETE SET NULL ON UPDATE CASCADE, q int)`, `CREATE INDEX ON l (o_id)`)
	b.migrate()
	s := b.shape("s", table("o"), "v")
	b.many(s, "lines", table("l"), "o_id", "q")
	b.install(s)
	_, err := b.app.CopyFrom(b.ctx, pgx.Identifier{"o"}, []string{"id", "v"}, pgx.CopyFromRows([][]any{{1, "a"}, {2, "b"}, {3, "c"}}))
	b.ok(err)
	b.folds(3, "COPY", s)
	b.exec(`INSERT INTO l VALUES (1, 1, 1), (2, 2, 2)`)
	b.folds(2, "lines", s)
	b.exec(`UPDATE o SET id = 9 WHERE id = 2`)
	b.folds(2, "a key change that cascades", s)
	b.exec(`DELETE FROM o WHERE id = 1`)
	b.folds(1, "a delete that sets NULL", s)
	b.syncAll(s)
	b.exec(`TRUNCATE l`)
	b.folds(4, "truncate of a member", s)
	if b.group("s", "9").DeleteSeen {
		t.Error("a truncated member is taken for the root's deletion")
	}
	b.exec(`TRUNCATE o, l`)
	b.fold(s)
	if !b.group("s", "9").DeleteSeen {
		t.Error("the truncated root's groups are not seen as deleted")
	}
}

// No write of the application may fail after a column was renamed.
func TestRenamedColumns(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE o (id int PRIMARY KEY, v text)`,
		`CREATE TABLE l (id int PRIMARY KEY, o_id int, q int)`, `CREATE INDEX ON l (o_id)`,
		`INSERT INTO o VALUES (1, 'a'), (2, 'b')`)
	b.migrate()
	s := b.shape("s", table("o"), "v")
	b.many(s, "lines", table("l"), "o_id", "q")
	b.install(s)
	b.ok(b.db.StartBackfill(b.ctx, "s", "1", false, false))
	b.pass(s, 100)
	b.syncAll(s)
	// The same session, so that its cached plans know the old names.
	c, err := b.app.Acquire(b.ctx)
	b.ok(err)
	defer c.Release()
	run := func(sql string) {
		t.Helper()
		if _, err := c.Exec(b.ctx, sql); err != nil {
			t.Fatalf("%v\nin: %s", err, sql)
		}
	}
	run(`INSERT INTO l VALUES (1, 1, 1), (2, 2, 1)`)
	b.folds(2, "before the rename", s)
	run(`ALTER TABLE l RENAME q TO quantity`)
	run(`UPDATE l SET quantity = 5 WHERE id = 1`)
	run(`INSERT INTO l VALUES (3, 2, 1)`)
	b.folds(2, "a watched column renamed: the keys still lead", s)
	run(`ALTER TABLE l RENAME o_id TO parent`)
	run(`UPDATE l SET quantity = 6 WHERE id = 1`)
	run(`DELETE FROM l WHERE id = 3`)
	b.fold(s)
	if st, err := b.db.Sync(b.ctx, "s"); err != nil || !st.Backfill.Running {
		t.Errorf("a key column renamed: no sweep is under way (%+v, %v)", st, err)
	}
}

// A migration puts another column in the place of one, under its name: the writes of
// sessions that knew the old one go on, and are captured, whatever type it has.
func TestSwappedColumns(t *testing.T) {
	t.Parallel()
	for _, become := range []string{"text", "json", "integer", "point"} {
		t.Run(become, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.exec(`CREATE TABLE o (id varchar(20) PRIMARY KEY, v varchar(20), w int)`, `INSERT INTO o VALUES ('1', '1', 1)`)
			b.migrate()
			s := b.shape("s", table("o"), "v", "w")
			b.install(s)
			b.ok(b.db.StartBackfill(b.ctx, "s", "1", false, false))
			b.pass(s, 100)
			b.syncAll(s)
			old, err := b.app.Acquire(b.ctx)
			b.ok(err)
			defer old.Release()
			_, err = old.Exec(b.ctx, `UPDATE o SET w = w + 1`)
			b.ok(err)
			b.folds(1, "before", s)
			for _, column := range []string{"v", "id"} {
				b.exec(fmt.Sprintf(`ALTER TABLE o ADD %[1]s_new %[2]s; ALTER TABLE o RENAME %[1]s TO %[1]s_old; ALTER TABLE o RENAME %[1]s_new TO %[1]s`, column, become))
				if column == "id" {
					b.exec(`ALTER TABLE o DROP CONSTRAINT o_pkey`, `ALTER TABLE o ALTER id_old DROP NOT NULL`)
				}
				if column == "id" {
					if _, err := old.Exec(b.ctx, `INSERT INTO o (w) VALUES (7); DELETE FROM o WHERE w = 7`); err != nil {
						t.Errorf("a session that knew the old key: %v", err)
					}
				}
				if _, err := old.Exec(b.ctx, `UPDATE o SET w = w + 1`); err != nil {
					t.Errorf("%s, a session that knew the old one: %v", column, err)
				}
				if column == "v" {
					b.folds(1, "a watched column is another: the key still leads", s)
				}
				young, err := pgx.Connect(b.ctx, b.url)
				b.ok(err)
				if _, err := young.Exec(b.ctx, `UPDATE o SET w = w + 1`); err != nil {
					t.Errorf("%s, a session that is new: %v", column, err)
				}
				b.ok(young.Close(b.ctx))
			}
		})
	}
}

// A trigger that was dropped or disabled behind our back is reported, put
// back, and what was missed is swept.
func TestGapIsSwept(t *testing.T) {
	t.Parallel()
	for _, harm := range []string{
		`DROP TRIGGER %s ON t`, `ALTER TABLE t DISABLE TRIGGER %s`, `ALTER TABLE t ENABLE REPLICA TRIGGER %s`} {
		t.Run(harm, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.exec(`CREATE TABLE t (id int PRIMARY KEY, v text)`, `INSERT INTO t VALUES (1, 'a')`)
			b.migrate()
			s := b.shape("s", table("t"), "v")
			b.install(s)
			b.folds(0, "the first install", s)
			b.intact(s)
			trigger := b.query(`SELECT quote_ident(tgname) FROM pg_trigger WHERE tgname LIKE 'upkeep\_update%'`)[0]
			b.exec(fmt.Sprintf(harm, trigger), `UPDATE t SET v = 'b'`)
			found, err := b.db.Inspect(b.ctx, []*store.Shape{s})
			b.ok(err)
			if len(found) != 1 || found[0].Severity != store.Problem {
				t.Errorf("findings: %+v", found)
			}
			b.install(s)
			b.intact(s)
			b.fold(s)
			if st, _ := b.db.Sync(b.ctx, "s"); !st.Backfill.Running {
				t.Error("no sweep began")
			}
		})
	}
}

func TestInstallTouchesNothingThatIsRight(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE t (id int PRIMARY KEY, v text)`)
	b.migrate()
	s := b.shape("s", table("t"), "v")
	b.install(s)
	before := b.query(`SELECT oid::text || xmin::text FROM pg_trigger UNION ALL SELECT oid::text || xmin::text FROM pg_proc WHERE pronamespace = 'upkeep'::regnamespace ORDER BY 1`)
	// A reader in an open transaction would hold up any change of the table.
	tx, err := b.app.Begin(b.ctx)
	b.ok(err)
	_, err = tx.Exec(b.ctx, `INSERT INTO t VALUES (1)`)
	b.ok(err)
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
	defer cancel()
	b.ok(b.db.Install(ctx, []*store.Shape{s}, plan, ""))
	b.ok(tx.Rollback(b.ctx))
	after := b.query(`SELECT oid::text || xmin::text FROM pg_trigger UNION ALL SELECT oid::text || xmin::text FROM pg_proc WHERE pronamespace = 'upkeep'::regnamespace ORDER BY 1`)
	if !slices.Equal(before, after) {
		t.Error("the second install changed something")
	}
}

// Install waits for a long transaction without making others wait, and gives
// up when its context ends.
func TestInstallYields(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE t (id int PRIMARY KEY, v text)`)
	b.migrate()
	s := b.shape("s", table("t"), "v")
	tx, err := b.app.Begin(b.ctx)
	b.ok(err)
	_, err = tx.Exec(b.ctx, `INSERT INTO t VALUES (1)`)
	b.ok(err)
	ctx, cancel := context.WithTimeout(b.ctx, 500*time.Millisecond)
	defer cancel()
	err = b.db.Install(ctx, []*store.Shape{s}, plan, "")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("install against a long transaction: %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- b.db.Install(b.ctx, []*store.Shape{s}, plan, "") }()
	b.exec(`INSERT INTO t VALUES (2)`) // is not held up for longer than the lock timeout
	b.ok(tx.Commit(b.ctx))
	b.ok(<-done)
	b.intact(s)
}

func TestUninstallLeavesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE t (id int, v text, PRIMARY KEY (id)) PARTITION BY RANGE (id)`,
		`CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (100)`, `CREATE TABLE "we ""ird" (id int PRIMARY KEY, v text)`)
	before := b.objects(t)
	b.migrate()
	b.install(b.shape("s", table("t"), "v"), b.shape("w", table(`we "ird`), "v"))
	b.ok(b.db.Uninstall(b.ctx))
	if after := b.objects(t); !slices.Equal(before, after) {
		for _, o := range after {
			if !slices.Contains(before, o) {
				t.Errorf("left behind: %s", o)
			}
		}
	}
	b.ok(b.db.Uninstall(b.ctx))
}

func TestOddNames(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	long := strings.Repeat("l", 63)
	names := []string{`a"b'c`, `select`, `with space`, `ünïcödé 🚢`, long, `pct %s %d`, `back\slash`, `Mixed`, `$1`, `x.y`}
	for _, n := range names {
		q := pgx.Identifier{n}.Sanitize()
		b.exec(`CREATE TABLE ` + q + ` (` + q + ` int PRIMARY KEY, "v ` + strings.ReplaceAll(n[:min(len(n), 8)], `"`, `""`) + `" text)`)
	}
	b.migrate()
	var shapes []*store.Shape
	for _, n := range names {
		shapes = append(shapes, b.shape(n, table(n), n, "v "+n[:min(len(n), 8)]))
	}
	b.install(shapes...)
	b.intact(shapes...)
	for _, n := range names {
		q := pgx.Identifier{n}.Sanitize()
		v := pgx.Identifier{"v " + n[:min(len(n), 8)]}.Sanitize()
		b.exec(`INSERT INTO `+q+` VALUES (1, 'a')`, `UPDATE `+q+` SET `+v+` = 'b'`)
	}
	b.folds(len(names), "odd names", shapes...)
	for i, n := range names {
		got, _, err := b.db.Load(b.ctx, shapes[i], []string{"1"})
		b.ok(err)
		if got["1"].Row[n] != int64(1) {
			t.Errorf("%q loads as %v", n, got)
		}
	}
}

func TestConcurrentMigrateAndInstall(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE t (id int PRIMARY KEY, v text)`)
	errs := make(chan error, 8)
	for range cap(errs) {
		db := open(t, b.url)
		go func() {
			err := db.Migrate(b.ctx)
			if err == nil {
				err = db.Install(b.ctx, []*store.Shape{b.shape("s", table("t"), "v")}, plan, "")
			}
			errs <- err
		}()
	}
	for range cap(errs) {
		b.ok(<-errs)
	}
	b.intact(b.shape("s", table("t"), "v"))
}

// A dump of the application's tables can be restored: the WHEN clauses read
// back as what they were.
func TestTriggerDefinitionsReadBack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE t (id int PRIMARY KEY, n numeric, j json, v text)`)
	b.migrate()
	b.install(b.shape("s", table("t"), "n", "j", "v"))
	for _, d := range b.query(`SELECT quote_ident(tgname) || '|' || pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = 't'::regclass`) {
		name, definition, _ := strings.Cut(d, "|")
		b.exec(`DROP TRIGGER `+name+` ON t`, definition)
	}
}

// detail is the DETAIL of a database's error.
func (b *bench) detail(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Detail
	}
	return ""
}
