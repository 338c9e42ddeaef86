package upkeep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/moment"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// spare makes calls that can wait within what the workers leave of a remote's
// limits: all of them while no worker wants any, else one slot and a quarter
// of the rate; nothing when there is only one slot and a worker wants it.
type spare struct {
	*Engine
	remote *Remote
	traits connector.Traits
	most   int // slots at once; zero: all that are left

	mu     sync.Mutex
	slots  int
	others int // workers that want slots
	told   bool
	rests  bool          // and that is told
	asked  bool          // for slots, which it may hold or wait for
	calls  []time.Time   // those under way began then, oldest first
	lookAt time.Time     // when to ask for slots again
	rest   time.Duration // what the remote asked for
	next   time.Time     // of the next call, by the rate
}

const (
	spareEvery = time.Second
	spareRate  = 0.25
)

func (s *spare) holder() string { return store.Spare + s.cfg.Name }

// enter waits for leave to make one call, and returns when that began, for
// [spare.leave]. It is an error when the remote's breaker is open or a person
// paused it.
func (s *spare) enter(ctx context.Context) (began time.Time, err error) {
	for {
		began, wait, err := s.try(ctx)
		if err != nil || wait <= 0 {
			return began, err
		}
		if err := s.cfg.Clock.Sleep(ctx, wait); err != nil {
			return began, err
		}
	}
}

// try takes leave, or says how long to wait before trying again.
func (s *spare) try(ctx context.Context) (now time.Time, wait time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now = s.cfg.Clock.Now()
	if !now.Before(s.lookAt) {
		if err := s.look(ctx); err != nil {
			return now, 0, err
		}
		s.lookAt = now.Add(spareEvery)
	}
	switch {
	case s.rest > 0:
		return now, min(s.rest, spareEvery), nil
	case len(s.calls) >= s.slots:
		return now, pollFast, nil
	case s.remote.Rate <= 0:
		s.calls = append(s.calls, now)
		return now, 0, nil
	case now.Before(s.next):
		return now, s.next.Sub(now), nil
	}
	burst := s.remote.Burst
	if burst <= 0 {
		burst = max(1, int(s.remote.Rate))
	}
	got, wait, err := s.db.Take(ctx, s.remote.Name, 1, s.remote.Rate, burst)
	if err != nil || got == 0 {
		return now, max(wait, time.Millisecond), err
	}
	rate := s.remote.Rate
	if s.others > 0 {
		rate *= spareRate
	}
	s.next = now.Add(time.Duration(float64(time.Second) / rate))
	s.calls = append(s.calls, now)
	return now, 0, nil
}

// look reads how the remote stands and takes slots, or gives them back. The
// caller holds mu.
func (s *spare) look(ctx context.Context) error {
	pauses, err := s.db.PausedByHand(ctx)
	if err != nil {
		return err
	}
	for _, p := range pauses {
		if p.Remote == s.remote.Name {
			return errors.New(describePause(p))
		}
	}
	h, err := s.db.Health(ctx, s.remote.Name)
	if err != nil {
		return err
	}
	if h.Broken {
		return fmt.Errorf("remote %s fails, its breaker is open: %s", s.remote.Name, h.Reason)
	}
	if s.rest = h.PausedFor; s.rest > spareEvery && !s.rests {
		s.log.Info(fmt.Sprintf("remote %s is left alone for another %s, waiting: %s", s.remote.Name, moment.Span(s.rest), h.Reason))
	}
	s.rests = s.rest > spareEvery
	if err := s.hold(ctx); err != nil {
		return err
	}
	if s.others > 0 && s.slots > s.want() { // a worker came: give back at once
		err = s.hold(ctx)
	}
	if s.slots == 0 && !s.told {
		s.told = true
		s.log.Info("waiting for a slot of remote " + s.remote.Name + ": the workers hold all that it allows at once; idle ones give theirs back within seconds")
	}
	return err
}

// want is how many slots may be held beside the workers that are known.
func (s *spare) want() int {
	switch {
	case s.others == 0 && s.most > 0:
		return s.most
	case s.others == 0:
		return s.traits.Concurrency
	case s.traits.Concurrency == 1:
		return 0
	}
	return 1
}

func (s *spare) hold(ctx context.Context) (err error) {
	s.asked = true
	ask := store.Ask{Slots: max(s.want(), len(s.calls)), Limit: s.traits.Concurrency, TTL: slotTTL, Calls: len(s.calls)}
	if ask.Calls > 0 {
		ask.Oldest = s.cfg.Clock.Now().Sub(s.calls[0])
	}
	s.slots, s.others, err = s.db.Hold(ctx, s.remote.Name, s.holder(), ask)
	return err
}

// leave ends a call that began then.
func (s *spare) leave(ctx context.Context, began time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.calls, began); i >= 0 { // of two at one time either
		s.calls = slices.Delete(s.calls, i, i+1)
	}
	if err == nil || connector.KindOf(err) != connector.RateLimited {
		return
	}
	s.lookAt = time.Time{}
	wait, text := asked(connector.AsError(err))
	if err := s.db.Pause(ctx, s.remote.Name, max(wait, spareEvery), text); err != nil {
		s.log.Error("pause remote", "remote", s.remote.Name, "error", err)
	}
}

// keep has the slots last while a call does that may take long; what it returns ends
// that.
func (s *spare) keep(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var kept sync.WaitGroup
	kept.Go(func() {
		for s.cfg.Clock.Sleep(ctx, keepEvery) == nil {
			s.mu.Lock()
			err := s.hold(ctx)
			s.mu.Unlock()
			if err != nil && ctx.Err() == nil {
				s.log.Warn("slot not kept", "remote", s.remote.Name, "error", err)
			}
		}
	})
	return func() { cancel(); kept.Wait() }
}

// close gives the slots back, and waits for none any more, if it did either.
func (s *spare) close() {
	if !s.asked {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if _, _, err := s.db.Hold(ctx, s.remote.Name, s.holder(), store.Ask{Limit: s.traits.Concurrency, TTL: slotTTL}); err != nil {
		s.log.Warn("slots not given back; they end by themselves", "remote", s.remote.Name, "error", err)
	}
}
