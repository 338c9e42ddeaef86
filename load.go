package upkeep

import (
	"context"
	"errors"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// loadState reads the composites, a snapshot for each sync, begun after the
// claim.
func (r *runner) loadState(ctx context.Context, jobs []*job) {
	syncs := map[string][]*job{}
	for _, j := range jobs {
		syncs[j.claim.Sync] = append(syncs[j.claim.Sync], j)
	}
	for sync, jobs := range syncs {
		later, err := r.loadOf(ctx, sync, jobs)
		switch {
		case err == nil:
			r.loaded(sync)
			for _, j := range later { // they are claimed again, when the memory is free
				j.finish(store.Result{Outcome: store.Released})
			}
		case ctx.Err() != nil: // a stop is no fault of the sync
			for _, j := range jobs {
				j.finish(store.Result{Outcome: store.Released})
			}
		default:
			r.holdSync(ctx, sync, err)
			for _, j := range jobs { // the database is to blame, or the declaration: not the group
				j.finish(store.Result{Outcome: store.Retry, Free: true, After: r.backoff(3), Reason: store.LoadFailed + err.Error()})
			}
		}
	}
	r.handOver(ctx, jobs)
}

// loadOf reads the composites of a sync's jobs, unless its groups are known by
// another key than its table has by now, or its configuration by other labels. later
// are those whose rows can't be held beside the others'.
func (e *Engine) loadOf(ctx context.Context, sync string, jobs []*job) (later []*job, err error) {
	if err := e.isBarred(sync); err != nil {
		return nil, err
	}
	return e.load(ctx, e.shape(sync), jobs)
}

// load gives jobs of one sync their composites, at least the first.
func (e *Engine) load(ctx context.Context, shape *store.Shape, jobs []*job) (later []*job, err error) {
	keys := make([]string, len(jobs))
	for i, j := range jobs {
		keys[i] = j.claim.Key
	}
	found, rest, err := e.db.Load(ctx, shape, keys)
	if err != nil {
		return nil, err
	}
	waits := map[string]bool{}
	for _, key := range rest {
		waits[key] = true
	}
	for _, j := range jobs {
		if waits[j.claim.Key] {
			later = append(later, j)
		} else if composite, there := found[j.claim.Key]; there {
			j.composite = &composite
			if errors.Is(composite.Err, store.ErrLabel) {
				e.relabel.Store(true)
			}
		}
	}
	return later, nil
}

// loadAll gives all jobs of one sync their composites, and to do as many of them at a
// time as may be held. Their rows are forgotten then.
func (e *Engine) loadAll(ctx context.Context, shape *store.Shape, jobs []*job, do func([]*job) error) error {
	for len(jobs) > 0 {
		later, err := e.load(ctx, shape, jobs)
		if err != nil {
			return err
		}
		left := map[*job]bool{}
		for _, j := range later {
			left[j] = true
		}
		var now []*job
		for _, j := range jobs {
			if !left[j] {
				now = append(now, j)
			}
		}
		if err := do(now); err != nil {
			return err
		}
		if len(later) > 0 {
			for _, j := range now {
				j.composite = nil
			}
		}
		jobs = later
	}
	return nil
}
