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
}

// PlansKept is how many notes of plans a registry keeps.
const PlansKept = 20

// PlanNote says that a configuration took the place of another one.
type PlanNote struct {
	At     time.Time
	Plan   string
	Holder string            // the process that installed it
	Syncs  map[string]string // an opaque digest of each sync's declaration, by name
}
