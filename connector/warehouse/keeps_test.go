package warehouse_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/warehouse"
)

// What the database would round, cut or pad without a word is refused, and what
// is taken comes back as it was.
func TestValuesThatTheDatabaseWouldAlter(t *testing.T) {
	type kind struct {
		typ      string
		of       connector.Type
		kept     []string
		refused  []string
		tells    string
		only     string
		existing bool // the column is there before; types can't name it
	}
	kinds := []kind{
		{typ: "numeric(12,2)", of: connector.Decimal, kept: []string{`1.5`, `-1.50`, `1.500`, `1e-2`, `1e3`, `null`}, refused: []string{`1.005`, `-0.001`, `1e-3`, `1e-500`}, tells: "round(..., 2)", only: "postgres"},
		{typ: "numeric(5)", of: connector.Decimal, kept: []string{`1`, `1.0`}, refused: []string{`0.5`}, tells: "numeric(5,0)", only: "postgres"},
		{typ: "real", of: connector.Float, kept: []string{`0.1`, `-2.5`, `16777216`}, refused: []string{`0.123456789`, `16777217`}, tells: "real", only: "postgres"},
		{typ: "timestamp(0) with time zone", of: connector.Time, kept: []string{`"2026-01-31T12:00:00Z"`, `"2026-01-31T12:00:00.000Z"`}, refused: []string{`"2026-01-31T12:00:00.5Z"`, `"2026-01-31T12:00:00.000001Z"`}, tells: "timestamp(0)", only: "postgres"},
		{typ: "timestamp(3)", of: connector.Time, kept: []string{`"2026-01-31T12:00:00.123Z"`}, refused: []string{`"2026-01-31T12:00:00.1234Z"`}, tells: "timestamp(3)", only: "postgres"},
		{typ: "varchar(3)", of: connector.Text, kept: []string{`"äöü"`, `"a  "`, `""`}, refused: []string{`"abc  "`, `"abcd"`}, tells: "too long", only: "postgres"},
		{typ: "char(3)", of: connector.Text, kept: []string{`"abc"`, `"a"`, `" a"`, `""`}, refused: []string{`"a "`, `"abc "`, `"abcd"`}, tells: "character(3)", only: "postgres"},
		{typ: "cents", of: connector.Text, kept: []string{`0.5`, `1.50`}, refused: []string{`0.005`}, tells: "would round it", only: "postgres", existing: true},
		{typ: "STRING", of: connector.Text, kept: []string{`"a"`, `12`, `1.50`, `"1,5"`}, refused: []string{`"007"`, `" 1e5 "`, `12345678901234567890.123`}, tells: "STRING", only: "sqlite", existing: true},
		{typ: "DOUBLE PRECISION", of: connector.Float, kept: []string{`0.1`, `1e300`}, refused: []string{`"007"`}, tells: "float", only: "sqlite", existing: true},
	}
	onEach(t, warehouse.Config{}, func(d *desk) {
		database := map[bool]string{true: "postgres", false: "sqlite"}[d.isPostgres()]
		if d.isPostgres() {
			d.exec(`CREATE DOMAIN cents AS numeric(10,2)`)
		}
		var columns []connector.Column
		made := "CREATE TABLE orders (external_id text PRIMARY KEY"
		for i, k := range kinds {
			if k.only == database {
				name := fmt.Sprint("f", i)
				columns = append(columns, col(name, k.of))
				made += ", " + name + " " + k.typ
			}
		}
		d.exec(made + ")")
		d.prepare(orders(columns...))
		n := 0
		for i, k := range kinds {
			if k.only != database {
				continue
			}
			name := fmt.Sprint("f", i)
			for _, v := range k.kept {
				n++
				id := fmt.Sprint("row ", n)
				d.applies("ok", change(connector.Create, id, 1, name, v))
				got, err := d.Read(d.ctx, "orders", id, fields(name, v))
				if err != nil || string(got[name]) != v {
					d.Errorf("%s: %s came back as %s, %v", k.typ, v, got[name], err)
				}
			}
			for _, v := range k.refused {
				results, err := d.Apply(d.ctx, "orders", []connector.Change{change(connector.Create, "good", 1), change(connector.Create, "bad", 1, name, v)})
				if err != nil {
					d.Errorf("%s: %s: %v", k.typ, v, err)
					continue
				}
				e := connector.AsError(results[1].Err)
				if e == nil || e.Kind != connector.Rejected || !strings.Contains(e.Message, "field "+name) || !strings.Contains(e.Message, k.tells) && !strings.Contains(e.Message, k.typ) {
					d.Errorf("%s: %s: %v, want %q", k.typ, v, e, k.tells)
				}
				if results[0].Err != nil {
					d.Errorf("%s: %s: its neighbour: %v", k.typ, v, results[0].Err)
				}
			}
		}
		d.is(`SELECT count(*) FROM orders WHERE external_id = 'bad'`, "0")
	})
}

// The same holds in the table of a list.
func TestElementsThatTheDatabaseWouldAlter(t *testing.T) {
	d := newDesk(t, onPostgres(t), warehouse.Config{Lists: warehouse.AsTables})
	d.exec(`CREATE TABLE orders (external_id text PRIMARY KEY)`)
	d.exec(`CREATE TABLE orders_lines (external_id text REFERENCES orders, position bigint, price numeric(12,2), PRIMARY KEY (external_id, position))`)
	d.prepare(orders(col("lines", connector.List, col("price", connector.Decimal))))
	results, err := d.Apply(d.ctx, "orders", []connector.Change{change(connector.Create, "a", 1, "lines", `[{"price":1.25},{"price":1.255}]`)})
	if err != nil {
		t.Fatal(err)
	}
	if e := results[0].Err; e == nil || !strings.Contains(e.Error(), "field lines: [1].price: ") || !strings.Contains(e.Error(), "numeric(12,2)") {
		t.Errorf("%v", e)
	}
}

// Once somebody has made the column wider, the value goes, without a restart.
func TestAWiderColumnIsSeen(t *testing.T) {
	d := newDesk(t, onPostgres(t), warehouse.Config{})
	d.exec(`CREATE TABLE orders (external_id text PRIMARY KEY, total numeric(12,2))`)
	d.prepare(orders(col("total", connector.Decimal)))
	d.applies("rejected", change(connector.Create, "a", 1, "total", `1.255`))
	d.exec(`ALTER TABLE orders ALTER COLUMN total TYPE numeric(12,3)`)
	d.applies("ok", change(connector.Create, "a", 2, "total", `1.255`))
	d.is(`SELECT total FROM orders`, "1.255")
}
