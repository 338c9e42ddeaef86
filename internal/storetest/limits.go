package storetest

import (
	"fmt"
	"sync"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

func limitTests() []test {
	return []test{
		{"hold", testHold},
		{"hold, many at once", testHoldMany},
		{"dead holder", testHoldDead},
		{"others who want some", testHoldOthers},
		{"a spare holder", testHoldSpare},
		{"calls under way", testCallsUnderWay},
		{"take", testTake},
		{"take, many at once", testTakeMany},
		{"take, the clock set back", testTakeSetBack},
		{"pause", testPause},
		{"breaker", testBreaker},
		{"unknown remote", testUnknownRemote},
		{"quota", testQuota},
	}
}

// held asks for slots and checks how many it has then.
func (e *env) held(holder string, ask, limit, want int) {
	e.t.Helper()
	n, _, err := e.Store.Hold(e.ctx, "ns", holder, store.Ask{Slots: ask, Limit: limit, TTL: time.Minute})
	e.ok(err)
	if n != want {
		e.t.Errorf("%s asked for %d of %d and holds %d, want %d", holder, ask, limit, n, want)
	}
}

func (e *env) health() store.Health {
	e.t.Helper()
	h, err := e.Store.Health(e.ctx, "ns")
	e.ok(err)
	return h
}

func testHold(e *env) {
	e.held("a", 3, 5, 3)
	e.held("b", 4, 5, 2)
	e.held("c", 1, 5, 0)
	e.equal("held", e.health().Held, 5)
	e.held("a", 1, 5, 1) // gives back
	e.held("b", 4, 5, 4)
	e.held("a", 0, 5, 0)
	e.equal("held", e.health().Held, 4)
	e.held("a", 5, 2, 0) // the limit went down under what others hold
	n, others, err := e.Store.Hold(e.ctx, "other", "a", store.Ask{Slots: 5, Limit: 5, TTL: time.Minute})
	e.ok(err)
	e.equal("another remote", [2]int{n, others}, [2]int{5, 0})
	holders, err := e.Store.Holders(e.ctx, "ns")
	e.ok(err)
	for _, h := range holders {
		if h.Left <= 0 || h.Left > time.Minute || h.Until.IsZero() {
			e.t.Errorf("%s has %s left, until %s", h.Holder, h.Left, h.Until)
		}
	}
	if len(holders) != 3 || holders[0].Holder != "a" || holders[1].Slots != 4 {
		e.t.Errorf("holders are %+v, want a and c, who wait, and b with 4 slots", holders)
	}
}

// testCallsUnderWay: what processes say when they ask for slots is summed, and
// grows older by itself; that of a dead one goes with its slots.
func testCallsUnderWay(e *env) {
	ask := func(holder string, calls int, oldest, ttl time.Duration) {
		e.t.Helper()
		_, _, err := e.Store.Hold(e.ctx, "ns", holder, store.Ask{Slots: 2, Limit: 5, TTL: ttl, Calls: calls, Oldest: oldest})
		e.ok(err)
	}
	want := func(calls int, oldest time.Duration) {
		e.t.Helper()
		h := e.health()
		e.equal("calls", h.Calls, calls)
		if h.OldestCall < oldest || h.OldestCall > oldest+5*time.Second {
			e.t.Errorf("the oldest call is %s old, want about %s", h.OldestCall, oldest)
		}
	}
	want(0, 0)
	ask("a", 2, 40*time.Second, time.Minute)
	ask("b", 1, 10*time.Second, 2*time.Minute)
	want(3, 40*time.Second)
	holders, err := e.Store.Holders(e.ctx, "ns")
	e.ok(err)
	if len(holders) != 2 || holders[0].Calls != 2 || holders[1].Calls != 1 || holders[0].OldestCall.Round(5*time.Second) != 40*time.Second {
		e.t.Errorf("the calls of each are not told: %+v", holders)
	}
	e.Advance(30 * time.Second)
	want(3, 70*time.Second)
	ask("a", 0, 0, 20*time.Second)
	want(1, 40*time.Second)
	ask("a", 1, time.Second, 20*time.Second)
	e.Advance(30 * time.Second)
	want(1, 70*time.Second) // a has died
	ask("b", 0, 0, time.Minute)
	want(0, 0)
}

func testHoldMany(e *env) {
	stores := []store.Store{e.Store, e.Again(e.t), e.Again(e.t)}
	var wg sync.WaitGroup
	got := make([]int, len(stores))
	for round := range 10 {
		for i, s := range stores {
			wg.Go(func() {
				n, _, err := s.Hold(e.ctx, "ns", fmt.Sprint("w", i), store.Ask{Slots: 1 + (round+i)%4, Limit: 5, TTL: time.Minute})
				if err != nil {
					e.t.Error(err)
				}
				got[i] = n
			})
		}
		wg.Wait()
		if sum := got[0] + got[1] + got[2]; sum > 5 {
			e.t.Fatalf("round %d: %v are more than 5", round, got)
		}
	}
}

func testHoldDead(e *env) {
	e.held("dead", 5, 5, 5)
	e.Advance(30 * time.Second)
	e.held("b", 5, 5, 0)
	e.Advance(31 * time.Second)
	e.equal("held", e.health().Held, 0)
	e.held("b", 5, 5, 5)
	e.held("dead", 5, 5, 0)
	e.Advance(50 * time.Second)
	e.held("b", 5, 5, 5) // keeps them
	e.Advance(50 * time.Second)
	e.held("dead", 5, 5, 0)
}

// testHoldOthers: a process learns that others wait for slots, so that it can
// give some back.
func testHoldOthers(e *env) {
	others := func(holder string, ask, want int) {
		e.t.Helper()
		_, n, err := e.Store.Hold(e.ctx, "ns", holder, store.Ask{Slots: ask, Limit: 5, TTL: time.Minute})
		e.ok(err)
		e.equal("others beside "+holder, n, want)
	}
	others("a", 5, 0)
	others("b", 5, 1) // gets none, and waits
	others("a", 3, 1)
	others("c", 1, 2)
	others("b", 0, 2) // has done
	others("a", 3, 1)
	e.Advance(61 * time.Second)
	others("a", 3, 0)
}

// testHoldSpare: who lives on spare slots costs no worker its share, but one
// slot is set aside for it, unless there is only one.
func testHoldSpare(e *env) {
	hold := func(holder string, ask, limit, want, wantOthers int) {
		e.t.Helper()
		n, others, err := e.Store.Hold(e.ctx, "ns", holder, store.Ask{Slots: ask, Limit: limit, TTL: time.Minute})
		e.ok(err)
		e.equal("slots and others of "+holder, [2]int{n, others}, [2]int{want, wantOthers})
	}
	hold(store.Spare+"v", 5, 5, 5, 0)
	hold("a", 5, 5, 0, 0) // all are taken, and it need not share
	hold(store.Spare+"v", 1, 5, 1, 1)
	hold("a", 5, 5, 4, 0)
	hold(store.Spare+"v", 0, 5, 0, 1)
	hold("a", 5, 5, 5, 0)
	hold(store.Spare+"v", 1, 5, 0, 1)
	hold("a", 5, 5, 4, 0) // one is set aside
	hold(store.Spare+"v", 1, 5, 1, 1)
	hold(store.Spare+"v", 0, 1, 0, 1)
	hold("a", 1, 1, 1, 0)
	hold(store.Spare+"v", 1, 1, 0, 1)
	hold("a", 1, 1, 1, 0) // the only one is the worker's
}

// taken takes requests at so many a second, 5 at once.
func (e *env) taken(rate float64, want, got int) time.Duration {
	e.t.Helper()
	n, wait, err := e.Store.Take(e.ctx, "ns", want, rate, 5)
	e.ok(err)
	if n != got {
		e.t.Errorf("took %d of %d, want %d", n, want, got)
	}
	return wait
}

// slow is one request in a hundred seconds: what the test itself takes is nothing.
const slow = 0.01

func testTake(e *env) {
	e.taken(slow, 3, 3)
	e.taken(slow, 3, 2)
	wait := e.taken(slow, 1, 0)
	if wait <= 0 || wait > 150*time.Second {
		e.t.Errorf("wait %v for a hundred seconds", wait)
	}
	e.Advance(wait)
	e.taken(slow, 2, 1)
	e.Advance(300 * time.Second)
	e.taken(slow, 5, 3)
	e.Advance(time.Hour)
	e.taken(slow, 50, 5)
	e.taken(slow, 1, 0)
}

// testTakeSetBack: what is taken grows again by the clock as it is now, and not only
// when it has come to where it was. A little is another process's time, and adds
// nothing.
func testTakeSetBack(e *env) {
	e.taken(slow, 5, 5)
	e.Advance(-time.Hour)
	e.taken(slow, 1, 0) // notices it
	e.Advance(300 * time.Second)
	e.taken(slow, 5, 3)
	e.Advance(-time.Second)
	e.taken(1, 1, 0)
	e.Advance(time.Second)
	e.taken(1, 1, 0)
}

func testTakeMany(e *env) {
	stores := []store.Store{e.Store, e.Again(e.t)}
	var wg sync.WaitGroup
	var mu sync.Mutex
	total := 0
	for range 5 {
		for _, s := range stores {
			wg.Go(func() {
				n, _, err := s.Take(e.ctx, "many", 3, 0.001, 20)
				if err != nil {
					e.t.Error(err)
				}
				mu.Lock()
				total += n
				mu.Unlock()
			})
		}
	}
	wg.Wait()
	e.equal("taken out of 20", total, 20)
}

func testPause(e *env) {
	e.ok(e.Store.Pause(e.ctx, "ns", time.Minute, "slow down"))
	e.ok(e.Store.Pause(e.ctx, "ns", time.Second, "shorter"))
	h := e.health()
	if h.PausedFor <= 50*time.Second || h.PausedFor > time.Minute {
		e.t.Errorf("paused for %v, want the later end", h.PausedFor)
	}
	e.equal("reason and broken", fmtAny(h.Reason, h.Broken), "slow down false")
	e.ok(e.Store.Pause(e.ctx, "ns", time.Hour, "longer"))
	e.equal("reason", e.health().Reason, "longer")
	e.Advance(time.Hour + time.Second)
	e.equal("paused for", e.health().PausedFor, time.Duration(0))
}

func (e *env) probe(s store.Store, holder string, want bool) {
	e.t.Helper()
	got, err := s.Probe(e.ctx, "ns", holder, 10*time.Second)
	e.ok(err)
	if got != want {
		e.t.Errorf("%s may probe: %v, want %v", holder, got, want)
	}
}

func testBreaker(e *env) {
	other := e.Again(e.t)
	e.probe(e.Store, "a", false) // nothing is broken
	e.ok(e.Store.Break(e.ctx, "ns", 30*time.Second, "refused"))
	h := e.health()
	e.equal("health", fmtAny(h.Broken, h.Failures, h.Reason), "true 1 refused")
	if h.ProbeIn <= 20*time.Second || h.ProbeIn > 30*time.Second {
		e.t.Errorf("probe in %v", h.ProbeIn)
	}
	e.probe(e.Store, "a", false)
	e.Advance(31 * time.Second)
	e.equal("probe in", e.health().ProbeIn, time.Duration(0))
	e.probe(e.Store, "a", true)
	e.probe(other, "b", false)
	e.probe(e.Store, "a", false)
	e.Advance(11 * time.Second)
	e.probe(other, "b", true)
	e.ok(e.Store.Break(e.ctx, "ns", time.Minute, "still"))
	e.equal("failures", e.health().Failures, 2)
	e.Advance(11 * time.Second)
	e.probe(other, "b", false)
	soon := func(want bool) {
		e.t.Helper()
		open, err := other.ProbeNow(e.ctx, "ns")
		e.ok(err)
		e.equal("open when hastened", open, want)
	}
	soon(true)
	e.equal("probe in", e.health().ProbeIn, time.Duration(0))
	e.probe(e.Store, "a", true)
	e.probe(other, "b", false)
	e.ok(e.Store.Mend(e.ctx, "ns"))
	soon(false)
	h = e.health()
	e.equal("health", fmtAny(h.Broken, h.Failures, h.ProbeIn), "false 0 0s")
	e.Advance(time.Hour)
	e.probe(e.Store, "a", false)
}

func testUnknownRemote(e *env) {
	h, err := e.Store.Health(e.ctx, "nothing")
	e.ok(err)
	e.equal("health", h, store.Health{})
	e.ok(e.Store.Mend(e.ctx, "nothing"))
}

func testQuota(e *env) {
	e.equal("a quota that nobody told", e.health().Quota, store.Quota{})
	e.ok(e.Store.Meter(e.ctx, "ns", 10, 100))
	e.ok(e.Store.Meter(e.ctx, "ns", 12, 100))
	q := e.health().Quota
	e.equal("quota", [3]int64{q.Used, q.Limit, q.Left()}, [3]int64{12, 100, 88})
	if q.At.IsZero() {
		e.t.Error("nobody knows when the remote said it")
	}
	e.ok(e.Store.Pause(e.ctx, "ns", time.Minute, "busy"))
	e.equal("quota of a paused remote", e.health().Quota, q)
}
