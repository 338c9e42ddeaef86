package upkeep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// passes are the backfills and sweeps that are under way.
type passes struct {
	*Engine
	held map[string]*heldPass
	said said
}

// heldPass is of a sync whose pass failed: a column is gone, a right was taken
// away. It blocks no other sync.
type heldPass struct {
	failures int
	until    time.Time
}

// backfillLoop walks the root tables of new and changed syncs, a piece at a
// time, and lets the backlog drain in between so that it stays bounded.
func (e *Engine) backfillLoop(ctx context.Context, wake <-chan struct{}) error {
	p := &passes{Engine: e, held: map[string]*heldPass{}}
	return e.forever(ctx, "backfill", func() (time.Duration, error) {
		running, more := false, false
		for _, shape := range e.learned.Load().shapes {
			under, some, err := p.step(ctx, shape)
			if err != nil {
				return 0, err
			}
			running, more = running || under, more || some
		}
		switch {
		case more:
			return 0, nil
		case running:
			return 100 * time.Millisecond, nil
		case len(p.held) > 0:
			return time.Second, nil
		}
		e.sleep(ctx, pollNet, wake)
		return 0, nil
	})
}

// step takes the pass over a sync further, if one is under way and is not held.
// more says that the next step may follow at once.
func (p *passes) step(ctx context.Context, shape *store.Shape) (running, more bool, err error) {
	if h := p.held[shape.Sync]; h != nil && p.cfg.Clock.Now().Before(h.until) {
		return false, false, nil
	}
	state, err := p.db.Sync(ctx, shape.Sync)
	if err != nil || !state.Backfill.Running {
		delete(p.held, shape.Sync) // another process has taken it to its end
		return false, false, err
	}
	if state.Backlog > p.backlog(shape.Sync) {
		return true, false, nil
	}
	// The pass may be another configuration's by now, over another table.
	if _, err := p.db.Look(ctx, p.learned.Load().plan, nil); err != nil {
		return false, false, err
	}
	passed, err := p.passed(ctx, shape)
	if err == nil {
		more, err = p.db.Backfill(ctx, passed, backfillPiece)
	}
	if err != nil {
		return false, false, p.hold(ctx, shape.Sync, err)
	}
	delete(p.held, shape.Sync)
	if p.said.over(shape.Sync) {
		p.log.Info("the backfill works again; it goes on", "sync", shape.Sync)
	}
	if more {
		return true, true, nil
	}
	if state, err = p.db.Sync(ctx, shape.Sync); err != nil {
		return true, false, err
	}
	p.log.Info("backfill finished: all rows were looked at", "sync", shape.Sync, "rows", state.Backfill.Done)
	if !state.Overlong.IsZero() {
		p.tellOverlong(shape.Sync)
	}
	return true, false, nil
}

// hold leaves a pass that failed alone for a while, longer each time, and notes
// why where all can see it. What can't be noted is no fault of the sync: the
// database is away, or the registry gone.
func (p *passes) hold(ctx context.Context, sync string, failed error) error {
	if ctx.Err() != nil || errors.Is(failed, store.ErrNotInstalled) {
		return failed
	}
	if err := p.db.Stumble(ctx, sync, failed.Error()); err != nil {
		return fmt.Errorf("%s: %w", sync, failed)
	}
	h := p.held[sync]
	if h == nil {
		h = &heldPass{}
		p.held[sync] = h
	}
	h.failures++
	now := p.cfg.Clock.Now()
	h.until = now.Add(p.backoffUpTo(h.failures, time.Minute))
	if p.said.anew(sync, failed.Error(), now) {
		p.log.Error("the backfill fails; the sync is held until it works, the others go on", "sync", sync, "error", p.because(ctx, failed, p.byName[sync]))
	}
	return nil
}
