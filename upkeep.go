// Package upkeep keeps third-party systems up to date with a database.
//
// Some local rows, taken together, become one remote record: an order with its
// billing info and its lines becomes a NetSuite sales order. Upkeep knows when
// that record is out of date, and brings it up to date, without a call from the
// business code. See [Engine] for the way of the data.
package upkeep

import (
	"context"
	"log/slog"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Database is a source database with its registry: make one with the packages
// postgres or sqlite.
type Database = store.Store

// Config makes an [Engine]. Its zero values work, but for Database and Syncs.
type Config struct {
	// Database holds the rows and Upkeep's registry.
	Database Database
	// Syncs are the declarations.
	Syncs []AnySync
	// Name of this process among those that share the registry. Defaults to
	// host name, process id and a random part.
	Name string
	// Lease is how long a group stays claimed by a process that died.
	// Defaults to twice the longest timeout of the remotes, and a minute.
	Lease time.Duration
	// MaxAttempts is after how many failures in a row a group is parked.
	// Failures of the remote as a whole do not count. Defaults to 12.
	MaxAttempts int
	// Drain is how long a stop waits for the calls under way. Defaults to 30
	// seconds.
	Drain time.Duration
	// History is how long attempts are kept. Defaults to 30 days.
	History time.Duration
	// Logger defaults to discarding.
	Logger *slog.Logger
	// Clock is this process's own clock, for durations and pauses only; what
	// is stored is told by the database's. Defaults to the real one.
	Clock Clock
	// Random gives numbers in [0,1) for jitter. Defaults to math/rand/v2.
	Random func() float64
}

// Clock tells the time and waits.
type Clock interface {
	Now() time.Time
	// Sleep returns when d is over or ctx has ended, with ctx's error then.
	Sleep(ctx context.Context, d time.Duration) error
}

// Finding is something that a person should know, with the way to mend it.
type Finding = store.Finding

// State of a group.
type State = store.State

// Group is a group as the registry has it.
type Group = store.Group

// Attempt is an entry of a group's history.
type Attempt = store.Attempt

// Counts is a sync's line in a status.
type Counts = store.Counts
