package storetest

import (
	"fmt"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

func waitingTests() []test {
	return []test{
		{"woken by success", testWake},
		{"woken by the last of two", testWakeLast},
		{"success between check and record", testWakeRace},
		{"an absent parent is added", testWakeAbsent},
		{"an absent parent by hand is not", testWakeAbsentByHand},
		{"goes again when touched", testWaitTouched},
		{"touched during the claim", testWaitTouchedDuring},
		{"the net", testWaitNet},
		{"Retry", testWaitRetry},
		{"no wake without a remote id", testNoWake},
		{"many waiters", testManyWaiters},
		{"references are touched", testReferences},
		{"references that changed", testReferencesChanged},
		{"a reference outdated while it was sent", testReferenceOutdated},
	}
}

// waits is the result of a claim that waits.
func waits(c store.Claim, on ...string) store.Result {
	r := result(c, store.Waits)
	r.After, r.Reason = time.Hour, "not there"
	for _, s := range on {
		r.WaitsFor = append(r.WaitsFor, id(s))
	}
	return r
}

// parentAndChild claims customer/1 (or more) and sales_order/1; the others
// are clean.
func (e *env) parentAndChild(parents ...string) (child store.Claim, ps []store.Claim) {
	e.t.Helper()
	e.shop(e.customerShape(), e.orderShape())
	for _, c := range e.claim("w", 10) {
		switch name := c.ID.String(); {
		case name == "sales_order/1":
			child = c
		case len(parents) > 0 && name == parents[0], len(parents) > 1 && name == parents[1]:
			ps = append(ps, c)
		default:
			e.record(synced(c, "r-"+name))
		}
	}
	return child, ps
}

func testWake(e *env) {
	child, ps := e.parentAndChild("customer/1")
	e.record(waits(child, "customer/1"))
	g := e.group("sales_order/1")
	e.equal("state, reason, waits for", fmtAny(g.State, g.Reason, g.WaitsFor), "waiting not there [customer/1]")
	blocked, err := e.Store.Blocked(e.ctx, id("customer/1"), 10)
	e.ok(err)
	e.equal("blocked", blocked, []store.ID{id("sales_order/1")})
	e.equal("claims of a waiting group", len(e.claim("w", 10)), 0)
	e.record(synced(ps[0], "r-1"))
	e.fold()
	c := e.claimOne("w", "sales_order/1")
	e.equal("attempts", c.Attempts, 0)
	blocked, err = e.Store.Blocked(e.ctx, id("customer/1"), 10)
	e.ok(err)
	e.equal("blocked", len(blocked), 0)
	e.touch(store.Touch{ID: id("customer/1")})
	e.fold()
	found, err := e.Store.Records(e.ctx, []store.ID{id("customer/1"), id("sales_order/1"), id("customer/404")})
	e.ok(err)
	e.equal("records", found, map[store.ID]store.RecordState{
		id("customer/1"): {RemoteID: "r-1", ExternalID: "ext-1", Behind: true}, id("sales_order/1"): {Behind: true}})
}

func testWakeLast(e *env) {
	child, ps := e.parentAndChild("customer/1", "customer/2")
	e.record(waits(child, "customer/1", "customer/2"))
	e.record(synced(ps[0], "a"))
	e.record(synced(ps[1], "b"))
	e.fold()
	e.claimOne("w", "sales_order/1")
}

func testWakeRace(e *env) {
	child, ps := e.parentAndChild("customer/1")
	e.record(synced(ps[0], "r-1")) // after the child looked, before it says so
	e.record(waits(child, "customer/1"))
	e.fold()
	e.claimOne("w", "sales_order/1")
}

func testWakeAbsent(e *env) {
	child, _ := e.parentAndChild()
	e.record(waits(child, "customer/77"))
	e.wantState("sales_order/1", store.Waiting)
	c := e.claimOne("w", "customer/77")
	e.record(synced(c, "r-77"))
	e.fold()
	e.claimOne("w", "sales_order/1")
}

func testWakeAbsentByHand(e *env) {
	child, _ := e.parentAndChild()
	stale, err := e.Store.Record(e.ctx, []store.Result{waits(child, "customer/77")}, []string{"customer"})
	e.ok(err)
	e.equal("stale", len(stale), 0)
	e.equal("claims", len(e.claim("w", 10)), 0)
	// Once it is registered and synced, it wakes all the same.
	e.touch(store.Touch{ID: id("customer/77"), Register: true})
	e.fold()
	e.record(synced(e.claimOne("w", "customer/77"), "r-77"))
	e.fold()
	e.claimOne("w", "sales_order/1")
}

func testWaitTouched(e *env) {
	child, _ := e.parentAndChild("customer/1")
	e.record(waits(child, "customer/1"))
	e.exec(`UPDATE orders SET user_id = NULL WHERE id = 1`)
	e.fold()
	e.claimOne("w", "sales_order/1")
	blocked, err := e.Store.Blocked(e.ctx, id("customer/1"), 10)
	e.ok(err)
	e.equal("blocked", len(blocked), 0)
}

func testWaitTouchedDuring(e *env) {
	child, _ := e.parentAndChild("customer/1")
	e.exec(`UPDATE orders SET ref_no = 'other' WHERE id = 1`)
	e.fold()
	e.record(waits(child, "customer/1"))
	e.claimOne("w", "sales_order/1") // it may not refer to the customer any more
}

func testWaitNet(e *env) {
	child, _ := e.parentAndChild("customer/1")
	r := waits(child, "customer/1")
	r.After = 30 * time.Second // shorter than the parent's lease
	e.record(r)
	e.equal("claims", len(e.claim("w", 10)), 0)
	e.Advance(31 * time.Second)
	e.claimOne("w", "sales_order/1")
}

func testWaitRetry(e *env) {
	child, _ := e.parentAndChild("customer/1")
	e.record(waits(child, "customer/1"))
	n, err := e.Store.Retry(e.ctx, "sales_order", "1")
	e.ok(err)
	e.equal("retried", n, int64(1))
	e.claimOne("w", "sales_order/1")
}

func testNoWake(e *env) {
	child, ps := e.parentAndChild("customer/1")
	e.record(waits(child, "customer/1"))
	e.record(result(ps[0], store.Removed)) // never passed `when`
	e.fold()
	e.wantState("sales_order/1", store.Waiting)
	e.equal("claims", len(e.claim("w", 10)), 0)
}

func testManyWaiters(e *env) {
	e.shop(e.customerShape(), e.orderShape())
	e.orders(1, 100, 1500)
	e.fold()
	var parent store.Claim
	var rs []store.Result
	for _, c := range e.claim("w", 5000) {
		switch {
		case c.ID.String() == "customer/1":
			parent = c
		case c.Sync == "sales_order":
			rs = append(rs, waits(c, "customer/1"))
		default:
			rs = append(rs, synced(c, "r-"+c.Key))
		}
	}
	e.record(rs...)
	e.equal("claims", len(e.claim("w", 5000)), 0)
	e.Advance(30 * time.Second) // less than a lease
	e.record(synced(parent, "r-1"))
	e.fold()
	if got := e.counts("sales_order").Oldest; got > 20*time.Second {
		e.t.Errorf("once the parent is there they are late for %v, since they began to wait", got)
	}
	e.equal("claims once the parent is there", len(e.claim("w", 5000)), 1502)
}

func testReferences(e *env) {
	child, ps := e.parentAndChild("customer/1")
	e.record(synced(ps[0], "r-1"))
	r := synced(child, "o-1")
	r.Refs = []store.ID{id("customer/1")}
	e.record(r)
	e.raised()
	// The same remote id again touches nobody.
	e.touch(store.Touch{ID: id("customer/1")})
	e.wantRaised("customer/1")
	e.record(synced(e.claimOne("w", "customer/1"), "r-1"))
	e.wantRaised()
	// Made anew under another id, it touches who refers to it.
	e.touch(store.Touch{ID: id("customer/1")})
	e.wantRaised("customer/1")
	e.record(synced(e.claimOne("w", "customer/1"), "r-9"))
	e.wantRaised("sales_order/1")
	e.equal("op", e.group("sales_order/1").Cause.Op, "reference")
	c := e.claimOne("w", "sales_order/1")
	e.equal("refs", fmt.Sprint(c.Refs), "[customer/1]")
}

func testReferencesChanged(e *env) {
	child, ps := e.parentAndChild("customer/1", "customer/2")
	e.record(synced(ps[0], "a"), synced(ps[1], "b"))
	r := synced(child, "o-1")
	r.Refs = []store.ID{id("customer/1")}
	e.record(r)
	e.touch(store.Touch{ID: id("sales_order/1")})
	e.fold()
	r = synced(e.claimOne("w", "sales_order/1"), "o-1")
	r.Refs = []store.ID{id("customer/2")}
	e.record(r)
	e.raised()
	for _, c := range []struct {
		parent string
		want   []string
	}{{"customer/1", nil}, {"customer/2", []string{"sales_order/1"}}} {
		e.touch(store.Touch{ID: id(c.parent)})
		e.wantRaised(c.parent)
		e.record(synced(e.claimOne("w", c.parent), "new-"+c.parent))
		e.wantRaised(c.want...)
	}
}

// A record is sent with a reference to one that is made anew before the first
// is recorded: nobody knew yet that they are tied.
func testReferenceOutdated(e *env) {
	child, ps := e.parentAndChild("customer/1", "customer/2")
	e.record(synced(ps[0], "old"), synced(ps[1], "b"))
	e.touch(store.Touch{ID: id("customer/1")})
	e.fold()
	e.record(synced(e.claimOne("w", "customer/1"), "new"))
	r := synced(child, "o-1")
	r.Refs = []store.ID{id("customer/1"), id("customer/2")}
	r.Sent = map[store.ID]string{id("customer/1"): "old", id("customer/2"): "b"}
	e.record(r)
	e.wantState("sales_order/1", store.Dirty)
	e.equal("op", e.group("sales_order/1").Cause.Op, "reference")
	r = synced(e.claimOne("w", "sales_order/1"), "o-1")
	r.Refs = []store.ID{id("customer/1"), id("customer/2")}
	r.Sent = map[store.ID]string{id("customer/1"): "new"}
	e.record(r)
	e.wantState("sales_order/1", store.Clean)
}
