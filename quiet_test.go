package upkeep_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// resting notes how long was slept, and ends the wait with the third.
type resting struct {
	now   time.Time
	slept []time.Duration
	end   context.CancelFunc
}

func (c *resting) Now() time.Time { return c.now }

func (c *resting) Sleep(ctx context.Context, d time.Duration) error {
	if c.slept = append(c.slept, d); len(c.slept) == 3 {
		c.end()
	}
	return ctx.Err()
}

// A look counts all groups: one that takes long is not taken again at once.
func TestQuietRestsAsItsLooksTake(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.Config{})
	s.fill()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	clock := &resting{now: time.Now(), end: cancel}
	e, err := upkeep.New(upkeep.Config{Database: s.open(), Syncs: []upkeep.AnySync{customerSync(s.to)}, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Install(s.ctx); err != nil {
		t.Fatal(err)
	}
	takes := []time.Duration{0, 250 * time.Millisecond, 2 * time.Second}
	err = e.Quiet(ctx, func(*upkeep.Status) {
		clock.now = clock.now.Add(takes[len(clock.slept)])
	})
	if want := []time.Duration{50 * time.Millisecond, 1800 * time.Millisecond, 4 * time.Second}; err == nil || !slices.Equal(clock.slept, want) {
		t.Errorf("rested %v: %v", clock.slept, err)
	}
}
