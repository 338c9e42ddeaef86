package storetest

import (
	"fmt"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

func graphTests() []test {
	return []test{
		{"partial", testPartial},
		{"partial, and what was left out is there", testPartialCame},
		{"partial, and touched", testPartialTouched},
		{"partial of itself", testPartialItself},
		{"waited for long", testWaitedLong},
		{"refused until another one is there", testRefusedUntil},
		{"refused, and the other one is there", testRefusedCame},
		{"named ones are woken", testWakes},
		{"what waits for what", testWaits},
		{"whom a group blocks", testBlocking},
	}
}

// partial is the result of a claim whose record was made without on.
func partial(c store.Claim, remoteID string, on ...string) store.Result {
	r := synced(c, remoteID)
	r.Outcome, r.After, r.Reason = store.Partial, time.Hour, "made without "+on[0]
	for _, s := range on {
		r.WaitsFor = append(r.WaitsFor, id(s))
	}
	return r
}

func testPartial(e *env) {
	child, ps := e.parentAndChild("customer/1")
	e.record(waits(ps[0], "sales_order/1")) // it has come to that circle first
	r := partial(child, "o-1", "customer/1")
	r.Refs = []store.ID{id("item/1")}
	e.record(r)
	g := e.group("sales_order/1")
	e.equal("state, reason, waits for", fmtAny(g.State, g.Reason, g.WaitsFor), "waiting made without customer/1 [customer/1]")
	e.equal("ids, digests, refs", fmtAny(g.RemoteID, g.ExternalID, string(g.Digests), g.Refs), "o-1 ext-1 d [item/1]")
	e.equal("attempts, synced", fmtAny(g.Attempts, g.SyncedGeneration < g.Generation, g.SyncedAt.IsZero()), "0 true true")
	counts, err := e.Store.Counts(e.ctx)
	e.ok(err)
	for _, c := range counts {
		if c.Sync == "sales_order" && c.Waiting != 1 {
			e.t.Errorf("counts: %+v", c)
		}
	}
	c := e.claimOne("w", "customer/1") // its record was what that one waited for
	e.record(synced(c, "c-1"))
	e.fold()
	c = e.claimOne("w", "sales_order/1")
	e.equal("claimed again", fmtAny(c.RemoteID, string(c.Digests), c.Generation == child.Generation), "o-1 d true")
	e.record(synced(c, "o-1"))
	e.wantState("sales_order/1", store.Clean)
}

func testPartialCame(e *env) {
	child, ps := e.parentAndChild("customer/1")
	e.record(synced(ps[0], "c-1"))
	e.record(partial(child, "o-1", "customer/1"))
	e.equal("remote id", e.claimOne("w", "sales_order/1").RemoteID, "o-1")
}

func testPartialTouched(e *env) {
	child, _ := e.parentAndChild("customer/1")
	e.exec(`UPDATE orders SET ref_no = 'other' WHERE id = 1`)
	e.fold()
	e.record(partial(child, "o-1", "customer/1"))
	c := e.claimOne("w", "sales_order/1")
	e.equal("remote id, newer", fmtAny(c.RemoteID, c.Generation > child.Generation), "o-1 true")
}

func testPartialItself(e *env) {
	child, _ := e.parentAndChild("customer/1")
	e.record(partial(child, "o-1", "sales_order/1"))
	c := e.claimOne("w", "sales_order/1")
	e.record(partial(c, "o-2", "sales_order/1")) // made again
	e.equal("remote id", e.claimOne("w", "sales_order/1").RemoteID, "o-2")
}

func testWaitedLong(e *env) {
	child, ps := e.parentAndChild("customer/1")
	r := waits(child, "customer/1")
	r.After = 30 * time.Second
	e.record(r)
	e.Advance(31 * time.Second)
	c := e.claimOne("w", "sales_order/1")            // the net
	e.equal("touched", c.TouchedAt, child.TouchedAt) // how long it has waited
	e.record(waits(c, "customer/1"))
	e.record(synced(ps[0], "c-1"))
	e.fold()
	e.claimOne("w", "sales_order/1")
}

// refusedUntil is the result of a claim that another one's success ends.
func refusedUntil(c store.Claim, on ...string) store.Result {
	r := waits(c, on...)
	r.Outcome, r.After, r.Reason = store.Refused, 0, "not without "+on[0]
	return r
}

func testRefusedUntil(e *env) {
	child, ps := e.parentAndChild("customer/1")
	e.record(refusedUntil(child, "customer/1"))
	g := e.group("sales_order/1")
	e.equal("state, reason, waits for", fmtAny(g.State, g.Reason, g.WaitsFor), "parked not without customer/1 [customer/1]")
	e.Advance(2 * time.Hour)
	for _, c := range e.claim("w", 10) {
		if c.Sync == "sales_order" {
			e.t.Fatal("a parked group is due by itself")
		}
		ps[0] = c // its lease had run out
	}
	e.record(synced(ps[0], "c-1"))
	e.fold()
	c := e.claimOne("w", "sales_order/1")
	e.equal("attempts", c.Attempts, 0)
	e.record(refusedUntil(c, "customer/404"))
	e.record(result(e.claimOne("w", "customer/404"), store.Removed)) // it was added
	n, err := e.Store.Retry(e.ctx, "sales_order", "1")
	e.ok(err)
	e.equal("retried", n, int64(1))
	e.claimOne("w", "sales_order/1")
	e.equal("blocked", fmt.Sprint(e.waits("sales_order/1")), "map[]")
}

func testRefusedCame(e *env) {
	child, ps := e.parentAndChild("customer/1")
	e.record(synced(ps[0], "c-1"))
	e.record(refusedUntil(child, "customer/1"))
	e.claimOne("w", "sales_order/1")
}

func testWakes(e *env) {
	child, ps := e.parentAndChild("customer/1", "customer/2")
	e.record(waits(ps[0], "sales_order/1"), refusedUntil(ps[1], "sales_order/1"))
	r := refusedUntil(child, "customer/1")
	r.Wakes = []store.ID{id("customer/1"), id("customer/2"), id("customer/404")}
	e.record(r)
	e.claimOne("w", "customer/1")
	e.wantState("customer/2", store.Parked) // it has had its try
}

func testWaits(e *env) {
	child, ps := e.parentAndChild("customer/1", "customer/2")
	e.record(waits(child, "customer/1", "odd/sy%nc/1/2"))
	e.record(waits(ps[0], "customer/2"), refusedUntil(ps[1], "sales_order/1"))
	e.equal("from the order", fmt.Sprint(e.waits("sales_order/1")),
		"map[customer/1:[customer/2] customer/2:[sales_order/1] sales_order/1:[customer/1 odd/sy%nc/1/2]]")
	e.equal("from nothing", len(e.waits("customer/404")), 0)
	near, err := e.Store.Waits(e.ctx, []store.ID{id("customer/1")}, 2)
	e.ok(err)
	e.equal("the nearest", fmt.Sprint(near), "map[customer/1:[customer/2] customer/2:[sales_order/1]]")
}

func testBlocking(e *env) {
	e.shop(e.customerShape(), e.orderShape())
	e.orders(1, 100, 3)
	e.fold()
	for _, c := range e.claim("w", 100) {
		switch name := c.ID.String(); {
		case name == "customer/1":
			e.record(result(c, store.Refused))
		case name == "customer/2":
			e.record(waits(c, "sales_order/100"))
		case name == "sales_order/2":
			e.record(refusedUntil(c, "customer/2"))
		case c.Sync == "sales_order":
			e.record(waits(c, "customer/1"))
		}
	}
	ids := []store.ID{id("customer/1"), id("customer/2"), id("sales_order/2")}
	b, err := e.Store.Blocking(e.ctx, ids, 100)
	e.ok(err)
	e.equal("blocking", fmt.Sprint(b), "map[customer/1:{4 6} customer/2:{1 1}]")
	b, err = e.Store.Blocking(e.ctx, ids[:1], 5)
	e.ok(err)
	e.equal("blocking, five at most", fmt.Sprint(b), "map[customer/1:{4 5}]")
	r := e.group("sales_order/2")
	e.equal("state", r.State, store.Parked)
	blockers, err := e.Store.Blockers(e.ctx, 10)
	e.ok(err)
	e.equal("blockers", fmt.Sprint(blockers), "[customer/1]")
	e.equal("blockers", fmt.Sprintf("%+v", blockers[0].Blocking), "{Direct:4 All:4}")
	if len(e.claim("w", 100)) != 0 {
		e.t.Error("something is due")
	}
}

// waits is what Waits says, without a limit that is reached.
func (e *env) waits(ids ...string) map[store.ID][]store.ID {
	e.t.Helper()
	var list []store.ID
	for _, s := range ids {
		list = append(list, id(s))
	}
	found, err := e.Store.Waits(e.ctx, list, 100)
	e.ok(err)
	return found
}
