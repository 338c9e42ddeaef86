package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/internal/moment"
)

// waits tells, and again every minute, what keeps a run --once from being over
// that it can't hurry: groups of another process, doubt, a remote that rests. It
// knows when waiting is in vain, since nothing moves.
type waits struct {
	engine *upkeep.Engine
	say    func(string)
	until  time.Time // when a person wants it to end; zero: it decides itself
	ends   string    // how a wait ends that nothing else does; empty: as that of run --once
	next   time.Time // of the look after this one
	said   map[string]time.Time
	broke  map[string]int       // how often the breaker of a remote had opened at the first look
	held   map[string]time.Time // since when a sync can't be loaded
	vain   string               // why nothing moves; empty: something may
}

const (
	waitsEvery = 2 * time.Second
	waitsAgain = time.Minute
	waitsMost  = 1000 // groups that are looked at
	// enoughBreaks in a row, with seconds and then minutes between them, are
	// enough to call a remote out of reach.
	enoughBreaks = 5
	// farProbe is too long to wait for a remote that has failed so often.
	farProbe = 2 * time.Minute
	// longHeld is long enough to call a sync that can't be loaded held for good.
	longHeld = 20 * time.Second
)

func newWaits(e *upkeep.Engine, say func(string)) *waits {
	return &waits{engine: e, say: say, next: time.Now().Add(waitsEvery), said: map[string]time.Time{}, broke: map[string]int{}, held: map[string]time.Time{}}
}

// look is called at every look at the status. It asks for more only when
// something is left that may be waited for.
func (w *waits) look(ctx context.Context, st *upkeep.Status) {
	now := time.Now()
	if now.Before(w.next) {
		return
	}
	w.next = now.Add(waitsEvery)
	var claimed, doubtful int64
	for _, c := range st.Syncs {
		claimed, doubtful = claimed+c.Claimed, doubtful+c.InDoubt
	}
	if claimed > 0 {
		w.claims(ctx)
	}
	if doubtful > 0 {
		w.doubt(ctx, doubtful)
	}
	for _, r := range st.Remotes {
		if state := remoteState(r, nil); state != "ok" {
			end := ""
			if r.Broken {
				end = "it gives up by itself if that goes on; to wait longer: --within 1h"
				state += fmt.Sprintf("; it has failed %s in a row", count(r.Breaks, "time"))
			}
			w.tell("remote "+r.Name, "remote "+r.Name+": "+oneLine(state), end)
		}
	}
	for _, c := range st.Syncs {
		w.hold(c, now)
	}
	if w.until.IsZero() {
		w.vain = w.hopeless(st)
	}
}

// hold notes since when a sync can't be loaded, or its backfill fails.
func (w *waits) hold(c upkeep.Counts, now time.Time) {
	why := heldFor(c)
	if why == "" {
		delete(w.held, c.Sync)
		return
	}
	if _, known := w.held[c.Sync]; !known {
		w.held[c.Sync] = now
	}
	w.tell("sync "+c.Sync, "sync "+c.Sync+" is held: "+oneLine(why), "it gives up by itself if that goes on; to wait longer: --within 1h")
}

// heldFor is why a sync can't be loaded, or its tables not be passed over.
func heldFor(c upkeep.Counts) string { return orElse(c.Held, c.Backfill.Failure) }

// tell says something that was not said for a minute, and how the wait ends; an
// empty end: not before what is told of does.
func (w *waits) tell(about, text, end string) {
	now := time.Now()
	if last, ok := w.said[about]; ok && now.Sub(last) < waitsAgain {
		return
	}
	w.said[about] = now
	if !w.until.IsZero() {
		end = "it gives up in " + moment.Span(max(w.until.Sub(now), time.Second))
	}
	if w.ends != "" {
		end = w.ends
	}
	w.say("waiting: " + text + "; " + orElse(end, "to give up by itself: --within 10m"))
}

// hopeless says why nothing moves: all that is left is of syncs that are held, or goes
// to remotes that fail, have failed for long, and have failed again since the first
// look, or are not tried soon.
func (w *waits) hopeless(st *upkeep.Status) string {
	left := map[string]bool{}
	var fail []string
	for _, c := range st.Syncs {
		if since, held := w.held[c.Sync]; held {
			if time.Since(since) < longHeld {
				return ""
			}
			fail = append(fail, fmt.Sprintf("sync %s is held: %s", c.Sync, oneLine(heldFor(c))))
			continue
		}
		left[c.Sync] = c.Dirty+c.Claimed+c.InDoubt > 0
		if c.Backfill.Running && c.Backfill.Failure == "" {
			return ""
		}
	}
	if st.Pending > 0 {
		return ""
	}
	for _, r := range st.Remotes {
		before, seen := w.broke[r.Name]
		if !seen {
			w.broke[r.Name], before = r.Breaks, r.Breaks
		}
		if !slices.ContainsFunc(r.Syncs, func(name string) bool { return left[name] }) ||
			slices.ContainsFunc(st.Pauses, func(p upkeep.Pause) bool { return p.Remote == r.Name }) {
			continue
		}
		if !r.Broken || r.Breaks < enoughBreaks || r.Breaks <= before && r.ProbeIn < farProbe {
			return ""
		}
		fail = append(fail, fmt.Sprintf("remote %s has failed %s in a row: %s", r.Name, count(r.Breaks, "time"), oneLine(r.Reason)))
	}
	return strings.Join(fail, "; ")
}

// claims tells of groups that another process has, perhaps a dead one.
func (w *waits) claims(ctx context.Context) {
	groups, err := w.engine.Groups(ctx, "", upkeep.Claimed, upkeep.ID{}, waitsMost)
	if err != nil {
		return // the wait itself meets it too
	}
	held, until := map[string]int{}, map[string]time.Time{}
	for _, g := range groups {
		if g.Holder != w.engine.Name() && !g.LeaseUntil.IsZero() { // those of a bulk job have no lease
			held[g.Holder]++
			if g.LeaseUntil.After(until[g.Holder]) {
				until[g.Holder] = g.LeaseUntil
			}
		}
	}
	for _, holder := range slices.Sorted(maps.Keys(held)) {
		w.tell("claims of "+holder, fmt.Sprintf("another process, %s, has claimed %s; if it is dead they are free at %s",
			oneLine(holder), count(held[holder], "group"), moment.Of(until[holder])), "")
	}
}

func (w *waits) doubt(ctx context.Context, n int64) {
	groups, err := w.engine.Groups(ctx, "", upkeep.InDoubt, upkeep.ID{}, waitsMost)
	if err != nil || len(groups) == 0 {
		return
	}
	var until time.Time
	for _, g := range groups {
		if g.InDoubtUntil.After(until) {
			until = g.InDoubtUntil
		}
	}
	w.tell("doubt", fmt.Sprintf("in doubt whether the remote has got it: %s; looked at again by %s, when no older call can land any more",
		count(int(n), "group"), moment.Of(until)), "")
}
