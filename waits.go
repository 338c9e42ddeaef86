package upkeep

import (
	"context"
	"errors"
	"fmt"

	"github.com/upkeep-sync/upkeep/internal/moment"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// vainSeen is how many waiting groups of each sync are looked at, to find those
// that wait for what does not come.
const vainSeen = 100

// vain finds out whether groups wait for a record that is not to be at the
// remote, as things are: its group is settled without one.
type vain struct {
	*Engine
	root map[ID]*Link // by group: the one that keeps it waiting; nil: it may come
}

// of is the group without a record that keeps g waiting, also over others that
// wait; nil if there is none. It is not for what is parked: that has a finding of
// its own.
func (v *vain) of(ctx context.Context, g *Group) (*Link, error) {
	for _, id := range g.WaitsFor {
		root, known := v.root[id]
		if !known {
			v.root[id] = nil // of a circle
			other, err := v.db.Group(ctx, id)
			switch {
			case errors.Is(err, store.ErrNoGroup):
				if d := v.byName[id.Sync]; d != nil && d.ByHand {
					root = &Link{ID: id}
				}
			case err != nil:
				return nil, err
			case other.State == store.Gone:
				root = &Link{ID: id, State: other.State}
			case other.State == store.Waiting:
				if root, err = v.of(ctx, other); err != nil {
					return nil, err
				}
			}
			v.root[id] = root
		}
		if root != nil {
			return root, nil
		}
	}
	return nil, nil
}

// waitFindings tells of a sync's groups that wait: at once of those that wait for
// what is not to come, and of the rest when it takes long.
func (e *Engine) waitFindings(ctx context.Context, v *vain, c Counts, pause *Pause) ([]Finding, error) {
	if c.Waiting == 0 {
		return nil, nil
	}
	groups, err := e.db.Groups(ctx, c.Sync, store.Waiting, ID{}, vainSeen)
	if err != nil {
		return nil, err
	}
	n, first, root := 0, ID{}, (*Link)(nil)
	for i := range groups {
		r, err := v.of(ctx, &groups[i])
		if err != nil {
			return nil, err
		}
		if r == nil {
			continue
		}
		if n++; n == 1 {
			first, root = groups[i].ID, r
		}
	}
	var found []Finding
	if n > 0 {
		many := fmt.Sprint(n)
		if n == vainSeen {
			many += " or more"
		}
		found = append(found, Finding{Severity: Warning, Subject: c.Sync,
			Message: fmt.Sprintf("groups that wait for a record that is not to come as things are: %s; of %s it is known that %s", many, first, root),
			Fix:     "see upkeep explain " + first.Args() + "; nothing, if that row is only late; or bring it, leave what refers to it out by when, or write null for the reference"})
	}
	if c.OldestWaiting > oldGroup && pause == nil && int64(n) < min(c.Waiting, vainSeen) {
		found = append(found, Finding{Severity: Warning, Subject: c.Sync,
			Message: fmt.Sprintf("groups that wait for other records: %d, the oldest for %s", c.Waiting, moment.Span(c.OldestWaiting)),
			Fix:     "see what they wait for with upkeep status " + c.Sync + " --state waiting, and one of them with upkeep explain"})
	}
	return found, nil
}
