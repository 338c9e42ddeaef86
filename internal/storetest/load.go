package storetest

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep/internal/store"
)

func loadTests() []test {
	return []test{
		{"relations", testLoadRelations},
		{"nesting", testLoadNesting},
		{"belongs_to hops", testLoadUp},
		{"nothing there", testLoadNothing},
		{"missing keys", testLoadMissing},
		{"where and order", testLoadWhereOrder},
		{"aggregates", testLoadAggregates},
		{"aggregates with rows", testLoadAggregatesRows},
		{"member limit", testLoadLimit},
		{"byte limit", testLoadHeavy},
		{"two rows where one is expected", testLoadTwo},
		{"the first of two rows", testLoadFirst},
		{"many keys", testLoadMany},
		{"one snapshot", testLoadSnapshot},
		{"to a column that is not the key", testLoadTo},
		{"the same table twice", testLoadTwice},
		{"a where that fails for one row", testLoadWhereFails},
	}
}

// load reads composites of the first shape.
func (e *env) load(s *store.Shape, keys ...string) map[string]store.Composite {
	e.t.Helper()
	all, _, err := e.Store.Load(e.ctx, s, keys)
	e.ok(err)
	return all
}

// one reads one composite that must be whole.
func (e *env) one(s *store.Shape, key string) store.Row {
	e.t.Helper()
	c, ok := e.load(s, key)[key]
	if !ok {
		e.t.Fatalf("no composite for %s", key)
	}
	e.ok(c.Err)
	return c.Row
}

// same compares rows deeply; decimals by their value.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := plain(got), plain(want); !reflect.DeepEqual(g, w) {
		t.Errorf("%s:\n got %#v\nwant %#v", what, g, w)
	}
}

// plain makes decimals comparable: 1.10 and 1.1 are one value.
func plain(v any) any {
	switch v := v.(type) {
	case store.Row:
		m := map[string]any{}
		for k, x := range v {
			m[k] = plain(x)
		}
		return m
	case []store.Row:
		s := []any{}
		for _, x := range v {
			s = append(s, plain(x))
		}
		return s
	case decimal.Decimal:
		return "decimal " + v.String()
	}
	return v
}

func dec(s string) decimal.Decimal { return decimal.RequireFromString(s) }

func testLoadRelations(e *env) {
	e.shop(e.orderShape(), e.customerShape())
	e.exec(`INSERT INTO line_items (id, order_id) VALUES (10, 1)`)
	same(e.t, "order", e.one(e.shapes[0], "1"), store.Row{
		"id": int64(1), "user_id": int64(1), "state": "placed", "ref_no": "A-1",
		"billing": store.Row{"vat": "DE1"},
		"lines": []store.Row{
			{"sku": nil, "qty": nil, "price": nil},
			{"sku": "pen", "qty": int64(1), "price": dec("1.1")},
			{"sku": "ink", "qty": int64(2), "price": dec("2.2")},
		}})
	same(e.t, "customer", e.one(e.shapes[1], "1"), store.Row{
		"id": int64(1), "name": "Ann", "email": "ann@example.com",
		"customer": store.Row{"segment": "gold"}, "orders_count": int64(1)})
}

func testLoadNesting(e *env) {
	e.shop(e.accountShape())
	e.exec(`INSERT INTO users (id, customer_id, name) VALUES (3, 1, 'Cid')`,
		`DELETE FROM line_items WHERE id = 12`)
	row := e.one(e.shapes[0], "1")
	users := row["users"].([]store.Row)
	e.equal("users", len(users), 2)
	for _, u := range users {
		switch u["name"] {
		case "Ann":
			same(e.t, "orders of Ann", u["orders"], []store.Row{{"state": "placed", "lines": []store.Row{{"qty": int64(1)}}}})
		case "Cid":
			same(e.t, "orders of Cid", u["orders"], []store.Row{})
		}
	}
}

func testLoadUp(e *env) {
	e.shop(e.lineShape())
	same(e.t, "line", e.one(e.shapes[0], "21"), store.Row{"id": int64(21), "sku": "cap",
		"order": store.Row{"state": "placed", "user": store.Row{"name": "Bob", "customer": store.Row{"segment": "iron"}}}})
	e.exec(`UPDATE users SET customer_id = NULL WHERE id = 2`)
	row := e.one(e.shapes[0], "21")
	same(e.t, "user", row["order"].(store.Row)["user"], store.Row{"name": "Bob", "customer": nil})
	// Two roots may share what they belong to.
	both := e.load(e.shapes[0], "11", "12")
	same(e.t, "shared", both["11"].Row["order"], both["12"].Row["order"])
}

func testLoadNothing(e *env) {
	e.shop(e.orderShape(), e.customerShape())
	e.exec(`INSERT INTO orders (id) VALUES (5)`, `INSERT INTO users (id) VALUES (5)`)
	row := e.one(e.shapes[0], "5")
	for _, name := range []string{"billing", "ref_no", "user_id"} {
		if v, ok := row[name]; !ok || v != nil {
			e.t.Errorf("%s is %#v (there: %v), want a plain nil", name, v, ok)
		}
	}
	same(e.t, "lines", row["lines"], []store.Row{})
	same(e.t, "user", e.one(e.shapes[1], "5"), store.Row{"id": int64(5), "name": nil, "email": nil, "customer": nil, "orders_count": int64(0)})
}

func testLoadMissing(e *env) {
	e.shop(e.orderShape())
	got := e.load(e.shapes[0], "1", "404", "not a number", "")
	e.equal("composites", len(got), 1)
	e.equal("composites of no keys", len(e.load(e.shapes[0])), 0)
}

func testLoadWhereOrder(e *env) {
	s := e.root("o", "orders", "id")
	e.add(s.Root, link{rel: store.HasMany, name: "lines", table: "line_items", via: []string{"order_id"},
		where: "qty > 1 and sku <> 'x' -- not all", order: "price DESC, id"}, "sku")
	// Columns named like what SQL around them may be named.
	e.exec(`CREATE TABLE odd (id INTEGER PRIMARY KEY, "key" INTEGER, "value" TEXT, type TEXT, n INTEGER, ord INTEGER)`)
	e.add(s.Root, link{rel: store.HasMany, name: "odds", table: "odd", via: []string{"key"},
		where: `"value" = 'a' or type = 'b'`, order: `"value", n, ord`}, "key", "value", "type")
	e.shop(s)
	e.exec(`INSERT INTO line_items (id, order_id, sku, qty, price) VALUES (13, 1, 'cup', 5, 9), (14, 1, 'x', 5, 9), (15, 1, 'map', 5, 1)`,
		`INSERT INTO odd (id, "key", "value", type, n, ord) VALUES (1, 1, 'a', 'z', 2, 0), (2, 1, 'b', 'b', 1, 0), (3, 1, 'c', 'c', 1, 0), (4, 1, 'a', 'y', 1, 0)`)
	row := e.one(s, "1")
	same(e.t, "lines", row["lines"], []store.Row{{"sku": "cup"}, {"sku": "ink"}, {"sku": "map"}})
	same(e.t, "odds", row["odds"], []store.Row{{"key": int64(1), "value": "a", "type": "y"}, {"key": int64(1), "value": "a", "type": "z"},
		{"key": int64(1), "value": "b", "type": "b"}})
	e.raised()
	e.exec(`UPDATE odd SET n = 9 WHERE id = 3`) // only the order reads it
	e.wantRaised("o/1")
}

func testLoadAggregates(e *env) {
	s := e.root("o", "orders", "id")
	e.add(s.Root, link{rel: store.HasMany, name: "lines", table: "line_items", via: []string{"order_id"},
		where: "qty < 100", noRows: true, counting: true, sums: []string{"qty", "price"}})
	e.shop(s)
	e.exec(`INSERT INTO line_items (id, order_id, qty, price) VALUES (13, 1, NULL, 0.10), (14, 1, 1000, 9), (15, 1, 7, 0.20)`,
		`INSERT INTO orders (id) VALUES (5)`)
	same(e.t, "sums", e.one(s, "1"), store.Row{"id": int64(1), "lines_count": int64(3), "lines_sum_qty": dec("10"), "lines_sum_price": dec("3.5")})
	same(e.t, "sums of nothing", e.one(s, "5"), store.Row{"id": int64(5), "lines_count": int64(0), "lines_sum_qty": dec("0"), "lines_sum_price": dec("0")})
	e.raised()
	e.exec(`UPDATE line_items SET price = 5 WHERE id = 15`)
	e.wantRaised("o/1")
	e.exec(`UPDATE line_items SET sku = 'x' WHERE id = 15`)
	e.wantRaised()
}

func testLoadAggregatesRows(e *env) {
	s := e.root("o", "orders", "id")
	e.add(s.Root, link{rel: store.HasMany, name: "lines", table: "line_items", via: []string{"order_id"}, order: "id",
		counting: true, sums: []string{"price"}}, "sku")
	e.shop(s)
	same(e.t, "row", e.one(s, "1"), store.Row{"id": int64(1), "lines_count": int64(2), "lines_sum_price": dec("3.3"),
		"lines": []store.Row{{"sku": "pen"}, {"sku": "ink"}}})
}

func testLoadLimit(e *env) {
	s := e.orderShape()
	s.MemberLimit = 3
	e.shop(s)
	e.exec(`INSERT INTO line_items (id, order_id) VALUES (13, 1)`)
	e.one(s, "1")
	e.exec(`INSERT INTO line_items (id, order_id) VALUES (14, 1)`)
	got := e.load(s, "1", "2")
	if got["1"].Err == nil {
		e.t.Error("4 lines are taken, the limit is 3")
	}
	e.ok(got["2"].Err) // the other one is not to blame
	e.equal("lines of the other", len(got["2"].Row["lines"].([]store.Row)), 2)
}

// Where rows take much memory, the first keys are loaded and the others named.
func testLoadHeavy(e *env) {
	s := e.orderShape()
	e.shop(s)
	e.exec(`INSERT INTO orders (id, user_id) VALUES (3, 1), (4, 1), (5, 2)`)
	e.exec(`UPDATE line_items SET sku = '` + strings.Repeat("x", 2000) + `'`)
	e.exec(`UPDATE orders SET ref_no = '` + strings.Repeat("y", 2000) + `' WHERE id > 2`)
	all := e.load(s, "1", "2", "3", "4", "5", "99")
	s.ByteLimit = 5500
	parts := 0
	for keys := []string{"99", "1", "2", "3", "4", "5"}; len(keys) > 0; parts++ {
		found, rest, err := e.Store.Load(e.ctx, s, keys)
		e.ok(err)
		if len(rest) == len(keys) {
			e.t.Fatalf("nothing of %v was loaded", keys)
		}
		for key, c := range found {
			e.ok(c.Err)
			if slices.Contains(rest, key) {
				e.t.Errorf("%s was loaded, and is to be loaded", key)
			}
			same(e.t, "order "+key, c.Row, all[key].Row)
			delete(all, key)
		}
		keys = rest
	}
	if len(all) > 0 || parts < 3 {
		e.t.Errorf("%d are missing after %d parts", len(all), parts)
	}
	s.ByteLimit = 800
	for key, fits := range map[string]bool{"1": false, "3": true} {
		c := e.load(s, key)[key]
		if (c.Err == nil) != fits || !fits && !strings.Contains(c.Err.Error(), "of memory") {
			e.t.Errorf("order %s: %v", key, c.Err)
		}
	}
}

func testLoadTwo(e *env) {
	e.shop(e.orderShape())
	e.exec(`INSERT INTO billing_infos (id, order_id, vat) VALUES (9, 1, 'second')`)
	got := e.load(e.shapes[0], "1", "2")
	if got["1"].Err == nil {
		e.t.Error("two billing infos are taken for one")
	}
	e.ok(got["2"].Err)
}

// With an order, the first row is the one that is meant; of those that are equal
// in it, the first by key.
func testLoadFirst(e *env) {
	s := e.root("newest", "orders", "id")
	e.add(s.Root, link{rel: store.HasOne, name: "billing", table: "billing_infos", via: []string{"order_id"}, order: "id DESC"}, "vat")
	tied := e.root("tied", "orders", "id")
	e.add(tied.Root, link{rel: store.HasOne, name: "billing", table: "billing_infos", via: []string{"order_id"}, order: "order_id"}, "vat")
	e.shop(s, tied)
	e.exec(`INSERT INTO billing_infos (id, order_id, vat) VALUES (9, 1, 'second')`)
	for key, want := range map[string]string{"1": "second", "2": "DE2"} {
		row := e.one(s, key)
		same(e.t, "billing of "+key, row["billing"], store.Row{"vat": want})
	}
	e.exec(`INSERT INTO billing_infos (id, order_id, vat) VALUES (-9, 1, 'first by key')`)
	row := e.one(tied, "1")
	same(e.t, "billing of those that are equal", row["billing"], store.Row{"vat": "first by key"})
}

func testLoadMany(e *env) {
	e.shop(e.orderShape())
	e.orders(1, 1001, 2000)
	e.exec(`INSERT INTO line_items (id, order_id, sku) SELECT id + 10000, id, 'bulk' FROM orders WHERE id > 1000`)
	keys := make([]string, 2000)
	for i := range keys {
		keys[i] = fmt.Sprint(3000 - i)
	}
	got := e.load(e.shapes[0], keys...)
	e.equal("composites", len(got), 2000)
	for k, c := range got {
		if c.Err != nil || fmt.Sprint(c.Row["id"]) != k || len(c.Row["lines"].([]store.Row)) != 1 {
			e.t.Fatalf("composite of %s: %+v", k, c)
		}
	}
}

func testLoadSnapshot(e *env) {
	e.shop(e.orderShape())
	// The application keeps state and quantities equal, in one transaction.
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			tx := e.Begin(e.t)
			for _, q := range []string{`UPDATE orders SET state = '%d' WHERE id = 1`, `UPDATE line_items SET qty = %d WHERE order_id = 1`,
				`UPDATE billing_infos SET vat = '%d' WHERE order_id = 1`} {
				if err := tx.Exec(fmt.Sprintf(q, i)); err != nil {
					e.t.Error(err)
				}
			}
			if err := tx.Commit(); err != nil {
				e.t.Error(err)
			}
		}
	})
	defer wg.Wait()
	defer close(stop)
	changes := map[string]bool{}
	// 300 looks, and more while the application has not come to its turn.
	for n := 0; n < 300 || len(changes) < 2 && e.ctx.Err() == nil; n++ {
		row := e.one(e.shapes[0], "1")
		state := row["state"].(string)
		changes[state] = true
		if state == "placed" {
			continue
		}
		for _, l := range row["lines"].([]store.Row) {
			if fmt.Sprint(l["qty"]) != state {
				e.t.Fatalf("order of %s with a line of %v", state, l["qty"])
			}
		}
		if vat := row["billing"].(store.Row)["vat"]; vat != state {
			e.t.Fatalf("order of %s with a billing info of %v", state, vat)
		}
	}
	if len(changes) < 2 {
		e.t.Error("nothing changed while the composites were read: this test saw nothing")
	}
}

func testLoadTo(e *env) {
	e.exec(`CREATE TABLE countries (id INTEGER PRIMARY KEY, code TEXT UNIQUE, name TEXT)`,
		`CREATE TABLE sites (id INTEGER PRIMARY KEY, country TEXT)`)
	s := e.root("site", "sites", "id")
	e.add(s.Root, link{rel: store.BelongsTo, name: "country", table: "countries", via: []string{"country"}, to: []string{"code"}}, "name")
	e.install(s)
	e.exec(`INSERT INTO countries VALUES (1, 'de', 'Germany'), (2, 'at', 'Austria')`, `INSERT INTO sites VALUES (1, 'de'), (2, 'at'), (3, 'xx')`)
	e.raised()
	same(e.t, "site 1", e.one(s, "1"), store.Row{"id": int64(1), "country": store.Row{"name": "Germany"}})
	same(e.t, "site 3", e.one(s, "3"), store.Row{"id": int64(3), "country": nil})
	e.exec(`UPDATE countries SET name = 'D' WHERE id = 1`)
	e.wantRaised("site/1")
	e.exec(`UPDATE countries SET code = 'xx' WHERE id = 1`)
	e.wantRaised("site/1", "site/3")
}

func testLoadTwice(e *env) {
	e.exec(`CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, boss_id INTEGER, mentor_id INTEGER)`)
	s := e.root("person", "people", "name")
	e.add(s.Root, link{rel: store.BelongsTo, name: "boss", table: "people", via: []string{"boss_id"}}, "name")
	e.add(s.Root, link{rel: store.BelongsTo, name: "mentor", table: "people", via: []string{"mentor_id"}}, "name")
	e.add(s.Root, link{rel: store.HasMany, name: "staff", table: "people", via: []string{"boss_id"}, order: "name"}, "name")
	e.install(s)
	e.exec(`INSERT INTO people VALUES (1, 'Ada', NULL, 1), (2, 'Ben', 1, NULL), (3, 'Cy', 1, 2)`)
	e.raised()
	same(e.t, "Ada", e.one(s, "1"), store.Row{"name": "Ada", "boss": nil, "mentor": store.Row{"name": "Ada"},
		"staff": []store.Row{{"name": "Ben"}, {"name": "Cy"}}})
	same(e.t, "Cy", e.one(s, "3"), store.Row{"name": "Cy", "boss": store.Row{"name": "Ada"}, "mentor": store.Row{"name": "Ben"}, "staff": []store.Row{}})
	e.exec(`UPDATE people SET name = 'Bo' WHERE id = 2`)
	e.wantRaised("person/1", "person/2", "person/3")
}

// One row whose values a where can't be computed of spoils its own composite, and
// what is said of it has no value.
func testLoadWhereFails(e *env) {
	where, orders := `CASE WHEN sku = 'canary-4711' THEN abs(-9223372036854775807 - qty) ELSE qty END > 0`, 40
	e.exec(`INSERT INTO users (id, name) VALUES (1, 'Ada')`)
	for n := 1; n <= orders; n++ {
		e.exec(fmt.Sprintf(`INSERT INTO orders (id, user_id, state) VALUES (%d, 1, 'new')`, n),
			fmt.Sprintf(`INSERT INTO line_items (id, order_id, sku, qty, price) VALUES (%d, %[1]d, 'x', 1, 1)`, n))
	}
	for _, aggregate := range []bool{false, true} {
		s := e.root("sales_order", "orders", "id", "state")
		lines := e.add(s.Root, link{rel: store.HasMany, name: "lines", table: "line_items", via: []string{"order_id"}}, "id", "sku", "qty")
		lines.Where = where
		if aggregate {
			lines.OnlyAggregates, lines.Aggregates = true, []store.Aggregate{{Name: "number", Func: "count"}}
		}
		keys := []string{"404"}
		for n := 1; n <= orders; n++ {
			keys = append(keys, fmt.Sprint(n))
		}
		e.exec(`UPDATE line_items SET sku = 'canary-4711' WHERE id IN (7, 31)`)
		found := e.load(s, keys...)
		e.equal("composites", len(found), orders)
		for key, c := range found {
			poisoned := key == "7" || key == "31"
			switch {
			case !poisoned && c.Err != nil, !poisoned && c.Row["id"] == nil:
				e.t.Errorf("%s is spoilt too: %v", key, c.Err)
			case poisoned && c.Err == nil:
				e.t.Errorf("%s can be used: %v", key, c.Row)
			case poisoned && (strings.Contains(c.Err.Error(), "4711") || strings.Contains(c.Err.Error(), "922337") || !strings.Contains(c.Err.Error(), "lines")):
				e.t.Errorf("%s fails with %q, want the member's name and no value", key, c.Err)
			}
		}
		e.exec(`UPDATE line_items SET sku = 'x' WHERE id IN (7, 31)`)
		e.ok(e.load(s, "7")["7"].Err)
	}
	s := e.root("sales_order", "orders", "id", "state")
	lines := e.add(s.Root, link{rel: store.HasMany, name: "lines", table: "line_items", via: []string{"order_id"}}, "id")
	lines.Where = "no_such_column > 0"
	if _, _, err := e.Store.Load(e.ctx, s, []string{"1", "2"}); err == nil {
		e.t.Error("a where that does not fit the table is taken for a fault of the rows")
	}
}
