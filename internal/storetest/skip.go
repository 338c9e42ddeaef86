package storetest

import (
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

func skipTests() []test {
	return []test{
		{"what is refused is left out", testSkip},
		{"to leave something out ends with a refusal", testSkipEnds},
		{"nothing that is not parked is left out", testSkipOfNothing},
		{"a doubt that is over ends with it", testSkipInDoubt},
	}
}

// refusedOrder parks sales_order/1, which has a record.
func (e *env) refusedOrder(doubt time.Duration) store.Group {
	e.t.Helper()
	e.shop(e.orderShape())
	e.syncAll()
	e.exec(`UPDATE orders SET state = 'x' WHERE id = 1`)
	e.fold()
	r := result(e.claimOne("w", "sales_order/1"), store.Refused)
	r.Reason, r.Doubt = "no", doubt
	e.record(r)
	e.wantState("sales_order/1", store.Parked)
	return e.group("sales_order/1")
}

func (e *env) skip(g store.Group, want bool) {
	e.t.Helper()
	done, err := e.Store.Skip(e.ctx, g.ID, []byte{0, 200}, "no more")
	e.ok(err)
	e.equal("skipped", done, want)
}

func testSkip(e *env) {
	g := e.refusedOrder(0)
	e.skip(g, true)
	history, err := e.Store.Attempts(e.ctx, g.ID, 1)
	e.ok(err)
	e.equal("history", fmtAny(history[0].Action, history[0].Outcome, history[0].Message), "skip ok no more")
	e.equal("asked", fmtAny(e.group("sales_order/1").Skip), "[0 200]")
	c := e.claimOne("w", "sales_order/1")
	e.equal("claim", fmtAny(c.Skip, c.Skipped, c.Forced, c.Generation, c.Attempts), fmtAny([]byte{0, 200}, false, false, g.Generation, 0))
	r := synced(c, "r-1")
	r.Skipped, r.Reason = true, "left"
	e.record(r)
	e.wantState("sales_order/1", store.Skipped)
	e.equal("reason", e.group("sales_order/1").Reason, "left")
	e.equal("asked still", fmtAny(e.group("sales_order/1").Skip), "[]")
	counts := e.counts("sales_order")
	e.equal("counts", fmtAny(counts.Clean, counts.Skipped), "1 1")
	found, err := e.Store.Groups(e.ctx, "sales_order", store.Skipped, store.ID{}, 10)
	e.ok(err)
	e.equal("listed", len(found), 1)

	// Until the next success says otherwise.
	e.exec(`UPDATE orders SET state = 'y' WHERE id = 1`)
	e.fold()
	c = e.claimOne("w", "sales_order/1")
	e.equal("claim of another change", fmtAny(c.Skip, c.Skipped), "[] true")
	retry := result(c, store.Retry)
	e.record(retry)
	c = e.claimOne("w", "sales_order/1")
	e.equal("claim after a failure", c.Skipped, true)
	e.record(synced(c, "r-1"))
	e.wantState("sales_order/1", store.Clean)
	e.equal("skipped", fmtAny(e.group("sales_order/1").Skipped, e.group("sales_order/1").Reason), "false ")
}

func testSkipEnds(e *env) {
	g := e.refusedOrder(0)
	e.skip(g, true)
	// A touch and a failure change nothing of it.
	e.exec(`UPDATE orders SET state = 'z' WHERE id = 1`)
	e.fold()
	c := e.claimOne("w", "sales_order/1")
	e.equal("claim of another change", fmtAny(c.Skip), "[0 200]")
	e.record(result(c, store.Retry))
	c = e.claimOne("w", "sales_order/1")
	e.equal("claim after a failure", fmtAny(c.Skip), "[0 200]")
	// A refusal ends it.
	r := result(c, store.Refused)
	r.Reason = "no"
	e.record(r)
	n, err := e.Store.Retry(e.ctx, "sales_order", "1")
	e.ok(err)
	e.equal("retried", n, int64(1))
	c = e.claimOne("w", "sales_order/1")
	e.equal("claim after a refusal", fmtAny(c.Skip), "[]")
	// So does who asks for the opposite.
	for what, force := range map[string]bool{"a retry": false, "a force": true} {
		r := result(c, store.Refused)
		r.Reason = "no"
		e.record(r)
		e.skip(g, true)
		if force {
			e.touch(store.Touch{ID: g.ID, Force: true})
			e.fold()
		} else {
			n, err := e.Store.Retry(e.ctx, "sales_order", "")
			e.ok(err)
			e.equal("retried", n, int64(1))
		}
		c = e.claimOne("w", "sales_order/1")
		e.equal("claim after "+what, fmtAny(c.Skip), "[]")
	}
}

func testSkipOfNothing(e *env) {
	e.shop(e.orderShape())
	e.syncAll()
	g := e.group("sales_order/1")
	e.skip(g, false)
	e.exec(`UPDATE orders SET state = 'x' WHERE id = 1`)
	e.fold()
	g = e.group("sales_order/1")
	e.skip(g, false)
	c := e.claimOne("w", "sales_order/1")
	e.skip(g, false)
	e.record(synced(c, "r-1"))
	e.skip(store.Group{ID: store.ID{Sync: "sales_order", Key: "none"}}, false)
	// A record that was never made.
	e.orders(1, 100, 1)
	e.fold()
	r := result(e.claimOne("w", "sales_order/100"), store.Refused)
	r.Reason = "no"
	e.record(r)
	g = e.group("sales_order/100")
	e.skip(g, false)
	e.wantState("sales_order/100", store.Parked)
}

func testSkipInDoubt(e *env) {
	g := e.refusedOrder(time.Minute)
	e.skip(g, false)
	e.Advance(2 * time.Minute)
	e.skip(g, true)
	c := e.claimOne("w", "sales_order/1")
	e.equal("claim", fmtAny(c.Skip, c.Forced, c.Whole, c.InDoubt, c.Generation), fmtAny([]byte{0, 200}, true, false, false, g.Generation))
	r := synced(c, "r-1")
	r.Skipped = true
	e.record(r)
	e.wantState("sales_order/1", store.Skipped)
	e.Advance(time.Hour)
	e.equal("claims later", len(e.claim("w", 10)), 0)
}
