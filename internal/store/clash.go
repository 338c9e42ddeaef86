package store

import (
	"context"
	"time"
)

// Clashes lets groups go again that were parked because another record at their
// remote has a value that may be there only once, or refers to theirs, which is to
// be deleted ([Result].Clash). Nobody knows
// which record that is, and when it lets go.
type Clashes interface {
	// RetryClashes makes groups of the syncs dirty and due, as Retry does, that
	// are parked so and have rested as long as r says: those first that were
	// parked least often in a row. It returns how many these were. Syncs that are
	// paused by hand are left alone.
	RetryClashes(ctx context.Context, syncs []string, r ClashRetry) (int64, error)
}

// ClashRetry says which groups go again.
type ClashRetry struct {
	// Since: it was claimed last so long ago, or longer.
	Since time.Duration
	// First and Longest: so does the pause that it rests, which is nothing for a
	// group that was parked once, First for one that was parked twice in a row,
	// then three times, seven times, and so on up to Longest.
	First, Longest time.Duration
	// Most is how many groups of the syncs, over all processes, may be on their
	// way or have been parked again within a minute.
	Most int
	// Attempts is what the groups count as from then on.
	Attempts int
}

// ClashesMost is the highest count of clashes in a row.
const ClashesMost = 20
