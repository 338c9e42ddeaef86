package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

func backfillTests() []test {
	return []test{
		{"makes the groups", testBackfill},
		{"resumes", testBackfillResumes},
		{"leaves what is there", testBackfillLeaves},
		{"sweep", testSweep},
		{"sweep with force", testSweepForce},
		{"sweep with force while a row goes and comes back", testSweepForceAll},
		{"sweep with force that leaves what is gone", testSweepLeavesGone},
		{"sweep with force is not weakened by another", testSweepStaysForced},
		{"sweep once more after a restore", testSweepLater},
		{"sweep after a row came back unseen", testSweepBack},
		{"composite keys", testBackfillComposite},
		{"column named true", testBackfillTrue},
		{"live beats backfill", testBackfillLane},
		{"sync by hand", testBackfillByHand},
		{"not started", testBackfillNotStarted},
		{"many workers", testBackfillWorkers},
	}
}

// testSweepLeavesGone: what is gone stays unforced also when a worker has claimed
// it, as the sweep raised it, before the sweep comes to it once more.
func testSweepLeavesGone(e *env) {
	e.shop(e.orderShape())
	e.syncAll()
	e.exec(`DELETE FROM line_items`, `DELETE FROM billing_infos`, `DELETE FROM orders WHERE id = 1`)
	e.fold()
	for _, c := range e.claim("w", 100) {
		if c.Key == "1" {
			e.record(result(c, store.Removed))
		} else {
			e.record(synced(c, "r-"+c.Key))
		}
	}
	s := *e.shapes[0]
	s.LeaveGone = true
	e.start(&s, true, true)
	for more := true; more; {
		var err error
		more, err = e.Store.Backfill(e.ctx, &s, 100)
		e.ok(err)
		for _, c := range e.claim("w", 100) {
			if c.Key == "1" && c.Forced {
				e.t.Errorf("%s is gone for all that is known, and is forced", c.ID)
			}
		}
	}
	if g := e.group("sales_order/1"); g.ForcedGeneration > g.SyncedGeneration {
		e.t.Errorf("what is gone is forced at %d, synced %d", g.ForcedGeneration, g.SyncedGeneration)
	}
}

// backfill runs a backfill to its end.
func (e *env) backfill(s *store.Shape) {
	e.t.Helper()
	for range 1000 {
		more, err := e.Store.Backfill(e.ctx, s, 100)
		e.ok(err)
		if !more {
			return
		}
	}
	e.t.Fatal("the backfill never comes to an end")
}

// start starts a backfill.
func (e *env) start(s *store.Shape, sweep, force bool) {
	e.t.Helper()
	e.ok(e.Store.StartBackfill(e.ctx, s.Sync, "v1", sweep, force))
}

func testBackfill(e *env) {
	e.exec(shopRows...)
	s := e.orderShape()
	e.install(s)
	e.wantRaised()
	e.start(s, false, false)
	st, err := e.Store.Sync(e.ctx, s.Sync)
	e.ok(err)
	e.equal("version and running", fmtAny(st.Version, st.Backfill.Running), "v1 true")
	e.backfill(s)
	e.wantRaised("sales_order/1", "sales_order/2")
	e.equal("backlog of a backfill that is over", st.Backlog, 0)
	st, err = e.Store.Sync(e.ctx, s.Sync)
	e.ok(err)
	e.equal("running, done", fmtAny(st.Backfill.Running, st.Backfill.Done), "false 2")
	c := e.claim("w", 10)
	e.equal("claims", len(c), 2)
	e.equal("backfill", c[0].Backfill, true)
	e.equal("op", e.group("sales_order/1").Cause.Op, "backfill")
	e.record(synced(c[0], "r"), synced(c[1], "s"))
	e.equal("in the backfill lane once synced", e.group("sales_order/1").Backfill, false)
}

// testBackfillTrue: SQLite takes true for a column where there is one.
func testBackfillTrue(e *env) {
	e.exec(`CREATE TABLE facts (id INTEGER PRIMARY KEY, "true" BOOLEAN, "false" BOOLEAN)`,
		`INSERT INTO facts VALUES (1, true, true), (2, false, true), (3, NULL, NULL)`)
	s := e.root("fact", "facts", "true")
	e.install(s)
	e.start(s, false, false)
	e.backfill(s)
	e.wantRaised("fact/1", "fact/2", "fact/3")
}

func testBackfillResumes(e *env) {
	e.orders1000()
	s := e.orderShape()
	e.install(s)
	e.start(s, false, false)
	more, err := e.Store.Backfill(e.ctx, s, 100)
	e.ok(err)
	e.equal("more", more, true)
	e.equal("groups after one step", len(e.groups()), 100)
	other := e.Again(e.t)
	more, err = other.Backfill(e.ctx, s, 100)
	e.ok(err)
	e.equal("more", more, true)
	e.equal("groups after two steps", len(e.groups()), 200)
	st, err := other.Sync(e.ctx, s.Sync)
	e.ok(err)
	e.equal("backlog", st.Backlog, 200)
	e.equal("done", st.Backfill.Done, int64(200))
	if st.Backfill.Total < 900 {
		e.t.Errorf("total is %d of 1000 rows", st.Backfill.Total)
	}
	e.backfill(s)
	e.equal("groups", len(e.raised()), 1000)
	for _, g := range e.groups() {
		if g.Generation != 1 {
			e.t.Fatalf("%s was raised %d times", g.ID, g.Generation)
		}
	}
}

// orders1000 adds a user with a thousand orders, and asks the database to
// look at its tables.
func (e *env) orders1000() {
	e.exec(`INSERT INTO users (id) VALUES (1)`)
	e.orders(1, 1, 1000)
	e.exec(`ANALYZE orders`)
}

func testBackfillLeaves(e *env) {
	e.shop(e.orderShape())
	e.syncAll()
	e.start(e.shapes[0], false, false)
	e.backfill(e.shapes[0])
	e.wantRaised()
	e.wantState("sales_order/1", store.Clean)
}

func testSweep(e *env) {
	e.shop(e.orderShape())
	e.syncAll()
	e.touch(store.Touch{ID: id("sales_order/77"), Register: true}) // has no row
	e.raised()
	e.record(synced(e.claimOne("w", "sales_order/77"), "r-77"))
	s := e.shapes[0]
	e.start(s, true, false)
	e.backfill(s)
	e.wantRaised("sales_order/1", "sales_order/2", "sales_order/77")
	e.equal("DeleteSeen of a row that was never seen to be deleted", e.group("sales_order/77").DeleteSeen, false)
	cs := e.claim("w", 10)
	e.equal("claims", len(cs), 3)
	for _, c := range cs {
		e.equal("forced", c.Forced, false)
		e.equal("backfill", c.Backfill, true)
	}
	st, err := e.Store.Sync(e.ctx, s.Sync)
	e.ok(err)
	e.equal("running", st.Backfill.Running, false)
}

// A delete that was seen is over when the row is there again, even if no
// trigger saw it come: some day it may merely not be visible.
func testSweepBack(e *env) {
	s := e.orderShape()
	e.shop(s)
	e.syncAll()
	e.exec(`DELETE FROM billing_infos WHERE id = 2`, `DELETE FROM orders WHERE id = 2`)
	e.fold()
	e.equal("DeleteSeen", e.group("sales_order/2").DeleteSeen, true)
	e.install() // nothing: the triggers go
	e.exec(`INSERT INTO orders (id) VALUES (2)`)
	e.install(s)
	e.start(s, true, false)
	e.backfill(s)
	e.equal("DeleteSeen of a row that is there", e.group("sales_order/2").DeleteSeen, false)
}

func testSweepForce(e *env) {
	e.shop(e.orderShape())
	e.syncAll()
	e.start(e.shapes[0], true, true)
	e.backfill(e.shapes[0])
	cs := e.claim("w", 10)
	e.equal("claims", len(cs), 2)
	e.equal("forced", cs[0].Forced, true)
	e.record(synced(cs[0], "r-"+cs[0].Key), synced(cs[1], "r-"+cs[1].Key))
	// Started again, it begins again.
	e.start(e.shapes[0], true, true)
	e.backfill(e.shapes[0])
	e.equal("claims", len(e.claim("w", 10)), 2)
}

// What the registry says of a record is wrong after a restore, so every group is
// forced, also one whose row is not there when the sweep comes by.
func testSweepForceAll(e *env) {
	s := e.orderShape()
	e.shop(s)
	e.syncAll()
	e.start(s, true, true)
	e.exec(`DELETE FROM billing_infos WHERE id = 1`, `DELETE FROM line_items WHERE order_id = 1`, `DELETE FROM orders WHERE id = 1`)
	e.fold()
	_, err := e.Store.Backfill(e.ctx, s, 100) // over the groups
	e.ok(err)
	e.exec(`INSERT INTO orders (id) VALUES (3)`) // what is there may know it
	e.fold()
	_, err = e.Store.Backfill(e.ctx, s, 100) // over the rows
	e.ok(err)
	e.exec(`INSERT INTO orders (id) VALUES (1)`)
	e.fold()
	e.backfill(s)
	cs := e.claim("w", 10)
	e.equal("claims", len(cs), 3)
	for _, c := range cs {
		e.equal("forced "+c.Key, c.Forced, true)
	}
	e.equal("DeleteSeen of a row that is there", e.group("sales_order/1").DeleteSeen, false)
}

func testSweepStaysForced(e *env) {
	s := e.orderShape()
	e.shop(s)
	e.syncAll()
	e.start(s, true, true)
	e.start(s, true, false) // a trigger was lost, say
	e.backfill(s)
	for _, c := range e.claim("w", 10) {
		e.equal("forced "+c.Key, c.Forced, true)
	}
	// The next one is what it is said to be.
	e.syncAll()
	e.start(s, true, false)
	e.backfill(s)
	for _, c := range e.claim("w", 10) {
		e.equal("forced "+c.Key, c.Forced, false)
	}
}

// A job of the remote's that a restored registry has forgotten may write what is
// old: when it can't run any more, everything is sent once more.
func testSweepLater(e *env) {
	s := e.orderShape()
	e.shop(s)
	e.start(s, false, false)
	e.backfill(s)
	e.syncAll()
	later := func(want ...string) {
		e.t.Helper()
		syncs, err := e.Store.SweepLater(e.ctx)
		e.ok(err)
		e.equal("swept later", fmt.Sprint(syncs), fmt.Sprint(want))
	}
	later()
	e.ok(e.Store.NoteOrigin(e.ctx, "another", true, map[string]time.Duration{s.Sync: time.Hour, "none": time.Hour}))
	e.backfill(s)
	e.syncAll()
	later()
	e.Advance(time.Hour + time.Second)
	later(s.Sync)
	e.backfill(s)
	for _, c := range e.claim("w", 10) {
		e.equal("forced "+c.Key, c.Forced, true)
	}
	later()
}

func testBackfillComposite(e *env) {
	e.exec(`CREATE TABLE stock (region TEXT NOT NULL, sku INTEGER NOT NULL, n INTEGER, PRIMARY KEY (region, sku))`)
	e.exec(fmt.Sprintf(`INSERT INTO stock (region, sku, n) SELECT 'a,b\', n, 0 FROM %s AS r`, e.Row(150)),
		fmt.Sprintf(`INSERT INTO stock (region, sku, n) SELECT 'ü', n, 0 FROM %s AS r`, e.Row(150)))
	s := e.root("stock", "stock", "n")
	e.install(s)
	e.start(s, false, false)
	e.backfill(s)
	got := e.raised()
	e.equal("groups", len(got), 300)
	for _, want := range []string{`stock/a\,b\\,7`, `stock/ü,150`} {
		if !slices.Contains(got, want) {
			e.t.Errorf("no group %s", want)
		}
	}
	e.exec(`UPDATE stock SET n = 1 WHERE region = 'a,b\' AND sku = 7`)
	e.wantRaised(`stock/a\,b\\,7`)
	e.start(s, true, false)
	e.backfill(s)
	e.equal("groups swept", len(e.raised()), 300)
}

func testBackfillLane(e *env) {
	e.exec(shopRows...)
	s := e.orderShape()
	e.install(s)
	e.start(s, false, false)
	e.backfill(s)
	e.exec(`UPDATE orders SET state = 'x' WHERE id = 2`)
	e.fold()
	cs := e.claim("w", 1)
	e.equal("the first claim", claimed(cs), []string{"sales_order/2"})
	e.equal("backfill", cs[0].Backfill, false)
	// A sweep does not push a live change back.
	e.exec(`UPDATE orders SET state = 'y' WHERE id = 1`)
	e.fold()
	e.start(s, true, false)
	e.backfill(s)
	e.equal("in the backfill lane", e.group("sales_order/1").Backfill, false)
}

func testBackfillByHand(e *env) {
	s := e.orderShape()
	s.ByHand = true
	e.shop(s)
	e.start(s, false, false)
	e.backfill(s)
	e.equal("groups", len(e.groups()), 0)
	e.touch(store.Touch{ID: id("sales_order/1"), Register: true})
	e.raised()
	e.start(s, true, false)
	e.backfill(s)
	e.wantRaised("sales_order/1")
}

func testBackfillNotStarted(e *env) {
	e.shop(e.orderShape())
	e.syncAll()
	more, err := e.Store.Backfill(e.ctx, e.shapes[0], 100)
	e.ok(err)
	e.equal("more", more, false)
	e.wantRaised()
	st, err := e.Store.Sync(e.ctx, "nothing")
	e.ok(err)
	e.equal("an unknown sync", st, store.SyncState{})
}

func testBackfillWorkers(e *env) {
	e.orders1000()
	s := e.orderShape()
	e.install(s)
	e.start(s, true, false)
	other := e.Again(e.t)
	errs := make(chan error, 2)
	for _, st := range []store.Store{e.Store, other} {
		go func() {
			for range 1000 {
				if more, err := st.Backfill(e.ctx, s, 50); err != nil || !more {
					errs <- err
					return
				}
			}
			errs <- fmt.Errorf("the backfill never comes to an end")
		}()
	}
	e.ok(<-errs)
	e.ok(<-errs)
	e.backfill(s)
	e.equal("groups", len(e.raised()), 1000)
	for _, g := range e.groups() {
		if g.Generation != 1 {
			e.t.Fatalf("%s was swept %d times", g.ID, g.Generation)
		}
	}
}
