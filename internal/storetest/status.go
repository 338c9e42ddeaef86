package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

func statusTests() []test {
	return []test{
		{"groups", testGroups},
		{"counts", testCounts},
		{"counters", testCounters},
		{"oldest", testOldest},
		{"oldest that is tried again", testOldestRetried},
		{"oldest that waits", testOldestWaiting},
		{"oldest that is woken", testOldestWoken},
		{"oldest touch", testOldestTouch},
		{"attempts", testAttempts},
		{"prune", testPrune},
	}
}

func testGroups(e *env) {
	e.shop(e.customerShape(), e.orderShape())
	e.orders(1, 100, 20)
	e.fold()
	var got []string
	for after := (store.ID{}); ; {
		page, err := e.Store.Groups(e.ctx, "sales_order", "", after, 7)
		e.ok(err)
		if len(page) > 7 {
			e.t.Errorf("a page of %d", len(page))
		}
		if len(page) == 0 {
			break
		}
		for _, g := range page {
			got = append(got, g.Key)
		}
		after = page[len(page)-1].ID
	}
	e.equal("groups", len(got), 22)
	if c := slices.Compact(slices.Clone(got)); len(c) != len(got) {
		e.t.Errorf("a group is on two pages: %v", got)
	}
	all, err := e.Store.Groups(e.ctx, "", "", store.ID{}, 100)
	e.ok(err)
	e.equal("groups of all syncs", len(all), 24)
	var pages []store.ID // customer/1, sales_order/1 and so on
	for after := (store.ID{}); len(pages) <= len(all); {
		page, err := e.Store.Groups(e.ctx, "", "", after, 1)
		e.ok(err)
		if len(page) == 0 {
			break
		}
		after = page[0].ID
		pages = append(pages, after)
	}
	e.equal("groups on pages of one", len(pages), len(all))
	for i, g := range all[:min(len(all), len(pages))] {
		e.equal("group "+g.ID.String(), pages[i], g.ID)
	}
	clean, err := e.Store.Groups(e.ctx, "", store.Clean, store.ID{}, 100)
	e.ok(err)
	e.equal("clean groups", len(clean), 0)
}

func testCounts(e *env) {
	e.shop(e.orderShape())
	e.orders(1, 100, 5)
	e.fold()
	cs := e.claim("w", 6)
	refused := result(cs[2], store.Refused)
	refused.Reason = "no"
	doubt := result(cs[3], store.Doubtful)
	doubt.Doubt, doubt.After = time.Hour, time.Hour
	e.record(synced(cs[0], "a"), result(cs[1], store.Removed), refused, doubt, waits(cs[4], "nothing/1"))
	got, err := e.Store.Counts(e.ctx)
	e.ok(err)
	i := slices.IndexFunc(got, func(c store.Counts) bool { return c.Sync == "sales_order" })
	if i < 0 {
		e.t.Fatalf("no counts of sales_order: %+v", got)
	}
	c := got[i]
	e.equal("counts", fmtAny(c.Groups, c.Clean, c.Dirty, c.Claimed, c.InDoubt, c.Waiting, c.Parked, c.Gone), "7 1 1 1 1 1 1 1")
	e.equal("of the parked, unseen", c.Unseen, int64(0))
	unseen := result(e.claim("w", 1)[0], store.Refused)
	unseen.Reason = store.DeletionUnseen + ", so the record was left alone"
	e.record(unseen)
	c = e.counts("sales_order")
	e.equal("parked, and of these unseen", fmtAny(c.Parked, c.Unseen), "2 1")
}

func (e *env) counts(sync string) store.Counts {
	e.t.Helper()
	all, err := e.Store.Counts(e.ctx)
	e.ok(err)
	for _, c := range all {
		if c.Sync == sync {
			return c
		}
	}
	return store.Counts{}
}

func testCounters(e *env) {
	e.shop(e.orderShape())
	e.syncAll()
	c := e.counts("sales_order")
	e.equal("calls", c.Calls, int64(2))
	saved := c.Saved
	last := int64(-1)
	moves := func(what string, want bool) {
		e.t.Helper()
		n, err := e.Store.Moves(e.ctx)
		e.ok(err)
		e.equal("moves after "+what, n != last, want)
		last = n
	}
	moves("a backfill", true)
	moves("nothing", false)
	e.exec(`UPDATE orders SET state = 'a' WHERE id = 1`)
	e.fold()
	moves("a fold", true)
	e.exec(`UPDATE orders SET state = 'b' WHERE id = 1`)
	e.fold()
	e.equal("saved by a touch of a dirty group", e.counts("sales_order").Saved-saved, int64(1))
	r := synced(e.claimOne("w", "sales_order/1"), "r-1")
	r.Calls = 0
	e.record(r)
	moves("equal digests", true)
	e.equal("saved by equal digests", e.counts("sales_order").Saved-saved, int64(2))
	e.equal("calls", e.counts("sales_order").Calls, int64(2))
	e.equal("touches", e.counts("sales_order").Touches-c.Touches, int64(2))
}

func testOldest(e *env) {
	e.shop(e.orderShape())
	e.syncAll()
	e.equal("oldest of nothing", e.counts("sales_order").Oldest, time.Duration(0))
	e.exec(`UPDATE orders SET state = 'a' WHERE id = 1`)
	e.fold()
	e.Advance(time.Minute)
	e.exec(`UPDATE orders SET state = 'b' WHERE id = 1`)
	e.fold()
	e.Advance(time.Minute)
	// A group that is touched again and again is not young.
	if got := e.counts("sales_order").Oldest; got < 2*time.Minute || got > 3*time.Minute {
		e.t.Errorf("oldest is %v, want about 2m", got)
	}
}

// What was parked for long and is tried again is late from then on.
func testOldestRetried(e *env) {
	e.shop(e.orderShape())
	e.syncAll()
	e.exec(`UPDATE orders SET state = 'a' WHERE id = 1`)
	e.fold()
	refused := result(e.claim("w", 1)[0], store.Refused)
	refused.Reason = "no"
	e.record(refused)
	e.Advance(24 * time.Hour)
	_, err := e.Store.Retry(e.ctx, "sales_order", "")
	e.ok(err)
	e.Advance(time.Minute)
	if got := e.counts("sales_order").Oldest; got < time.Minute || got > 2*time.Minute {
		e.t.Errorf("oldest is %v, want about 1m", got)
	}
}

// What waits for another record is not late, and has an age of its own.
func testOldestWaiting(e *env) {
	child, _ := e.parentAndChild("customer/1")
	e.record(waits(child, "customer/1"))
	e.Advance(time.Minute)
	c := e.counts("sales_order")
	if c.Oldest != 0 || c.Waiting != 1 || c.OldestWaiting < time.Minute || c.OldestWaiting > 2*time.Minute {
		e.t.Errorf("oldest %v, %d wait since %v; want none, and 1 since 1m", c.Oldest, c.Waiting, c.OldestWaiting)
	}
}

// What is woken by the record that it waited for, or parked and touched, is late
// from then on; what waits is not late while
// somebody looks at it.
func testOldestWoken(e *env) {
	child, ps := e.parentAndChild("customer/1")
	e.record(waits(child, "customer/1"))
	e.Advance(2 * time.Hour) // the net under the wait
	var c store.Claim
	for _, one := range e.claim("w", 10) { // the customer's lease ran out
		if one.ID.String() == "customer/1" {
			ps[0] = one
		} else {
			c = one
		}
	}
	if got := e.counts("sales_order"); got.Oldest != 0 || got.OldestWaiting < 2*time.Hour {
		e.t.Errorf("of one that waits, while it is looked at: oldest %v, waits since %v", got.Oldest, got.OldestWaiting)
	}
	e.record(waits(c, "customer/1"))
	e.exec(`UPDATE orders SET state = 'touched' WHERE id = 1`)
	e.fold()
	e.record(waits(e.claimOne("w", "sales_order/1"), "customer/1"))
	if got := e.counts("sales_order"); got.OldestWaiting < 2*time.Hour {
		e.t.Errorf("one that waits and was touched waits since %v", got.OldestWaiting)
	}
	e.record(synced(ps[0], "r-1"))
	e.Advance(time.Minute)
	woken := func(why string) {
		e.t.Helper()
		if got := e.counts("sales_order").Oldest; got < time.Minute || got > 2*time.Minute {
			e.t.Errorf("%s: oldest is %v, want about 1m", why, got)
		}
	}
	woken("woken")
	refused := result(e.claimOne("w", "sales_order/1"), store.Refused)
	refused.Reason = "no"
	e.record(refused)
	e.Advance(24 * time.Hour)
	e.exec(`UPDATE orders SET state = 'mended' WHERE id = 1`)
	e.fold()
	e.Advance(time.Minute)
	woken("parked and touched")
}

func testOldestTouch(e *env) {
	e.shop(e.orderShape())
	e.syncAll()
	old, err := e.Store.OldestTouch(e.ctx, 10)
	e.ok(err)
	e.equal("oldest of an empty log", old, time.Duration(0))
	e.ok(e.Store.Append(e.ctx, nil, []store.Touch{{ID: id("sales_order/1")}}))
	e.Advance(time.Minute)
	old, err = e.Store.OldestTouch(e.ctx, 10)
	e.ok(err)
	if old < time.Minute || old > 2*time.Minute {
		e.t.Errorf("oldest touch is %v, want about 1m", old)
	}
}

func testAttempts(e *env) {
	e.shop(e.orderShape())
	for i := range 3 {
		c := e.claim("w", 1)[0]
		r := result(c, store.Retry)
		r.Attempt = &store.Attempt{Epoch: c.Epoch, Action: "update", Outcome: "busy", Status: 409, Message: fmt.Sprint("locked ", i),
			Fields: []string{"a", "b\"c"}, Took: 1500 * time.Microsecond}
		e.record(r)
		// The other group is out of the way.
		e.Advance(time.Second)
		if i == 0 {
			for _, o := range e.claim("w", 10) {
				if o.ID != c.ID {
					e.record(synced(o, "r"))
				} else {
					e.record(result(o, store.Released))
				}
			}
		}
	}
	var one store.ID
	for name, g := range e.groups() {
		if g.State == store.Dirty {
			one = name
		}
	}
	all, err := e.Store.Attempts(e.ctx, one, 10)
	e.ok(err)
	e.equal("attempts", len(all), 3)
	a := all[0]
	e.equal("the newest", fmtAny(a.Action, a.Outcome, a.Status, a.Message, a.Fields, a.Took), `update busy 409 locked 2 [a b"c] 1.5ms`)
	if a.At.IsZero() || a.At.Before(all[1].At) {
		e.t.Errorf("times: %v then %v", all[1].At, a.At)
	}
	all, err = e.Store.Attempts(e.ctx, one, 2)
	e.ok(err)
	e.equal("attempts, at most 2", len(all), 2)
}

func testPrune(e *env) {
	e.oneOrder()
	for i := range 4 {
		c := e.claimOne("w", "sales_order/1")
		r := result(c, store.Retry)
		r.Attempt = &store.Attempt{Action: "update", Outcome: "busy", Message: fmt.Sprint(i)}
		e.record(r)
		e.Advance(time.Hour)
	}
	e.ok(e.Store.Prune(e.ctx, 150*time.Minute))
	all, err := e.Store.Attempts(e.ctx, id("sales_order/1"), 10)
	e.ok(err)
	e.equal("attempts kept", len(all), 2)
}
