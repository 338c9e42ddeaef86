package store

import "time"

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
