package upkeep_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

func (s *shop) fill() {
	s.exec(`insert into customers values (1, 'retail'), (2, 'wholesale');
		insert into users(id, name, email, customer_id) values (1, 'Ada', 'ada@example.com', 1), (2, 'Bob', null, null);
		insert into orders(id, user_id, state, ref_no) values (10, 1, 'placed', 'R10'), (11, 1, 'draft', 'R11'), (12, 2, 'sent', 'R12');
		insert into billing_infos values (1, 10, 'ESB1');
		insert into line_items values (1, 10, 'A', 2, 9.90), (2, 10, 'B', 1, 0.10), (3, 12, 'C', 1, 5)`)
}

func TestRowsBecomeRecords(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		e := s.engine(customerSync(s.to), orderSync(s.to), fulfillmentSync(s.to))
		s.run(e)
		s.quiet(e)
		s.field("customer", "customer-1", "segment", `"retail"`)
		s.field("customer", "customer-1", "orders", `2`)
		s.field("salesOrder", "sales_order-10", "item", `[{"item":"A","quantity":2,"rate":9.9},{"item":"B","quantity":1,"rate":0.1}]`)
		s.field("salesOrder", "sales_order-10", "memo", `"ESB1"`)
		if _, there := s.remote.Record("salesOrder", "sales_order-11"); there {
			t.Error("a draft was sent")
		}
		if r, there := s.remote.Record("itemFulfillment", "fulfillment-12"); !there || r.From.Type != "salesOrder" {
			t.Errorf("the fulfillment was not made from its order: %+v", r)
		}

		for _, change := range []string{
			`update users set name = 'Ada L.' where id = 1`,
			`update customers set segment = 'gold' where id = 1`,
			`update users set customer_id = 2 where id = 1`,
			`update line_items set order_id = 12 where id = 2`,
			`update orders set user_id = 2 where id = 10`,
			`update orders set state = 'sent' where id = 11`,
			`delete from billing_infos where id = 1`,
			`insert into line_items values (4, 10, 'D', 3, 1.25)`,
			`update orders set accountable = false where id = 12`,
			`update orders set state = 'draft' where id = 10`,
			`update orders set state = 'placed' where id = 10`,
		} {
			s.exec("%s", change)
			s.quiet(e)
			s.inSync(e, "customer", "sales_order", "fulfillment")
			if t.Failed() {
				t.Fatalf("after %s", change)
			}
		}
		s.exec(`delete from line_items where order_id = 10; delete from billing_infos where order_id = 10; delete from orders where id = 10`)
		s.quiet(e)
		if _, there := s.remote.Record("salesOrder", "sales_order-10"); there {
			t.Error("the order was deleted, its record was not")
		}
		s.exec(`insert into orders(id, user_id, state, ref_no) values (10, 1, 'placed', 'again')`)
		s.quiet(e)
		s.field("salesOrder", "sales_order-10", "otherRefNum", `"again"`)
		s.inSync(e, "customer", "sales_order", "fulfillment")
	})
}

func TestNothingIsSentWithoutNeed(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		e := s.engine(customerSync(s.to), orderSync(s.to))
		s.run(e)
		s.quiet(e)
		s.remote.Forget()
		for _, change := range []string{
			`update users set phone = '1'`,                 // nobody maps it
			`update users set name = name`,                 // no change
			`update orders set ref_no = 'x' where id = 11`, // when is false
			`begin; update users set name = 'Z'; rollback`, // never happened
			`begin; update users set name = name || '!'; update users set name = rtrim(name, '!'); commit`, // back again
		} {
			s.exec("%s", change)
			s.quiet(e)
			if n := s.remote.Calls(memory.Any); n != 0 {
				t.Errorf("%d calls after %s", n, change)
			}
			s.remote.Forget()
		}
		s.exec(`update users set email = 'new@example.com' where id = 1`)
		s.quiet(e)
		calls := s.remote.Requests()
		if len(calls) != 1 || len(calls[0].Fields) != 1 || string(calls[0].Fields["email"]) != `"new@example.com"` {
			t.Errorf("a change of one field must be one call with that field, got %+v", calls)
		}
	})
}

// A burst that arrives while a call is under way costs one more call, and the
// last state wins.
func TestBurstIsOneCall(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		e := s.engine(customerSync(s.to))
		s.run(e)
		s.quiet(e)
		s.remote.Forget()
		hold := make(chan struct{})
		s.remote.Fail(memory.Fault{On: memory.Update, Until: hold})
		s.exec(`update users set name = 'first' where id = 1`)
		s.until("the first call", func() bool { return s.remote.InFlight() == 1 })
		for i := range 50 {
			s.exec(`update users set name = 'n%d' where id = 1`, i)
		}
		close(hold)
		s.quiet(e)
		if n := s.remote.Calls(memory.Update); n != 2 {
			t.Errorf("%d calls for a burst during a call, want 2", n)
		}
		s.field("customer", "customer-1", "entityId", `"n49"`)
		if _, one := s.remote.MaxInFlight(); one != 1 {
			t.Errorf("%d calls at once for one record", one)
		}
	})
}

func TestChildWaitsForItsParent(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		s.remote.Fail(memory.Fault{On: memory.Create, Type: "customer", ExternalID: "customer-1", Times: -1, Err: memory.Err(connector.Rejected)})
		e := s.engine(customerSync(s.to), orderSync(s.to))
		s.run(e)
		x := s.state(e, "sales_order", "10", "waiting")
		if len(x.Group.WaitsFor) != 1 || x.Group.WaitsFor[0].Key != "1" {
			t.Errorf("waits for %v", x.Group.WaitsFor)
		}
		s.state(e, "customer", "1", "parked")
		if x := s.state(e, "customer", "1", "parked"); fmt.Sprint(x.Blocks) != "[sales_order/10]" {
			t.Errorf("the parked parent blocks %v", x.Blocks)
		}
		s.remote.Heal()
		s.exec(`update users set name = 'Ada, mended' where id = 1`) // new data lets a parked record go
		s.quiet(e)
		s.state(e, "sales_order", "10", "clean")
		s.inSync(e, "customer", "sales_order")
	})
}

// Nobody waits for an engine that will never do anything.
func TestQuietEndsWithRun(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.Config{})
	sync := customerSync(s.to)
	sync.Table = "nowhere"
	e := s.engine(sync)
	done := make(chan error, 1)
	go func() { done <- e.Run(s.ctx) }()
	if err := e.Quiet(s.ctx, nil); err == nil || s.ctx.Err() != nil || !errors.Is(err, upkeep.ErrNoTable) {
		t.Errorf("quiet: %v", err)
	}
	if err := <-done; !errors.Is(err, upkeep.ErrNoTable) {
		t.Errorf("run: %v", err)
	}
}

// impatient is a clock that ends what sleeps for the third time.
type impatient struct {
	upkeep.Clock
	end    context.CancelFunc
	sleeps int
}

func (c *impatient) Now() time.Time { return time.Now() }

func (c *impatient) Sleep(ctx context.Context, _ time.Duration) error {
	if c.sleeps++; c.sleeps == 3 {
		c.end()
	}
	return ctx.Err()
}

// A wait in vain says what is left to do, and that nobody does it.
func TestQuietSaysWhatIsLeft(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		vain := func(want string) {
			t.Helper()
			ctx, cancel := context.WithCancel(s.ctx)
			defer cancel()
			e, err := upkeep.New(upkeep.Config{Database: s.open(), Syncs: []upkeep.AnySync{customerSync(s.to)}, Clock: &impatient{end: cancel}})
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Quiet(ctx, nil); !errors.Is(err, context.Canceled) || !strings.HasSuffix(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
		}
		vain("left is the installation, and no process is at work on it: call Engine.Run beside it")
		e := s.engine(customerSync(s.to))
		stop := s.run(e)
		s.quiet(e)
		stop()
		s.exec(`update users set name = 'Eve' where id = 1`)
		vain("left is touches in the log (1), and no process is at work on it: call Engine.Run beside it")
	})
}

// A sync by hand keeps only the rows that were registered, in the
// application's own transaction.
func TestRegisterByHand(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		sync := customerSync(s.to)
		sync.ByHand = true
		e := s.engine(sync)
		s.run(e)
		s.exec(`update users set name = 'x'`)
		s.quiet(e)
		if n := s.remote.Calls(memory.Any); n != 0 {
			t.Fatalf("%d calls for rows that nobody registered", n)
		}
		for _, commit := range []bool{false, true} {
			tx := s.begin()
			if err := e.Register(s.ctx, tx.handle, "customer", 2); err != nil {
				t.Fatal(err)
			}
			if err := tx.end(commit); err != nil {
				t.Fatal(err)
			}
			s.quiet(e)
			if _, there := s.remote.Record("customer", "customer-2"); there != commit {
				t.Errorf("committed %v, record there %v", commit, there)
			}
		}
		s.exec(`update users set name = 'y'`)
		s.quiet(e)
		s.field("customer", "customer-2", "entityId", `"y"`)
		if n := len(s.remote.Records("customer")); n != 1 {
			t.Errorf("%d records", n)
		}
		if err := e.Touch(s.ctx, nil, "nope", 1); err == nil {
			t.Error("a touch of a sync that does not exist")
		}
	})
}

// The rate is the remote's, over all processes: with a clock that stands
// still, no more requests than the burst go out.
func TestRateIsShared(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.Config{})
	for i := range 30 {
		s.exec(`insert into users(id, name) values (%d, 'u')`, i+1)
	}
	s.standStill()
	s.to.Rate, s.to.Burst = 10, 4
	a, b := s.engine(customerSync(s.to)), s.engine(customerSync(s.to))
	s.run(a)
	s.run(b)
	s.until("the burst to be used up", func() bool { return s.remote.Calls(memory.Create) == 4 })
	s.advance(100 * time.Millisecond)
	s.until("one more", func() bool { return s.remote.Calls(memory.Create) >= 5 })
	s.advance(200 * time.Millisecond)
	s.until("two more", func() bool { return s.remote.Calls(memory.Create) >= 7 })
	if n := s.remote.Calls(memory.Create); n != 7 {
		t.Errorf("%d requests, the rate allows 7", n)
	}
}

// A record that is made from another is made only once that one is up to date:
// a fulfillment of an order whose lines have just changed has the new lines.
func TestInitializeWaitsForTheLatestOrigin(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		e := s.engine(customerSync(s.to), orderSync(s.to), fulfillmentSync(s.to))
		s.run(e)
		s.quiet(e)
		hold := make(chan struct{})
		s.remote.Fail(memory.Fault{On: memory.Update, Type: "salesOrder", Until: hold})
		s.exec(`update line_items set qty = 7 where id = 1; update orders set state = 'sent' where id = 10`)
		s.until("the order's update", func() bool { return s.remote.InFlight() == 1 })
		claims := map[int64]bool{}
		s.until("the fulfillment to look for its order", func() bool {
			x, err := e.Explain(s.ctx, "fulfillment", "10")
			if err == nil && x.Group != nil {
				claims[x.Group.Epoch] = true
			}
			return len(claims) > 2
		})
		if _, there := s.remote.Record("itemFulfillment", "fulfillment-10"); there {
			t.Error("the fulfillment was made from an order that is not up to date")
		}
		close(hold)
		s.quiet(e)
		if _, there := s.remote.Record("itemFulfillment", "fulfillment-10"); !there {
			t.Error("the fulfillment was not made")
		}
		s.inSync(e, "customer", "sales_order", "fulfillment")
	})
}

// A process that comes later gets its share of a remote's slots from one that
// has them all and never rests.
func TestSlotsAreSharedOut(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.Config{Concurrency: 4, Limit: 4})
	for i := range 200 {
		s.exec(`insert into users(id, name) values (%d, 'u')`, i+1)
	}
	s.remote.Fail(memory.Fault{Times: -1, Latency: 20 * time.Millisecond})
	s.run(s.engine(customerSync(s.to)))
	s.until("the first to be at work", func() bool { return s.remote.InFlight() == 4 })
	second := &countingConnection{Connection: s.to.Connection}
	late := *s.to
	late.Connection = second
	s.run(s.engine(customerSync(&late)))
	round := 0
	s.until("the second to make calls", func() bool {
		round++
		s.exec(`update users set name = 'u%d' where id %% 4 = %d`, round, round%4)
		return second.calls.Load() > 10
	})
	for _, r := range s.remote.Requests() {
		if r.Err != nil && connector.KindOf(r.Err) == connector.RateLimited {
			t.Fatal("the two together went over the remote's limit")
		}
	}
}

type countingConnection struct {
	connector.Connection
	calls atomic.Int64
}

func (c *countingConnection) Update(ctx context.Context, id string, r connector.Record) error {
	c.calls.Add(1)
	return c.Connection.Update(ctx, id, r)
}
