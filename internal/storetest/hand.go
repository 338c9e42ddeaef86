package storetest

import (
	"github.com/upkeep-sync/upkeep/internal/store"
)

func handTests() []test {
	return []test{
		{"touch", testTouch},
		{"in the application's transaction", testTouchInTx},
		{"register", testRegister},
		{"force", testForce},
		{"force during a claim", testForceDuringClaim},
		{"force that settled nothing", testUnsettled},
		{"sync by hand", testByHand},
		{"unknown sync", testTouchUnknown},
		{"in another spelling", testTouchSpelled},
	}
}

// touch appends touches in a transaction of their own.
func (e *env) touch(ts ...store.Touch) {
	e.t.Helper()
	e.ok(e.Store.Append(e.ctx, nil, ts))
}

func testTouch(e *env) {
	e.shop(e.orderShape())
	e.touch(store.Touch{ID: id("sales_order/1")}, store.Touch{ID: id("sales_order/99")})
	e.wantRaised("sales_order/1")
	g := e.group("sales_order/1")
	e.equal("op", g.Cause.Op, "touch")
	e.equal("forced", g.ForcedGeneration > g.SyncedGeneration, false)
	e.touch()
	e.wantRaised()
}

func testTouchInTx(e *env) {
	e.shop(e.orderShape())
	tx := e.Begin(e.t)
	e.ok(e.Store.Append(e.ctx, tx.Handle(), []store.Touch{{ID: id("sales_order/1")}}))
	e.ok(tx.Rollback())
	e.wantRaised()
	tx = e.Begin(e.t)
	e.ok(tx.Exec(`UPDATE orders SET note = 'x' WHERE id = 2`))
	e.ok(e.Store.Append(e.ctx, tx.Handle(), []store.Touch{{ID: id("sales_order/1")}, {ID: id("sales_order/2")}}))
	e.ok(tx.Commit())
	e.wantRaised("sales_order/1", "sales_order/2")
	if err := e.Store.Append(e.ctx, 42, []store.Touch{{ID: id("sales_order/1")}}); err == nil {
		e.t.Error("a number was taken for a transaction")
	}
}

// testTouchSpelled: whoever writes to the log may spell a key otherwise than
// the database. What can be no key is told of, and keeps nothing from folding.
func testTouchSpelled(e *env) {
	e.shop(e.orderShape())
	e.touch(store.Touch{ID: id("sales_order/001")}, store.Touch{ID: id("sales_order/ 2")}, store.Touch{ID: id("sales_order/2")},
		store.Touch{ID: id("sales_order/x"), Register: true}, store.Touch{ID: id("sales_order/01"), Deleted: true},
		store.Touch{ID: id("sales_order/050"), Register: true})
	f, err := e.Store.Fold(e.ctx, e.shapes, plan, 1000)
	e.ok(err)
	e.equal("unfit", f.Unfit, []store.ID{id("sales_order/x")})
	e.equal("rows", f.Rows, 6)
	e.wantRaised("sales_order/1", "sales_order/2", "sales_order/50")
	e.equal("the deletion of another spelling", e.group("sales_order/1").DeleteSeen, false)
}

func testRegister(e *env) {
	e.shop(e.orderShape())
	e.touch(store.Touch{ID: id("sales_order/50"), Register: true})
	e.wantRaised("sales_order/50")
	e.equal("op", e.group("sales_order/50").Cause.Op, "register")
	e.touch(store.Touch{ID: id("sales_order/50"), Register: true})
	e.wantRaised("sales_order/50")
}

func testForce(e *env) {
	e.shop(e.orderShape())
	e.syncAll()
	e.touch(store.Touch{ID: id("sales_order/1"), Force: true})
	e.wantRaised("sales_order/1")
	c := e.claimOne("w", "sales_order/1")
	e.equal("forced", c.Forced, true)
	e.record(synced(c, "r-1"))
	e.exec(`UPDATE orders SET state = 'x' WHERE id = 1`)
	e.fold()
	e.equal("forced the next time", e.claimOne("w", "sales_order/1").Forced, false)
}

func testForceDuringClaim(e *env) {
	e.shop(e.orderShape())
	e.syncAll()
	e.exec(`UPDATE orders SET state = 'x' WHERE id = 1`)
	e.fold()
	c := e.claimOne("w", "sales_order/1")
	e.touch(store.Touch{ID: id("sales_order/1"), Force: true})
	e.fold()
	e.record(synced(c, "r-1"))
	e.wantState("sales_order/1", store.Dirty)
	c = e.claimOne("w", "sales_order/1")
	e.equal("forced after a Force during the claim", c.Forced, true)
	// A plain touch after a Force does not take the force away.
	e.touch(store.Touch{ID: id("sales_order/1")})
	e.fold()
	result := result(c, store.Retry)
	e.record(result)
	e.equal("forced after a retry and a plain touch", e.claimOne("w", "sales_order/1").Forced, true)
}

// testUnsettled: a success for which nothing was sent leaves the force to the next
// touch, and the group clean until then; also if one came meanwhile.
func testUnsettled(e *env) {
	e.shop(e.orderShape())
	e.syncAll()
	for _, during := range []bool{false, true} {
		e.touch(store.Touch{ID: id("sales_order/1"), Force: true})
		e.wantRaised("sales_order/1")
		c := e.claimOne("w", "sales_order/1")
		if during {
			e.touch(store.Touch{ID: id("sales_order/1")})
			e.fold()
		}
		r := synced(c, "r-1")
		r.Unsettled = true
		e.record(r)
		if !during {
			e.wantState("sales_order/1", store.Clean)
			e.touch(store.Touch{ID: id("sales_order/1")})
			e.wantRaised("sales_order/1")
		}
		c = e.claimOne("w", "sales_order/1")
		e.equal("forced by a touch after it", c.Forced, true)
		e.record(synced(c, "r-1"))
		e.wantState("sales_order/1", store.Clean)
		e.equal("forced when it was sent", e.group("sales_order/1").ForcedGeneration <= e.group("sales_order/1").SyncedGeneration, true)
	}
}

func testByHand(e *env) {
	s := e.orderShape()
	s.ByHand = true
	e.shop(s)
	e.equal("groups without a Register", len(e.groups()), 0)
	e.touch(store.Touch{ID: id("sales_order/1"), Register: true})
	e.wantRaised("sales_order/1")
	e.exec(`UPDATE orders SET state = 'x'`, `UPDATE line_items SET qty = 7`)
	e.wantRaised("sales_order/1")
	e.exec(`DELETE FROM line_items`, `DELETE FROM billing_infos`, `DELETE FROM orders`)
	e.wantRaised("sales_order/1")
	e.equal("DeleteSeen", e.group("sales_order/1").DeleteSeen, true)
}

func testTouchUnknown(e *env) {
	e.shop(e.orderShape())
	e.touch(store.Touch{ID: id("nothing/1"), Register: true}, store.Touch{ID: id("sales_order/1")})
	e.wantRaised("sales_order/1")
	if _, ok := e.groups()[id("nothing/1")]; ok {
		e.t.Error("a group was made of a sync that nobody has")
	}
}
