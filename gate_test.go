package upkeep

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// crowded is a database in which other processes have all slots until a time.
type crowded struct {
	Database
	until time.Time
	mu    sync.Mutex
	asked int
}

func (c *crowded) Hold(_ context.Context, _, _ string, ask store.Ask) (held, others int, err error) {
	time.Sleep(time.Millisecond)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	if time.Now().Before(c.until) {
		return 0, 1, nil
	}
	return ask.Slots, 1, nil
}

// early answers how the remote stands as it was when it was asked, after something
// has happened.
type early struct {
	Database
	broken    bool
	meanwhile func()
}

func (d *early) Health(context.Context, string) (store.Health, error) {
	h := store.Health{Broken: d.broken}
	if d.meanwhile != nil {
		d.meanwhile()
	}
	return h, nil
}

func (d *early) PausedByHand(context.Context) ([]store.Pause, error) { return nil, nil }

func (d *early) Break(context.Context, string, time.Duration, string) error {
	d.broken = true
	return nil
}

func (d *early) Mend(context.Context, string) error {
	d.broken = false
	return nil
}

// What this process learns of the remote while it reads what all know of it is
// newer, also while the database is not told of it yet. Else a breaker would stay
// open at the database, with nobody left who takes it for open and closes it.
func TestAnOlderLookDoesNotTurnTheBreaker(t *testing.T) {
	down := connector.AsError(&connector.Error{Kind: connector.Unavailable})
	db := &early{}
	g := newGate(&Engine{cfg: Config{Clock: realClock{}, Random: rand.Float64}, db: db, log: slog.New(slog.DiscardHandler)}, &Remote{Name: "erp"}, connector.Traits{})
	look := func() {
		if err := g.look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	db.meanwhile = func() {
		for range breakAfter {
			g.failed(t.Context(), down)
		}
	}
	look()
	if !g.isBroken() || !db.broken {
		t.Errorf("broken is %v here and %v at the database after it broke during a look", g.isBroken(), db.broken)
	}
	db.meanwhile = func() { g.wellAgain(t.Context()) }
	look()
	if g.isBroken() || db.broken {
		t.Errorf("broken is %v here and %v at the database after it was mended during a look", g.isBroken(), db.broken)
	}

	// The database is told after the look has begun.
	db.meanwhile = nil
	g.telling.Lock()
	var told sync.WaitGroup
	told.Go(func() {
		for range breakAfter {
			g.failed(t.Context(), down)
		}
	})
	for !g.isBroken() {
		time.Sleep(time.Millisecond)
	}
	look()
	g.telling.Unlock()
	told.Wait()
	if !g.isBroken() || !db.broken {
		t.Errorf("broken is %v here and %v at the database after a look before it was told", g.isBroken(), db.broken)
	}
	db.broken = false // another process has closed it
	if look(); g.isBroken() {
		t.Error("what others have told since is not learned")
	}
}

// A remote that fails for some of its records only has a breaker that opens again and
// again: the log is told now and then, and each time how often it was not.
func TestALogIsNotFilledByABreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		down := connector.AsError(&connector.Error{Kind: connector.Unavailable})
		g := newGate(&Engine{cfg: Config{Clock: realClock{}, Random: rand.Float64}, db: &early{}, log: slog.New(slog.NewTextHandler(&log, nil))}, &Remote{Name: "erp"}, connector.Traits{})
		for range 25 {
			for range breakAfter {
				g.failed(t.Context(), down)
			}
			time.Sleep(sayEvery / 10)
			g.wellAgain(t.Context())
		}
		var told []string
		for _, line := range strings.Split(strings.TrimSpace(log.String()), "\n") {
			_, n, opened := strings.Cut(line, "opened_since_told=")
			if !opened && strings.Contains(line, "the remote answers again") {
				n = "answers"
			}
			told = append(told, n)
		}
		if want := []string{"0", "answers", "9", "answers", "9", "answers"}; !slices.Equal(told, want) {
			t.Errorf("the log was told %v, want %v", told, want)
		}
	})
}

// While others have all slots a process asks a few times a second, however many of
// its groups wait, and goes on soon when there are some.
func TestSlotsAreAskedForNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const crowd = time.Second
		db := &crowded{until: time.Now().Add(crowd)}
		g := newGate(&Engine{cfg: Config{Clock: realClock{}, Name: "one"}, db: db}, &Remote{Name: "erp"}, connector.Traits{Concurrency: 8})
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				began, err := g.enter(t.Context(), "s", time.Now().Add(time.Minute))
				if late := began.Sub(db.until); err != nil || late > 2*askEvery {
					t.Errorf("entered %v after there were slots, %v", late, err)
				}
			})
		}
		all.Wait()
		if most := int(crowd/askEvery)*2 + 1; db.asked > most {
			t.Errorf("asked %d times in a second, want %d at most", db.asked, most)
		}
		db.until = time.Now().Add(time.Hour)
		g.slots, g.calls = 0, nil
		for range 4 {
			all.Go(func() {
				if _, err := g.enter(t.Context(), "s", time.Now().Add(time.Minute)); !errors.Is(err, errNotSent) {
					t.Errorf("%v, want that others have all slots", err)
				}
			})
		}
		all.Wait()
	})
}
