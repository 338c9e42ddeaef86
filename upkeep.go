// Package upkeep keeps third-party systems up to date with a database.
//
// Some local rows, taken together, become one remote record: an order with its
// billing info and its lines becomes a NetSuite sales order. Upkeep knows when
// that record is out of date, and brings it up to date, without a call from the
// business code.
//
// # Declare
//
// A sync says which rows become which kind of record. [Sync] reads it from the
// tags of a struct type, [Mapping] is the same without a struct, and both are
// an [AnySync]. What is declared is what is loaded, and what is loaded is
// watched: there is no second list.
//
//   - The root table has one row for each record; [Relation] adds the rows
//     that hang on it, any number of hops deep, and [Aggregate] counts and sums.
//   - Translate makes the record's [Fields] from the loaded rows. [Ref] refers
//     to the record of another sync, which then comes first.
//   - When says which rows are to be at the remote at all, and an [Ending] what
//     becomes of the record of a row that was deleted, or no longer passes.
//   - [Remote] is the account that the record goes to: a connector's open
//     connection, with its limits.
//
// # Run
//
// [New] checks the declarations and makes an [Engine] on a [Database], which
// the packages postgres and sqlite make. [Engine.Run] installs the triggers,
// backfills what is there and follows what changes, until its context ends.
// Any number of processes may run it on one database.
//
// One instance of a sync, a root row with its members, is a [Group]. A touch,
// which is the fact that one of its rows changed, raises its generation, and it
// is dirty until the remote has acknowledged that generation. See [State] for
// what else it can be.
//
// # Ask
//
// [Engine.Plan] says what would be installed, and [Engine.Forecast] which
// records would be sent. [Engine.Check] examines a configuration against the database and the remote
// before anything is installed, and [Engine.Doctor] one that is at work.
// [Engine.Status] counts groups by state, [Engine.Ready] tells a probe whether
// this process is at work, [Engine.Groups] lists groups, [Engine.Explain] tells all about one, and
// [Engine.Verify] compares records with what the remote really has.
// [Engine.Pause] holds a remote or a sync back until [Engine.Resume].
// [Engine.Retry] lets parked groups go again, [Engine.Resync] looks at groups
// again, [Engine.Touch] says what no trigger can see, and [Engine.Register]
// adds a row to a sync that takes only those it is given.
//
// Package upkeeptest tests a sync with rows in and record out.
package upkeep

import (
	"context"
	"log/slog"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Database is a source database with Upkeep's registry in it: make one with
// postgres.New, postgres.Open or sqlite.Open, and Close it when the engine has
// ended. Its other methods are the engine's, and no program needs them. It
// can't be implemented outside this module.
type Database = store.Store

// Config makes an [Engine]. Database and Syncs are required; the zero value of
// every other field means what its comment says.
type Config struct {
	// Database holds the rows and Upkeep's registry.
	Database Database
	// Syncs are the declarations.
	Syncs []AnySync
	// Name of this process among those that share the registry, for people: a
	// random part is put behind it, so that processes may have the same.
	// Defaults to host name and process id.
	Name string
	// By is who uses this engine, for the list of what was done by hand
	// ([Engine.Interventions]): the name of a person who is at a screen of your own,
	// say. Defaults to the user of the operating system and the host name.
	By string
	// Lease is how long a group stays claimed by a process that died.
	// Defaults to the longest timeout of the remotes, TranslateLimit and 20
	// seconds.
	Lease time.Duration
	// TranslateLimit is how long the functions of a sync may take for one
	// group. One that takes longer is parked, and its goroutine left behind:
	// when eight of them do not end, the sync is paused. Defaults to ten
	// seconds.
	TranslateLimit time.Duration
	// MaxAttempts is after how many failures in a row a group is given up, and
	// parked. Failures of the remote as a whole do not count. Defaults to 12.
	MaxAttempts int
	// Drain is how long a stop waits for the calls under way, before their
	// contexts end. Defaults to 30 seconds.
	Drain time.Duration
	// Audit is how many groups of each sync are rendered again in a minute, to
	// find changes that the capture did not see ([Engine.Audit]). Zero means
	// 20; below zero none.
	Audit int
	// JobLimit is how long a bulk job may take at a remote before it is ended.
	// One that can't be ended and not be asked about either is given up a
	// little later; its records are sent again, and in doubt for as long as it
	// was given. Defaults to a day.
	JobLimit time.Duration
	// LosslessFailover says that a failover of the database loses no commit
	// (synchronous replication). Otherwise every record is sent again after
	// one, since the registry may have forgotten what was sent last.
	LosslessFailover bool
	// Published lets Upkeep be installed though a publication of the database
	// would publish its own tables, which stops subscribers that do not have them;
	// without it that is an [ErrPublished]. It is of use once, for the first time.
	Published bool
	// History is how long attempts are kept, and what is known of records that are gone
	// (that for a day at least). Defaults to 30 days.
	History time.Duration
	// Logger defaults to discarding.
	Logger *slog.Logger
	// Clock is this process's own clock, for durations and pauses only; what
	// is stored is told by the database's. Defaults to the real one. A test that puts
	// the time forward sets both: this one, and the database's, which is Config.Clock of
	// package sqlite, and on PostgreSQL the function upkeep.clock(), to be replaced.
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
