package upkeep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// BlockedMost is the highest count of groups that wait for another one.
const BlockedMost = 10_000

const (
	blockersSeen = 100 // of the parked groups, before they are put in order
	chainMost    = 20  // links that an explanation has
)

// Blocker is a parked group that others wait for.
type Blocker struct {
	ID
	// Reason why it is parked.
	Reason string
	// Direct is how many groups wait for it, and All counts those too that
	// wait for these, over any number of hops; at most [BlockedMost] for all
	// blockers together.
	Direct, All int
}

// Blockers lists the parked groups for which most others wait, at most limit of
// them, of the hundred for which most wait directly.
func (e *Engine) Blockers(ctx context.Context, limit int) ([]Blocker, error) {
	if limit < 0 {
		return nil, fmt.Errorf("the limit of blockers is %d; it must not be negative", limit)
	}
	found, err := e.db.Blockers(ctx, max(limit, blockersSeen))
	if err != nil || len(found) == 0 {
		return nil, err
	}
	ids := make([]ID, len(found))
	for i, b := range found {
		ids[i] = b.ID
	}
	counts, err := e.db.Blocking(ctx, ids, BlockedMost)
	if err != nil {
		return nil, err
	}
	blockers := make([]Blocker, len(found))
	for i, b := range found {
		blockers[i] = Blocker{ID: b.ID, Reason: b.Reason, Direct: b.Direct, All: max(b.Direct, counts[b.ID].All)}
	}
	slices.SortStableFunc(blockers, func(a, b Blocker) int { return cmp.Compare(b.All, a.All) })
	return blockers[:min(limit, len(blockers))], nil
}

// Link is a group that another one waits for.
type Link struct {
	ID
	// State and Reason as the registry has them; empty for a group that is
	// not in it: one of a sync whose groups are registered by hand.
	State    State
	Reason   string
	WaitsFor []ID // what it waits for in turn
}

// chain follows what a group waits for, the nearest first, down to what waits
// for nothing: the root of the trouble.
func (e *Engine) chain(ctx context.Context, id ID, on []ID) ([]Link, error) {
	var links []Link
	seen := map[ID]bool{id: true}
	for queue := on; len(queue) > 0 && len(links) < chainMost; queue = queue[1:] {
		if seen[queue[0]] {
			continue
		}
		seen[queue[0]] = true
		link := Link{ID: queue[0]}
		g, err := e.db.Group(ctx, link.ID)
		switch {
		case err == nil:
			link.State, link.Reason, link.WaitsFor = g.State, g.Reason, g.WaitsFor
		case !errors.Is(err, store.ErrNoGroup):
			return nil, err
		}
		links = append(links, link)
		queue = append(slices.Clone(queue), link.WaitsFor...)
	}
	return links, nil
}

// String is a line for people: "customer/8 is parked: ...".
func (l Link) String() string {
	s := l.ID.String() + " is " + orElse(string(l.State), "not registered")
	switch {
	case l.State == store.Gone:
		s += ": it has no row, or is not to be at the remote"
	case l.State == store.Waiting:
		s += " for " + joinIDs(l.WaitsFor)
	case l.Reason != "":
		s += ": " + l.Reason
	}
	return s
}

// root is the first link that does not wait itself; nil if there is none: all
// of them wait in a circle, or there are more.
func root(links []Link) *Link {
	for i, l := range links {
		if l.State != store.Waiting {
			return &links[i]
		}
	}
	return nil
}
