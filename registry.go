package upkeep

import (
	"errors"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// The types below are aliases of internal ones, which documentation tools do
// not show. Their comments have all fields; a test compares them.

// State is where a group stands. The empty State means any, where a state is
// asked for.
type State = store.State

// The states. A group is in exactly one of them.
const (
	// Clean: the remote has acknowledged what the database says.
	Clean State = store.Clean
	// Dirty: touched since, or never sent; a worker will come to it.
	Dirty State = store.Dirty
	// Claimed: a worker is at it.
	Claimed State = store.Claimed
	// InDoubt: a request went out and nobody knows whether it was applied.
	// It ends by itself: when the remote can no longer apply that request,
	// the record is sent once more.
	InDoubt State = store.InDoubt
	// Waiting: a record that it refers to is not at the remote. Ends with
	// that record's success.
	Waiting State = store.Waiting
	// Parked: refused, for a reason that only new data, a new mapping or a
	// person ([Engine.Retry], [Engine.Skip]) can change; or given up after
	// [Config].MaxAttempts tries, as the reason says then.
	Parked State = store.Parked
	// Gone: clean, and there is no record at the remote: the row was
	// deleted, or it never passed When.
	Gone State = store.Gone
	// Skipped: as clean, but for something that the remote had refused and a person
	// has left as it is there ([Engine.Skip]).
	Skipped State = store.Skipped
)

// ID names a group. String is "sync/key".
//
//	Sync string // name of the sync
//	Key  string // root key, its values as the database writes them
//
// [Key] may spell a value otherwise, such as a time. What a call is given is found in
// any spelling; to compare, take the ID of an [Explanation].
type ID = store.ID

// Key is the text form of a root row's primary key, as [Engine.Explain],
// [Engine.Retry] and the command line take it: the value's own text ("42"), or
// for a key of several columns the values joined by commas ("42,eu"), with a
// backslash before each comma or backslash inside a value. Values are
// integers, strings, booleans, decimals, a [Date], a [time.Time] or a
// fmt.Stringer (UUIDs); others are an error, [ErrKey]. A time is written in RFC
// 3339, in UTC, in which PostgreSQL knows its own, one before the year 1 with
// " BC" behind it; its infinity is the string "infinity". SQLite has no type of
// times: give the text that the column holds.
func Key(values ...any) (string, error) {
	key, err := store.Key(values...)
	return key, notKey(err)
}

// Group is a group as the registry has it. Times are zero where there is none.
//
//	ID                              // Sync and Key
//	State             State
//	Generation        int64         // raised by each touch
//	SyncedGeneration  int64         // the one that the remote acknowledged; lower: behind
//	ForcedGeneration  int64         // higher than the synced one: to be sent even if equal
//	SettledGeneration int64         // the one that the end of a doubt forced last
//	Epoch             int64         // of the last claim; grows with each
//	Holder            string        // process that has it claimed
//	LeaseUntil        time.Time     // end of that claim
//	InDoubtUntil      time.Time     // when the doubt is settled
//	DueAt             time.Time     // when a worker has something to do for it
//	TouchedAt         time.Time     // last touch
//	SyncedAt          time.Time     // last success
//	RemoteID          string        // the remote's id; empty: no record there
//	ExternalID        string        // the key that the record carries there
//	Digests           []byte        // of the fields that the remote acknowledged; opaque
//	Attempts          int           // failures in a row
//	Reason            string        // why it is parked, waits, or failed last
//	WaitsFor          []ID          // records that are not there
//	Refs              []ID          // groups that its record refers to
//	Cause             Cause         // of the last touch
//	Backfill          bool          // of a backfill or sweep: comes after live changes
//	DeleteSeen        bool          // the deletion of its row was observed
//	Skip              []byte        // of what is to be left out, see [Engine.Skip]; opaque
//	Skipped           bool          // something is left out
type Group = store.Group

// Cause is the change that touched a group last.
//
//	Table   string    // of the row that changed
//	Key     string    // of that row, joined as by [Key]; a time may be spelled otherwise than in ID.Key
//	Op      string    // insert, update, delete, truncate, touch, register, sweep, backfill, resync, settle, reference
//	Columns []string  // watched columns that changed; empty: all, or not known
//	Tx      string    // the database's transaction id; empty on SQLite
//	At      time.Time // of the change
type Cause = store.Cause

// Command is a version of a group that waits to be delivered, of a sync that
// delivers every version.
//
//	ID                            // Sync and Key
//	Number         int64           // grows with each command; not without holes
//	At             time.Time       // when its transaction committed, nearly
//	Tx             string          // the database's transaction id; empty on SQLite
//	Deleted        bool            // the row was deleted
//	Unordered      string          // why its place, or its being whole, is not certain
//	Refused        string          // why it was not taken
//	RefusedVersion string          // of the mapping that it was refused under
//	Payload        json.RawMessage // what was loaded; left out of an [Explanation]
type Command = store.Command

// Gap is a version, or several, that a sync which delivers every version did
// not capture, or gave up. The state after it was, or will be, sent.
//
//	Sync   string
//	Key    string    // empty: any group of the sync
//	At     time.Time
//	Tx     string
//	Reason string
type Gap = store.Gap

// Attempt is an entry of a group's history. It has no value of the record,
// only the names of fields.
//
//	At      time.Time
//	Epoch   int64         // the claim that it was made under
//	Action  string        // create, update, delete, find, initialize, skip
//	Outcome string        // ok, or what went wrong: the words of connector.Kind
//	Status  int           // HTTP status; zero: no answer, or no HTTP
//	Message string        // the remote's own words; at its end, what earlier calls of this try said
//	Fields  []string      // that were sent
//	Took    time.Duration
type Attempt = store.Attempt

// Counts is a sync's line in a [Status]: groups by state, and counters since
// the sync was installed.
//
//	Sync     string
//	Groups   int64         // all of them; the sum of the states
//	Clean    int64
//	Dirty    int64
//	Claimed  int64
//	InDoubt  int64
//	Waiting  int64
//	Parked   int64
//	Gone     int64
//	Skipped  int64
//	Unseen   int64         // of the parked, those whose row is not there, and nobody saw it go
//	Touches  int64         // folded
//	Calls    int64         // made at the remote
//	Saved    int64         // not made, since nothing differed
//	Oldest   time.Duration // age of the oldest touch that is not synced, of a group that is neither parked nor waiting; zero: none
//	OldestWaiting time.Duration // the same of those that wait for another record
//	Backfill Progress
//	Commands int64         // versions that wait, of a sync that delivers every one
//	OldestCommand time.Duration // age of the oldest of them; zero: none
//	Gaps     int64         // versions that did not become commands, as far back as history is kept
//	Held     string        // why its groups can't be loaded, as the process found that tried last; empty: they can
//	Overlong time.Time     // when a row was met last that can have no record, since an index takes no key as long; zero: none since the last backfill or sweep began
//	Stuck    string        // why this engine begins no more translations of it, since so many do not end; empty: it does. Other processes show the pause that follows
type Counts = store.Counts

// Progress is how far a backfill or a sweep came.
//
//	Running bool
//	Done    int64 // root rows passed
//	Total   int64 // the database's estimate of all
//	Failure string // why it does not go on at the moment; empty: it does
type Progress = store.Progress

// Failure is a stage of the work that fails in a process as a whole, and is tried
// again and again; see [Status].
//
//	Stage  string    // "fold", "care", "work for netsuite"
//	Holder string    // the process, as Engine.Name has it
//	Since  time.Time // when it began to fail
//	At     time.Time // the last time
//	Reason string    // its error then; what may quote a value of a row is left out
type Failure = store.Failure

// Pause is a pause that a person made; see [Engine.Pause]. Subject returns the
// kind of what is paused, "remote" or "sync", and its name.
//
//	Remote string    // one of the two is empty
//	Sync   string
//	Reason string    // for people
//	Since  time.Time // when it began; not read by Pause and Resume
type Pause = store.Pause

// Quota is how many of the requests that a remote allows in a while are used,
// by all of its users; Left is how many are left.
//
//	Used, Limit int64
//	At          time.Time // when the remote said so
type Quota = store.Quota

// Finding is something that a person should know, with the way to mend it.
//
//	Severity Severity
//	Subject  string // what it is about: "orders.user_id", a sync, a remote
//	Message  string // what is wrong
//	Fix      string // what to do, often a statement to run; empty: nothing more to say
//	Sync     string // whose declaration is to blame, of what a remote does not have
//	Field    string // which field of it; empty: the record type
//	Table    string // which table a declaration is wrong to name; empty: none
type Finding = store.Finding

// Severity of a [Finding].
type Severity = store.Severity

// The severities.
const (
	// Note: nothing is wrong, but something was not tried.
	Note Severity = store.Note
	// Warning: it works, but slowly or not for long.
	Warning Severity = store.Warning
	// Problem: it will not work.
	Problem Severity = store.Problem
)

// Errors that a program may want to tell apart, with errors.Is.
var (
	// ErrNotInstalled: the database has no Upkeep in it, or an older one;
	// [Engine.Run] and [Engine.Install] install it. Run returns it when
	// somebody uninstalled it meanwhile.
	ErrNotInstalled = store.ErrNotInstalled
	// ErrPlan: another process has installed another configuration. Run
	// returns it so that an old deployment stops: start again with the new
	// configuration. An engine that is started again with the old one installs
	// that again, and the new deployment stops.
	ErrPlan = store.ErrPlan
	// ErrReplaced: another database file was put in the place of the one that
	// this process has open (SQLite). Run returns it, since the application
	// writes to the other one: open the database anew, as a new process does.
	ErrReplaced = store.ErrReplaced
	// ErrNoTable: a declared table does not exist, or the role can't see it.
	ErrNoTable = store.ErrNoTable
	// ErrNoSync: no declared sync has this name. The text says which there are.
	ErrNoSync = errors.New("no such sync")
	// ErrKey: what was given can be no key of the sync's table: a word for an
	// integer, too few values for a key of several columns, a value of a type
	// that is in no key. The text says what the key is.
	ErrKey = errors.New("not a key of the table")
	// ErrNoGroup: the registry has nothing of the group that was named, by
	// [Engine.Skip], [Engine.Verify], [Engine.Adopt], [Engine.NotThere] or
	// [Engine.Forget]: there is no row of that key, or it was not looked at yet, or the
	// sync is ByHand and nobody registered it. For [Engine.Explain], [Engine.Retry],
	// [Engine.Resync], [Engine.Touch] and [Engine.Fix] that is no error.
	ErrNoGroup = store.ErrNoGroup
	// ErrNothingToSkip: [Engine.Skip] found nothing that could be left out. The text
	// says why.
	ErrNothingToSkip = errors.New("there is nothing to leave out")
	// ErrNotGone: what [Engine.Forget] was asked to erase is of a row or a record that is
	// there, or that another one needs. The text says which.
	ErrNotGone = errors.New("it is not gone")
	// ErrClaimed: a worker is at the group; try again when it is done.
	ErrClaimed = store.ErrClaimed
)
