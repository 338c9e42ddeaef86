package upkeep_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// A statement that deletes half of a table stops at the limit and asks.
func TestMassDeleteStopsAndAsks(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{Batch: 50})
		s.users(400)
		e := s.engine(customerSync(s.to))
		s.run(e)
		s.quiet(e)
		s.exec(`delete from users where id > 200`)
		s.quiet(e)
		if n := len(s.remote.Records("customer")); n != 300 {
			t.Errorf("%d records are left, want 300: a hundred may go", n)
		}
		st, err := e.Status(s.ctx)
		if err != nil || len(st.HeldDeletes) != 1 || st.HeldDeletes[0].Held != 100 || st.Syncs[0].Parked != 100 {
			t.Fatalf("%+v, %v", st, err)
		}
		// Everything else goes on, and a row that comes back is no delete.
		s.exec(`update users set name = 'new' where id = 1; insert into users (id, name) select 400 - n, 'back' from (select 0 as n union select 1) as n`)
		s.quiet(e)
		s.field("customer", "customer-1", "entityId", `"new"`)
		if st, err = e.Status(s.ctx); err != nil || st.HeldDeletes[0].Held > 100 || st.HeldDeletes[0].Held < 98 {
			t.Fatalf("%+v, %v", st, err)
		}
		left := st.HeldDeletes[0].Held
		if n, err := e.AllowDeletes(s.ctx, "customer", int(left)); err != nil || n != left {
			t.Fatal(n, err)
		}
		s.quiet(e)
		s.inSync(e, "customer")
		if n := len(s.remote.Records("customer")); n != 202 {
			t.Errorf("%d records, want 202", n)
		}
		if held, err := e.HeldDeletes(s.ctx); err != nil || len(held) != 0 {
			t.Errorf("%v, %v", held, err)
		}
	})
}

// allowing lets a person allow deletes just before the first one that is held
// is written down.
type allowing struct {
	upkeep.Database
	allow func()
	once  sync.Once
}

func (a *allowing) Record(ctx context.Context, results []store.Result, byHand []string) ([]store.ID, error) {
	for _, r := range results {
		if r.Reason == store.DeleteHeld {
			a.once.Do(a.allow)
		}
	}
	return a.Database.Record(ctx, results, byHand)
}

// A delete that is held while a person allows deletes is not left behind.
func TestDeleteHeldWhileItIsAllowed(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.users(4)
		sync := customerSync(s.to)
		sync.DeleteLimit = 3
		db := &allowing{Database: s.open()}
		e, err := upkeep.New(upkeep.Config{Database: db, Syncs: []upkeep.AnySync{sync}})
		if err != nil {
			t.Fatal(err)
		}
		db.allow = func() {
			if n, err := e.AllowDeletes(s.ctx, "customer", 1); n != 0 || err != nil {
				t.Errorf("allowed: %d were parked, want 0; %v", n, err)
			}
		}
		s.run(e)
		s.quiet(e)
		s.exec(`delete from users`)
		s.until("the delete to go", func() bool { return len(s.remote.Records("customer")) == 0 })
		s.quiet(e)
		if held, err := e.HeldDeletes(s.ctx); err != nil || len(held) != 0 {
			t.Errorf("%v, %v", held, err)
		}
	})
}

func TestDeleteLimitOfOnesOwn(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		for limit, left := range map[int]int{3: 147, -1: 0} {
			s := newShop(memory.Config{})
			s.users(150)
			sync := customerSync(s.to)
			sync.DeleteLimit = limit
			e := s.engine(sync)
			s.run(e)
			s.quiet(e)
			s.exec(`delete from users`)
			s.quiet(e)
			if n := len(s.remote.Records("customer")); n != left {
				t.Errorf("limit %d: %d records are left, want %d", limit, n, left)
			}
		}
	})
}

// A higher limit, or none, is about what is deleted from then on. What to do about
// what was held before is said.
func TestRaisedLimitLetsGoWhatIsLookedAt(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.Config{})
	s.within(3 * time.Minute)
	s.users(8)
	limited := func(most int) *upkeep.Engine {
		to := customerSync(s.to)
		to.DeleteLimit = most
		return s.engine(to)
	}
	left := func(want int) {
		t.Helper()
		if n := len(s.remote.Records("customer")); n != want {
			t.Errorf("%d records are left, want %d", n, want)
		}
	}
	said := func(e *upkeep.Engine, want string) {
		t.Helper()
		if f, err := e.Condition(s.ctx); err != nil || (want != "") != strings.Contains(fmt.Sprint(f), "held") || !strings.Contains(fmt.Sprint(f), want) {
			t.Errorf("doctor finds %v (%v), want %q", f, err, want)
		}
	}
	e := limited(1)
	stop := s.run(e)
	s.quiet(e)
	s.exec(`delete from users where id > 5`)
	s.quiet(e)
	left(7)
	stop()
	e = limited(100)
	stop = s.run(e)
	s.quiet(e)
	left(7)
	said(e, "upkeep deletes customer --allow 2; a higher delete_limit alone lets none of them go")
	stop()
	e = limited(-1)
	s.run(e)
	s.exec(`delete from users where id = 1`)
	s.quiet(e)
	left(6)
	said(e, "its deletes have no limit any more, and those that were held before stay held: 2")
	held, err := e.Groups(s.ctx, "customer", upkeep.Parked, upkeep.ID{}, 10)
	if err != nil || len(held) != 2 {
		t.Fatalf("%v, %v", held, err)
	}
	if x, err := e.Explain(s.ctx, "customer", held[0].Key); err != nil || !strings.Contains(x.Why, "or for this one upkeep retry customer "+held[0].Key) {
		t.Errorf("%+v, %v", x, err)
	}
	for _, g := range held {
		if _, err := e.Retry(s.ctx, "customer", g.Key); err != nil {
			t.Fatal(err)
		}
	}
	s.quiet(e)
	left(4)
	said(e, "")
	if all, err := e.HeldDeletes(s.ctx); err != nil || len(all) > 0 {
		t.Errorf("held: %v, %v", all, err)
	}
}

func TestAllowDeletesSaysWhatIsWrong(t *testing.T) {
	s := newShop(t, memory.Config{})
	e := s.engine(customerSync(s.to))
	if _, err := e.AllowDeletes(s.ctx, "nobody", 1); err == nil {
		t.Error("an unknown sync")
	}
	if _, err := e.AllowDeletes(s.ctx, "customer", 0); err == nil {
		t.Error("none")
	}
	if _, err := e.HeldDeletes(s.ctx); err == nil || !errors.Is(err, upkeep.ErrNotInstalled) {
		t.Errorf("not installed: %v", err)
	}
}

// A delete that the remote has no time for goes when it has, and counts once:
// another one is held only when the limit is used up by what went.
func TestDeleteThatDidNotGoCountsOnce(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.users(3)
		sync := customerSync(s.to)
		sync.DeleteLimit = 1
		e := s.engine(sync)
		s.run(e)
		s.quiet(e)
		s.remote.Fail(memory.Fault{On: memory.Delete, Err: memory.Err(connector.RateLimited)})
		s.remote.Fail(memory.Fault{On: memory.Delete, Err: memory.Err(connector.Unavailable)})
		s.exec(`delete from users where id = 1`)
		s.until("the delete to go", func() bool { return len(s.remote.Records("customer")) == 2 })
		s.quiet(e)
		if held, err := e.HeldDeletes(s.ctx); err != nil || len(held) != 0 {
			t.Errorf("held are %v, %v", held, err)
		}
		s.exec(`delete from users`)
		s.quiet(e)
		if n := len(s.remote.Records("customer")); n != 2 {
			t.Errorf("%d records are left, want 2", n)
		}
	})
}

// diesHolding dies when the first delete that is held is to be written down.
type diesHolding struct{ mortalStore }

func (d diesHolding) Record(ctx context.Context, results []store.Result, byHand []string) ([]store.ID, error) {
	for _, r := range results {
		if r.Reason == store.DeleteHeld {
			if err := d.reach("held"); err != nil {
				return nil, err
			}
		}
	}
	return d.mortalStore.Record(ctx, results, byHand)
}

// Of a process that dies before it has written down what is held, no more go
// with the next one than the limit allows.
func TestDeletesOfAProcessThatDied(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.users(8)
		sync := customerSync(s.to)
		sync.DeleteLimit = 3
		e := s.engine(sync)
		stop := s.run(e)
		s.quiet(e)
		stop()
		s.exec(`delete from users`)
		m := &mortal{point: "held", dead: make(chan struct{})}
		dying, err := upkeep.New(upkeep.Config{Database: diesHolding{mortalStore{s.open(), m}}, Syncs: []upkeep.AnySync{sync}, Drain: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		stop = s.run(dying)
		select {
		case <-m.dead:
		case <-s.ctx.Done():
			t.Fatal("nothing was held")
		}
		stop()
		s.advance(2 * time.Minute) // its leases have run out, and what it sent can't land any more
		e = s.engine(sync)
		s.run(e)
		s.quiet(e)
		if n := len(s.remote.Records("customer")); n < 5 {
			t.Errorf("%d records are left, and only 3 of 8 may go", n)
		}
		held, err := e.HeldDeletes(s.ctx)
		if err != nil || len(held) != 1 || held[0].Held < 5 {
			t.Errorf("held are %+v, %v", held, err)
		}
		if _, err := e.AllowDeletes(s.ctx, "customer", 8); err != nil {
			t.Fatal(err)
		}
		s.until("all to go", func() bool { return len(s.remote.Records("customer")) == 0 })
	})
}

// Sending everything again, or mending what differs, is no word about deletes.
func TestForcingLetsNoDeletePast(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.users(20)
		sync := customerSync(s.to)
		sync.DeleteLimit = 3
		e := s.engine(sync)
		s.run(e)
		s.quiet(e)
		left := func(what string, want int) {
			t.Helper()
			s.quiet(e)
			if n := len(s.remote.Records("customer")); n != want {
				t.Errorf("%s: %d records are left, want %d", what, n, want)
			}
		}
		s.exec(`delete from users where id > 5`)
		left("a mass delete", 17)
		for range 2 {
			if err := e.Resync(s.ctx, upkeep.Resync{Force: true}); err != nil {
				t.Fatal(err)
			}
			left("sent again", 17)
		}
		v, err := e.Verify(s.ctx, "customer", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Fix(s.ctx, v.Differences); err != nil {
			t.Fatal(err)
		}
		left("verified and mended", 17)
		if err := e.Resync(s.ctx, upkeep.Resync{Sync: "customer", Key: "20", Force: true}); err != nil {
			t.Fatal(err)
		}
		left("one sent again", 17)
		if n, err := e.AllowDeletes(s.ctx, "customer", 12); n != 12 || err != nil {
			t.Fatal(n, err)
		}
		left("allowed", 5)
		// What is gone already is no delete.
		if err := e.Resync(s.ctx, upkeep.Resync{Force: true}); err != nil {
			t.Fatal(err)
		}
		left("sent again when all are gone", 5)
		if held, err := e.HeldDeletes(s.ctx); err != nil || len(held) != 0 {
			t.Errorf("%v, %v", held, err)
		}
	})
}

// Deletes that are held are said in the log now and then, not for each; and
// again when it happens another time.
func TestHeldDeletesAreSaid(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.Config{})
	s.users(40)
	log := new(safeBuffer)
	sync := customerSync(s.to)
	sync.DeleteLimit = 1
	e, err := upkeep.New(upkeep.Config{Database: s.open(), Syncs: []upkeep.AnySync{sync}, Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	s.run(e)
	s.quiet(e)
	said := func() int { return strings.Count(log.String(), "more records are to be deleted") }
	for i := 21; i <= 40; i++ { // one after the other, each with a claim of its own
		s.exec(`delete from users where id = %d`, i)
		s.quiet(e)
	}
	first := said()
	if first < 1 || first > 5 {
		t.Errorf("said %d times of 19 held deletes, want each time that they are twice as many", first)
	}
	if n, err := e.AllowDeletes(s.ctx, "customer", 19); n != 19 || err != nil {
		t.Fatal(n, err)
	}
	s.quiet(e)
	s.exec(`delete from users where id > 15`)
	s.quiet(e)
	if again := said(); again == first || again > first+3 {
		t.Errorf("said %d times of another 4 or 5", again-first)
	}
}
