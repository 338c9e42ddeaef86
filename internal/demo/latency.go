package demo

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// watch waits for a request whose body has a certain text.
type watch struct {
	mu   sync.Mutex
	text []byte
	seen chan struct{}
}

// expect begins to wait; the channel is closed once the request was answered.
func (w *watch) expect(text string) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text, w.seen = []byte(text), make(chan struct{})
	return w.seen
}

func (w *watch) answered(body []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen != nil && bytes.Contains(body, w.text) {
		close(w.seen)
		w.seen = nil
	}
}

// timeChanges measures how long a single change takes from its commit until
// the remote has it, while nothing else goes on.
func (d *demo) timeChanges(ctx context.Context) error {
	if d.Latency <= 0 {
		return nil
	}
	took := make([]time.Duration, 0, d.Latency)
	for i := range d.Latency {
		d.screen.progress("Timing single changes", int64(i), int64(d.Latency))
		pause(ctx, time.Duration(100+d.shop.random.IntN(600))*time.Millisecond)
		user, err := d.shop.any(ctx, "users", "true")
		if err != nil {
			return err
		}
		name := fmt.Sprintf("Timed change %d.", i)
		seen := d.watch.expect(name)
		if _, err := d.shop.do(ctx, d.shop.db, "UPDATE users SET name = $1 WHERE id = $2", name, user); err != nil {
			return err
		}
		committed := time.Now()
		select {
		case <-seen:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(longestWait):
			return fmt.Errorf("the name of user %d did not reach the remote within %s", user, longestWait)
		}
		took = append(took, time.Since(committed))
	}
	slices.Sort(took)
	at := func(percent int) time.Duration { return took[(len(took)-1)*percent/100].Round(100 * time.Microsecond) }
	d.screen.say("From commit to remote, %d single changes: median %s, 90%% %s, 99%% %s, most %s", len(took), at(50), at(90), at(99), at(100))
	return d.quiet(ctx, nil)
}
