package sqlite_test

import (
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep/internal/store"
)

func TestDynamicValues(t *testing.T) {
	t.Parallel()
	b := newBench(t, `CREATE TABLE parent (id INTEGER PRIMARY KEY, i INTEGER, d DECIMAL(12,2), f REAL, t TEXT, b BOOLEAN,
		day DATE, at DATETIME, j JSON, raw BLOB, x, u UUID)`, plainChild)
	b.exec(`INSERT INTO parent (id) VALUES (1)`)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		column, sql string
		want        any    // nil: an error
		err         string // that says so
	}{
		{"i", `'12'`, int64(12), ""},
		{"i", `1.5`, nil, "integer: a real number"},
		{"i", `'abc'`, nil, "integer: text"},
		{"i", `x'00'`, nil, "integer: bytes"},
		{"d", `'123456789012345678901234567890.12'`, decimal.RequireFromString("123456789012345680000000000000"), ""}, // affinity made it REAL
		{"d", `0.1 + 0.2`, decimal.RequireFromString("0.30000000000000004"), ""},
		{"d", `12.30`, decimal.RequireFromString("12.3"), ""},
		{"d", `'abc'`, nil, "decimal: text"},
		{"d", `9e999`, nil, "+Inf is not a number that can be sent"},
		{"f", `1`, 1.0, ""},
		{"f", `'x'`, nil, "float: text"},
		{"t", `12`, "12", ""},
		{"t", `x'ff'`, nil, "text: bytes"},
		{"t", `CAST(x'ff' AS TEXT)`, nil, "UTF-8"},
		{"b", `'t'`, true, ""},
		{"b", `'false'`, false, ""},
		{"b", `2`, nil, "boolean: an integer"},
		{"day", `'2026-01-02 00:00:00'`, store.Civil{Year: 2026, Month: 1, Day: 2}, ""},
		{"day", `'2026-01-02 03:00:00'`, nil, "not a date"},
		{"day", `'02.01.2026'`, nil, "not a date"},
		{"at", `datetime('2026-01-02 03:04:05')`, at, ""},
		{"at", `'2026-01-02T03:04:05Z'`, at, ""},
		{"at", `'2026-01-02T04:04:05+01:00'`, at, ""},
		{"at", `'2026-01-02 03:04:05.25'`, at.Add(250 * time.Millisecond), ""},
		{"at", `'2026-01-02 03:04'`, at.Add(-5 * time.Second), ""},
		{"at", `unixepoch('2026-01-02 03:04:05')`, at, ""},
		{"at", `1767323045000`, nil, "milliseconds"},
		{"at", `julianday('2026-01-02')`, nil, "time: a real number"},
		{"at", `'yesterday'`, nil, "not a time"},
		{"j", `'{"a":'`, nil, "not valid JSON"},
		{"j", `'1 2'`, nil, "more than one"},
		{"j", `'"x"'`, "x", ""},
		{"j", `x'7b7d'`, nil, "bytes was found; JSON is read as text: write it so (in Go a string, not a []byte)"},
		{"raw", `'ab'`, "bytes ab", ""},
		{"raw", `x'6162'`, "bytes ab", ""},
		{"x", `5`, "5", ""},
		{"x", `1.5`, "1.5", ""},
		{"x", `'five'`, "five", ""},
		{"u", `'123'`, "123", ""},
	} {
		b.exec(`UPDATE parent SET i = NULL, d = NULL, f = NULL, t = NULL, b = NULL, day = NULL, at = NULL, j = NULL, raw = NULL, x = NULL, u = NULL`,
			`UPDATE parent SET `+c.column+` = `+c.sql)
		all, _, err := b.d.Load(t.Context(), b.s, []string{"1"})
		b.ok(err)
		got := all["1"]
		if c.err != "" {
			if got.Err == nil || !strings.Contains(got.Err.Error(), c.err) || !strings.Contains(got.Err.Error(), "column "+c.column) {
				t.Errorf("%s = %s: error %v, want one with %q", c.column, c.sql, got.Err, c.err)
			}
			if why, ok := got.Row[c.column].(error); !ok || !strings.Contains(why.Error(), c.err) {
				t.Errorf("%s = %s: %v is in its place, want the error", c.column, c.sql, got.Row[c.column])
			}
			continue
		}
		v := got.Row[c.column]
		if raw, ok := v.([]byte); ok {
			v = "bytes " + string(raw)
		}
		same := v == c.want
		if d, ok := v.(decimal.Decimal); ok {
			same = d.Equal(c.want.(decimal.Decimal))
		}
		if got.Err != nil || !same {
			t.Errorf("%s = %s: %#v, %v; want %#v", c.column, c.sql, v, got.Err, c.want)
		}
	}
}

func TestKinds(t *testing.T) {
	t.Parallel()
	b := newBench(t, `CREATE TABLE parent (id INTEGER PRIMARY KEY, a INT, b BIGINT, c VARCHAR(9), d NUMERIC, e "DECIMAL(5,2)", f DOUBLE PRECISION,
		g FLOAT, h BOOL, i TIMESTAMPTZ, j DATETIME, k DATE, l JSONB, m BLOB, n, o UUID, p CLOB, q MONEY, r POINT,
		s INTEGER GENERATED ALWAYS AS (a + 1) STORED, u NVARCHAR(3))`, plainChild)
	want := map[string]store.Kind{"id": store.Int, "a": store.Int, "b": store.Int, "c": store.Text, "d": store.Decimal, "e": store.Decimal,
		"f": store.Float, "g": store.Float, "h": store.Bool, "i": store.Time, "j": store.Time, "k": store.Date, "l": store.JSON, "m": store.Bytes,
		"n": store.Other, "o": store.Text, "p": store.Text, "q": store.Decimal, "r": store.Other, "s": store.Int, "u": store.Text}
	info := b.table("PARENT") // names are matched without case
	for _, c := range info.Columns {
		if c.Kind != want[c.Name] {
			t.Errorf("column %s %s is %s, want %s", c.Name, c.Type, c.Kind, want[c.Name])
		}
		delete(want, c.Name)
	}
	if len(want) > 0 || info.Name != "parent" {
		t.Errorf("table %s, not found: %v", info.Name, want)
	}
	b.exec(`INSERT INTO parent (id, a) VALUES (1, 1)`)
	b.want("1")
	b.exec(`UPDATE parent SET a = 5`) // the generated column is read too
	b.want("1")
}

func TestFragmentsOfSQLite(t *testing.T) {
	t.Parallel()
	b := newBench(t, plainParent, plainChild)
	for _, c := range []struct{ where, err string }{
		{`rowid > 1`, ""}, // the integer primary key by another name
		{`"nonsense" = v`, "nonsense"},
		{`random() > 0`, "random"},
		{`v IN (SELECT v FROM parent)`, "SELECT"},
		{`v = (VALUES (1))`, "SELECT"},
	} {
		got, err := b.d.Fragment(t.Context(), store.Table{Name: "parent"}, c.where, "")
		if (c.err == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, %v; want error %q", c.where, got, err, c.err)
		}
	}
	for _, c := range []struct{ where, order, err string }{
		{"", "random()", "order of table parent: "},
		{"random() > 0", "", "condition on table parent: "},
		{"v > 0", "random()", "condition on, or order of, table parent: "},
	} {
		if _, err := b.d.Fragment(t.Context(), store.Table{Name: "parent"}, c.where, c.order); err == nil || !strings.HasPrefix(err.Error(), c.err) {
			t.Errorf("%s / %s: %v, want %s", c.where, c.order, err, c.err)
		}
	}
	// The connection is as it was: other statements are not refused.
	for range 10 {
		if _, err := b.d.Tables(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
