package storetest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/store"
)

func previewTests() []test {
	return []test{
		{"preview", testPreview},
		{"before anything is installed", testPreviewBefore},
	}
}

// preview lists the actions for each table: "orders create".
func (e *env) preview(shapes ...*store.Shape) []string {
	e.t.Helper()
	before := e.Objects(e.t)
	changes, err := e.Store.Preview(e.ctx, shapes)
	e.ok(err)
	if after := e.Objects(e.t); !slices.Equal(before, after) {
		e.t.Errorf("preview changed the database")
	}
	var lines []string
	for _, c := range changes {
		if c.Trigger == "" {
			e.t.Errorf("a change without a name: %+v", c)
		}
		lines = append(lines, c.Table.Name+" "+c.Action)
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

func testPreview(e *env) {
	order, line := e.fulfillmentShape(), e.lineShape()
	e.equal("at first", e.preview(order), []string{"orders create"})
	e.install(order)
	e.equal("installed", e.preview(order), []string(nil))
	e.equal("more columns", e.preview(e.root("fulfillment", "orders", "note", "state")), []string{"orders replace"})
	e.equal("another table", e.preview(e.root("u", "users", "name")), []string{"orders drop", "users create"})
	e.install(order, line)
	e.DropTrigger(e.t, "customers")
	e.equal("a lost trigger", e.preview(order, line), []string{"customers create"})
}

func testPreviewBefore(e *env) {
	order := e.fulfillmentShape()
	e.ok(e.Store.Uninstall(e.ctx))
	e.equal("nothing there", e.preview(order), []string{"orders create"})
	e.exec(`INSERT INTO orders (id) VALUES (1)`)
	keys, next, err := e.Store.Keys(e.ctx, order, "", 10)
	e.ok(err)
	e.equal("keys", fmtAny(keys, next), "[1] ")
}

func keyTests() []test {
	return []test{
		{"pages of root keys", testKeys},
		{"keys of several columns", testKeysOfSeveral},
		{"keys as people write them", testCanonical},
		{"deletes in the log", testDeparted},
	}
}

// allKeys pages over all root keys.
func (e *env) allKeys(shape *store.Shape, limit int) (keys []string) {
	e.t.Helper()
	for next, pages := "", 0; pages == 0 || next != ""; pages++ {
		page, at, err := e.Store.Keys(e.ctx, shape, next, limit)
		e.ok(err)
		if len(page) > limit || pages > 1000 {
			e.t.Fatalf("page %d has %d keys", pages, len(page))
		}
		keys, next = append(keys, page...), at
	}
	return keys
}

func testKeys(e *env) {
	e.exec(shopRows...)
	e.orders(1, 100, 20)
	want := []string{"1", "2"}
	for i := range 20 {
		want = append(want, fmt.Sprint(100+i))
	}
	for _, limit := range []int{1, 7, 11, 100} {
		e.equal("keys", e.allKeys(e.fulfillmentShape(), limit), want)
	}
}

// testCanonical: however a person writes a key, there is one group of it.
func testCanonical(e *env) {
	e.exec(`CREATE TABLE pairs (a TEXT NOT NULL, b INTEGER NOT NULL, PRIMARY KEY (a, b))`)
	shape := e.root("pair", "pairs", "b")
	want := map[string]string{"01,007": "01,7", `x\,y, 5`: `x\,y,5`, "a,-0": "a,0", " a,1": " a,1", "a,7": "a,7"}
	keys := append(slices.Collect(maps.Keys(want)), "1", "a,b", "a,1,2") // the last three can be no keys
	got, err := e.Store.Canonical(e.ctx, shape, keys)
	e.ok(err)
	e.equal("keys", got, want)
}

// testDeparted: a delete that is in the log is told of before it is folded, and
// not of a row that came back.
func testDeparted(e *env) {
	shape := e.orderShape()
	e.shop(shape)
	e.syncAll()
	departed := func(want ...string) {
		gone, err := e.Store.Departed(e.ctx, shape, []string{"1", "2", "3"})
		e.ok(err)
		slices.Sort(gone)
		e.equal("keys whose delete is in the log", strings.Join(gone, " "), strings.Join(want, " "))
	}
	departed()
	e.exec(`DELETE FROM line_items WHERE order_id = 1`, `DELETE FROM billing_infos WHERE order_id = 1`)
	departed()
	e.exec(`DELETE FROM orders WHERE id = 1`)
	departed("1")
	e.fold()
	departed()
}

func testKeysOfSeveral(e *env) {
	e.exec(`CREATE TABLE pairs (a TEXT NOT NULL, b INTEGER NOT NULL, PRIMARY KEY (a, b))`,
		`INSERT INTO pairs VALUES ('x,y', 1), ('x,y', 2), ('x\', 10), ('''', 3)`)
	shape := e.root("pair", "pairs", "b")
	keys := e.allKeys(shape, 1)
	slices.Sort(keys)
	e.equal("keys", strings.Join(keys, " "), `',3 x\,y,1 x\,y,2 x\\,10`)
	found, _, err := e.Store.Load(e.ctx, shape, keys)
	e.ok(err)
	e.equal("composites", len(found), 4)
}
