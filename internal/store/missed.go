package store

import (
	"context"
	"time"
)

// Missed is a change that the capture did not see: a group that is up to date
// by the registry, and whose representation is another than the one that the
// remote acknowledged, or whose row is gone.
type Missed struct {
	ID
	At      time.Time // when it was found; zero when noting: the database's clock
	Fields  []string  // that differ; empty: the whole record
	Columns []string  // "table.column" that these fields read; without fields, those of the key of a row that is gone
}

// RowGone: the row is not there, and nobody saw its deletion. Nothing is sent
// for it.
func (m Missed) RowGone() bool { return len(m.Fields) == 0 && len(m.Columns) > 0 }

// DeletionUnseen is how the reason begins of a group that is parked since its row
// is not there, though nobody saw it go.
const DeletionUnseen = "the row is not there, but its deletion was not observed"

// Audits keeps what an audit of the capture found.
type Audits interface {
	// NoteMissed writes findings down; Prune forgets them with the history.
	NoteMissed(ctx context.Context, found []Missed) error
	// Missed lists findings, the newest first, limit at most.
	Missed(ctx context.Context, limit int) ([]Missed, error)
}
