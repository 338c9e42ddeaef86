package upkeeptest

import (
	"context"
	"errors"
	"sync"
	"time"
)

// longest is how long the engine sleeps at most while it is awake.
const longest = 2 * time.Millisecond

// clock lets the engine rest: while nobody waits for it, the sleeps of its own
// loops do not end, so that it does nothing behind the test's back. Who sleeps
// in a call of the test's (Engine.Verify) waits for it.
type clock struct {
	mu      sync.Mutex
	waiting int           // who waits for the engine
	awake   chan struct{} // closed while the engine may work
	over    chan struct{} // closed when the test is over
}

func newClock() *clock { return &clock{awake: make(chan struct{}), over: make(chan struct{})} }

// ofEngine marks the context of the engine's loops.
type ofEngine struct{}

func (c *clock) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting++; c.waiting == 1 {
		close(c.awake)
	}
}

func (c *clock) rest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting--; c.waiting == 0 {
		c.awake = make(chan struct{})
	}
}

// end ends all sleeps, also those of an engine that drains: it must not wait
// for a database that the test has closed.
func (c *clock) end() { close(c.over) }

// Now is the real time.
func (c *clock) Now() time.Time { return time.Now() }

// errOver is what a sleep returns after the test.
var errOver = errors.New("the test is over")

// Sleep ends early, but in the engine's loops never while it rests, also if it
// came to rest meanwhile.
func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	if ctx.Value(ofEngine{}) == nil { // a call of the test's own
		c.wake()
		defer c.rest()
	}
	if err := c.whenAwake(ctx); err != nil {
		return err
	}
	t := time.NewTimer(min(d, longest))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-c.over:
		return errOver
	case <-t.C:
	}
	return c.whenAwake(ctx)
}

// whenAwake waits until the engine may work.
func (c *clock) whenAwake(ctx context.Context) error {
	c.mu.Lock()
	awake := c.awake
	c.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-c.over:
		return errOver
	case <-awake:
		return nil
	}
}
