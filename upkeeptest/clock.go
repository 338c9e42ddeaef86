package upkeeptest

import (
	"context"
	"sync"
	"time"
)

// longest is how long the engine sleeps at most while it is awake.
const longest = 2 * time.Millisecond

// clock lets the engine rest: while nobody waits for it, its sleeps do not
// end, so that it does nothing behind the test's back.
type clock struct {
	mu    sync.Mutex
	awake chan struct{} // closed while the engine may work
}

func newClock() *clock { return &clock{awake: make(chan struct{})} }

func (c *clock) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.awake)
}

func (c *clock) rest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.awake = make(chan struct{})
}

// Now is the real time.
func (c *clock) Now() time.Time { return time.Now() }

// Sleep ends early, but never while the engine rests.
func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	awake := c.awake
	c.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-awake:
	}
	t := time.NewTimer(min(d, longest))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
