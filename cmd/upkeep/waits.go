package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/upkeep-sync/upkeep"
)

// waits tells, once each, what keeps a run --once from being over that it
// can't hurry: groups of another process, doubt, a remote that rests.
type waits struct {
	engine *upkeep.Engine
	say    func(string)
	next   time.Time // of the look after this one
	said   map[string]bool
}

const (
	waitsEvery = 2 * time.Second
	waitsMost  = 1000 // groups that are looked at
)

func newWaits(e *upkeep.Engine, say func(string)) *waits {
	return &waits{engine: e, say: say, next: time.Now().Add(waitsEvery), said: map[string]bool{}}
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
			w.once("remote "+r.Name, "remote "+r.Name+": "+oneLine(state))
		}
	}
}

func (w *waits) once(about, text string) {
	if !w.said[about] {
		w.said[about] = true
		w.say("waiting: " + text)
	}
}

// claims tells of groups that another process has, perhaps a dead one.
func (w *waits) claims(ctx context.Context) {
	groups, err := w.engine.Groups(ctx, "", upkeep.Claimed, "", waitsMost)
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
		w.once("claims of "+holder, fmt.Sprintf("another process, %s, has claimed %s; if it is dead they are free at %s UTC",
			oneLine(holder), count(held[holder], "group"), until[holder].UTC().Format(time.TimeOnly)))
	}
}

func (w *waits) doubt(ctx context.Context, n int64) {
	groups, err := w.engine.Groups(ctx, "", upkeep.InDoubt, "", waitsMost)
	if err != nil || len(groups) == 0 {
		return
	}
	var until time.Time
	for _, g := range groups {
		if g.InDoubtUntil.After(until) {
			until = g.InDoubtUntil
		}
	}
	w.once("doubt", fmt.Sprintf("in doubt whether the remote has got it: %s; looked at again by %s UTC, when no older call can land any more",
		count(int(n), "group"), until.UTC().Format(time.TimeOnly)))
}
