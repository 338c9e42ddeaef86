package storetest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/upkeep-sync/upkeep/internal/store"
)

func fragmentTests() []test {
	return []test{{"columns", testFragment}, {"refused", testFragmentRefused}}
}

func testFragment(e *env) {
	e.exec(`CREATE TABLE "odd ""t" (id INTEGER PRIMARY KEY, "a b" TEXT, "order" INTEGER)`)
	for _, c := range []struct {
		table, where, order string
		want                []string
	}{
		{"orders", "accountable", "", []string{"accountable"}},
		{"orders", "", "created_at DESC, id", []string{"created_at", "id"}},
		{"orders", "state = 'a' OR (total > 5 AND note IS NULL)", "ref_no", []string{"note", "ref_no", "state", "total"}},
		{"orders", "lower(state) IN ('a', 'b')", "", []string{"state"}},
		{"orders", "orders.state = 'x' -- why", "", []string{"state"}},
		{"orders", "CASE WHEN accountable THEN total ELSE 0 END > 1", "", []string{"accountable", "total"}},
		{"orders", "1 = 1", "", nil},
		{"orders", "", "", nil},
		{`odd "t`, `"a b" = 'x' AND "order" > 1`, "", []string{"a b", "order"}},
	} {
		e.t.Run(c.where+" / "+c.order, func(t *testing.T) {
			got, err := e.Store.Fragment(e.ctx, store.Table{Name: c.table}, c.where, c.order)
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(got)
			if !slices.Equal(got, c.want) {
				t.Errorf("columns %v, want %v", got, c.want)
			}
		})
	}
}

func testFragmentRefused(e *env) {
	e.exec(shopRows...)
	before := e.Objects(e.t)
	for _, c := range []struct{ where, order string }{
		{"no_such_column = 1", ""},
		{"state = ", ""},
		{"state = 'x", ""},
		{"", "no_such_column"},
		{"EXISTS (SELECT 1 FROM users WHERE users.id = user_id)", ""},
		{"id IN (SELECT order_id FROM line_items)", ""},
		{"state = 'x'; DELETE FROM line_items", ""},
		{"1 = 1); DELETE FROM line_items; --", ""},
		{"", "id; DELETE FROM line_items"},
		{"no_such_function(state)", ""},
	} {
		e.t.Run(c.where+" / "+c.order, func(t *testing.T) {
			if got, err := e.Store.Fragment(e.ctx, store.Table{Name: "orders"}, c.where, c.order); err == nil {
				t.Errorf("taken, with columns %v", got)
			}
		})
	}
	e.equal("objects", fmt.Sprint(e.Objects(e.t)), fmt.Sprint(before))
	s := e.orderShape()
	e.equal("lines left", len(e.one(s, "1")["lines"].([]store.Row)), 2)
}
