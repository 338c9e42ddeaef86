package storetest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

func commandTests() []test {
	return []test{
		{"payload is the composite", testCommandPayload},
		{"payload of an older mapping", testCommandPayloadOlder},
		{"in the application's transaction", testCommandInTx},
		{"delivered", testCommandDelivered},
		{"not delivered", testCommandKept},
		{"refused and retried", testCommandRefused},
		{"skipped", testCommandSkipped},
		{"passed over", testCommandPassedOver},
		{"pruned", testCommandPruned},
		{"lane given up", testCommandLaneGivenUp},
		{"uninstalled", testCommandUninstalled},
	}
}

// byCommand makes a shape one whose commands are appended by hand, which every
// database can.
func byCommand(s *store.Shape) *store.Shape {
	s.Every, s.ByHand = true, true
	return s
}

// append appends a command of a shape's group in a transaction of its own.
func (e *env) append(s *store.Shape, key string) {
	e.t.Helper()
	e.ok(e.Store.AppendCommand(e.ctx, nil, s, key))
}

// next is the oldest command of a group; it is an error if there is none.
func (e *env) next(s string) store.Command {
	e.t.Helper()
	found, err := e.Store.NextCommands(e.ctx, []store.ID{id(s), id("nothing/1")})
	e.ok(err)
	c, ok := found[id(s)]
	if !ok || len(found) != 1 {
		e.t.Fatalf("commands of %s: %v", s, found)
	}
	return c
}

// waiting is how many commands a group has.
func (e *env) waiting(s string) int {
	e.t.Helper()
	all, err := e.Store.WaitingCommands(e.ctx, id(s), 100)
	e.ok(err)
	last := int64(0)
	for _, c := range all {
		if c.Number <= last || c.Payload != nil || c.At.IsZero() {
			e.t.Errorf("command after %d: %+v", last, c)
		}
		last = c.Number
	}
	return len(all)
}

func testCommandPayload(e *env) {
	for _, c := range []struct {
		shape *store.Shape
		key   string
	}{{e.orderShape(), "1"}, {e.customerShape(), "2"}, {e.accountShape(), "1"}, {e.lineShape(), "11"}} {
		byCommand(c.shape)
		e.shapes = append(e.shapes, c.shape)
		e.seen = map[store.ID]int64{}
	}
	dates := byCommand(e.root("dates", "orders", "id", "accountable", "total", "ordered_on", "created_at", "note"))
	e.add(dates.Root, link{rel: store.HasMany, name: "items", table: "line_items", via: []string{"order_id"},
		where: "qty > 0", order: "sku DESC", sums: []string{"price"}, counting: true}, "sku", "price")
	e.shapes = append(e.shapes, dates)
	e.shop(e.shapes...)
	e.exec(`INSERT INTO orders (id) VALUES (3)`, `UPDATE orders SET note = 'a "b" \ ü' WHERE id = 1`) // NULLs and no members
	for _, s := range e.shapes {
		for _, key := range []string{"1", "2", "3", "11"} {
			e.append(s, key)
			loaded, _, err := e.Store.Load(e.ctx, s, []string{key})
			e.ok(err)
			c := e.next(s.Sync + "/" + key)
			want, there := loaded[key]
			e.equal("deleted of "+c.ID.String(), c.Deleted, !there)
			if !there {
				continue
			}
			got := store.DecodePayload(s, c.Payload)
			e.ok(got.Err)
			e.equal("payload of "+c.ID.String(), fmtAny(got.Row), fmtAny(want.Row))
			e.equal("types of the payload of "+c.ID.String(), fmt.Sprintf("%T", got.Row["total"]), fmt.Sprintf("%T", want.Row["total"]))
		}
	}
}

func testCommandPayloadOlder(e *env) {
	s := byCommand(e.orderShape())
	e.shop(s)
	e.append(s, "1")
	c := e.next("sales_order/1")
	wider := e.orderShape()
	wider.Root.Columns = append(wider.Root.Columns, e.columns(e.table("orders"), "note")...)
	if err := store.DecodePayload(wider, c.Payload).Err; err == nil || !strings.Contains(err.Error(), "note") {
		e.t.Errorf("a payload without a column of the mapping was read: %v", err)
	}
	wider.Root.Columns = wider.Root.Columns[:1]
	if c := store.DecodePayload(wider, c.Payload); c.Err != nil || len(c.Row) != 3 {
		e.t.Errorf("a payload with more than the mapping reads: %v", c)
	}
}

func testCommandInTx(e *env) {
	s := byCommand(e.orderShape())
	e.shop(s)
	tx := e.Begin(e.t)
	e.ok(tx.Exec(`UPDATE orders SET state = 'one' WHERE id = 1`))
	e.ok(e.Store.AppendCommand(e.ctx, tx.Handle(), s, "1"))
	e.ok(tx.Rollback())
	e.equal("commands after a rollback", e.waiting("sales_order/1"), 0)
	tx = e.Begin(e.t)
	e.ok(tx.Exec(`UPDATE orders SET state = 'two' WHERE id = 1`))
	e.ok(e.Store.AppendCommand(e.ctx, tx.Handle(), s, "1"))
	e.ok(e.Store.AppendCommand(e.ctx, tx.Handle(), s, "2"))
	e.ok(tx.Commit())
	e.wantRaised("sales_order/1", "sales_order/2")
	c := store.DecodePayload(s, e.next("sales_order/1").Payload)
	e.equal("state in the command", fmt.Sprint(c.Row["state"]), "two")
	if err := e.Store.AppendCommand(e.ctx, 42, s, "1"); err == nil {
		e.t.Error("a number was taken for a transaction")
	}
}

// twoCommands leaves order 1 with two commands, dirty.
func (e *env) twoCommands() (*store.Shape, store.Command) {
	e.t.Helper()
	s := byCommand(e.orderShape())
	e.shop(s)
	e.append(s, "1")
	e.exec(`UPDATE orders SET state = 'two' WHERE id = 1`)
	e.append(s, "1")
	e.fold()
	return s, e.next("sales_order/1")
}

func testCommandDelivered(e *env) {
	s, first := e.twoCommands()
	c := e.claimOne("w", "sales_order/1")
	r := synced(c, "r-1")
	r.Command = first.Number
	e.record(r)
	second := e.next("sales_order/1")
	if second.Number <= first.Number {
		e.t.Errorf("command %d after %d", second.Number, first.Number)
	}
	e.wantState("sales_order/1", store.Dirty) // and due at once
	c = e.claimOne("w", "sales_order/1")
	e.equal("remote id", c.RemoteID, "r-1")
	r = synced(c, "r-1")
	r.Command = second.Number
	e.record(r)
	e.equal("commands", e.waiting("sales_order/1"), 0)
	// The state has the last word.
	e.record(synced(e.claimOne("w", "sales_order/1"), "r-1"))
	e.wantState("sales_order/1", store.Clean)

	e.exec(`DELETE FROM line_items`, `DELETE FROM billing_infos`, `DELETE FROM orders`)
	e.append(s, "1")
	e.fold()
	last := e.next("sales_order/1")
	if !last.Deleted || last.Payload != nil || last.Number <= second.Number {
		e.t.Errorf("command of a delete: %+v", last)
	}
	r = result(e.claimOne("w", "sales_order/1"), store.Removed)
	r.Command = last.Number
	e.record(r)
	e.equal("commands", e.waiting("sales_order/1"), 0)
}

func testCommandKept(e *env) {
	_, first := e.twoCommands()
	for _, o := range []store.Outcome{store.Released, store.Retry, store.Doubtful} {
		r := result(e.claimOne("w", "sales_order/1"), o)
		r.Command = first.Number
		e.record(r)
		e.equal(fmt.Sprint("next after outcome ", o), e.next("sales_order/1").Number, first.Number)
	}
	// A claim that was lost delivers nothing.
	r := synced(e.claimOne("w", "sales_order/1"), "r-1")
	r.Command = first.Number
	e.Advance(2 * time.Minute)
	e.claim("other", 10)
	stale, err := e.Store.Record(e.ctx, []store.Result{r}, nil)
	e.ok(err)
	e.equal("stale", len(stale), 1)
	e.equal("next after a stale result", e.next("sales_order/1").Number, first.Number)
}

func testCommandPassedOver(e *env) {
	_, first := e.twoCommands()
	r := result(e.claimOne("w", "sales_order/1"), store.Released)
	r.Command, r.PassedOver = first.Number, "its time is over"
	e.record(r)
	gaps, err := e.Store.Gaps(e.ctx, "sales_order", "1", 10)
	e.ok(err)
	if len(gaps) != 1 || gaps[0].Reason != "its time is over" || gaps[0].Tx != first.Tx {
		e.t.Errorf("gaps %+v of %+v", gaps, first)
	}
	if c := e.next("sales_order/1"); c.Number <= first.Number {
		e.t.Errorf("after %+v comes %+v", first, c)
	}
	e.wantState("sales_order/1", store.Dirty)
	e.claimOne("w", "sales_order/1") // due at once
}

func testCommandRefused(e *env) {
	_, first := e.twoCommands()
	r := result(e.claimOne("w", "sales_order/1"), store.Refused)
	r.Command, r.Reason, r.Version = first.Number, "no such item", "v1"
	e.record(r)
	e.wantState("sales_order/1", store.Parked)
	c := e.next("sales_order/1")
	e.equal("refused", fmtAny(c.Number, c.Refused, c.RefusedVersion), fmtAny(first.Number, "no such item", "v1"))
	n, err := e.Store.Retry(e.ctx, "sales_order", "1")
	e.ok(err)
	e.equal("retried", n, int64(1))
	c = e.next("sales_order/1")
	e.equal("refused after Retry", fmtAny(c.Number, c.Refused, c.RefusedVersion), fmtAny(first.Number, "", ""))
}

func testCommandSkipped(e *env) {
	_, first := e.twoCommands()
	c := e.claimOne("w", "sales_order/1")
	if _, err := e.Store.SkipCommand(e.ctx, id("sales_order/1"), first.Number); !errors.Is(err, store.ErrClaimed) {
		e.t.Errorf("a claimed command was skipped: %v", err)
	}
	r := result(c, store.Refused)
	r.Command, r.Reason = first.Number, "no such item"
	e.record(r)
	if _, err := e.Store.SkipCommand(e.ctx, id("sales_order/1"), first.Number+1); !errors.Is(err, store.ErrNoCommand) {
		e.t.Errorf("another command than the oldest was skipped: %v", err)
	}
	skipped, err := e.Store.SkipCommand(e.ctx, id("sales_order/1"), first.Number)
	e.ok(err)
	e.equal("skipped", fmtAny(skipped.Number, skipped.Refused), fmtAny(first.Number, "no such item"))
	history, err := e.Store.Attempts(e.ctx, id("sales_order/1"), 1)
	e.ok(err)
	if len(history) != 1 || history[0].Action != "skip" || !strings.Contains(history[0].Message, "no such item") {
		e.t.Errorf("history: %+v", history)
	}
	c = e.claimOne("w", "sales_order/1") // it goes on at once
	e.equal("commands", e.waiting("sales_order/1"), 1)
	second := e.next("sales_order/1").Number
	e.record(result(c, store.Released))
	_, err = e.Store.SkipCommand(e.ctx, id("sales_order/1"), second)
	e.ok(err)
	if _, err = e.Store.SkipCommand(e.ctx, id("sales_order/1"), second); !errors.Is(err, store.ErrNoCommand) {
		e.t.Errorf("skip without a command: %v", err)
	}
	if _, err = e.Store.SkipCommand(e.ctx, id("sales_order/99"), 1); !errors.Is(err, store.ErrNoGroup) {
		e.t.Errorf("skip without a group: %v", err)
	}
}

func testCommandPruned(e *env) {
	s, first := e.twoCommands()
	r := result(e.claimOne("w", "sales_order/1"), store.Refused)
	r.Command, r.Reason = first.Number, "no such item"
	e.record(r)
	e.ok(e.Store.Prune(e.ctx, time.Hour))
	e.equal("commands that are young", e.waiting("sales_order/1"), 2)
	e.Advance(2 * time.Hour)
	counts, err := e.Store.Counts(e.ctx)
	e.ok(err)
	e.equal("commands and gaps", fmtAny(counts[0].Commands, counts[0].OldestCommand > time.Hour, counts[0].Gaps), "2 true 0")
	e.append(s, "1")
	e.ok(e.Store.Prune(e.ctx, time.Hour))
	e.equal("commands", e.waiting("sales_order/1"), 1)
	if counts, err = e.Store.Counts(e.ctx); err != nil || counts[0].Gaps != 1 {
		e.t.Errorf("counts: %v, %v", counts, err)
	}
	gaps, err := e.Store.Gaps(e.ctx, "sales_order", "1", 10)
	e.ok(err)
	if len(gaps) != 1 || gaps[0].Key != "1" || !strings.HasPrefix(gaps[0].Reason, "2 commands from ") ||
		!strings.HasSuffix(gaps[0].Reason, "waited for longer than history is kept") {
		e.t.Errorf("gaps: %+v", gaps)
	}
	e.claimOne("w", "sales_order/1") // it is parked no more
	e.Advance(2 * time.Hour)
	e.ok(e.Store.Prune(e.ctx, time.Hour)) // a worker has it: it stays
	e.equal("commands that are claimed", e.waiting("sales_order/1"), 1)
	gaps, err = e.Store.Gaps(e.ctx, "sales_order", "", 10)
	e.ok(err)
	e.equal("gaps after the time of history", len(gaps), 0)
}

func testCommandLaneGivenUp(e *env) {
	s, _ := e.twoCommands()
	s.Every = false
	e.install(s)
	e.equal("commands", e.waiting("sales_order/1"), 0)
	gaps, err := e.Store.Gaps(e.ctx, "sales_order", "1", 10)
	e.ok(err)
	if len(gaps) != 1 || !strings.HasPrefix(gaps[0].Reason, "2 commands waited") {
		e.t.Errorf("gaps: %+v", gaps)
	}
}

func testCommandUninstalled(e *env) {
	e.ok(e.Store.Uninstall(e.ctx))
	before := e.Objects(e.t)
	e.ok(e.Store.Migrate(e.ctx))
	e.twoCommands()
	e.ok(e.Store.Uninstall(e.ctx))
	e.equal("objects left", fmt.Sprint(e.Objects(e.t)), fmt.Sprint(before))
}
