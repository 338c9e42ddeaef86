package storetest

import (
	"errors"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

func forgetTests() []test {
	return []test{
		{"what is gone", testForget},
		{"not what is there", testForgetOfWhatIsThere},
		{"not what others need", testForgetOfWhatOthersNeed},
		{"what is kept at the remote", testForgetKept},
		{"after a while", testForgetGone},
	}
}

// goneOrder has sales_order/1 deleted, and its group gone.
func (e *env) goneOrder() store.Group {
	e.t.Helper()
	e.shop(e.orderShape())
	e.syncAll()
	e.deleteOrder()
	return e.group("sales_order/1")
}

func (e *env) deleteOrder() {
	e.t.Helper()
	e.exec(`DELETE FROM billing_infos WHERE order_id = 1`, `DELETE FROM orders WHERE id = 1`)
	e.fold()
	r := result(e.claimOne("w", "sales_order/1"), store.Removed)
	r.Attempt = &store.Attempt{Action: "delete", Outcome: "ok"}
	e.record(r)
	e.wantState("sales_order/1", store.Gone)
}

func (e *env) forget(s string, want bool, wantBy string) {
	e.t.Helper()
	done, by, err := e.Store.Forget(e.ctx, id(s), false)
	e.ok(err)
	e.equal("forgotten", done, want)
	if by != (store.ID{}) || wantBy != "" {
		e.equal("needed by", by.String(), wantBy)
	}
}

func (e *env) unknown(s string) {
	e.t.Helper()
	if _, err := e.Store.Group(e.ctx, id(s)); !errors.Is(err, store.ErrNoGroup) {
		e.t.Errorf("%s is there: %v", s, err)
	}
}

// What is gone leaves nothing, and what comes back under its key is another thing.
func testForget(e *env) {
	before := e.goneOrder()
	one := before.ID
	e.ok(e.Store.NoteMissed(e.ctx, []store.Missed{{ID: one, Fields: []string{"state"}}}))
	for _, i := range []store.Intervention{
		{By: "ann", Did: "retry", Sync: one.Sync, Key: one.Key, Detail: "1"}, {By: "ann", Did: "retry", Sync: one.Sync, Key: "2", Detail: "2"}} {
		e.ok(e.Store.NoteIntervention(e.ctx, i))
	}
	e.forget("sales_order/1", true, "")
	e.unknown("sales_order/1")
	attempts, err := e.Store.Attempts(e.ctx, one, 10)
	e.ok(err)
	e.equal("attempts", len(attempts), 0)
	missed, err := e.Store.Missed(e.ctx, 10)
	e.ok(err)
	e.equal("missed", len(missed), 0)
	done, err := e.Store.Interventions(e.ctx, "", "", 10)
	e.ok(err)
	e.equal("done by hand", fmtAny(done[0].Key, done[0].Detail, done[1].Key, done[1].Detail), "2 2  forgotten")
	e.wantState("sales_order/2", store.Clean)
	e.forget("sales_order/1", false, "") // nothing is left
	e.forget("sales_odrer/1", false, "")
	counts, err := e.Store.Counts(e.ctx)
	e.ok(err)
	for _, c := range counts {
		if c.Sync == "sales_odrer" {
			e.t.Error("a sync that nobody has is known")
		}
	}

	e.seen = map[store.ID]int64{}
	e.exec(`INSERT INTO orders (id, user_id, state) VALUES (1, 1, 'again')`)
	e.touch(store.Touch{ID: one, Force: true})
	e.Advance(time.Millisecond)
	e.fold()
	c := e.claimOf("sales_order/1")
	if c.Generation <= before.Generation || c.Epoch <= before.Epoch || !c.Forced || c.Before != 0 {
		e.t.Errorf("generation %d, epoch %d, forced %t, before %d, after %d and %d", c.Generation, c.Epoch, c.Forced, c.Before, before.Generation, before.Epoch)
	}
	e.record(synced(c, "r-1"))
	e.wantState("sales_order/1", store.Clean)
	generation := e.group("sales_order/1").Generation
	e.deleteOrder()
	if g := e.group("sales_order/1").Generation; g != generation+1 {
		e.t.Errorf("its generation went from %d to %d at a later claim", generation, g)
	}
}

// claimOf claims all that is due, and returns one of it.
func (e *env) claimOf(s string) store.Claim {
	e.t.Helper()
	for _, c := range e.claim("w", 10) {
		if c.ID == id(s) {
			return c
		}
	}
	e.t.Fatalf("%s is not due", s)
	return store.Claim{}
}

func testForgetOfWhatIsThere(e *env) {
	e.shop(e.orderShape())
	e.fold()
	e.forget("sales_order/1", false, "") // dirty
	c := e.claimOf("sales_order/1")
	e.forget("sales_order/1", false, "") // claimed
	e.record(synced(c, "r-1"))
	e.forget("sales_order/1", false, "") // clean
	done, _, err := e.Store.Forget(e.ctx, id("sales_order/1"), true)
	e.ok(err)
	e.equal("forgotten, while its row is there", done, false)
	e.forget("sales_order/77", false, "")
	e.wantState("sales_order/1", store.Clean)
	e.ok(e.Store.ForgetGone(e.ctx, -1000*time.Hour))
	e.wantState("sales_order/1", store.Clean)
}

func testForgetOfWhatOthersNeed(e *env) {
	gone := e.goneOrder().ID
	e.Advance(11 * time.Minute) // the lease of sales_order/2
	e.exec(`UPDATE orders SET state = 'x' WHERE id = 2`)
	e.fold()
	r := synced(e.claimOne("w", "sales_order/2"), "r-2")
	r.Refs = []store.ID{gone}
	e.record(r)
	e.forget("sales_order/1", false, "sales_order/2")
	e.Advance(100 * time.Hour)
	e.ok(e.Store.ForgetGone(e.ctx, time.Hour))
	e.wantState("sales_order/1", store.Gone)
	e.exec(`DELETE FROM billing_infos WHERE order_id = 2`, `DELETE FROM orders WHERE id = 2`)
	e.fold()
	c := e.claimOne("w", "sales_order/2")
	r = result(c, store.Removed)
	r.Refs = c.Refs // of what is not there
	e.record(r)
	e.forget("sales_order/1", true, "")
	e.unknown("sales_order/1")
}

// A record that stays where it is when its row goes.
func testForgetKept(e *env) {
	e.shop(e.orderShape())
	e.syncAll()
	e.exec(`DELETE FROM billing_infos WHERE order_id = 1`, `DELETE FROM orders WHERE id = 1`)
	e.fold()
	e.record(synced(e.claimOne("w", "sales_order/1"), "r-1"))
	e.forget("sales_order/1", false, "")
	e.wantState("sales_order/1", store.Clean)
	done, _, err := e.Store.Forget(e.ctx, id("sales_order/1"), true)
	e.ok(err)
	e.equal("forgotten", done, true)
	e.unknown("sales_order/1")
}

// What is gone for long is forgotten with its history, and no other group is.
func testForgetGone(e *env) {
	before := e.goneOrder()
	e.exec(`UPDATE orders SET state = 'never sent' WHERE id = 2`)
	e.fold()
	e.record(result(e.claimOne("w", "sales_order/2"), store.Removed)) // its row is there: it does not pass any more
	e.wantState("sales_order/2", store.Gone)
	e.Advance(20 * time.Hour)
	e.ok(e.Store.ForgetGone(e.ctx, time.Hour)) // a day at least
	e.wantState("sales_order/1", store.Gone)
	e.Advance(20 * time.Hour)
	e.ok(e.Store.ForgetGone(e.ctx, 50*time.Hour))
	e.wantState("sales_order/1", store.Gone)
	e.ok(e.Store.ForgetGone(e.ctx, 30*time.Hour))
	e.unknown("sales_order/1")
	e.wantState("sales_order/2", store.Gone)
	attempts, err := e.Store.Attempts(e.ctx, before.ID, 10)
	e.ok(err)
	e.equal("attempts", len(attempts), 0)
	e.exec(`INSERT INTO orders (id, user_id, state) VALUES (1, 1, 'again')`)
	e.seen = map[store.ID]int64{}
	e.fold()
	if c := e.claimOne("w", "sales_order/1"); c.Generation <= before.Generation {
		e.t.Errorf("generation %d comes again: %d", before.Generation, c.Generation)
	}
}
