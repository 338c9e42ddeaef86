package upkeep

import (
	"context"
	"errors"
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
