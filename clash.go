package upkeep

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// A record that is refused since another one has a value of its own is parked in
// the end, and nobody knows which one that is. So it is tried again when any
// record of its remote has changed or gone, and now and then without that: the
// holder may not be ours, or the process may have died that saw it let go. With
// each time in vain it rests longer, and of many a few go at once.

// The same goes for a delete that is refused, since others refer to the record.

// The ends of the reasons of such groups.
const (
	heldThere  = "; another record there has the value: " + triedAgain
	refersHere = "; others there may refer to it: " + triedAgain
	triedAgain = "tried again when one changes or goes, and from time to time"
)

var (
	// clashWake is for when a record let go of something.
	clashWake = store.ClashRetry{First: 10 * time.Second, Longest: 5 * time.Minute, Most: 10}
	// clashNet is the net under it.
	clashNet = store.ClashRetry{First: time.Minute, Longest: time.Hour, Most: 2}
)

// clashRest is how often a process asks whom to wake.
const clashRest = 10 * time.Second

// oneTry fills in that a group has one try before it is parked again.
func (e *Engine) oneTry(r store.ClashRetry) store.ClashRetry {
	r.Attempts = min(clashes, e.cfg.MaxAttempts) - 1
	return r
}

// retryClashes lets those go again that have rested, a few of each remote.
func (e *Engine) retryClashes(ctx context.Context) error {
	for _, remote := range e.remotes {
		if _, err := e.db.RetryClashes(ctx, e.syncsTo(remote), e.oneTry(clashNet)); err != nil {
			return err
		}
	}
	return nil
}

// syncsTo names the syncs of a remote.
func (e *Engine) syncsTo(remote *Remote) []string {
	var names []string
	for _, d := range e.defs {
		if d.To == remote {
			names = append(names, d.Name)
		}
	}
	return names
}

// yields notes that records may have let go of values.
func (r *runner) yields(results []store.Result) {
	for _, res := range results {
		made := res.Outcome == store.Synced || res.Outcome == store.Partial || res.Outcome == store.Removed
		if a := res.Attempt; made && a != nil && a.Action != "create" && a.Action != "initialize" {
			r.mu.Lock()
			r.yielded = r.cfg.Clock.Now()
			r.mu.Unlock()
			return
		}
	}
}

// wakeClashes lets a few groups go again that were tried last before a record let
// go of something. Those that have to rest first are looked at again later.
func (r *runner) wakeClashes(ctx context.Context) {
	now := r.cfg.Clock.Now()
	r.mu.Lock()
	since := now.Sub(r.yielded)
	ask := !r.yielded.IsZero() && now.Sub(r.asked) >= clashRest
	if ask {
		r.asked = now
	}
	if since > clashWake.Longest+clashRest {
		r.yielded = time.Time{}
	}
	r.mu.Unlock()
	if !ask {
		return
	}
	wake := r.oneTry(clashWake)
	wake.Since = since
	if _, err := r.db.RetryClashes(ctx, r.syncsTo(r.remote), wake); err != nil && ctx.Err() == nil {
		r.log.Error("can't look whether a record can be had now that another one has changed; looking again later", "remote", r.remote.Name, "error", err)
	}
}

// keyChange says so where a record can't be had since the one that has its value
// can't be deleted before those are sent that wait for it: a row's key changed,
// and others refer to the row. No order of these three calls does it. Otherwise it
// may be one that is kept though its row is gone.
func (x *Explanation) keyChange(ctx context.Context, e *Engine) error {
	if x.Group == nil || x.Group.State != store.Parked || !strings.HasSuffix(x.Group.Reason, heldThere) {
		return nil
	}
	blocked, err := e.db.Blocked(ctx, x.ID, chainMost)
	if err != nil {
		return err
	}
	for _, id := range blocked {
		waiting, err := e.db.Group(ctx, id)
		if err != nil {
			return err
		}
		for _, ref := range waiting.Refs {
			old, err := e.db.Group(ctx, ref)
			if errors.Is(err, store.ErrNoGroup) {
				continue
			}
			if err != nil {
				return err
			}
			if old.DeleteSeen && old.RemoteID != "" && strings.HasSuffix(old.Reason, refersHere) {
				x.Why += fmt.Sprintf("; it may be in a circle: %[1]s waits for it, and its record refers to that of %[2]s, whose row is gone, which may have the value, and can't be deleted for that; give the record of %[2]s (%[3]q there) another value by hand, then: upkeep retry %[4]s",
					id, ref, old.RemoteID, x.ID.Args())
				return nil
			}
		}
	}
	if d := e.byName[x.ID.Sync]; d != nil && (d.OnDelete.Action == Keep || d.OnDelete.Action == Set) {
		x.Why += "; on_delete keeps records whose rows are gone, with their values: is it one of these, of another key?"
	}
	return nil
}
