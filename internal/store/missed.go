package store

import (
	"context"
	"time"
)

// Missed is a change that the capture did not see: a group that is up to date
// by the registry, and whose representation is another than the one that the
// remote acknowledged.
type Missed struct {
	ID
	At      time.Time // when it was found; zero when noting: the database's clock
	Fields  []string  // that differ; empty: the whole record
	Columns []string  // "table.column" that these fields read
}

// Audits keeps what an audit of the capture found.
type Audits interface {
	// NoteMissed writes findings down; Prune forgets them with the history.
	NoteMissed(ctx context.Context, found []Missed) error
	// Missed lists findings, the newest first, limit at most.
	Missed(ctx context.Context, limit int) ([]Missed, error)
}
