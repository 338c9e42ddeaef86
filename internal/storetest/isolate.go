package storetest

import (
	"strings"

	"github.com/upkeep-sync/upkeep/internal/store"
)

func isolateTests() []test {
	return []test{
		{"a sync that can't be resolved", testUnresolved},
		{"a sync that can't be resolved, in its sweep", testUnresolvedInSweep},
		{"a sync that can't be resolved, forced", testUnresolvedForced},
		{"a sync that can't be resolved, since a table between is away", testUnresolvedBetween},
	}
}

// syncedShop is a shop in which all is clean, and its shape of orders.
func (e *env) syncedShop() (order *store.Shape) {
	e.t.Helper()
	order = e.orderShape()
	e.shop(e.root("contact", "users", "id", "name"), order)
	e.syncAll()
	return order
}

// Without the orders it can't be told whose a line is.
const (
	takeOrders = `ALTER TABLE orders RENAME TO away`
	giveOrders = `ALTER TABLE away RENAME TO orders`
)

// failure is why the pass over a sync does not go on.
func (e *env) failure(sync string) string {
	e.t.Helper()
	s, err := e.Store.Sync(e.ctx, sync)
	e.ok(err)
	if s.Backfill.Failure != "" && !s.Backfill.Running {
		e.t.Errorf("%s fails, and no sweep is under way", sync)
	}
	return s.Backfill.Failure
}

// swept passes over a sync until the end.
func (e *env) swept(s *store.Shape) {
	e.t.Helper()
	for range 100 {
		more, err := e.Store.Backfill(e.ctx, s, 1)
		e.ok(err)
		if !more {
			return
		}
	}
	e.t.Fatal("the pass never comes to its end")
}

func testUnresolved(e *env) {
	order := e.syncedShop()
	e.exec(`UPDATE line_items SET qty = 9 WHERE id = 11`, `DELETE FROM billing_infos WHERE id = 2`, `DELETE FROM orders WHERE id = 2`,
		`UPDATE users SET name = 'x' WHERE id = 1`, takeOrders)
	e.wantRaised("contact/1", "sales_order/2") // the log says which
	n, err := e.Store.Pending(e.ctx, 10)
	e.ok(err)
	e.equal("left in the log", n, 0)
	e.equal("the delete was seen", e.group("sales_order/2").DeleteSeen, true)
	if why := e.failure("sales_order"); !strings.Contains(why, "orders") {
		e.t.Errorf("the sync fails since %q, want the table's name", why)
	}
	e.equal("the other sync fails", e.failure("contact"), "")
	if _, err := e.Store.Backfill(e.ctx, order, 1); err == nil || !strings.Contains(err.Error(), "orders") {
		e.t.Errorf("its sweep goes on: %v", err)
	}
	e.exec(`UPDATE users SET name = 'y' WHERE id = 1`, `UPDATE billing_infos SET vat = 'x' WHERE id = 1`)
	e.ok(e.Store.Append(e.ctx, nil, []store.Touch{{ID: id("sales_order/1"), Force: true}, {ID: id("sales_order/ 3"), Register: true}}))
	e.wantRaised("contact/1", "sales_order/ 3", "sales_order/1") // nobody can tell how the table spells it
	e.exec(giveOrders)
	e.swept(order)
	e.wantRaised("sales_order/ 3", "sales_order/1", "sales_order/2")
	e.equal("the sync fails", e.failure("sales_order"), "")
	e.equal("the delete is known still", e.group("sales_order/2").DeleteSeen, true)
	e.exec(`UPDATE line_items SET qty = 8 WHERE id = 11`)
	e.wantRaised("sales_order/1")
	e.equal("the sync fails", e.failure("sales_order"), "")
}

// testUnresolvedInSweep: what a sweep has passed over already is swept again.
func testUnresolvedInSweep(e *env) {
	order := e.syncedShop()
	e.ok(e.Store.StartBackfill(e.ctx, "sales_order", "v", true, false))
	_, err := e.Store.Backfill(e.ctx, order, 1)
	e.ok(err)
	e.wantRaised("sales_order/1")
	e.exec(`UPDATE billing_infos SET vat = 'x' WHERE id = 1`, takeOrders)
	e.wantRaised()
	e.exec(giveOrders)
	e.swept(order)
	e.wantRaised("sales_order/1", "sales_order/2")
	e.equal("forced", e.group("sales_order/1").ForcedGeneration, int64(0))
}

// testUnresolvedForced: and a pass that forces all goes on doing so.
func testUnresolvedForced(e *env) {
	order := e.syncedShop()
	e.ok(e.Store.StartBackfill(e.ctx, "sales_order", "v", true, true))
	e.swept(order) // each was forced before
	e.syncAll()
	e.ok(e.Store.StartBackfill(e.ctx, "sales_order", "v", true, true))
	_, err := e.Store.Backfill(e.ctx, order, 1)
	e.ok(err)
	e.exec(`UPDATE billing_infos SET vat = 'x' WHERE id = 1`, takeOrders)
	e.fold()
	e.exec(giveOrders)
	before := e.group("sales_order/1").Generation
	e.swept(order)
	one, two := e.group("sales_order/1"), e.group("sales_order/2")
	e.equal("swept again", one.Generation > before, true)
	e.equal("forced", fmtAny(one.ForcedGeneration > one.SyncedGeneration, two.ForcedGeneration > two.SyncedGeneration), "true true")
}

// testUnresolvedBetween: a sweep that could go on waits too, until touches can be
// resolved: it would begin anew with each of them.
func testUnresolvedBetween(e *env) {
	account := e.accountShape() // its root is not what is away
	e.shop(account)
	e.syncAll()
	e.exec(`UPDATE line_items SET qty = 9 WHERE id = 11`, takeOrders)
	e.wantRaised()
	if _, err := e.Store.Backfill(e.ctx, account, 1); err == nil || !strings.Contains(err.Error(), "orders") {
		e.t.Errorf("its sweep goes on: %v", err)
	}
	if e.failure("account") == "" {
		e.t.Error("the sync does not fail")
	}
	e.exec(giveOrders)
	e.swept(account)
	e.wantRaised("account/1", "account/2")
}
