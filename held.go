package upkeep

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// sayAgain is how long a trouble that stays is not logged again.
const sayAgain = 15 * time.Minute

// said remembers what was logged of some subjects, so that a trouble that
// stays is logged once, and again rarely. The zero value is ready.
type said struct {
	mu   sync.Mutex
	last map[string]saying
}

type saying struct {
	text string
	at   time.Time
}

// anew says whether the text is to be logged: it is another one than before,
// or the last time is long ago.
func (s *said) anew(subject, text string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l, ok := s.last[subject]; ok && l.text == text && now.Sub(l.at) < sayAgain {
		return false
	}
	if s.last == nil {
		s.last = map[string]saying{}
	}
	s.last[subject] = saying{text, now}
	return true
}

// over forgets a subject, and says whether there was something to forget.
func (s *said) over(subject string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.last[subject]
	delete(s.last, subject)
	return ok
}

// because adds to an error which of the mappings the tables no longer fit, if
// that is the reason: a column was renamed or dropped, a right taken away.
func (e *Engine) because(ctx context.Context, err error, defs ...*definition) error {
	if errors.Is(err, errRekeyed) { // it says so itself
		return err
	}
	var errs []error
	where := ", upkeep check says where"
	for _, d := range defs {
		_, _, misfit := e.resolve(ctx, d)
		if misfit == nil || ctx.Err() != nil {
			continue
		}
		if d.located != nil {
			if places := d.located.Misfits(ctx, e.db); places != nil {
				misfit, where = places, ""
			}
		}
		errs = append(errs, misfit)
	}
	if misfit := errors.Join(errs...); misfit != nil {
		return fmt.Errorf("%w; the configuration no longer fits the tables%s: %w", err, where, misfit)
	}
	return err
}

// isHeld says whether a sync's loading failed a moment ago.
func (r *runner) isHeld(sync string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cfg.Clock.Now().Before(r.held[sync]) || r.stuck.full(sync)
}

// holdSync stops claiming for a sync whose composites can't be loaded: a
// renamed column, a revoked right. It blocks no other sync.
func (r *runner) holdSync(ctx context.Context, sync string, err error) {
	now := r.cfg.Clock.Now()
	r.mu.Lock()
	r.held[sync] = now.Add(5 * time.Second)
	r.mu.Unlock()
	if !r.said.anew(sync, err.Error(), now) {
		return
	}
	r.log.Error("load failed; the sync is held until it works, the others go on", "sync", sync, "error", r.because(ctx, err, r.byName[sync]))
}

// loaded says so when a sync that was held could be loaded.
func (r *runner) loaded(sync string) {
	if r.said.over(sync) {
		r.log.Info("load works again; the sync goes on", "sync", sync)
	}
}
