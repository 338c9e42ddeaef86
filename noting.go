package upkeep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/upkeep-sync/upkeep/internal/moment"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// failing is how old a note of a failure may be: what fails is tried again within
// a quarter of a minute, and a process that died is not told of for ever.
const failing = 2 * time.Minute

// Stages, in what is logged and noted of them: who folds the log, who loads composites,
// and who looks after all the rest.
const (
	folding = "fold"
	loading = "load"
	caring  = "care"
)

// noting has the failures of a loop's step noted in the registry, where every
// process can see them, until it works. What ends the loop is not noted, nor is
// what can't be: the database is away.
func (e *Engine) noting(ctx context.Context, stage string, step func() (time.Duration, error)) func() (time.Duration, error) {
	noted := false
	return func() (time.Duration, error) {
		wait, err := step()
		if err == nil {
			e.reach(stage)
		}
		switch {
		case ctx.Err() != nil, errors.Is(err, store.ErrPlan), errors.Is(err, store.ErrNotInstalled), errors.Is(err, store.ErrReplaced):
		case err != nil:
			noted = e.db.NoteFailure(ctx, stage, e.cfg.Name, err) == nil || noted
		case noted:
			noted = e.db.NoteWell(ctx, stage, e.cfg.Name) != nil
		}
		return wait, err
	}
}

// failureFindings tells of what processes fail at.
func failureFindings(failures []Failure) (found []Finding) {
	for _, f := range failures {
		fix := "see with upkeep check what is missing; it is tried again and again, and goes on by itself"
		if f.Stage == folding {
			fix += "; the changes wait in the log, and none is lost"
		}
		found = append(found, Finding{Severity: Problem, Subject: f.Stage,
			Message: fmt.Sprintf("it fails in %s since %s, the last time at %s: %s", f.Holder, moment.Of(f.Since), moment.Of(f.At), f.Reason), Fix: fix})
	}
	return found
}
