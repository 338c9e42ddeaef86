package storetest

import (
	"github.com/upkeep-sync/upkeep/internal/store"
)

func pauseTests() []test {
	return []test{
		{"pauses are listed", testPausesListed},
		{"nothing is claimed of a paused sync", testPausedSync},
	}
}

func (e *env) paused() []store.Pause {
	e.t.Helper()
	all, err := e.Again(e.t).PausedByHand(e.ctx) // as another process
	e.ok(err)
	return all
}

func (e *env) resume(p store.Pause, want bool) {
	e.t.Helper()
	was, err := e.Store.ResumeByHand(e.ctx, p)
	e.ok(err)
	e.equal("was paused", was, want)
}

func testPausesListed(e *env) {
	e.equal("pauses", len(e.paused()), 0)
	e.ok(e.Store.PauseByHand(e.ctx, store.Pause{Sync: "same", Reason: "one"}))
	e.ok(e.Store.PauseByHand(e.ctx, store.Pause{Remote: "same", Reason: "two"}))
	first := e.paused()
	if len(first) != 2 || first[0].Remote != "same" || first[0].Reason != "two" || first[1].Sync != "same" || first[1].Since.IsZero() {
		e.t.Fatalf("pauses: %+v", first)
	}
	e.Advance(1e9)
	e.ok(e.Store.PauseByHand(e.ctx, store.Pause{Sync: "same", Reason: "three"}))
	again := e.paused()
	e.equal("reason", again[1].Reason, "three")
	e.equal("since", again[1].Since, first[1].Since)
	e.ok(e.Store.PauseByHand(e.ctx, store.Pause{Sync: "same"}))
	e.equal("reason after a pause that gives none", e.paused()[1].Reason, "three")
	e.resume(store.Pause{Remote: "same"}, true)
	e.resume(store.Pause{Remote: "same"}, false)
	e.equal("left", fmtAny(len(e.paused()), e.paused()[0].Sync), "1 same")
	e.resume(store.Pause{Sync: "same"}, true)
	e.equal("left", len(e.paused()), 0)
}

// testPausedSync: touches go on being folded, other syncs go on.
func testPausedSync(e *env) {
	e.shop(e.customerShape(), e.orderShape())
	e.syncAll()
	e.ok(e.Store.PauseByHand(e.ctx, store.Pause{Sync: "sales_order"}))
	e.ok(e.Store.PauseByHand(e.ctx, store.Pause{Remote: "customer"})) // a remote of a sync's name
	e.exec(`UPDATE orders SET ref_no = 'new' WHERE id = 1`, `UPDATE users SET name = 'new' WHERE id = 1`)
	e.wantRaised("customer/1", "sales_order/1")
	e.record(synced(e.claimOne("a", "customer/1"), "r-1"))
	e.wantState("sales_order/1", store.Dirty)
	e.resume(store.Pause{Sync: "sales_order"}, true)
	e.record(synced(e.claimOne("a", "sales_order/1"), "r-1"))
}
