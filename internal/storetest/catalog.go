package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/store"
)

func catalogTests() []test {
	return []test{
		{"tables", testTables},
		{"table", testTable},
		{"missing table", testMissingTable},
		{"foreign keys and indexes", testForeignKeys},
		{"rights", testRights},
		{"name", testName},
	}
}

func testTables(e *env) {
	e.install(e.orderShape())
	tables, err := e.Store.Tables(e.ctx)
	e.ok(err)
	var names []string
	for _, t := range tables {
		names = append(names, t.Name)
		if t.Schema == "" {
			e.t.Errorf("table %s has no schema", t.Name)
		}
	}
	slices.Sort(names)
	e.equal("tables", names, []string{"billing_infos", "customers", "line_items", "orders", "users"})
}

func testTable(e *env) {
	e.exec(shopRows...)
	info := e.table("orders")
	if info.Schema == "" {
		e.t.Error("the schema is not filled in")
	}
	e.equal("key", info.Key, []string{"id"})
	kinds := map[string]store.Kind{"id": store.Int, "user_id": store.Int, "state": store.Text, "accountable": store.Bool,
		"total": store.Decimal, "ordered_on": store.Date, "created_at": store.Time, "note": store.Text, "ref_no": store.Text}
	e.equal("columns", len(info.Columns), len(kinds))
	for name, kind := range kinds {
		c, ok := info.Column(name)
		if !ok || c.Kind != kind || c.Type == "" {
			e.t.Errorf("column %s is %+v, want kind %s", name, c, kind)
		}
	}
	state, _ := info.Column("state")
	note, _ := info.Column("note")
	e.equal("nullable", [2]bool{state.Nullable, note.Nullable}, [2]bool{false, true})
	again, err := e.Store.Table(e.ctx, info.Table)
	e.ok(err)
	e.equal("by its full name", again.Table, info.Table)
	e.exec(`CREATE TABLE nokey (a INTEGER)`, `CREATE TABLE pair (b INTEGER, a TEXT, c INTEGER, PRIMARY KEY (a, b))`)
	e.equal("key of a table without", len(e.table("nokey").Key), 0)
	e.equal("key of two columns", e.table("pair").Key, []string{"a", "b"})
}

func testMissingTable(e *env) {
	_, err := e.Store.Table(e.ctx, store.Table{Name: "orderz"})
	if !errors.Is(err, store.ErrNoTable) {
		e.t.Fatalf("got %v, want ErrNoTable", err)
	}
	if !strings.Contains(err.Error(), "orders") {
		e.t.Errorf("%q does not name the near spelling", err)
	}
	if _, err := e.Store.Table(e.ctx, store.Table{Schema: "nowhere", Name: "orders"}); !errors.Is(err, store.ErrNoTable) {
		e.t.Errorf("another schema: %v, want ErrNoTable", err)
	}
	if _, err := e.Store.Table(e.ctx, store.Table{Name: `x"; DROP TABLE orders; --`}); !errors.Is(err, store.ErrNoTable) {
		e.t.Errorf("a name with SQL in it: %v, want ErrNoTable", err)
	}
	e.table("orders")
}

func testForeignKeys(e *env) {
	info := e.table("users")
	if len(info.ForeignKeys) != 1 {
		e.t.Fatalf("foreign keys: %+v", info.ForeignKeys)
	}
	fk := info.ForeignKeys[0]
	e.equal("foreign key", fmtAny(fk.Columns, fk.Table.Name, fk.To), "[customer_id] customers [id]")
	for _, want := range [][]string{{"id"}, {"customer_id"}} {
		if !slices.ContainsFunc(info.Indexes, func(i []string) bool { return slices.Equal(i, want) }) {
			e.t.Errorf("no index on %v in %v", want, info.Indexes)
		}
	}
	e.equal("unique indexes", len(info.Unique), 0)
	e.exec(`CREATE TABLE codes (id INTEGER PRIMARY KEY, code TEXT UNIQUE, a INTEGER, b INTEGER, UNIQUE (b, a))`,
		`CREATE UNIQUE INDEX codes_part ON codes (a) WHERE b > 0`, `CREATE UNIQUE INDEX codes_expression ON codes (a, lower(code))`)
	unique := e.table("codes").Unique
	for want, there := range map[string]bool{"code": true, "b a": true, "a": false, "id": false} {
		if has := slices.ContainsFunc(unique, func(u []string) bool { return strings.Join(u, " ") == want }); has != there {
			e.t.Errorf("unique columns are %v; %q among them: %v", unique, want, has)
		}
	}
}

func testRights(e *env) {
	shapes := []*store.Shape{e.orderShape(), e.accountShape(), e.customerShape()}
	about := func(subject string) *store.Finding {
		found, err := e.Store.Rights(e.ctx, shapes)
		e.ok(err)
		for _, f := range found {
			if strings.Contains(f.Subject, subject) {
				return &f
			}
		}
		return nil
	}
	if f := about("line_items.order_id"); f != nil {
		e.t.Errorf("a finding about an index that is there: %+v", f)
	}
	e.exec(`DROP INDEX line_items_order_id`)
	f := about("line_items.order_id")
	if f == nil || f.Severity != store.Warning || f.Fix == "" {
		e.t.Fatalf("finding about a missing index: %+v", f)
	}
	e.exec(f.Fix)
	if f := about("line_items.order_id"); f != nil {
		e.t.Errorf("the fix did not help: %+v", f)
	}
}

func testName(e *env) {
	if e.Store.Name() == "" {
		e.t.Error("the database has no name")
	}
	a, err := e.Store.Secret(e.ctx)
	e.ok(err)
	e.ok(e.Store.Migrate(e.ctx))
	b, err := e.Again(e.t).Secret(e.ctx)
	e.ok(err)
	if len(a) < 16 || fmt.Sprint(a) != fmt.Sprint(b) {
		e.t.Errorf("secrets of %d and %d bytes, equal: %v", len(a), len(b), fmt.Sprint(a) == fmt.Sprint(b))
	}
}
