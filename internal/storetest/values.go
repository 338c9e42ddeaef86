package storetest

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

func valueTests() []test {
	return []test{
		{"kinds", testValues},
		{"json", testValueJSON},
		{"text keys", testTextKeys},
	}
}

func testValues(e *env) {
	e.exec(`CREATE TABLE vals (id INTEGER PRIMARY KEY, i BIGINT, d NUMERIC(30,10), t TEXT, b BOOLEAN, at TIMESTAMP, on_day DATE,
		f DOUBLE PRECISION, v VARCHAR(40))`)
	s := e.root("val", "vals", "i", "d", "t", "b", "at", "on_day", "f", "v")
	e.install(s)
	e.exec(`INSERT INTO vals (id) VALUES (1)`)
	for _, c := range []struct {
		name, column, sql string
		want              any
	}{
		{"null", "i", `NULL`, nil},
		{"zero", "i", `0`, int64(0)},
		{"the largest integer", "i", `9223372036854775807`, int64(9223372036854775807)},
		{"the smallest integer", "i", `-9223372036854775807 - 1`, int64(-9223372036854775808)},
		{"over 2^53", "i", `9007199254740993`, int64(9007199254740993)},
		{"decimal", "d", `10.10`, dec("10.1")},
		{"decimal that floats can't hold", "d", `0.1`, dec("0.1")},
		{"negative decimal", "d", `-0.0001`, dec("-0.0001")},
		{"whole decimal", "d", `1200`, dec("1200")},
		{"decimal null", "d", `NULL`, nil},
		{"empty text", "t", `''`, ""},
		{"unicode", "t", `'Žluťoučký 🐎 — "x"'`, `Žluťoučký 🐎 — "x"`},
		{"text like a number", "t", `'007'`, "007"},
		{"text with quotes and newline", "t", "'it''s\n\\ok'", "it's\n\\ok"},
		{"varchar", "v", `'a,b\c'`, `a,b\c`},
		{"true", "b", `TRUE`, true},
		{"false", "b", `FALSE`, false},
		{"time", "at", `'2026-01-02 03:04:05'`, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
		{"time with a fraction", "at", `'2026-01-02 03:04:05.123456'`, time.Date(2026, 1, 2, 3, 4, 5, 123456000, time.UTC)},
		{"date", "on_day", `'2024-02-29'`, store.Civil{Year: 2024, Month: 2, Day: 29}},
		{"old date", "on_day", `'1899-12-31'`, store.Civil{Year: 1899, Month: 12, Day: 31}},
		{"float", "f", `0.5`, 0.5},
		{"large float", "f", `1e300`, 1e300},
	} {
		e.t.Run(c.name, func(t *testing.T) {
			sub := *e
			sub.t = t
			sub.exec(`UPDATE vals SET ` + c.column + ` = ` + c.sql)
			same(t, c.column, sub.one(s, "1")[c.column], c.want)
		})
	}
}

func testValueJSON(e *env) {
	e.exec(`CREATE TABLE docs (id INTEGER PRIMARY KEY, body JSON)`)
	s := e.root("doc", "docs", "body")
	e.install(s)
	e.exec(`INSERT INTO docs VALUES (1, '{"a": [1, 9007199254740993, 1.10], "ü": null, "b": "x"}'), (2, '[]'), (3, NULL)`)
	same(e.t, "an object", e.one(s, "1")["body"], map[string]any{
		"a": []any{json.Number("1"), json.Number("9007199254740993"), json.Number("1.10")}, "ü": nil, "b": "x"})
	same(e.t, "an array", e.one(s, "2")["body"], []any{})
	same(e.t, "null", e.one(s, "3")["body"], nil)
	e.raised()
	e.exec(`UPDATE docs SET body = '{"a": 2}' WHERE id = 1`)
	e.wantRaised("doc/1")
}

func testTextKeys(e *env) {
	e.exec(`CREATE TABLE things (code TEXT PRIMARY KEY, n INTEGER)`,
		`CREATE TABLE parts (id INTEGER PRIMARY KEY, thing TEXT REFERENCES things(code), n INTEGER)`)
	s := e.root("thing", "things", "code", "n")
	e.add(s.Root, link{rel: store.HasMany, name: "parts", table: "parts", via: []string{"thing"}, order: "id"}, "n")
	e.install(s)
	keys := []string{`007`, `7`, `a,b`, `a\`, `it's "q"`, `🐎 ü`, ` `, `a/b`, "new\nline"}
	for _, k := range keys {
		q := quoteText(k)
		e.exec(`INSERT INTO things VALUES (`+q+`, 1)`, `INSERT INTO parts (id, thing, n) SELECT count(*), `+q+`, 5 FROM parts`)
	}
	e.equal("groups", len(e.raised()), len(keys))
	got := e.load(s, keys...)
	for _, k := range keys {
		e.equal("key of "+k, got[k].Row["code"], k)
		same(e.t, "parts of "+k, got[k].Row["parts"], []store.Row{{"n": int64(5)}})
		e.exec(`UPDATE parts SET n = 6 WHERE thing = ` + quoteText(k))
		e.wantRaised("thing/" + k)
		e.exec(`UPDATE parts SET n = 5 WHERE thing = ` + quoteText(k))
		e.raised()
	}
}
