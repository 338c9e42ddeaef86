package upkeep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// verifyTries is how often a group that differs is looked at again before it
// counts as one that does not stand still.
const verifyTries = 8

// again looks at groups that differ until each stands still for one look: it
// has the same generations and state before the load and after the read, and
// everything that the load may have seen is folded. Only then what differs is
// the remote's, or known to be on its way.
func (v *verifier) again(ctx context.Context, keys []string) error {
	for try := 1; len(keys) > 0; try++ {
		if try > verifyTries {
			for _, key := range keys[:min(len(keys), DifferencesMost-len(v.found.Changing))] {
				v.found.Changing = append(v.found.Changing, ID{Sync: v.def.Name, Key: key})
			}
			return nil
		}
		if try > 1 {
			if err := v.cfg.Clock.Sleep(ctx, min(pollFast<<try, pollSlow)); err != nil {
				return err
			}
		}
		before, err := v.groups(ctx, keys)
		if err != nil {
			return err
		}
		if err := v.compareAll(ctx, before); err != nil {
			return err
		}
		folded, err := v.folded(ctx, v.loaded)
		if err != nil {
			return err
		}
		keys = slices.DeleteFunc(keys, func(key string) bool { return len(v.differ[key]) == 0 })
		after, err := v.groups(ctx, keys)
		if err != nil {
			return err
		}
		for _, g := range after {
			i := slices.IndexFunc(before, func(b Group) bool { return b.Key == g.Key })
			if folded && stoodStill(before[i], g) {
				v.report(v.differ[g.Key])
				keys = slices.DeleteFunc(keys, func(key string) bool { return key == g.Key })
			}
		}
	}
	return nil
}

func stoodStill(a, b Group) bool {
	return a.Generation == b.Generation && a.SyncedGeneration == b.SyncedGeneration && a.State == b.State
}

// groups reads those of the groups that are there.
func (v *verifier) groups(ctx context.Context, keys []string) ([]Group, error) {
	groups := make([]Group, 0, len(keys))
	for _, key := range keys {
		g, err := v.db.Group(ctx, ID{Sync: v.def.Name, Key: key})
		if errors.Is(err, store.ErrNoGroup) {
			continue
		}
		if err != nil {
			return nil, err
		}
		groups = append(groups, *g)
	}
	return groups, nil
}

// report lists differences.
func (v *verifier) report(found []Difference) {
	room := DifferencesMost - len(v.found.Differences)
	if len(found) > room {
		v.found.More = true
		found = found[:room]
	}
	v.found.Differences = append(v.found.Differences, found...)
}

// folded brings the log forward, which nobody else does when no engine runs,
// and says whether all is folded that was committed at a time of this
// machine's. A touch that is younger than that was committed later. Two ages are
// compared, each by one clock, and not two clocks.
func (e *Engine) folded(ctx context.Context, since time.Time) (bool, error) {
	l := e.learned.Load()
	for more := true; more; {
		f, err := e.db.Fold(ctx, l.shapes, l.plan, foldLimit)
		if errors.Is(err, store.ErrPlan) {
			break // those who have the registry's plan fold it
		}
		if err != nil {
			return false, fmt.Errorf("fold: %w", err)
		}
		more = f.More && f.Rows > 0
	}
	ago := e.cfg.Clock.Now().Sub(since)
	vitals, err := e.db.Vitals(ctx, longTransaction)
	if err != nil {
		return false, err
	}
	return vitals.OldestTouch == 0 || vitals.OldestTouch < ago, nil
}

// errUnfolded: the log has what could not be folded.
var errUnfolded = errors.New("changes wait in the touch log, one of which may be of it; look again when upkeep run is at work")

// foldAll folds all that was committed until now; errUnfolded, where that can't be done.
func (e *Engine) foldAll(ctx context.Context) error {
	now := e.cfg.Clock.Now()
	for tries := 1; ; tries++ {
		folded, err := e.folded(ctx, now)
		if err != nil || folded {
			return err
		}
		if tries > verifyTries {
			return errUnfolded
		}
		if err := e.cfg.Clock.Sleep(ctx, pollSlow); err != nil {
			return err
		}
	}
}
