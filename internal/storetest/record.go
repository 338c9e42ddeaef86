package storetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

func recordTests() []test {
	return []test{
		{"released", testReleased},
		{"synced", testSynced},
		{"removed", testRemoved},
		{"a row that is there was not deleted", testPresent},
		{"retry", testRetryOutcome},
		{"refused", testRefused},
		{"refused but touched", testRefusedTouched},
		{"several at once", testRecordMany},
		{"unknown group", testRecordUnknown},
		{"delete seen until inserted", testDeleteSeenUntil},
		{"delete by hand", testDeleteByHand},
		{"free", testFree},
		{"refused in doubt", testRefusedDoubt},
		{"external id of every outcome", testExternalID},
		{"delete during a claim", testDeleteDuringClaim},
		{"parked goes again", testParkedGoesAgain},
		{"Retry", testRetry},
	}
}

// oneOrder leaves order 1 alone in the shop, dirty.
func (e *env) oneOrder() {
	e.t.Helper()
	e.shop(e.orderShape())
	e.exec(`DELETE FROM billing_infos WHERE id = 2`, `DELETE FROM orders WHERE id = 2`)
	e.syncAll()
	e.exec(`UPDATE orders SET state = 'x' WHERE id = 1`)
	e.raised()
}

func testReleased(e *env) {
	e.oneOrder()
	r := result(e.claimOne("w", "sales_order/1"), store.Released)
	r.After = time.Minute
	e.record(r)
	e.wantState("sales_order/1", store.Dirty)
	e.equal("claims before it is due", len(e.claim("w", 10)), 0)
	e.Advance(time.Minute)
	c := e.claimOne("w", "sales_order/1")
	e.equal("attempts and doubt", fmtAny(c.Attempts, c.InDoubt), "0 false")
	e.record(result(c, store.Released))
	e.claimOne("w", "sales_order/1") // at once
}

func testSynced(e *env) {
	e.oneOrder()
	c := e.claimOne("w", "sales_order/1")
	r := result(c, store.Retry)
	r.Reason = "busy"
	e.record(r)
	c = e.claimOne("w", "sales_order/1")
	r = synced(c, "r-2")
	r.Refs = []store.ID{id("customer/9")}
	e.record(r)
	g := e.group("sales_order/1")
	e.equal("state", g.State, store.Clean)
	e.equal("generations", g.SyncedGeneration, g.Generation)
	e.equal("ids", g.RemoteID+" "+g.ExternalID, "r-2 ext-1")
	e.equal("digests", string(g.Digests), "d")
	e.equal("refs", fmt.Sprint(g.Refs), "[customer/9]")
	e.equal("attempts, reason, holder", fmtAny(g.Attempts, g.Reason, g.Holder), "0  ")
	if g.SyncedAt.IsZero() || !g.DueAt.IsZero() || !g.LeaseUntil.IsZero() {
		e.t.Errorf("times: %+v", g)
	}
	e.equal("claims when clean", len(e.claim("w", 10)), 0)
}

// testPresent: that the row was there when it was loaded refutes a delete that was
// seen before, and none that is folded later.
func testPresent(e *env) {
	e.oneOrder()
	e.exec(`DELETE FROM billing_infos`, `DELETE FROM orders`)
	e.fold()
	c := e.claimOne("w", "sales_order/1")
	r := result(c, store.Retry)
	e.record(r)
	c = e.claimOne("w", "sales_order/1")
	e.equal("DeleteSeen, as nobody saw the row", c.DeleteSeen, true)
	r = result(c, store.Retry)
	r.Present = true
	e.record(r)
	c = e.claimOne("w", "sales_order/1")
	e.equal("DeleteSeen, once it was seen", c.DeleteSeen, false)
	e.exec(`INSERT INTO orders (id) VALUES (1)`)
	e.fold()
	e.exec(`DELETE FROM orders`)
	e.fold()
	r = synced(c, "r-1")
	r.Present = true
	e.record(r)
	e.equal("DeleteSeen, of a later delete", e.claimOne("w", "sales_order/1").DeleteSeen, true)
}

func testRemoved(e *env) {
	e.oneOrder()
	e.exec(`DELETE FROM billing_infos`, `DELETE FROM orders`)
	e.fold()
	c := e.claimOne("w", "sales_order/1")
	e.equal("DeleteSeen", c.DeleteSeen, true)
	r := result(c, store.Removed)
	r.Calls, r.RemoteID = 1, "is not kept"
	e.record(r)
	g := e.group("sales_order/1")
	e.equal("state", g.State, store.Gone)
	e.equal("remote id", g.RemoteID, "")
	e.equal("digests", len(g.Digests), 0)
	e.equal("DeleteSeen after the sync", g.DeleteSeen, true) // until the row is there again
	e.equal("external id", g.ExternalID, "ext-1")
	e.exec(`INSERT INTO orders (id) VALUES (1)`)
	e.fold()
	c = e.claimOne("w", "sales_order/1")
	e.equal("remote id and DeleteSeen", fmtAny(c.RemoteID, c.DeleteSeen), " false")
}

func testRetryOutcome(e *env) {
	e.oneOrder()
	for i := range 3 {
		c := e.claimOne("w", "sales_order/1")
		e.equal("attempts", c.Attempts, i)
		r := result(c, store.Retry)
		r.After, r.Reason = time.Second, fmt.Sprint("busy ", i)
		e.record(r)
		g := e.group("sales_order/1")
		e.equal("state and reason", fmtAny(g.State, g.Reason), fmt.Sprint("dirty busy ", i))
		e.Advance(time.Second)
	}
}

func testRefused(e *env) {
	e.oneOrder()
	r := result(e.claimOne("w", "sales_order/1"), store.Refused)
	r.Reason = "no such item"
	e.record(r)
	g := e.group("sales_order/1")
	e.equal("state and reason", fmtAny(g.State, g.Reason), "parked no such item")
	e.Advance(1000 * time.Hour)
	e.equal("claims of a parked group", len(e.claim("w", 10)), 0)
	e.equal("remote id", g.RemoteID, "r-1")
	parked, err := e.Store.Groups(e.ctx, "sales_order", store.Parked, store.ID{}, 10)
	e.ok(err)
	e.equal("parked groups", len(parked), 1)
}

func testRefusedTouched(e *env) {
	e.oneOrder()
	c := e.claimOne("w", "sales_order/1")
	e.exec(`UPDATE orders SET state = 'mended' WHERE id = 1`)
	e.fold()
	r := result(c, store.Refused)
	r.Reason = "bad state"
	e.record(r)
	// What was refused is not what is there now.
	e.wantState("sales_order/1", store.Dirty)
	e.claimOne("w", "sales_order/1")
}

func testRecordMany(e *env) {
	e.shop(e.customerShape(), e.orderShape())
	cs := e.claim("w", 10)
	e.equal("claims", len(cs), 4)
	bad := synced(cs[1], "x")
	bad.Epoch--
	refused := result(cs[2], store.Refused)
	refused.Reason = "no"
	retry := result(cs[3], store.Retry)
	stale, err := e.Store.Record(e.ctx, []store.Result{synced(cs[0], "a"), bad, refused, retry}, nil)
	e.ok(err)
	e.equal("stale", stale, []store.ID{cs[1].ID})
	for i, want := range []store.State{store.Clean, store.Claimed, store.Parked, store.Dirty} {
		e.wantState(cs[i].ID.String(), want)
	}
	stale, err = e.Store.Record(e.ctx, nil, nil)
	e.ok(err)
	e.equal("stale of nothing", len(stale), 0)
}

func testRecordUnknown(e *env) {
	e.shop(e.orderShape())
	stale, err := e.Store.Record(e.ctx, []store.Result{{ID: id("sales_order/404"), Epoch: 1, Outcome: store.Synced, RemoteID: "x"}}, nil)
	e.ok(err)
	e.equal("stale", stale, []store.ID{id("sales_order/404")})
	if _, err := e.Store.Group(e.ctx, id("sales_order/404")); !errors.Is(err, store.ErrNoGroup) {
		e.t.Errorf("Group: %v, want ErrNoGroup", err)
	}
}

func testDeleteSeenUntil(e *env) {
	e.oneOrder()
	e.exec(`DELETE FROM billing_infos`, `DELETE FROM orders`)
	e.fold()
	e.record(result(e.claimOne("w", "sales_order/1"), store.Retry))
	e.touch(store.Touch{ID: id("sales_order/1")})
	e.fold()
	c := e.claimOne("w", "sales_order/1")
	e.equal("DeleteSeen after a retry and a touch", c.DeleteSeen, true)
	r := result(c, store.Removed)
	e.record(r)
	// A late answer of another worker may make it needed once more.
	e.touch(store.Touch{ID: id("sales_order/1")})
	e.fold()
	c = e.claimOne("w", "sales_order/1")
	e.equal("DeleteSeen after a sync", c.DeleteSeen, true)
	e.record(result(c, store.Removed))
	e.exec(`INSERT INTO orders (id) VALUES (1)`, `UPDATE orders SET state = 'y'`)
	e.fold()
	e.equal("DeleteSeen after an insert", e.group("sales_order/1").DeleteSeen, false)
	// In one transaction, the last one says.
	e.tx(`DELETE FROM orders`, `INSERT INTO orders (id) VALUES (1)`, `DELETE FROM orders`)
	e.fold()
	e.equal("DeleteSeen after delete, insert, delete", e.group("sales_order/1").DeleteSeen, true)
}

func testDeleteByHand(e *env) {
	e.oneOrder()
	e.touch(store.Touch{ID: id("sales_order/1"), Deleted: true}, store.Touch{ID: id("sales_order/55"), Deleted: true})
	e.wantRaised("sales_order/1")
	e.equal("DeleteSeen", e.claimOne("w", "sales_order/1").DeleteSeen, true)
}

func testFree(e *env) {
	e.oneOrder()
	for _, o := range []store.Outcome{store.Retry, store.Doubtful} {
		r := result(e.claimOne("w", "sales_order/1"), o)
		r.Free = true
		e.record(r)
		e.equal("attempts", e.group("sales_order/1").Attempts, 0)
	}
}

func testRefusedDoubt(e *env) {
	e.oneOrder()
	r := result(e.claimOne("w", "sales_order/1"), store.Refused)
	r.Doubt = time.Hour
	e.record(r)
	g := e.group("sales_order/1")
	e.equal("state", g.State, store.Parked)
	if g.InDoubtUntil.IsZero() {
		e.t.Error("no doubt after an unknown outcome")
	}
	_, err := e.Store.Retry(e.ctx, "sales_order", "1")
	e.ok(err)
	e.equal("in doubt", e.claimOne("w", "sales_order/1").InDoubt, true)
}

func testExternalID(e *env) {
	e.shop(e.orderShape())
	for i, o := range []store.Outcome{store.Released, store.Retry, store.Doubtful, store.Waits, store.Synced, store.Removed, store.Refused} {
		e.touch(store.Touch{ID: id("sales_order/1")})
		e.fold()
		for _, c := range e.claim("w", 10) {
			r := result(c, o)
			r.ExternalID = fmt.Sprint("x-", i)
			if c.Key == "1" {
				r.WaitsFor = []store.ID{id("nothing/1")}
				e.record(r)
				e.equal(fmt.Sprint("external id after outcome ", o), e.group("sales_order/1").ExternalID, r.ExternalID)
			}
		}
	}
}

func testDeleteDuringClaim(e *env) {
	e.oneOrder()
	c := e.claimOne("w", "sales_order/1")
	e.exec(`DELETE FROM billing_infos`, `DELETE FROM orders`)
	e.fold()
	e.record(synced(c, "r-1"))
	c = e.claimOne("w", "sales_order/1")
	e.equal("DeleteSeen of a delete during the claim", c.DeleteSeen, true)
}

// park parks sales_order/1.
func (e *env) park() {
	e.t.Helper()
	r := result(e.claimOne("w", "sales_order/1"), store.Refused)
	r.Reason = "no"
	e.record(r)
	e.wantState("sales_order/1", store.Parked)
}

func testParkedGoesAgain(e *env) {
	e.oneOrder()
	for range 2 { // an attempt count to be forgotten
		e.record(result(e.claimOne("w", "sales_order/1"), store.Retry))
	}
	e.park()
	e.exec(`UPDATE orders SET state = 'mended' WHERE id = 1`)
	e.fold()
	e.equal("attempts", e.claimOne("w", "sales_order/1").Attempts, 0)
}

func testRetry(e *env) {
	e.oneOrder()
	e.record(result(e.claimOne("w", "sales_order/1"), store.Retry))
	e.park()
	for _, c := range []struct {
		sync, key string
		want      int64
	}{{"sales_order", "2", 0}, {"customer", "", 0}, {"sales_order", "1", 1}, {"sales_order", "", 1}, {"", "", 1}} {
		n, err := e.Store.Retry(e.ctx, c.sync, c.key)
		e.ok(err)
		e.equal(fmt.Sprintf("retried with %q %q", c.sync, c.key), n, c.want)
		if c.want == 0 {
			e.wantState("sales_order/1", store.Parked)
			continue
		}
		claim := e.claimOne("w", "sales_order/1")
		e.equal("attempts", claim.Attempts, 0)
		e.record(result(claim, store.Refused))
	}
}
