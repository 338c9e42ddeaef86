package storetest

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

func claimTests() []test {
	return []test{
		{"what a claim holds", testClaimFields},
		{"order", testClaimOrder},
		{"limit", testClaimLimit},
		{"only the syncs asked for", testClaimSyncs},
		{"two holders", testTwoHolders},
		{"many holders at once", testManyHolders},
		{"not before it is due", testClaimDue},
		{"touch during a claim", testTouchDuringClaim},
		{"backoff survives a touch", testBackoffTouch},
		{"another plan", testClaimPlan},
	}
}

// A process of another configuration has no part in what is to be done.
func testClaimPlan(e *env) {
	s := e.orderShape()
	e.install(s)
	e.exec(`INSERT INTO orders (id) VALUES (5)`)
	e.fold()
	r := e.request("w", 10)
	r.Plan = "another"
	none, err := e.Store.Claim(e.ctx, r)
	e.ok(err)
	e.equal("under another plan", len(none), 0)
	r.Plan = plan
	one, err := e.Store.Claim(e.ctx, r)
	e.ok(err)
	e.equal("under the plan", len(one), 1)
}

func testClaimFields(e *env) {
	e.shop(e.orderShape())
	c := e.claim("w", 1)[0]
	e.equal("generation", c.Generation, int64(1))
	e.equal("flags", [4]bool{c.Forced, c.InDoubt, c.DeleteSeen, c.Backfill}, [4]bool{})
	e.equal("remote id", c.RemoteID+c.ExternalID, "")
	e.equal("digests", len(c.Digests), 0)
	if c.TouchedAt.IsZero() {
		e.t.Error("a claim without the time of the touch")
	}
	e.wantState(c.ID.String(), store.Claimed)
	g := e.group(c.ID.String())
	e.equal("holder", g.Holder, "w")
	r := synced(c, "r-1")
	r.Refs = []store.ID{id("customer/1"), id("customer/2")}
	r.Digests = []byte{0, 1, 255}
	e.record(r)
	e.touch(store.Touch{ID: c.ID})
	e.fold()
	again := e.claim("v", 10)
	i := slices.IndexFunc(again, func(a store.Claim) bool { return a.ID == c.ID })
	if i < 0 {
		e.t.Fatalf("claimed %v", claimed(again))
	}
	e.equal("remote id", again[i].RemoteID, "r-1")
	e.equal("external id", again[i].ExternalID, "ext-"+c.Key)
	e.equal("digests", again[i].Digests, []byte{0, 1, 255})
	e.equal("refs", fmt.Sprint(again[i].Refs), "[customer/1 customer/2]")
	e.equal("epoch is higher", again[i].Epoch > c.Epoch, true)
	e.equal("generation", again[i].Generation, int64(2))
}

func testClaimOrder(e *env) {
	s := e.orderShape()
	e.install(s)
	e.exec(`INSERT INTO orders (id) VALUES (5)`)
	// A backfill makes groups first, then live changes come, one by one.
	e.exec(`INSERT INTO orders (id) VALUES (6)`)
	e.ok(e.Store.StartBackfill(e.ctx, s.Sync, "v", false, false))
	e.backfill(s)
	e.Advance(time.Second)
	e.fold()
	e.Advance(time.Second)
	e.exec(`INSERT INTO orders (id) VALUES (3)`)
	e.fold()
	e.Advance(time.Second)
	e.exec(`INSERT INTO orders (id) VALUES (2)`)
	e.fold()
	got := claimed(e.claim("w", 10))
	if len(got) != 4 || !slices.Equal(got[2:], []string{"sales_order/3", "sales_order/2"}) {
		e.t.Errorf("claimed %v, want the oldest first", got)
	}
}

func testClaimLimit(e *env) {
	e.shop(e.customerShape(), e.orderShape())
	e.equal("claims", len(e.claim("w", 3)), 3)
	e.equal("claims", len(e.claim("w", 3)), 1)
	e.equal("claims", len(e.claim("w", 3)), 0)
}

func testClaimSyncs(e *env) {
	e.shop(e.customerShape(), e.orderShape())
	r := e.request("w", 10)
	r.Syncs = r.Syncs[:1]
	cs, err := e.Store.Claim(e.ctx, r)
	e.ok(err)
	got := claimed(cs)
	slices.Sort(got)
	e.equal("claimed", got, []string{"customer/1", "customer/2"})
}

func testTwoHolders(e *env) {
	e.shop(e.orderShape())
	a, b := e.claim("a", 1), e.claim("b", 10)
	if len(a) != 1 || len(b) != 1 || a[0].ID == b[0].ID {
		e.t.Errorf("claimed %v and %v", claimed(a), claimed(b))
	}
	e.equal("left for a third", len(e.claim("c", 10)), 0)
}

func testManyHolders(e *env) {
	e.shop(e.orderShape())
	e.orders(1, 100, 300)
	e.fold()
	stores := []store.Store{e.Store, e.Again(e.t), e.Again(e.t)}
	var mu sync.Mutex
	by := map[store.ID]int{}
	var wg sync.WaitGroup
	for i, s := range stores {
		wg.Go(func() {
			for range 200 {
				cs, err := s.Claim(e.ctx, e.request(fmt.Sprint("w", i), 7))
				if err != nil {
					e.t.Error(err)
				}
				if len(cs) == 0 {
					return
				}
				mu.Lock()
				for _, c := range cs {
					by[c.ID]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for rest := e.claim("rest", 100); len(rest) > 0; rest = e.claim("rest", 100) {
		for _, c := range rest { // a holder may have met a moment with nothing free
			by[c.ID]++
		}
	}
	e.equal("groups claimed", len(by), 302)
	for name, n := range by {
		if n != 1 {
			e.t.Errorf("%s was handed out %d times", name, n)
		}
	}
}

func testClaimDue(e *env) {
	e.shop(e.orderShape())
	cs := e.claim("w", 2)
	for _, c := range cs {
		r := result(c, store.Retry)
		r.After, r.Reason = time.Minute, "busy"
		e.record(r)
	}
	e.equal("claims before they are due", len(e.claim("w", 2)), 0)
	e.Advance(time.Minute - time.Second)
	e.equal("claims before they are due", len(e.claim("w", 2)), 0)
	e.Advance(time.Second)
	cs = e.claim("w", 2)
	e.equal("claims when due", len(cs), 2)
	e.equal("attempts", cs[0].Attempts, 1)
	e.equal("in doubt", cs[0].InDoubt, false)
}

func testTouchDuringClaim(e *env) {
	e.shop(e.orderShape())
	e.syncAll()
	e.exec(`UPDATE orders SET state = 'x' WHERE id = 1`)
	e.fold()
	c := e.claimOne("w", "sales_order/1")
	e.exec(`UPDATE orders SET state = 'y' WHERE id = 1`)
	e.fold()
	e.wantState("sales_order/1", store.Claimed)
	e.equal("claims of a held group", len(e.claim("v", 10)), 0)
	e.record(synced(c, "r-1"))
	g := e.group("sales_order/1")
	e.equal("state", g.State, store.Dirty)
	e.equal("synced generation", g.SyncedGeneration, c.Generation)
	e.record(synced(e.claimOne("w", "sales_order/1"), "r-1"))
	e.wantState("sales_order/1", store.Clean)
}

func testBackoffTouch(e *env) {
	e.shop(e.orderShape())
	for _, c := range e.claim("w", 2) {
		r := result(c, store.Retry)
		r.After = time.Minute
		e.record(r)
	}
	e.exec(`UPDATE orders SET state = 'x'`)
	e.fold()
	e.equal("claims of touched groups in their backoff", len(e.claim("w", 2)), 0)
	e.Advance(time.Minute)
	e.equal("claims after it", len(e.claim("w", 2)), 2)
}
