package storetest

import (
	"fmt"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

func deleteTests() []test {
	return []test{
		{"few deletes may go", testFewDeletes},
		{"a mass delete is held until a person allows it", testMassDelete},
		{"no more deletes go than a person allowed", testSomeAllowed},
		{"a delete that is parked just after it was allowed goes", testLateHeldDelete},
		{"a delete that did not go is given back", testDeleteGivenBack},
		{"what was granted is known until it succeeds", testGranted},
		{"what was granted before a restore is not given back", testDeleteOfBefore},
		{"a limit of deletes grows with the records", testDeleteShare},
	}
}

func (e *env) spend(want, most, granted int) {
	e.t.Helper()
	got, err := e.Again(e.t).SpendDeletes(e.ctx, "customer", want, most) // the limit is of all processes
	e.ok(err)
	e.equal(fmt.Sprint("granted of ", want), got.Deletes, granted)
}

func (e *env) heldDeletes(want ...int64) {
	e.t.Helper()
	all, err := e.Store.HeldDeletes(e.ctx)
	e.ok(err)
	e.equal("syncs that are held", len(all), len(want))
	for i, h := range all {
		e.equal("held", fmtAny(h.Sync, h.Held, h.Since.IsZero()), fmtAny("customer", want[i], false))
	}
}

func testFewDeletes(e *env) {
	e.spend(60, 0, 60)
	e.spend(40, 0, 40)
	e.heldDeletes()
	e.Advance(store.DeletePeriod + time.Second)
	e.spend(100, 0, 100)
	e.heldDeletes()
	e.spend(1, 0, 0)
	e.heldDeletes(0)
}

func testMassDelete(e *env) {
	e.shop(e.customerShape())
	e.syncAll()
	e.spend(5, 3, 3)
	e.heldDeletes(0)
	e.Advance(10 * store.DeletePeriod) // no time ends it
	e.spend(1, 3, 0)
	e.exec(`UPDATE users SET name = 'new' WHERE id = 1`)
	e.fold()
	c := e.claimOne("a", "customer/1")
	r := result(c, store.Refused)
	r.Reason = store.DeleteHeld
	e.record(r)
	e.heldDeletes(1)
	n, err := e.Store.AllowDeletes(e.ctx, "customer", 2)
	e.ok(err)
	e.equal("freed", n, int64(1))
	e.heldDeletes()
	e.claimOne("a", "customer/1")
	e.spend(4, 1, 3) // two that were allowed, one of the new hour
	e.heldDeletes(1 - 1)
}

func testSomeAllowed(e *env) {
	e.shop(e.customerShape())
	e.syncAll()
	e.spend(3, 1, 1)
	e.exec(`UPDATE users SET name = 'new' WHERE id IN (1, 2)`)
	e.fold()
	for _, c := range e.claim("a", 10) {
		r := result(c, store.Refused)
		r.Reason = store.DeleteHeld
		e.record(r)
	}
	e.heldDeletes(2)
	n, err := e.Store.AllowDeletes(e.ctx, "customer", 1)
	e.ok(err)
	e.equal("freed", n, int64(1))
	e.heldDeletes(1)
	e.Advance(10 * store.DeletePeriod)
	e.spend(3, 1, 1) // no limit of a new hour comes on top
	e.spend(1, 1, 0)
	n, err = e.Store.AllowDeletes(e.ctx, "customer", 1)
	e.ok(err)
	e.equal("freed", n, int64(1))
	e.heldDeletes()
	e.spend(2, 1, 2)
	for _, n := range []int{5, 2} { // what was allowed last counts: what was left of before is forgotten
		_, err = e.Store.AllowDeletes(e.ctx, "customer", n)
		e.ok(err)
	}
	e.spend(9, 1, 3)
}

func testLateHeldDelete(e *env) {
	e.shop(e.customerShape())
	e.syncAll()
	free := func(want int64) {
		e.t.Helper()
		n, err := e.Store.FreeDeletes(e.ctx, []string{"customer", "order"})
		e.ok(err)
		e.equal("freed", n, want)
	}
	e.spend(5, 3, 3)
	e.exec(`UPDATE users SET name = 'new' WHERE id = 1`)
	e.fold()
	c := e.claimOne("a", "customer/1")
	n, err := e.Store.AllowDeletes(e.ctx, "customer", 2)
	e.ok(err)
	e.equal("freed by the person", n, int64(0))
	r := result(c, store.Refused)
	r.Reason = store.DeleteHeld
	e.record(r)
	free(1)
	c = e.claimOne("a", "customer/1")
	e.spend(7, 1, 3)
	r = result(c, store.Refused)
	r.Reason = store.DeleteHeld
	e.record(r)
	free(0) // held, and told so
	e.heldDeletes(1)
}

func testDeleteGivenBack(e *env) {
	e.shop(e.customerShape())
	e.syncAll()
	g, err := e.Store.Group(e.ctx, store.ID{Sync: "customer", Key: "1"})
	e.ok(err)
	e.spend(1, 1, 1)
	e.Advance(10 * time.Minute)
	e.spend(1, 1, 0)
	held, err := e.Store.HeldDeletes(e.ctx)
	e.ok(err)
	if after := held[0].Since.Sub(g.SyncedAt); after < 5*time.Minute {
		e.t.Errorf("held since %v after the beginning: that is when the hour began", after)
	}
	e.exec(`UPDATE users SET name = 'new' WHERE id = 1`)
	e.fold()
	r := result(e.claimOne("a", "customer/1"), store.Refused)
	r.Reason = store.DeleteHeld
	e.record(r)
	e.ok(e.Store.ReturnDeletes(e.ctx, "customer", 1, store.Grant{}))
	e.claimOne("a", "customer/1")
	e.spend(2, 1, 1)
}

func testGranted(e *env) {
	e.shop(e.customerShape())
	e.syncAll()
	e.exec(`UPDATE users SET name = 'new' WHERE id = 1`)
	e.fold()
	c := e.claimOne("a", "customer/1")
	e.equal("granted at first", c.Granted, false)
	r := result(c, store.Retry)
	r.Granted = true
	e.record(r)
	e.Advance(time.Minute)
	c = e.claimOne("a", "customer/1")
	e.equal("granted", c.Granted, true)
	r = synced(c, "r-1")
	r.Granted = true
	e.record(r)
	e.exec(`UPDATE users SET name = 'newer' WHERE id = 1`)
	e.fold()
	e.equal("granted after a success", e.claimOne("a", "customer/1").Granted, false)
}

// A delete that was granted before the registry was restored, and did not go,
// lets none go afterwards.
func testDeleteOfBefore(e *env) {
	e.shop(e.customerShape())
	e.syncAll()
	e.start(e.shapes[0], false, false) // the sync has a version
	e.backfill(e.shapes[0])
	before, err := e.Store.SpendDeletes(e.ctx, "customer", 1, 10)
	e.ok(err)
	e.ok(e.Store.NoteOrigin(e.ctx, "another", true, nil))
	e.ok(e.Store.ReturnDeletes(e.ctx, "customer", 1, before))
	e.spend(1, 10, 0)
	_, err = e.Store.AllowDeletes(e.ctx, "customer", 1)
	e.ok(err)
	after, err := e.Store.SpendDeletes(e.ctx, "customer", 1, 10)
	e.ok(err)
	e.equal("granted", after.Deletes, 1)
	e.ok(e.Store.ReturnDeletes(e.ctx, "customer", 1, after))
	e.spend(12, 10, 11)
}

// testDeleteShare: the groups that are at the remote count.
func testDeleteShare(e *env) {
	e.shop(e.customerShape())
	e.exec(`DELETE FROM line_items`, `DELETE FROM billing_infos`, `DELETE FROM orders`, `DELETE FROM users`,
		`INSERT INTO users (id, name) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) SELECT i, 'u' FROM n`)
	e.syncAll()
	e.spend(150, 0, 150)
	e.spend(70, 0, 65) // those that went count still: they are taken to be gone
	e.heldDeletes(0)
}
