package warehouse_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/warehouse"
)

// every column type with values that come back as they went.
var kept = map[connector.Type][]string{
	connector.Text:      {`"plain"`, `""`, `"tab\tnewline\nreturn\rbackslash\\ \\N \\."`, `"日本語 🚚"`, `"NULL"`, `"\\x00"`, `null`},
	connector.Integer:   {`0`, `-1`, `9223372036854775807`, `-9223372036854775808`, `1e3`, `null`},
	connector.Decimal:   {`0.1`, `12.50`, `123456789012345678901234567890.123456789012345678901234567890`, `-0.000000000000000000001`, `1e-10`, `null`},
	connector.Float:     {`0.1`, `1e300`, `-2.5e-300`, `5e-324`, `12345678.901234567`, `null`},
	connector.Boolean:   {`true`, `false`, `null`},
	connector.Date:      {`"2024-02-29"`, `"0001-01-01"`, `"9999-12-31"`, `null`},
	connector.Time:      {`"2026-10-25T01:30:00Z"`, `"2026-01-31T23:59:59.123456Z"`, `"2026-01-31T12:00:00+02:00"`, `"2026-01-31T12:00:00.123456789Z"`, `"0001-01-01T00:00:00Z"`, `null`},
	connector.Bytes:     {`""`, `"AAH/gA=="`, `null`},
	connector.JSON:      {`{"a":[1,2.50,{"b":null}],"c":"\u00e9\\u0000"}`, `{"":12345678901234567890.5}`, `null`},
	connector.AnyType:   {`"text"`, `12.5`, `[null]`, `{"z":1,"a":2}`, `null`},
	connector.Reference: {`"customer-7"`, `null`},
	connector.List:      {`[]`, `[1,"a",{"x":[]}]`, `null`},
}

func TestValuesComeBack(t *testing.T) {
	onEach(t, warehouse.Config{}, func(d *desk) {
		var columns []connector.Column
		for ty := range kept {
			columns = append(columns, col(ty.String(), ty))
		}
		d.prepare(orders(columns...))
		n := 0
		for ty, values := range kept {
			for _, v := range values {
				n++
				id := fmt.Sprint("row ", n)
				d.applies("ok", change(connector.Create, id, 1, ty.String(), v))
				got, err := d.Read(d.ctx, "orders", id, fields(ty.String(), v))
				if err != nil || string(got[ty.String()]) != v {
					d.Errorf("%s: %s came back as %s, %v", ty, v, got[ty.String()], err)
				}
				// What is there shows, whatever is wanted.
				got, err = d.Read(d.ctx, "orders", id, fields(ty.String(), `{"another":"value"}`))
				if v != "null" && (err != nil || string(got[ty.String()]) == "null" || !json.Valid(got[ty.String()])) {
					d.Errorf("%s: %s shows as %s, %v", ty, v, got[ty.String()], err)
				}
			}
		}
		if d.isPostgres() {
			d.is(`SELECT "decimal"::text FROM orders WHERE "decimal" > 1000`, "123456789012345678901234567890.123456789012345678901234567890")
			d.is(`SELECT count(*) FROM orders WHERE "json" IS NOT NULL AND jsonb_typeof("json") = 'null'`, "0")
		}
	})
}

// What can't be kept is refused with the reason, and its neighbours are not.
func TestBadValuesAreTheirRowsFault(t *testing.T) {
	type bad struct{ field, value, words, only string }
	cases := []bad{
		{"text", `"a\u0000b"`, "NUL", ""}, {"json", `{"a":"\u0000"}`, "NUL", ""}, {"json", `{"a":"\\\u0000"}`, "NUL", ""},
		{"integer", `12.5`, "not a whole number", ""}, {"integer", `9223372036854775808`, "too large", ""}, {"integer", `"12"`, "it is text", ""},
		{"decimal", `"NaN"`, "it is text", ""}, {"decimal", `1e200000`, "field decimal: ", "postgres"}, {"float", `1e400`, "out of range", "postgres"},
		{"boolean", `1`, "it is a number", ""}, {"date", `"31.01.2026"`, "not a date", ""}, {"date", `"2026-02-30"`, "not a date", ""},
		{"time", `"2026-01-31"`, "not a time", ""}, {"bytes", `"?"`, "base64", ""}, {"reference", `{"id":"1"}`, "", "no"},
		{"small", `70000`, "out of range", "postgres"}, {"short", `"too long for it"`, "too long", "postgres"}, {"typo", `1`, "no column typo", ""},
		{"text", `nonsense`, "not JSON", ""},
	}
	c := warehouse.Config{Tables: map[string]warehouse.Table{"orders": {Types: map[string]string{"small": "smallint", "short": "varchar(5)"}}}}
	onEach(t, c, func(d *desk) {
		var columns []connector.Column
		for ty := range kept {
			columns = append(columns, col(ty.String(), ty))
		}
		d.prepare(orders(append(columns, col("small", connector.Integer), col("short", connector.Text))...))
		for i, b := range cases {
			if b.only == "no" || b.only == "postgres" && !d.isPostgres() {
				continue
			}
			good, wrong, other := fmt.Sprint("good", i), fmt.Sprint("bad", i), fmt.Sprint("other", i)
			results, err := d.Apply(d.ctx, "orders", []connector.Change{
				change(connector.Create, good, 1, "text", `"x"`), change(connector.Create, wrong, 1, b.field, b.value), change(connector.Create, other, 1, "text", `"x"`)})
			if err != nil {
				d.Fatalf("%s %s: %v", b.field, b.value, err)
			}
			e := connector.AsError(results[1].Err)
			if e == nil || e.Kind != connector.Rejected || !strings.Contains(e.Message, b.words) || !strings.Contains(e.Message, b.field) {
				d.Errorf("%s %s: %v, want %q", b.field, b.value, e, b.words)
			}
			if results[0].Err != nil || results[2].Err != nil {
				d.Errorf("%s %s: the neighbours: %v, %v", b.field, b.value, results[0].Err, results[2].Err)
			}
			d.is(`SELECT count(*) FROM orders WHERE external_id IN ('`+good+`', '`+wrong+`', '`+other+`')`, "2")
		}
	})
}

// A constraint is told for the request as a whole, and nothing of it is there.
func TestConstraintsRefuseTheRequest(t *testing.T) {
	onEach(t, warehouse.Config{}, func(d *desk) {
		d.exec(`CREATE TABLE orders (external_id text PRIMARY KEY, email text UNIQUE, qty integer CHECK (qty > 0), version bigint, synced_at ` +
			map[bool]string{true: "timestamptz", false: "TIME_TEXT"}[d.isPostgres()] + `)`)
		d.prepare(orders(col("email", connector.Text), col("qty", connector.Integer)))
		d.applies("ok", change(connector.Create, "a", 1, "email", `"a@x"`))
		for _, bad := range [][]string{{"qty", `-1`}, {"email", `"a@x"`}} {
			_, err := d.Apply(d.ctx, "orders", []connector.Change{change(connector.Create, "b", 1, "qty", `1`), change(connector.Create, "c", 1, bad...)})
			if kindOf(err) != connector.Rejected || !strings.Contains(err.Error(), bad[0]) {
				d.Errorf("%v: %v", bad, err)
			}
			d.is(`SELECT count(*) FROM orders`, "1")
			if got := d.apply(change(connector.Create, "c", 1, bad...)); !strings.HasPrefix(got, "rejected") {
				d.Errorf("%v alone: %s", bad, got)
			}
		}
	})
}

// Names that need quoting, also those that look like parts of a statement.
func TestOddNames(t *testing.T) {
	onEach(t, warehouse.Config{Lists: warehouse.AsTables, Deletes: warehouse.Soft,
		Columns: warehouse.Columns{Key: `the "key"`, Version: "{t}", SyncedAt: "select", DeletedAt: "🗑"}}, func(d *desk) {
		odd := []string{"user", `say "hi"`, "it's", "{now}", "{key}", "$1", "?1", "%s", "a;b", "🚚", "Upper", "upper", "c0", "k", "\\", strings.Repeat("n", 63), "one two", "version"}
		table := `Orders "of" {s} 1; DROP TABLE x`
		use := connector.Use{Sync: "order", Type: table}
		f := connector.Fields{}
		for i, name := range odd {
			if name == "upper" && !d.isPostgres() {
				continue // names of SQLite's columns differ by more than case
			}
			use.Columns = append(use.Columns, col(name, connector.Integer))
			f[name] = json.RawMessage(fmt.Sprint(i))
		}
		use.Columns = append(use.Columns, col(`"lines"`, connector.List, col(`'q'`, connector.Integer), col("{list}", connector.Text)))
		f[`"lines"`] = json.RawMessage(`[{"'q'":1,"{list}":"x"},{"'q'":2,"{list}":null}]`)
		d.prepare(use)
		if lacking, err := d.Lacking(d.ctx, []connector.Use{use}); err != nil || len(lacking) > 0 {
			d.Errorf("after prepare: %v, %v", lacking, err)
		}
		for version := range int64(2) {
			if _, err := d.Create(d.ctx, connector.Record{Type: table, ExternalID: "it's", Version: version + 1, Fields: f}); err != nil {
				d.Fatal(err)
			}
		}
		if err := d.Update(d.ctx, "it's", connector.Record{Type: table, ExternalID: "it's", Version: 3, Fields: f}); err != nil {
			d.Fatal(err)
		}
		got, err := d.Read(d.ctx, table, "it's", f)
		if err != nil {
			d.Fatal(err)
		}
		for name, want := range f {
			if string(got[name]) != string(want) {
				d.Errorf("%q: %s, want %s", name, got[name], want)
			}
		}
		noLines := connector.Fields{`"lines"`: json.RawMessage("[]")}
		if err := d.Update(d.ctx, "it's", connector.Record{Type: table, ExternalID: "it's", Version: 3, Fields: noLines}); err != nil {
			d.Fatal(err)
		}
		for _, c := range [][2]string{{"[]", "[]"}, {"null", "null"}, {`"no list"`, "null"}} {
			if got, err := d.Read(d.ctx, table, "it's", fields(`"lines"`, c[0])); err != nil || string(got[`"lines"`]) != c[1] {
				d.Errorf("an empty list, where %s is wanted: %s, %v", c[0], got, err)
			}
		}
		if err := d.Remove(d.ctx, "it's", connector.Record{Type: table, ExternalID: "it's", Version: 4}); err != nil {
			d.Error(err)
		}
	})
}
