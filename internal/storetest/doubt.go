package storetest

import (
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

func doubtTests() []test {
	return []test{
		{"lease expiry", testLeaseExpiry},
		{"zombie", testZombie},
		{"settle", testSettle},
		{"settle while dirty", testSettleDirty},
		{"settle beside a force", testSettleForced},
		{"doubtful outcome", testDoubtful},
		{"later doubt wins", testLaterDoubt},
		{"held in doubt", testHoldInDoubt},
		{"held in doubt with a remote id", testHoldInDoubtKnown},
		{"at rest in doubt", testRestInDoubt},
		{"settled doubt of an expired hold", testHoldSettles},
		{"settled by hand, not there", testSettleNotThere},
		{"settled by hand, adopted", testSettleAdopted},
	}
}

func testLeaseExpiry(e *env) {
	e.shop(e.orderShape())
	cs := e.claim("dead", 1)
	e.Advance(59 * time.Second)
	e.record(synced(e.claim("w", 10)[0], "r"))
	e.equal("claims before the lease ends", len(e.claim("w", 10)), 0)
	e.Advance(2 * time.Second)
	c := e.claimOne("w", cs[0].ID.String())
	e.equal("in doubt", c.InDoubt, true)
	e.equal("generation", c.Generation, cs[0].Generation)
	e.equal("epoch is higher", c.Epoch > cs[0].Epoch, true)
	e.record(synced(c, "r-1"))
	// Synced is not settled: the dead holder's request may still land.
	g := e.group(c.ID.String())
	e.equal("state", g.State, store.InDoubt)
	if g.InDoubtUntil.IsZero() {
		e.t.Error("a success took the doubt away")
	}
}

func testZombie(e *env) {
	e.shop(e.orderShape())
	e.exec(`DELETE FROM billing_infos WHERE id = 2`, `DELETE FROM orders WHERE id = 2`)
	e.syncAll()
	e.exec(`UPDATE orders SET state = 'x' WHERE id = 1`)
	e.fold()
	zombie := e.claimOne("dead", "sales_order/1")
	e.Advance(2 * time.Minute)
	c := e.claimOne("w", "sales_order/1")
	for _, late := range []store.Result{synced(zombie, "r-zombie"), result(zombie, store.Refused), result(zombie, store.Removed)} {
		stale, err := e.Store.Record(e.ctx, []store.Result{late}, nil)
		e.ok(err)
		e.equal("stale", stale, []store.ID{zombie.ID})
	}
	e.wantState("sales_order/1", store.Claimed)
	e.equal("remote id", e.group("sales_order/1").RemoteID, "r-1")
	e.record(synced(c, "r-1"))
	stale, err := e.Store.Record(e.ctx, []store.Result{synced(zombie, "r-zombie")}, nil)
	e.ok(err)
	e.equal("stale", len(stale), 1)
	e.equal("remote id", e.group("sales_order/1").RemoteID, "r-1")
}

// doubtful leaves sales_order/1 synced but in doubt, the other one clean.
func (e *env) doubtful() {
	e.t.Helper()
	e.shop(e.orderShape())
	e.syncAll()
	e.exec(`UPDATE orders SET state = 'x' WHERE id = 1`)
	e.fold()
	e.claimOne("dead", "sales_order/1")
	e.Advance(2 * time.Minute)
	e.record(synced(e.claimOne("w", "sales_order/1"), "r-1"))
	e.wantState("sales_order/1", store.InDoubt)
	e.raised()
}

func testSettle(e *env) {
	e.doubtful()
	before := e.group("sales_order/1").Generation
	e.equal("claims in doubt", len(e.claim("w", 10)), 0)
	e.Advance(remoteQuiet - time.Second)
	e.equal("claims in doubt", len(e.claim("w", 10)), 0)
	e.Advance(2 * time.Second)
	c := e.claimOne("w", "sales_order/1")
	e.equal("forced", c.Forced, true)
	e.equal("in doubt", c.InDoubt, false)
	e.equal("whole", c.Whole, false)
	e.equal("generation", c.Generation, before+1)
	e.equal("op", e.group("sales_order/1").Cause.Op, "settle")
	e.record(synced(c, "r-1"))
	e.wantState("sales_order/1", store.Clean)
	e.Advance(24 * time.Hour)
	e.equal("claims once settled", len(e.claim("w", 10)), 0)
}

func testSettleDirty(e *env) {
	e.doubtful()
	e.exec(`UPDATE orders SET state = 'y' WHERE id = 1`)
	e.fold()
	c := e.claimOne("w", "sales_order/1") // at once: in doubt is no reason to wait
	e.equal("in doubt", c.InDoubt, true)
	r := result(c, store.Retry)
	r.After = 2 * remoteQuiet
	e.record(r)
	e.Advance(2 * remoteQuiet)
	c = e.claimOne("w", "sales_order/1")
	e.equal("forced", c.Forced, true)
	e.equal("in doubt", c.InDoubt, false)
	e.record(synced(c, "r-1"))
	e.wantState("sales_order/1", store.Clean)
}

func testDoubtful(e *env) {
	e.shop(e.orderShape())
	e.exec(`DELETE FROM billing_infos WHERE id = 2`, `DELETE FROM orders WHERE id = 2`)
	e.syncAll()
	e.exec(`UPDATE orders SET state = 'x' WHERE id = 1`)
	e.fold()
	first := e.claimOne("w", "sales_order/1")
	r := result(first, store.Doubtful)
	r.After, r.Doubt, r.Reason, r.Digests = time.Minute, remoteQuiet, "no answer", []byte("less")
	e.record(r)
	g := e.group("sales_order/1")
	e.equal("state", g.State, store.InDoubt)
	e.equal("digests", string(g.Digests), "less")
	e.equal("reason", g.Reason, "no answer")
	e.equal("claims before it is due", len(e.claim("w", 10)), 0)
	e.Advance(time.Minute)
	c := e.claimOne("w", "sales_order/1")
	e.equal("in doubt and attempts", fmtAny(c.InDoubt, c.Attempts), "true 1")
	e.equal("digests", string(c.Digests), "less")
	e.equal("the claim before", c.Before, first.Epoch)
	e.record(result(c, store.Released))
	c = e.claimOne("w", "sales_order/1")
	e.equal("digests, of a result that has none", string(c.Digests), "less")
	e.record(synced(c, "r-1"))
	e.wantState("sales_order/1", store.InDoubt)
	e.Advance(remoteQuiet)
	c = e.claimOne("w", "sales_order/1")
	e.equal("forced", c.Forced, true)
}

// What a person forces goes whole, also when a doubt ends before it went out, until
// it did.
func testSettleForced(e *env) {
	force := func() {
		e.touch(store.Touch{ID: id("sales_order/1"), Force: true})
		e.fold()
	}
	e.doubtful()
	force()
	e.Advance(remoteQuiet + time.Second)
	c := e.claimOne("w", "sales_order/1")
	e.equal("forced before the doubt is over", fmtAny(c.Forced, c.Whole, c.InDoubt), "true true false")
	e.record(result(c, store.Released))
	c = e.claimOne("w", "sales_order/1")
	e.equal("once more", fmtAny(c.Forced, c.Whole, c.InDoubt), "true true false")
	e.record(synced(c, "r-1"))

	e.exec(`UPDATE orders SET state = 'y' WHERE id = 1`)
	e.fold()
	r := result(e.claimOne("w", "sales_order/1"), store.Doubtful)
	r.After, r.Doubt = 2*remoteQuiet, remoteQuiet
	e.record(r)
	e.Advance(2 * remoteQuiet)
	c = e.claimOne("w", "sales_order/1")
	e.equal("a doubt that is over", fmtAny(c.Forced, c.Whole, c.InDoubt), "true false false")
	e.record(result(c, store.Released))
	c = e.claimOne("w", "sales_order/1")
	e.equal("the next claim", fmtAny(c.Forced, c.Whole), "true false")
	force() // during it
	e.record(synced(c, "r-1"))
	c = e.claimOne("w", "sales_order/1")
	e.equal("forced after it", fmtAny(c.Forced, c.Whole), "true true")
	e.record(synced(c, "r-1"))
	e.wantState("sales_order/1", store.Clean)
}

func testLaterDoubt(e *env) {
	e.shop(e.orderShape())
	cs := e.claim("w", 2)
	r := result(cs[0], store.Doubtful)
	r.Doubt = time.Hour
	e.record(r)
	until := e.group(cs[0].ID.String()).InDoubtUntil
	r = result(e.claimOne("w", cs[0].ID.String()), store.Doubtful)
	r.Doubt = time.Minute
	e.record(r)
	if got := e.group(cs[0].ID.String()).InDoubtUntil; !got.Equal(until) {
		e.t.Errorf("in doubt until %v, want the later %v", got, until)
	}
}

// hold is a request to a remote that does not hold external keys unique.
func (e *env) hold(holder string) []store.Claim {
	e.t.Helper()
	r := e.request(holder, 10)
	for i := range r.Syncs {
		r.Syncs[i].HoldInDoubt = true
	}
	cs, err := e.Store.Claim(e.ctx, r)
	e.ok(err)
	return cs
}

func testHoldInDoubt(e *env) {
	e.shop(e.orderShape())
	cs := e.hold("w")
	e.equal("claims", len(cs), 2)
	r := result(cs[0], store.Doubtful)
	r.Doubt = remoteQuiet
	e.record(r, synced(cs[1], "r"))
	e.equal("claims in doubt", len(e.hold("w")), 0)
	e.touch(store.Touch{ID: cs[0].ID})
	e.fold()
	e.equal("claims in doubt, touched", len(e.hold("w")), 0)
	e.Advance(remoteQuiet + time.Second)
	again := e.hold("w")
	e.equal("claims", claimed(again), []string{cs[0].ID.String()})
	e.equal("in doubt and forced", fmtAny(again[0].InDoubt, again[0].Forced), "false true")
}

func testHoldInDoubtKnown(e *env) {
	e.shop(e.orderShape())
	e.exec(`DELETE FROM billing_infos WHERE id = 2`, `DELETE FROM orders WHERE id = 2`)
	e.syncAll()
	e.exec(`UPDATE orders SET state = 'x' WHERE id = 1`)
	e.fold()
	r := result(e.hold("w")[0], store.Doubtful)
	r.Doubt = remoteQuiet
	e.record(r)
	cs := e.hold("w") // an update is no create: nothing to be held back for
	e.equal("claims", claimed(cs), []string{"sales_order/1"})
}

func testRestInDoubt(e *env) {
	e.shop(e.orderShape())
	e.exec(`DELETE FROM billing_infos WHERE id = 2`, `DELETE FROM orders WHERE id = 2`)
	e.syncAll()
	e.exec(`UPDATE orders SET state = 'x' WHERE id = 1`)
	e.fold()
	claim := func() []store.Claim {
		e.t.Helper()
		r := e.request("w", 10)
		for i := range r.Syncs {
			r.Syncs[i].Rest = true
		}
		cs, err := e.Store.Claim(e.ctx, r)
		e.ok(err)
		return cs
	}
	r := result(claim()[0], store.Doubtful)
	r.Doubt = remoteQuiet
	e.record(r)
	e.equal("claims in doubt, with a remote id", len(claim()), 0)
	e.exec(`UPDATE orders SET state = 'y' WHERE id = 1`)
	e.fold()
	e.equal("claims in doubt, touched", len(claim()), 0)
	e.Advance(remoteQuiet + time.Second)
	cs := claim()
	e.equal("claims", claimed(cs), []string{"sales_order/1"})
	e.Advance(2 * time.Minute) // its holder died, or only seems to have
	e.equal("claims after the lease ended", len(claim()), 0)
	e.Advance(remoteQuiet + time.Second)
	e.equal("claims", claimed(claim()), []string{"sales_order/1"})
}

func testHoldSettles(e *env) {
	e.shop(e.orderShape())
	cs := e.hold("dead")
	e.equal("claims", len(cs), 2)
	e.Advance(2 * time.Minute)
	e.equal("claims after the leases ended", len(e.hold("w")), 0)
	stale, err := e.Store.Record(e.ctx, []store.Result{synced(cs[0], "r")}, nil)
	e.ok(err)
	e.equal("stale results of the dead holder", len(stale), 1)
	e.Advance(remoteQuiet + time.Second)
	e.equal("claims when the doubt is over", len(e.hold("w")), 2)
}

// parkInDoubt parks the order after a create of which nobody knows.
func (e *env) parkInDoubt() store.ID {
	e.shop(e.orderShape())
	e.exec(`DELETE FROM billing_infos WHERE id = 2`, `DELETE FROM orders WHERE id = 2`)
	e.fold()
	var r store.Result
	for _, c := range e.claim("w", 10) {
		if c.Key == "1" {
			r = result(c, store.Refused)
			continue
		}
		e.record(result(c, store.Removed))
	}
	r.ExternalID, r.Doubt, r.Reason = "ext-1", time.Minute, "who knows"
	e.record(r)
	e.wantState("sales_order/1", store.Parked)
	return r.ID
}

func (e *env) settle(id store.ID, remoteID string, want bool) {
	e.t.Helper()
	done, _, err := e.Store.Settle(e.ctx, id, remoteID)
	e.ok(err)
	e.equal("settled with "+remoteID, done, want)
}

func testSettleNotThere(e *env) {
	id := e.parkInDoubt()
	e.settle(store.ID{Sync: "sales_order", Key: "none"}, "", false)
	e.settle(id, "", false) // an older request may still land
	e.wantState("sales_order/1", store.Parked)
	e.Advance(2 * time.Minute)
	e.settle(id, "", true)
	c := e.claimOne("w", "sales_order/1")
	e.equal("as if nothing went out", fmtAny(c.RemoteID, c.ExternalID, c.Forced, c.InDoubt, c.Attempts), "  false false 0")
	e.settle(id, "", false) // somebody is at it
	e.record(synced(c, "r-2"))
	e.wantState("sales_order/1", store.Clean)
	e.settle(id, "", false)
}

func testSettleAdopted(e *env) {
	id := e.parkInDoubt()
	e.settle(id, "r-9", true) // at once: it is there
	c := e.claimOne("w", "sales_order/1")
	e.equal("known, and to be sent in full", fmtAny(c.RemoteID, c.Forced, c.InDoubt, len(c.Digests)), "r-9 true false 0")
	e.record(synced(c, "r-9"))
	e.equal("remote id", e.group("sales_order/1").RemoteID, "r-9")
	e.settle(id, "r-8", false)
	e.exec(`UPDATE orders SET state = 'x' WHERE id = 1`)
	e.fold()
	e.park()
	e.settle(id, "r-8", false) // it has a remote id
}
