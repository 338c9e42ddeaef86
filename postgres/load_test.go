package postgres_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Every type comes as the Go type of its kind, whatever the session says.
func TestValues(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TYPE mood AS ENUM ('sad', 'glad')`, `CREATE DOMAIN price AS numeric(12,2)`, `CREATE EXTENSION citext`,
		`CREATE TABLE t (id int PRIMARY KEY, i2 int2, i8 int8, n numeric, p price, f4 float4, f8 float8, tx text, vc varchar(9),
			ch char(4), ci citext, u uuid, m mood, bo bool, d date, ts timestamp, tz timestamptz, by bytea, j json, jb jsonb,
			a int[], iv interval, nul text)`,
		`INSERT INTO t VALUES (1, -2, 9007199254740993, 12345678901234567890.1200, 1.50, 0.1, 0.1, 'ü', 'v', 'c', 'CI',
			'00000000-0000-0000-0000-00000000000a', 'glad', true, '0044-03-15', '1850-01-02 03:04:05.678901',
			'2026-06-01 12:00:00.5+02', '\x00ff', '{"n": 12345678901234567890.10}', '[1, null, "x"]', '{1,2}', '1 day', NULL)`)
	columns := []string{"i2", "i8", "n", "p", "f4", "f8", "tx", "vc", "ch", "ci", "u", "m", "bo", "d", "ts", "tz", "by", "a", "iv", "nul"}
	b.migrate()
	s := b.shape("s", table("t"), columns...)
	b.exec(`ALTER DATABASE ` + b.query(`SELECT current_database()`)[0] + ` SET DateStyle = 'German'`)
	got, _, err := b.db.Load(b.ctx, s, []string{"1"})
	b.ok(err)
	b.ok(got["1"].Err)
	want := store.Row{"i2": int64(-2), "i8": int64(9007199254740993), "f4": 0.1, "f8": 0.1, "tx": "ü", "vc": "v",
		"ch": "c   ", "ci": "CI", "u": "00000000-0000-0000-0000-00000000000a", "m": "glad", "bo": true,
		"d":  store.Civil{Year: 44, Month: 3, Day: 15},
		"ts": time.Date(1850, 1, 2, 3, 4, 5, 678901000, time.UTC), "tz": time.Date(2026, 6, 1, 10, 0, 0, 5e8, time.UTC),
		"by": []byte{0, 255}, "a": "{1,2}", "iv": "1 day", "nul": nil}
	for _, c := range columns {
		switch v := got["1"].Row[c].(type) {
		case decimal.Decimal:
			if text := map[string]string{"n": "12345678901234567890.1200", "p": "1.50"}[c]; !v.Equal(decimal.RequireFromString(text)) {
				t.Errorf("%s is %v", c, v)
			}
		case string:
			if strings.TrimRight(v, " ") != strings.TrimRight(fmt.Sprint(want[c]), " ") {
				t.Errorf("%s is %q, want %q", c, v, want[c])
			}
		default:
			if !reflect.DeepEqual(v, want[c]) {
				t.Errorf("%s is %#v, want %#v", c, v, want[c])
			}
		}
	}
}

// A value that can't be sent spoils its own composite and no other.
func TestUnusableValues(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE t (id int PRIMARY KEY, n numeric, d date, ts timestamptz, j json)`, `INSERT INTO t VALUES
		(1, 'NaN', NULL, NULL, NULL), (2, NULL, 'infinity', NULL, NULL), (3, NULL, NULL, '-infinity', NULL), (5, 1, '2026-01-01', now(), '{}')`)
	b.migrate()
	s := b.shape("s", table("t"), "n", "d", "ts", "j")
	got, _, err := b.db.Load(b.ctx, s, []string{"1", "2", "3", "5", "6", "x", "99999999999999999999"})
	b.ok(err)
	if len(got) != 4 {
		t.Fatalf("loaded %v", got)
	}
	for key, c := range got {
		if (c.Err == nil) != (key == "5") {
			t.Errorf("%s: %v", key, c.Err)
		}
	}
}

// Who asks again has the answer without a view, which would leave dead rows in the
// catalogue each minute, until the table has other columns.
func TestFragmentIsReadOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE t (id int PRIMARY KEY, a int, b text)`)
	reads := func(where, want string) {
		t.Helper()
		got, err := b.db.Fragment(b.ctx, table("t"), where, "")
		if err != nil || strings.Join(got, ",") != want {
			t.Errorf("%s reads %v, %v, want %s", where, got, err, want)
		}
	}
	reads("a > 1", "a")
	b.exec(`CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no view now'; END $$`,
		`CREATE EVENT TRIGGER refuse ON ddl_command_start EXECUTE FUNCTION refuse()`)
	reads("a > 1", "a")
	if _, err := b.db.Fragment(b.ctx, table("t"), "b > '1'", ""); err == nil || !strings.Contains(err.Error(), "no view now") {
		t.Errorf("another one was read without a view: %v", err)
	}
	b.exec(`DROP EVENT TRIGGER refuse`, `ALTER TABLE t RENAME a TO c`)
	if _, err := b.db.Fragment(b.ctx, table("t"), "a > 1", ""); err == nil {
		t.Error("a column that is gone is read")
	}
	reads("c > 1", "c")
	b.exec(`ALTER TABLE t RENAME c TO a`)
	reads("a > 1", "a")
}

func TestFragmentsThatAreRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE t (id int PRIMARY KEY, a int, "b c" text, ts timestamptz)`, `CREATE TABLE u (id int)`,
		`CREATE FUNCTION fine(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 1'`,
		`CREATE FUNCTION opaque(int) RETURNS bool LANGUAGE sql STABLE AS 'SELECT count(*) > $1 FROM public.u'`)
	before := b.objects(t)
	for _, c := range []struct{ where, order, columns, message string }{
		{`a > 1 AND "b c" LIKE 'x%' -- comment`, `ts DESC NULLS LAST, lower("b c")`, "a,b c,ts", ""},
		{`t.a = 1`, ``, "a", ""},
		{`fine(a)`, ``, "a", ""},
		{`(ts AT TIME ZONE 'UTC')::date > '2026-01-01'`, ``, "ts", ""},
		{`nope = 1`, ``, "", `column "nope" does not exist`},
		{`a = `, ``, "", "not valid SQL"},
		{`a > 1) OR (true`, ``, "", "parenthesis"},
		{`a > 1; DROP TABLE t`, ``, "", "semicolon"},
		{`id IN (SELECT id FROM u)`, ``, "", "reads u"},
		{`a = (SELECT max(a) FROM t)`, ``, "", "subquery"},
		{`t IS NOT NULL`, ``, "", "whole row"},
		{`row_to_json(t) IS NOT NULL`, ``, "", "whole row"},
		{`opaque(a)`, ``, "", "IMMUTABLE"},
		{`a > random()`, ``, "", "IMMUTABLE"},
		{`xmin IS NOT NULL`, ``, "", "system column"},
		{``, `count(*)`, "", "aggregate"},
		{``, `1`, "", "not valid SQL"},
	} {
		got, err := b.db.Fragment(b.ctx, table("t"), c.where, c.order)
		if c.message != "" {
			mustFail(t, err, c.message)
			continue
		}
		if err != nil || strings.Join(sorted(got), ",") != c.columns {
			t.Errorf("%s / %s reads %v (%v), want %s", c.where, c.order, got, err, c.columns)
		}
	}
	if after := b.objects(t); len(after) != len(before) {
		t.Errorf("something is left behind: %v", after[len(before):])
	}
}

func TestCatalog(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE SCHEMA other`, `CREATE TABLE other.p (id int, r text COLLATE "C", PRIMARY KEY (id, r)) PARTITION BY LIST (id)`,
		`CREATE TABLE other.p1 PARTITION OF other.p FOR VALUES IN (1)`,
		`CREATE TABLE orders (id int PRIMARY KEY, p_id int, p_r text, gone int, amount numeric(10,2) NOT NULL,
			FOREIGN KEY (p_id, p_r) REFERENCES other.p)`, `ALTER TABLE orders DROP gone`,
		`CREATE INDEX partly ON orders (p_id) WHERE p_id > 5`, `CREATE INDEX mixed ON orders (amount, lower(p_r), p_id)`)
	info, err := b.db.Table(b.ctx, table("orders"))
	b.ok(err)
	if got := fmt.Sprint(info.Table, info.Key, info.ForeignKeys, info.Indexes); got != "public.orders [id] [{[p_id p_r] other.p [id r]}] [[id] [amount]]" {
		t.Error(got)
	}
	if len(info.Columns) != 4 || info.Columns[3] != (store.Column{Name: "amount", Type: "numeric(10,2)", Kind: store.Decimal}) {
		t.Errorf("columns: %v", info.Columns)
	}
	tables, err := b.db.Tables(b.ctx)
	b.ok(err)
	if fmt.Sprint(tables) != "[other.p public.orders]" {
		t.Errorf("tables: %v", tables)
	}
	_, err = b.db.Table(b.ctx, table("ordres"))
	mustFail(t, err, "did you mean public.orders?")
	_, err = b.db.Table(b.ctx, store.Table{Schema: "nowhere", Name: "x"})
	mustFail(t, err, "no such table")
}

func TestRightsNameTheMissingIndex(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE o (id int PRIMARY KEY, v text)`, `CREATE TABLE l (id int PRIMARY KEY, "o id" int REFERENCES o)`)
	s := b.shape("s", table("o"), "v")
	b.many(s, "lines", table("l"), "o id")
	found, err := b.db.Rights(b.ctx, []*store.Shape{s})
	b.ok(err)
	if len(found) != 1 || found[0].Severity != store.Warning || found[0].Fix != `CREATE INDEX CONCURRENTLY ON "public"."l" ("o id")` {
		t.Fatalf("findings: %+v", found)
	}
	b.exec(found[0].Fix)
	if found, err = b.db.Rights(b.ctx, []*store.Shape{s}); err != nil || len(found) != 0 {
		t.Errorf("findings: %+v, %v", found, err)
	}
}

func BenchmarkLoad(b *testing.B) {
	bench := newBench(b)
	bench.exec(`CREATE TABLE o (id int PRIMARY KEY, state text, total numeric, at timestamptz)`,
		`CREATE TABLE bill (id int PRIMARY KEY, o_id int UNIQUE, vat text)`,
		`CREATE TABLE l (id serial PRIMARY KEY, o_id int, sku text, qty int, price numeric)`, `CREATE INDEX ON l (o_id)`,
		`INSERT INTO o SELECT n, 'placed', n, now() FROM generate_series(1, 20000) n`, `INSERT INTO bill SELECT n, n, 'DE' || n FROM generate_series(1, 20000) n`,
		`INSERT INTO l (o_id, sku, qty, price) SELECT 1 + n % 20000, 'sku' || n, n, 1.5 FROM generate_series(1, 60000) n`, `ANALYZE`)
	bench.migrate()
	s := bench.shape("s", table("o"), "id", "state", "total", "at")
	bench.many(s, "lines", table("l"), "o_id", "sku", "qty", "price")
	one := bench.many(s, "billing", table("bill"), "o_id", "vat")
	one.Relation = store.HasOne
	n := 0
	for b.Loop() {
		keys := make([]string, 50)
		for i := range keys {
			n = n%20000 + 1
			keys[i] = fmt.Sprint(n)
		}
		if got, _, err := bench.db.Load(bench.ctx, s, keys); err != nil || len(got) != 50 {
			b.Fatal(len(got), err)
		}
	}
	b.ReportMetric(float64(b.N*50)/b.Elapsed().Seconds(), "composites/s")
}

// A load is the same in each of the ways in which the driver may be told to
// speak, but for those that have no binary answers, which it tells to change.
func TestLoadInEachMode(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE o (id int PRIMARY KEY, v text, at timestamptz)`, `CREATE TABLE l (id int PRIMARY KEY, o_id int, q numeric)`,
		`INSERT INTO o SELECT n, 'v' || n, '2026-01-01' FROM generate_series(1, 3) n`,
		`INSERT INTO l SELECT n, 1 + n % 2, n FROM generate_series(1, 5) n`)
	b.migrate()
	s := b.shape("s", table("o"), "v", "at")
	b.many(s, "lines", table("l"), "o_id", "q")
	keys := []string{"1", "2", "3", "4", "no key"}
	want, _, err := b.db.Load(b.ctx, s, keys)
	b.ok(err)
	if len(want) != 3 || len(want["1"].Row["lines"].([]store.Row)) != 2 {
		t.Fatalf("loaded %v", want)
	}
	for _, mode := range []string{"cache_describe", "describe_exec"} {
		got, _, err := open(t, b.url+"&default_query_exec_mode="+mode).Load(b.ctx, s, keys)
		b.ok(err)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: loaded %v, want %v", mode, got, want)
		}
	}
	for _, mode := range []string{"exec", "simple_protocol"} {
		_, _, err = open(t, b.url+"&default_query_exec_mode="+mode).Load(b.ctx, s, keys[:1])
		if err == nil || !strings.Contains(err.Error(), "use another default_query_exec_mode") {
			t.Errorf("%s: %v", mode, err)
		}
	}
}
