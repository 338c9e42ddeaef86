package upkeep

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// gate keeps the limits of one remote: how many requests at once and how many
// a second, over all processes; pauses that the remote asked for; and the
// breaker, which stops the requests to a remote that is broken and probes it
// with one at a time.
type gate struct {
	*Engine
	remote *Remote
	traits connector.Traits

	// telling is held while the database is told of the breaker, so that what
	// it was told last is how it is.
	telling  sync.Mutex
	mu       sync.Mutex
	got      chan struct{} // nudged when there are slots to keep
	changed  chan struct{} // closed and replaced when anything below changes
	slots    int           // held by this process
	others   int           // processes that hold or want some
	slotsEnd time.Time
	asking   bool        // for slots, since there are none
	refused  time.Time   // when there were none to have
	calls    []time.Time // those under way began then, oldest first
	lastUse  time.Time
	tokens   int
	tokenEnd time.Time

	pausedUntil time.Time
	throttled   int // rate limited answers without a success between
	failures    int // of the remote, in a row
	broken      bool
	turns       int // how often broken has changed here
	untold      int // of these, those of which the database may not have been told
	breaks      int
	said        time.Time // the log was told last that the breaker opened
	unsaid      int       // how often it has opened since
	probing     bool
	probed      bool // the call that probes has begun
	probeEnd    time.Time
	nextProbe   time.Time
	healthAt    time.Time
	metered     [2]int64 // the quota that was noted last
	meterAt     time.Time
	held        held // by people
	heldTurns   int  // how often this engine was told of that
}

const (
	slotTTL   = 15 * time.Second
	keepEvery = time.Second // and learn whether others want some
	idleAfter = 3 * time.Second
	// slotPatience is how long a claimed group waits for slots that others have.
	slotPatience = 2 * time.Second
	// askEvery is how often a process asks for slots while others have all.
	askEvery    = 200 * time.Millisecond
	healthEvery = 700 * time.Millisecond // so that a pause is seen within a second
	healthIdle  = 10 * time.Second       // while nothing is sent
	meterEvery  = 10 * time.Second       // a quota is noted, for people
	// breakAfter failures of the remote in a row the breaker opens.
	breakAfter = 5
	// sayEvery is how often the log is told of a breaker that opens and closes.
	sayEvery   = 10 * time.Second
	longestOff = time.Minute // between probes, and for a pause nobody timed
	// The same for logins that are refused.
	lockedOutAfter = 3
	longestLockOut = 15 * time.Minute
)

func newGate(e *Engine, r *Remote, t connector.Traits) *gate {
	return &gate{Engine: e, remote: r, traits: t, changed: make(chan struct{}), got: make(chan struct{}, 1)}
}

// start keeps the slots alive while they are used and gives them back when
// they are not; the channel is closed once the last are given back.
func (g *gate) start(ctx context.Context) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = g.forever(ctx, "hold slots of "+g.remote.Name, func() (time.Duration, error) {
			if g.heldSlots() == 0 {
				g.sleep(ctx, pollNet, g.got)
			}
			return keepEvery, g.keep(ctx)
		})
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := g.meter(end, 0); err != nil {
			g.log.Warn("quota not noted", "remote", g.remote.Name, "error", err)
		}
		if g.heldSlots() > 0 {
			if _, _, err := g.db.Hold(end, g.remote.Name, g.cfg.Name, store.Ask{Limit: g.traits.Concurrency, TTL: slotTTL}); err != nil && !errors.Is(err, ErrNotInstalled) {
				g.log.Warn("slots not given back; they end by themselves", "remote", g.remote.Name, "error", err)
			}
		}
	}()
	return done
}

func (g *gate) heldSlots() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.slots
}

func (g *gate) keep(ctx context.Context) error {
	g.mu.Lock()
	held, idle := g.slots, len(g.calls) == 0 && g.cfg.Clock.Now().Sub(g.lastUse) > idleAfter
	g.mu.Unlock()
	switch {
	case held == 0:
		return nil
	case idle:
		return errors.Join(g.hold(ctx, 0), g.meter(ctx, 0))
	}
	if err := g.meter(ctx, meterEvery); err != nil {
		return err
	}
	if err := g.hold(ctx, g.share()); err != nil {
		return err
	}
	if part := g.share(); g.heldSlots() > part { // it has just learned of others
		return g.hold(ctx, part)
	}
	return nil
}

// meter notes what the remote says of its quota, if that is new, and the last
// note is older than every.
func (g *gate) meter(ctx context.Context, every time.Duration) error {
	m, ok := g.remote.Connection.(connector.Metered)
	if !ok {
		return nil
	}
	used, limit, known := m.Quota()
	now := g.cfg.Clock.Now()
	g.mu.Lock()
	same := g.metered == [2]int64{used, limit} || now.Sub(g.meterAt) < every
	g.mu.Unlock()
	if !known || same {
		return nil
	}
	if err := g.db.Meter(ctx, g.remote.Name, used, limit); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.metered, g.meterAt = [2]int64{used, limit}, now
	return nil
}

// share is this process's part of the slots.
func (g *gate) share() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return (g.traits.Concurrency + g.others) / (g.others + 1)
}

// hold asks for slots, so many or fewer, for a while. Those that are in use
// above that are kept until their calls have ended, and not entered again.
func (g *gate) hold(ctx context.Context, most int) error {
	asked := g.cfg.Clock.Now()
	g.mu.Lock()
	g.slots = min(g.slots, most)
	ask := store.Ask{Slots: max(most, len(g.calls)), Limit: g.traits.Concurrency, TTL: slotTTL, Calls: len(g.calls)}
	if ask.Calls > 0 {
		ask.Oldest = asked.Sub(g.calls[0])
	}
	g.mu.Unlock()
	got, others, err := g.db.Hold(ctx, g.remote.Name, g.cfg.Name, ask)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.slots, g.others, g.slotsEnd = min(got, most), others, asked.Add(slotTTL)
	if g.slots > 0 {
		nudge(g.got)
		g.signal()
	}
	return nil
}

// signal wakes those who wait in enter. The caller holds mu.
func (g *gate) signal() {
	close(g.changed)
	g.changed = make(chan struct{})
}

// used notes that there is work.
func (g *gate) used() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lastUse = g.cfg.Clock.Now()
}

// room says how many of want groups may be claimed now; with none, how long to
// wait before asking again.
func (g *gate) room(ctx context.Context, want int) (int, time.Duration, error) {
	now := g.cfg.Clock.Now()
	g.mu.Lock()
	every := healthEvery
	if now.Sub(g.lastUse) > idleAfter && !g.broken && !g.held.remote && !g.pausedUntil.After(now) {
		every = healthIdle // who claims something then looks first
	}
	stale := now.Sub(g.healthAt) > every
	g.mu.Unlock()
	if stale {
		if err := g.look(ctx); err != nil {
			return 0, 0, err
		}
	}
	g.mu.Lock()
	g.probing = g.probing && now.Before(g.probeEnd)
	held, paused, broken, probing, next, begun := g.held.remote, g.pausedUntil.Sub(now), g.broken, g.probing, g.nextProbe.Sub(now), g.probed
	g.mu.Unlock()
	switch {
	case held:
		return 0, pollSlow, nil
	case paused > 0:
		return 0, min(paused, healthEvery), nil
	case want <= 0:
		return 0, pollFast, nil
	case !broken:
		return want, 0, nil
	case probing && !begun:
		return 1, 0, nil
	case probing:
		return 0, pollFast, nil
	case next > 0:
		return 0, min(next, healthEvery), nil
	}
	mine, err := g.db.Probe(ctx, g.remote.Name, g.cfg.Name, g.traits.Timeout+stall)
	if err != nil {
		return 0, 0, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.probing, g.probed, g.probeEnd = mine, false, now.Add(g.traits.Timeout+stall)
	if !mine {
		return 0, healthEvery, nil
	}
	return 1, 0, nil
}

// refresh looks if the last look is too old to send by.
func (g *gate) refresh(ctx context.Context) error {
	g.mu.Lock()
	stale := g.cfg.Clock.Now().Sub(g.healthAt) > healthEvery
	g.mu.Unlock()
	if !stale {
		return nil
	}
	return g.look(ctx)
}

// forget makes room look at once.
func (g *gate) forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.healthAt = time.Time{}
}

// look reads what the processes know of the remote together.
func (g *gate) look(ctx context.Context) error {
	g.mu.Lock()
	now, turns, told, heldTurns := g.cfg.Clock.Now(), g.turns, g.untold == 0, g.heldTurns
	g.mu.Unlock()
	h, err := g.db.Health(ctx, g.remote.Name)
	if err != nil {
		return err
	}
	pauses, err := g.db.PausedByHand(ctx)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.healthAt = now
	if g.heldTurns == heldTurns { // else this may be from before what the engine was told
		g.held = heldBy(pauses, g.remote.Name)
	}
	if len(pauses) > 0 {
		g.signal() // who waits in enter looks again
	}
	if end := now.Add(h.PausedFor); h.PausedFor > 0 && end.After(g.pausedUntil) {
		g.pausedUntil = end
	}
	if !told || g.turns != turns { // the database did not know yet what this process does
		return nil
	}
	g.broken, g.breaks, g.nextProbe = h.Broken, h.Failures, now.Add(h.ProbeIn)
	if !h.Broken {
		g.probing = false
	}
	return nil
}

// enter waits for leave to make one call and returns when that began, for
// [gate.leave], or says errNotSent: when ctx ends, after latest, or when the remote is paused or broken, or the sync paused, or
// when other processes have had all slots for a while: they may take the group.
func (g *gate) enter(ctx context.Context, sync string, latest time.Time) (began time.Time, err error) {
	patience := g.cfg.Clock.Now().Add(slotPatience)
	for {
		g.mu.Lock()
		now := g.cfg.Clock.Now()
		// A probe is one call, though more groups may have been claimed for it.
		blocked := g.held.remote || g.held.syncs[sync] || g.pausedUntil.After(now) || (g.broken && (!g.probing || g.probed))
		if ctx.Err() != nil || now.After(latest) || blocked {
			g.mu.Unlock()
			return began, errNotSent
		}
		free := len(g.calls) < g.slots && now.Before(g.slotsEnd)
		if free && (g.remote.Rate <= 0 || (g.tokens > 0 && now.Before(g.tokenEnd))) {
			g.calls = append(g.calls, now)
			g.probed = g.broken // leave to probe is for one
			g.tokens--
			g.lastUse = now
			g.mu.Unlock()
			return now, nil
		}
		needSlots := g.slots == 0 || !now.Before(g.slotsEnd)
		changed := g.changed
		g.mu.Unlock()
		if needSlots && now.After(patience) {
			return began, errNotSent
		}
		if err := g.obtain(ctx, free, needSlots, changed); err != nil {
			return began, errNotSent
		}
	}
}

// obtain asks the database for what enter lacks, or waits for a slot.
func (g *gate) obtain(ctx context.Context, free, needSlots bool, changed <-chan struct{}) error {
	if free {
		return g.refill(ctx)
	}
	if needSlots && g.asks() {
		err := g.hold(ctx, g.share())
		if g.asked(); err != nil {
			return err
		}
		if g.heldSlots() > 0 {
			return nil
		}
	}
	wait, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-changed:
			cancel()
		case <-wait.Done():
		}
	}()
	// The other processes may give slots back at any time: ask again soon.
	_ = g.cfg.Clock.Sleep(wait, askEvery)
	return ctx.Err()
}

// asks says whether to ask for slots: one of those who wait does it for all, and
// not again at once when others have them all.
func (g *gate) asks() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.asking || g.cfg.Clock.Now().Sub(g.refused) < askEvery*3/4 {
		return false
	}
	g.asking = true
	return true
}

// asked ends what asks began.
func (g *gate) asked() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.asking = false; g.slots == 0 {
		g.refused = g.cfg.Clock.Now()
	}
}

// refill takes tokens for the next tenth of a second. Those that are not used
// within a second are forgotten, so that they can't make a burst later.
func (g *gate) refill(ctx context.Context) error {
	burst := g.remote.Burst
	if burst <= 0 {
		burst = max(1, int(g.remote.Rate))
	}
	got, wait, err := g.db.Take(ctx, g.remote.Name, max(1, int(g.remote.Rate/10)), g.remote.Rate, burst)
	if err != nil {
		return err
	}
	if got == 0 {
		return g.cfg.Clock.Sleep(ctx, max(wait, time.Millisecond))
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.cfg.Clock.Now()
	if !now.Before(g.tokenEnd) {
		g.tokens = 0
	}
	g.tokens += got
	g.tokenEnd = now.Add(time.Second)
	g.signal()
	return nil
}

// peace is how long the remote wants to be left alone; at least a moment.
func (g *gate) peace() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return max(g.pausedUntil.Sub(g.cfg.Clock.Now()), 100*time.Millisecond)
}

// troubled says whether the remote as a whole seems to be failing, so that a
// failure is not held against the group.
func (g *gate) troubled() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.failures > 1 || g.broken
}
