package store

import (
	"context"
	"time"
)

// Interventions is the part of a registry that notes what people do by hand.
type Interventions interface {
	// NoteIntervention notes what is about to be done; At and Role are the database's
	// to say. What is noted is changed by [Forgetting.Forget] alone, and is kept for
	// [InterventionsKept].
	NoteIntervention(ctx context.Context, i Intervention) error
	// Interventions lists what was done, the newest first, limit at most: with a key
	// that of one group, with a sync alone all that names the sync, else all.
	Interventions(ctx context.Context, sync, key string, limit int) ([]Intervention, error)
	// PruneInterventions deletes what is older than [InterventionsKept].
	PruneInterventions(ctx context.Context) error
}

// InterventionsKept is for how long what people did by hand is kept.
const InterventionsKept = 366 * 24 * time.Hour

// Intervention is something that a person did by hand.
type Intervention struct {
	At   time.Time // by the database's clock
	By   string    // who, as the program says
	Role string    // the database's role; empty: it has none
	Did  string    // "retry", "skip", "pause"
	// Remote or Sync is what it was done to; both empty: everything. Key is that of
	// one group of the sync; empty: all of them.
	Remote, Sync, Key string
	Detail            string // how many, why; empty: there is no more to say
}
