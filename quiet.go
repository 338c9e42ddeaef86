package upkeep

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Quiet waits until there is nothing left to do: every sync installed, no
// touch unfolded, no group dirty, claimed or in doubt, no backfill running.
// Groups that are parked, or wait for a record that does not come, or whose
// sync or remote is paused, do not count. Some engine must be at work (see
// [Engine.Run]), or it waits until ctx ends. Its error is ctx's then, with what
// is left to do, and what holds it up: a sync that can't be loaded, or whose
// functions do not end, a remote whose breaker is open. When this engine's Run
// fails, Quiet returns that error at once; progress, if not nil, is called at
// every look.
func (e *Engine) Quiet(ctx context.Context, progress func(*Status)) error {
	var first, last string
	for {
		if failed := e.failed.Load(); failed != nil {
			return *failed
		}
		began := e.cfg.Clock.Now()
		left, err := e.left(ctx, progress)
		switch {
		case err != nil && ctx.Err() == nil:
			return err
		case err == nil && left == "":
			return nil
		case err == nil && first == "":
			first = left
		}
		last = orElse(left, last)
		if err := e.cfg.Clock.Sleep(ctx, untilLook(e.cfg.Clock.Now().Sub(began))); err != nil {
			return e.unquiet(err, first, last)
		}
	}
}

// untilLook is how long Quiet rests after a look. One counts all groups, of which
// there may be millions: what takes long takes a tenth of the time, as long as the
// end is then noticed within some seconds.
func untilLook(took time.Duration) time.Duration {
	const short, long = 50 * time.Millisecond, 4 * time.Second
	return max(short, min(9*(took-short), long))
}

// unquiet is the error of a Quiet that waited in vain.
func (e *Engine) unquiet(err error, first, last string) error {
	switch {
	case last == "":
		return fmt.Errorf("wait until nothing is left to do: %w", err)
	case !e.running.Load() && first == last:
		return fmt.Errorf("wait until nothing is left to do: %w; left is %s, and no process is at work on it: call Engine.Run beside it", err, last)
	}
	return fmt.Errorf("wait until nothing is left to do: %w; left is %s", err, last)
}

// left says in words what is left to do; empty: nothing.
func (e *Engine) left(ctx context.Context, look func(*Status)) (string, error) {
	installed, err := e.installed(ctx)
	var s *Status
	if err == nil {
		s, err = e.Status(ctx)
	}
	if errors.Is(err, ErrNotInstalled) { // the engine that runs has only begun
		return "the installation", nil
	}
	if err != nil {
		return "", err
	}
	if look != nil {
		look(s)
	}
	var left []string
	add := func(n int64, what string) {
		if n > 0 {
			left = append(left, fmt.Sprintf("%s (%d)", what, n))
		}
	}
	if !installed {
		left = append(left, "the installation of a sync")
	}
	add(int64(s.Pending), "touches in the log")
	for _, c := range s.Syncs {
		d := e.byName[c.Sync]
		if c.Backfill.Running {
			what := "the backfill of " + c.Sync
			if c.Backfill.Failure != "" {
				what += ", which fails (" + c.Backfill.Failure + ")"
			}
			left = append(left, what)
		}
		add(c.Claimed-waitingJobs(s, d), "claimed groups of "+c.Sync)
		if pauseOf(s.Pauses, d) == nil {
			add(c.Dirty, "dirty groups of "+c.Sync)
			if c.Held != "" {
				left = append(left, fmt.Sprintf("%s is held, since its groups can't be loaded: %s", c.Sync, c.Held))
			}
			if c.Stuck != "" {
				left = append(left, fmt.Sprintf("%s is held: %s", c.Sync, c.Stuck))
			}
			add(c.InDoubt, "groups in doubt of "+c.Sync)
		}
	}
	for _, r := range s.Remotes {
		if len(left) > 0 && r.Broken {
			left = append(left, fmt.Sprintf("the breaker of %s is open: %s", r.Name, r.Reason))
		}
	}
	return strings.Join(left, ", "), nil
}

// waitingJobs is how many groups of a sync are in jobs that nobody looks at,
// since the remote is paused.
func waitingJobs(s *Status, d *definition) (n int64) {
	for _, j := range s.Jobs {
		if p := pauseOf(s.Pauses, d); j.Sync == d.Name && p != nil && p.Remote != "" {
			n += int64(j.Left)
		}
	}
	return n
}
