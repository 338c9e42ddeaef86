package storetest

import (
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

func clashTests() []test {
	return []test{
		{"a clash is tried again", testClash},
		{"each clash in a row rests longer", testClashRests},
		{"of many clashes a few go", testManyClashes},
		{"the clashes of a paused sync rest", testPausedClash},
		{"a refused version that clashed goes again", testClashOfCommand},
	}
}

// clashRetry lets clashes go, of these syncs, and expects so many.
func (e *env) clashRetry(want int64, r store.ClashRetry, syncs ...string) {
	e.t.Helper()
	e.Advance(time.Millisecond) // where the clock stands still, epochs are ahead of it
	n, err := e.Store.RetryClashes(e.ctx, syncs, r)
	e.ok(err)
	e.equal("clashes that go again", n, want)
}

// refuse parks what is claimed.
func (e *env) refuse(c store.Claim, clash bool) {
	e.t.Helper()
	r := result(c, store.Refused)
	r.Reason, r.Clash = "the name is taken", clash
	e.record(r)
}

var someClashes = store.ClashRetry{First: time.Minute, Longest: time.Hour, Most: 10, Attempts: 5}

func testClash(e *env) {
	e.shop(e.customerShape(), e.orderShape())
	e.syncAll()
	e.exec(`UPDATE users SET name = 'new' WHERE id IN (1, 2)`)
	e.fold()
	for i, c := range e.claim("a", 2) {
		e.refuse(c, i == 0)
	}
	e.wantState("customer/1", store.Parked)
	e.wantState("customer/2", store.Parked)
	e.Advance(time.Second)
	r := someClashes
	r.Since = time.Minute // it was claimed after another record had changed
	e.clashRetry(0, r, "customer")
	e.clashRetry(0, someClashes, "sales_order", "none")
	e.clashRetry(0, someClashes)
	before := e.group("customer/1")
	e.clashRetry(1, someClashes, "customer", "sales_order")
	e.clashRetry(0, someClashes, "customer")
	e.wantState("customer/2", store.Parked)
	g := e.group("customer/1")
	e.equal("another write", g.Generation, before.Generation+1)
	e.equal("why", g.Reason, "the name is taken")
	counts, err := e.Store.Counts(e.ctx)
	e.ok(err)
	for _, c := range counts {
		if c.Oldest > time.Minute/2 {
			e.t.Errorf("%s is late by %s: it was parked until now", c.Sync, c.Oldest)
		}
	}
	c := e.claimOne("a", "customer/1")
	e.equal("attempts", c.Attempts, 5)
	e.record(synced(c, "r-1"))
	e.Advance(time.Hour)
	e.clashRetry(0, someClashes, "customer")
	e.wantState("customer/1", store.Clean)
	// What was a clash once, and is refused for something else, is none.
	e.exec(`UPDATE users SET name = 'newer' WHERE id = 1`)
	e.fold()
	e.refuse(e.claimOne("a", "customer/1"), true)
	e.clashRetry(1, someClashes, "customer")
	e.refuse(e.claimOne("a", "customer/1"), false)
	e.Advance(time.Hour)
	e.clashRetry(0, someClashes, "customer")
}

func testClashRests(e *env) {
	e.shop(e.customerShape())
	e.syncAll()
	e.exec(`UPDATE users SET name = 'new' WHERE id = 1`)
	e.fold()
	e.refuse(e.claimOne("a", "customer/1"), true)
	for i, rest := range []time.Duration{0, 1, 3, 7, 15, 31, 60, 60, 60} {
		if rest > 0 {
			e.Advance(rest*time.Minute - 10*time.Second)
			e.clashRetry(0, someClashes, "customer")
			e.Advance(15 * time.Second)
		}
		e.t.Log("clash", i+1)
		e.clashRetry(1, someClashes, "customer")
		e.refuse(e.claimOne("a", "customer/1"), true)
	}
	for range store.ClashesMost - 8 { // in a row, and no number overflows
		e.Advance(2 * time.Hour)
		e.clashRetry(1, someClashes, "customer")
		e.refuse(e.claimOne("a", "customer/1"), true)
	}
	// A success ends the row.
	e.exec(`UPDATE users SET name = 'newer' WHERE id = 1`)
	e.fold()
	e.record(synced(e.claimOne("a", "customer/1"), "r-1"))
	e.exec(`UPDATE users SET name = 'newest' WHERE id = 1`)
	e.fold()
	e.refuse(e.claimOne("a", "customer/1"), true)
	e.clashRetry(1, someClashes, "customer")
}

func testManyClashes(e *env) {
	e.shop(e.customerShape(), e.orderShape())
	e.orders(1, 1000, 30)
	e.fold()
	r := someClashes
	r.Most = 4
	clash := func() (n int) {
		for _, c := range e.claim("a", 500) {
			if c.Sync == "sales_order" {
				e.refuse(c, true)
				n++
			} else {
				e.record(synced(c, "r-"+c.Key))
			}
		}
		return n
	}
	clash()
	e.clashRetry(4, r, "sales_order", "customer")
	e.clashRetry(0, r, "sales_order") // they are on their way
	e.Advance(5 * time.Minute)
	e.clashRetry(0, r, "sales_order") // also later
	e.equal("tried", clash(), 4)
	e.clashRetry(0, r, "sales_order") // in vain, within a minute
	e.Advance(2 * time.Minute)
	e.clashRetry(4, r, "sales_order")
	for _, c := range e.claim("a", 100) {
		if g := e.group(c.ID.String()); g.Reason != "the name is taken" {
			e.t.Errorf("%s: %q", c.ID, g.Reason)
		}
		e.record(synced(c, "r-"+c.Key)) // each of them for the first time
	}
	e.clashRetry(4, r, "sales_order") // what goes well makes way
}

func testPausedClash(e *env) {
	e.shop(e.customerShape())
	e.syncAll()
	e.exec(`UPDATE users SET name = 'new' WHERE id = 1`)
	e.fold()
	e.refuse(e.claimOne("a", "customer/1"), true)
	e.ok(e.Store.PauseByHand(e.ctx, store.Pause{Sync: "customer"}))
	e.clashRetry(0, someClashes, "customer")
	_, err := e.Store.ResumeByHand(e.ctx, store.Pause{Sync: "customer"})
	e.ok(err)
	e.clashRetry(1, someClashes, "customer")
}

func testClashOfCommand(e *env) {
	_, first := e.twoCommands()
	r := result(e.claimOne("w", "sales_order/1"), store.Refused)
	r.Command, r.Reason, r.Version, r.Clash = first.Number, "the name is taken", "v1", true
	e.record(r)
	e.clashRetry(1, someClashes, "sales_order")
	c := e.next("sales_order/1")
	e.equal("refused after that", fmtAny(c.Number, c.Refused, c.RefusedVersion), fmtAny(first.Number, "", ""))
	e.claimOne("w", "sales_order/1")
}
