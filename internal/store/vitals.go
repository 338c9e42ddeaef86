package store

import (
	"slices"
	"strings"
	"time"
)

// Vitals is what may be wrong with a database as a place for Upkeep to work
// in, beside its capture ([Capture.Inspect]) and rights ([Catalog.Rights]).
type Vitals struct {
	// Now is the server's own clock, to compare this machine's with.
	Now time.Time
	// OldestTouch is the age of the oldest row of the touch log; zero: empty.
	OldestTouch time.Duration
	// LogBytes is what the touch log takes on disk, as far as that is known.
	LogBytes int64
	// Findings are of the database's own kind: old transactions, vacuum.
	Findings []Finding
}

// How the finding begins of a remote that failed too often, and of one that
// asked for a pause.
const (
	BreakerOpen = "its breaker is open: "
	PausedFor   = "it is paused for another "
)

// ReleasedTable is what [Capture.Inspect] notes of a table that a migration has
// released.
const ReleasedTable = "a migration released it, and its triggers are not back yet"

// ToldOnce puts what a system at work was found to have behind what its
// configuration, database and remotes were. That a remote fails is in both, if
// its breaker is open: it is one finding then, with what the remote says now
// where that is something else. So is that it still says why it is to be let be.
func ToldOnce(checked, found []Finding) []Finding {
	found = slices.Clone(found)
	for i, f := range found {
		open, paused := strings.HasPrefix(f.Message, BreakerOpen), strings.HasPrefix(f.Message, PausedFor)
		if !open && !paused {
			continue
		}
		checked = slices.DeleteFunc(slices.Clone(checked), func(c Finding) bool {
			says := strings.Contains(f.Message, c.Message)
			same := c.Severity == Problem && c.Subject == f.Subject && c.Sync == "" && (open || says)
			if same && !says {
				found[i].Message += "; asked now: " + c.Message
			}
			return same
		})
	}
	return append(checked, found...)
}
