package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

func foldTests() []test {
	return []test{
		{"look", testLook},
		{"counts", testFoldCounts},
		{"generations", testGenerations},
		{"limit", testFoldLimit},
		{"plan", testPlan},
		{"fan-out behind a piece of single changes", testFanOutBehind},
		{"fan-out in pieces", testFanOut},
		{"fan-out with changes between the pieces", testFanOutChanges},
		{"fan-out that another process goes on with", testFanOutCrash},
		{"concurrent folds", testConcurrentFolds},
		{"only rows that exist", testFoldExisting},
	}
}

// testLook: an idle process learns from it of all that there is to do.
func testLook(e *env) {
	s := e.orderShape()
	e.shop(e.customerShape(), s)
	e.syncAll()
	look := func(what string, want store.Seen) {
		e.t.Helper()
		got, err := e.Store.Look(e.ctx, plan, []string{"customer", "sales_order"})
		e.ok(err)
		slices.Sort(got.Due)
		e.equal(what, fmt.Sprint(got.Touched, got.Passing, got.Due), fmt.Sprint(want.Touched, want.Passing, want.Due))
	}
	look("of nothing", store.Seen{})
	e.exec(`UPDATE orders SET state = 'x' WHERE id = 1`, `UPDATE users SET name = 'x' WHERE id = 1`)
	look("of a touch", store.Seen{Touched: true})
	e.fold()
	look("of dirty groups", store.Seen{Due: []string{"customer", "sales_order"}})
	e.ok(e.Store.PauseByHand(e.ctx, store.Pause{Sync: "customer"}))
	look("of a paused sync", store.Seen{Due: []string{"sales_order"}})
	e.resume(store.Pause{Sync: "customer"}, true)
	claims := e.claim("w", 10)
	e.equal("claims", len(claims), 2)
	look("of claimed groups", store.Seen{})
	e.Advance(time.Hour)
	look("of leases that ran out", store.Seen{Due: []string{"customer", "sales_order"}})
	for _, c := range e.claim("w", 10) {
		e.record(synced(c, "r-1"))
	}
	e.ok(e.Store.StartBackfill(e.ctx, s.Sync, "v", true, false))
	look("of a backfill", store.Seen{Passing: true})
	for more := true; more; {
		var err error
		more, err = e.Store.Backfill(e.ctx, s, 100)
		e.ok(err)
	}
	look("of the backfill lane", store.Seen{Due: []string{"sales_order"}})
	if _, err := e.Store.Look(e.ctx, "another", nil); !errors.Is(err, store.ErrPlan) {
		e.t.Errorf("a look under another plan: %v, want ErrPlan", err)
	}
}

func testFoldCounts(e *env) {
	e.shop(e.orderShape())
	rows, groups := e.fold()
	e.equal("rows of an empty log", [2]int{rows, groups}, [2]int{0, 0})
	e.exec(`UPDATE orders SET state = 'a' WHERE id = 1`, `UPDATE orders SET state = 'b' WHERE id = 1`,
		`UPDATE line_items SET qty = 9 WHERE order_id = 1`)
	n, err := e.Store.Pending(e.ctx, 100)
	e.ok(err)
	e.equal("rows in the log", n, 4)
	n, err = e.Store.Pending(e.ctx, 3)
	e.ok(err)
	e.equal("rows in the log, at most 3", n, 3)
	before := e.group("sales_order/1").Generation
	rows, groups = e.fold()
	e.equal("rows and groups", [2]int{rows, groups}, [2]int{4, 1})
	e.equal("generations of one fold", e.group("sales_order/1").Generation-before, int64(1))
	n, err = e.Store.Pending(e.ctx, 100)
	e.ok(err)
	e.equal("rows left", n, 0)
}

func testGenerations(e *env) {
	e.shop(e.orderShape())
	g := e.group("sales_order/1")
	e.equal("generation of a new group", [2]int64{g.Generation, g.SyncedGeneration}, [2]int64{1, 0})
	e.wantState("sales_order/1", store.Dirty)
	e.syncAll()
	e.wantState("sales_order/1", store.Clean)
	g = e.group("sales_order/1")
	e.equal("generation once synced", [2]int64{g.Generation, g.SyncedGeneration}, [2]int64{1, 1})
	e.exec(`UPDATE orders SET state = 'x' WHERE id = 1`)
	e.fold()
	e.wantState("sales_order/1", store.Dirty)
	e.wantState("sales_order/2", store.Clean)
	g = e.group("sales_order/1")
	e.equal("generation once touched", [2]int64{g.Generation, g.SyncedGeneration}, [2]int64{2, 1})
	e.equal("forced", g.ForcedGeneration, int64(0))
}

func testFoldLimit(e *env) {
	e.shop(e.orderShape())
	e.orders(1, 100, 25)
	total := 0
	for range 3 {
		f, err := e.Store.Fold(e.ctx, e.shapes, plan, 10)
		e.ok(err)
		if f.Rows > 10 {
			e.t.Errorf("a fold of at most 10 rows took %d", f.Rows)
		}
		if total += f.Rows; total < 25 && !f.More {
			e.t.Errorf("no more after %d of 25 rows", total)
		}
	}
	e.equal("rows of three folds", total, 25)
	if got := len(e.raised()); got != 25 {
		e.t.Errorf("raised %d groups of 25", got)
	}
}

func testPlan(e *env) {
	e.shop(e.orderShape())
	e.exec(`UPDATE orders SET state = 'x' WHERE id = 1`)
	if _, err := e.Store.Fold(e.ctx, e.shapes, "another", 100); !errors.Is(err, store.ErrPlan) {
		e.t.Errorf("a fold under another plan: %v, want ErrPlan", err)
	}
	e.wantRaised("sales_order/1")
	if err := e.Store.Install(e.ctx, e.shapes, "plan-2", "another"); !errors.Is(err, store.ErrPlan) {
		e.t.Errorf("an installation in place of a plan that is not there: %v, want ErrPlan", err)
	}
	e.ok(e.Store.Install(e.ctx, e.shapes, "plan-2", plan))
	e.ok(e.Store.Install(e.ctx, e.shapes, "plan-2", plan)) // it is there already
	if _, err := e.Store.Fold(e.ctx, e.shapes, plan, 100); !errors.Is(err, store.ErrPlan) {
		e.t.Errorf("a fold under an old plan: %v, want ErrPlan", err)
	}
	_, err := e.Store.Fold(e.ctx, e.shapes, "plan-2", 100)
	e.ok(err)
}

// manyLines gives customer 1 an order with n lines: a change of the customer
// touches n groups of the sync "line".
func (e *env) manyLines(n int) {
	e.t.Helper()
	e.shop(e.lineShape())
	e.exec(fmt.Sprintf(`INSERT INTO line_items (id, order_id) SELECT n + 1000, 1 FROM %s AS r`, e.Row(n)))
	e.raised()
}

// testFanOutBehind: rows that are groups themselves fill a piece, and a row that
// leads to others has no room in it.
func testFanOutBehind(e *env) {
	e.shop(e.orderShape())
	n := e.Piece + e.Piece/10
	e.orders(1, 1000, n)
	e.exec(`INSERT INTO line_items (id, order_id) VALUES (91, 1000)`, `UPDATE users SET name = 'new' WHERE id = 1`)
	groups := 0
	for folds := 1; ; folds++ {
		f, err := e.Store.Fold(e.ctx, e.shapes, plan, 2*n)
		e.ok(err)
		if groups += f.Groups; !f.More {
			break
		}
		if folds == 100 {
			e.t.Fatalf("after 100 folds that raised %d groups in all there is more", groups)
		}
	}
	left, err := e.Store.Pending(e.ctx, 10)
	e.ok(err)
	e.equal("rows left in the log", left, 0)
	if groups < n {
		e.t.Errorf("%d groups raised, want %d or more", groups, n)
	}
}

func testFanOut(e *env) {
	n := e.Piece * 5 / 2
	e.manyLines(n)
	e.exec(`UPDATE customers SET segment = 'new' WHERE id = 1`)
	folds, groups := 0, 0
	for {
		f, err := e.Store.Fold(e.ctx, e.shapes, plan, 100)
		e.ok(err)
		if folds == 0 && f.Groups > e.Piece { // what is left may go in larger ones
			e.t.Errorf("the first fold raised %d groups", f.Groups)
		}
		folds, groups = folds+1, groups+f.Groups
		if !f.More {
			break
		}
	}
	if folds < 2 {
		e.t.Errorf("%d groups in %d folds, want pieces", n, folds)
	}
	e.equal("groups raised", groups, n+2)
	e.equal("groups raised, by their generations", len(e.raised()), n+2)
	for name, g := range e.groups() {
		if name.Key != "21" && name.Key != "22" && g.Generation != 2 {
			e.t.Fatalf("%s has generation %d, want 2", name, g.Generation)
		}
	}
}

func testFanOutChanges(e *env) {
	n := e.Piece * 3 / 2
	e.manyLines(n)
	e.exec(`UPDATE customers SET segment = 'new' WHERE id = 1`)
	f, err := e.Store.Fold(e.ctx, e.shapes, plan, 100)
	e.ok(err)
	e.equal("more", f.More, true)
	// Some of the rest goes another way, and a newer touch comes in between.
	e.exec(fmt.Sprintf(`UPDATE line_items SET order_id = 2 WHERE id > %d`, n+990), `UPDATE line_items SET sku = 'x' WHERE id = 11`)
	e.equal("groups raised in all", len(e.raised()), n+2)
	left, err := e.Store.Pending(e.ctx, 10)
	e.ok(err)
	e.equal("rows left in the log", left, 0)
}

// testFanOutCrash: the process that began dies at each moment between two
// pieces, and another one goes on. Until the last piece the log is not empty, so
// that no group which waits there counts as clean.
func testFanOutCrash(e *env) {
	n := e.Piece * 5 / 2
	e.manyLines(n)
	e.syncAll()
	e.exec(`UPDATE customers SET segment = 'new' WHERE id = 1`)
	groups := 0
	for more := true; more; {
		f, err := e.Again(e.t).Fold(e.ctx, e.shapes, plan, 100)
		e.ok(err)
		groups, more = groups+f.Groups, f.More
		left, err := e.Store.Pending(e.ctx, 10)
		e.ok(err)
		if left == 0 && groups < n+2 {
			e.t.Fatalf("nothing is left in the log, and %d of %d groups were raised", groups, n+2)
		}
		for _, c := range e.claim("w", 300) { // some are sent meanwhile
			if len(c.Digests) == 0 {
				e.t.Fatalf("%s was claimed without having been sent", c.ID)
			}
			e.record(synced(c, "r-"+c.Key))
		}
	}
	e.equal("groups raised", groups, n+2)
	for name, g := range e.groups() {
		if name.Key != "21" && name.Key != "22" && g.Generation != 2 {
			e.t.Fatalf("%s has generation %d, want 2", name, g.Generation)
		}
	}
}

func testConcurrentFolds(e *env) {
	e.shop(e.orderShape())
	other := e.Again(e.t)
	e.orders(1, 100, 500)
	var wg sync.WaitGroup
	for _, s := range []store.Store{e.Store, other, e.Store, other} {
		wg.Go(func() {
			for range 200 {
				f, err := s.Fold(e.ctx, e.shapes, plan, 20)
				if err != nil {
					e.t.Error(err)
				}
				if err != nil || !f.More && f.Rows == 0 {
					return
				}
			}
		})
	}
	wg.Wait()
	e.equal("groups raised", len(e.raised()), 500)
}

func testFoldExisting(e *env) {
	e.shop(e.orderShape())
	// A line of an order that is not there touches nothing.
	e.exec(`INSERT INTO orders (id) VALUES (7)`, `INSERT INTO line_items (id, order_id) VALUES (71, 7)`, `DELETE FROM orders WHERE id = 7`)
	e.fold()
	for name := range e.groups() {
		if name.Key != "1" && name.Key != "2" && name.Key != "7" {
			e.t.Errorf("a group %s without a row", name)
		}
	}
}
