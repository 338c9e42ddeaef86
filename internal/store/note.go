package store

import (
	"context"
	"time"
)

// Notes is what processes leave in the registry for people, beside the work.
type Notes interface {
	// NotePlan notes that the process holder has made plan the registry's; At is
	// the database's clock. Nothing is noted when the newest note is of the same
	// plan. Of the older ones no more than [PlansKept] are kept.
	NotePlan(ctx context.Context, n PlanNote) error
	// Plans lists the notes, the newest first.
	Plans(ctx context.Context) ([]PlanNote, error)

	// NoteFailure notes that the process holder has just failed at a stage, with
	// the text of the error; what of it the database made out of a value of a
	// row is left out. NoteWell takes the note away.
	NoteFailure(ctx context.Context, stage, holder string, failed error) error
	NoteWell(ctx context.Context, stage, holder string) error
	// Failures lists what failed within the last while, by stage and holder: who
	// goes on failing goes on noting it, unless it died.
	Failures(ctx context.Context, within time.Duration) ([]Failure, error)
}

// PlansKept is how many notes of plans a registry keeps.
const PlansKept = 20

// Failure is a stage of the work that fails in a process as a whole, and is tried
// again and again.
type Failure struct {
	Stage  string // "fold", "care", "work for netsuite"
	Holder string // the process
	Since  time.Time
	At     time.Time // the last time
	Reason string    // its error then
}

// PlanNote says that a configuration took the place of another one.
type PlanNote struct {
	At     time.Time
	Plan   string
	Holder string            // the process that installed it
	Syncs  map[string]string // an opaque digest of each sync's declaration, by name
}
