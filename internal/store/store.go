// Package store says what Upkeep asks of a database: capture, the touch log,
// the registry of groups and the loader. The packages postgres and sqlite
// implement it, and both pass storetest.
//
// Two rules hold for every method. Set-wise: the number of SQL statements does
// not grow with the number of groups in a call. One clock: every time that is
// written or compared is the database's.
package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Store is one source database with its registry.
type Store interface {
	Catalog
	Capture
	Log
	Registry
	Loader
	Limits
	Pauses
	Commands
	Deletes
	Clashes
	Jobs
	Audits
	Notes
	Interventions
	Forgetting
	Origins

	// Name is the database for people, without a secret in it:
	// "postgres://db.example:5432/shop", "sqlite:shop.db".
	Name() string
	// Migrate brings Upkeep's own schema up to date. Idempotent; safe when
	// several processes start at once.
	Migrate(ctx context.Context) error
	// Secret is the random key of this registry's digests, made by Migrate.
	Secret(ctx context.Context) ([]byte, error)
	// Uninstall removes every trace of Upkeep from the database.
	Uninstall(ctx context.Context) error
	Close() error
}

// KeyJudge is a Catalog that knows more of a column than its kind.
type KeyJudge interface {
	// KeyFault is why the column can be in no key, neither in a primary one nor
	// in one that leads to another row; empty: it can.
	KeyFault(ctx context.Context, c Column) (why string, err error)
}

// Usable is a Store that can be made of nothing, and says so before it is used.
type Usable interface {
	// Usable is nil, or says what the store lacks and how to make it.
	Usable() error
}

// Publisher is a Store in whose database tables may be published to others, by
// logical replication.
type Publisher interface {
	// Publications names those that publish Upkeep's own tables or, while these are
	// not there (not installed), would as soon as they are made.
	Publications(ctx context.Context) (names []string, installed bool, err error)
}

// Catalog answers from the database's own catalogue.
type Catalog interface {
	// Table describes a table (or a partitioned table). A missing one is
	// ErrNoTable; the error names near spellings.
	Table(ctx context.Context, t Table) (*TableInfo, error)
	// Tables lists the user's tables, Upkeep's own left out.
	Tables(ctx context.Context) ([]Table, error)
	// Fragment reports which columns of t a member's where and order read,
	// as the database itself resolves them. It is an error if they are not
	// valid SQL, read another table, read in a way that hides its columns,
	// or may say something else of a row that is the same; ErrNoColumn, where it is
	// that. Nothing is left behind.
	Fragment(ctx context.Context, t Table, where, order string) ([]string, error)
	// Rights examines what the connected role may do for these shapes, and
	// the database's own fitness (version, a foreign key without an index).
	// It never changes anything.
	Rights(ctx context.Context, shapes []*Shape) ([]Finding, error)
	// Examine has the database compile what Load would run, without running it,
	// and returns a Problem for each relation that it refuses: of columns whose
	// types it can't compare, say. Subject is the relation's path in the shape.
	Examine(ctx context.Context, shape *Shape) ([]Finding, error)
}

// Finding is something that a person should know, with the way to mend it.
type Finding struct {
	Severity Severity
	Subject  string // "orders.user_id"
	Message  string // what is wrong
	Fix      string // what to do: often a statement to run

	// Sync and Field are what of a declaration is to blame: a field that the
	// remote does not have, or with no Field the record type. Empty: nothing.
	Sync, Field string
	// Table is the table that is to blame, by its [Table.String], where the
	// declaration of a sync is wrong in naming it. Empty: none is.
	Table string
}

// Severity of a finding.
type Severity string

const (
	Note    Severity = "note"
	Warning Severity = "warning"
	Problem Severity = "problem"
)

// Capture installs and examines the triggers.
type Capture interface {
	// Install makes the triggers be exactly what the shapes need, over all
	// tables; triggers of tables that no shape has are dropped. Idempotent;
	// takes its locks with a short lock_timeout and retries until ctx ends,
	// and does not touch a table whose trigger is already right. It records
	// plan (an opaque digest of the declarations) as the registry's plan. If
	// replaces is not empty it does all that only while the registry's plan is
	// replaces, or plan; otherwise ErrPlan.
	Install(ctx context.Context, shapes []*Shape, plan, replaces string) error
	// Inspect compares what is installed with what the shapes need: a
	// trigger that is missing, disabled or altered: a Problem each. A Note is
	// of what comes and goes in normal operation, a new partition or a table
	// that a migration released: Install completes it, and the sweep that it may
	// need is asked for without the caller. Empty:
	// capture is intact.
	Inspect(ctx context.Context, shapes []*Shape) ([]Finding, error)
	// Preview says what Install would do to triggers, by table and trigger.
	// It writes nothing, and needs nothing of Upkeep in the database.
	Preview(ctx context.Context, shapes []*Shape) ([]TriggerChange, error)
}

// TriggerChange is one thing that [Capture.Install] would do.
type TriggerChange struct {
	Table   Table
	Trigger string // or function
	Action  string // create replace enable drop
	// Gap: if the sync was installed before, changes went unseen, and Install
	// does not ask for a sweep by itself.
	Gap bool
}

// Log is the touch log.
type Log interface {
	// Fold takes up to limit rows from the log, resolves them to groups,
	// raises their generations (making the groups that are not there yet,
	// unless the sync is ByHand) and deletes exactly the rows it took, all in
	// one transaction. A row that fans out to very many groups is folded in
	// pieces over several calls. Concurrent folds are safe; one may find
	// nothing because another is at work. A touch by hand of a key that no group
	// has goes to the group that Canonical says. What can't be resolved, since
	// the tables of a sync were altered or can't be read, asks for a sweep of
	// that sync, and keeps no other waiting. Registry under another plan:
	// ErrPlan.
	Fold(ctx context.Context, shapes []*Shape, plan string, limit int) (Folded, error)
	// Departed lists those of the keys whose root row was deleted by what is in
	// the log and not folded yet. It is for people, and may read all of the log.
	Departed(ctx context.Context, shape *Shape, keys []string) ([]string, error)
	// Look says in one cheap read what there is to do for the given syncs. It
	// is what an idle process asks again and again, so its cost does not grow
	// with what is there. Registry under another plan: ErrPlan.
	Look(ctx context.Context, plan string, syncs []string) (Seen, error)
	// Append writes touches by hand into the log, inside tx: a pgx.Tx, a
	// *sql.Tx, or nil for a transaction of its own.
	Append(ctx context.Context, tx any, touches []Touch) error
}

// Seen is what a look found.
type Seen struct {
	Touched  bool     // the log has rows
	Released bool     // the next of them says that a migration took a table's triggers away
	Passing  bool     // a backfill or a sweep is under way
	Due      []string // the syncs that have groups to claim, those that are paused left out
	Schema   int64    // another number after the database's tables or indexes changed; zero: that is not known
}

// Folded is what a fold did.
type Folded struct {
	Rows   int  // taken from the log
	Groups int  // raised
	More   bool // there may be more: call again at once
	Unfit  []ID // touched by hand, and dropped: their keys can be none of their tables, or are too long
	// Overlong are syncs of whose rows some can have no group: see [Counts].
	Overlong []string
}

// Touch is a touch by hand.
type Touch struct {
	ID
	// Register makes the group if it is not there.
	Register bool
	// Force makes it be sent even when nothing differs.
	Force bool
	// Deleted takes the root row's deletion as observed.
	Deleted bool
}

// Registry is the table of groups.
type Registry interface {
	// Claim leases due groups: live before backfill, then by due time. In
	// one statement it also ends leases that have run out (in doubt for
	// Quiet) and settles doubt whose time is over (generation+1, forced at
	// that generation). Of a sync that is paused by hand ([Pauses]) all that
	// is left alone.
	Claim(ctx context.Context, r ClaimRequest) ([]Claim, error)
	// Record applies results, each only if its epoch is still the group's;
	// the others are returned as stale. A result whose remote id is new
	// wakes the groups that wait for it; one whose remote id differs from
	// the one before touches the groups that refer to it. A result with
	// WaitsFor is made due at once if what it waits for came in the meantime; a
	// group it waits for that is not in the registry is added (unless its sync
	// is in byHand). History and counters are written in the same transaction.
	Record(ctx context.Context, results []Result, byHand []string) (stale []ID, err error)
	// Records returns what is known of the records of those groups that are in
	// the registry.
	Records(ctx context.Context, ids []ID) (map[ID]RecordState, error)

	// Namesakes finds, for groups of a sync with the external ids that they are
	// to have, by key, another group of one of the syncs among, itself included,
	// that has the same one, and whose record is at the remote or may be.
	Namesakes(ctx context.Context, sync string, among []string, externalIDs map[string]string) (map[string]Namesake, error)

	// Group returns one group, ErrNoGroup if it is not there.
	Group(ctx context.Context, id ID) (*Group, error)
	// Groups lists groups of a sync ("" for all) in a state ("" for any),
	// by key and sync, after the given group, which need not be there.
	Groups(ctx context.Context, sync string, state State, after ID, limit int) ([]Group, error)
	// Waits follows what groups wait for, and what these wait for in turn, over
	// any number of hops: an entry for each of ids, and of those they lead to,
	// that waits; at most limit entries, the nearest first.
	Waits(ctx context.Context, ids []ID, limit int) (map[ID][]ID, error)
	// Blocked lists who waits for the group.
	Blocked(ctx context.Context, id ID, limit int) ([]ID, error)
	// Blocking counts who waits for each of the groups, by itself and over any
	// number of hops; no more than limit of all together are counted, the
	// nearest first. What nobody waits for has no entry.
	Blocking(ctx context.Context, ids []ID, limit int) (map[ID]Blocking, error)
	// Blockers lists parked groups that others wait for, those first for which
	// most wait directly.
	Blockers(ctx context.Context, limit int) ([]Blocker, error)
	// Attempts is the history of a group, newest first.
	Attempts(ctx context.Context, id ID, limit int) ([]Attempt, error)
	// Counts is a line per sync that has groups or is known.
	Counts(ctx context.Context) ([]Counts, error)
	// Moves is another number than before when something was folded, sent, found
	// to be equal, or passed over by a backfill. Counts looks at all groups; this
	// tells cheaply whether it is worth it.
	Moves(ctx context.Context) (int64, error)
	// Pending is how many rows the touch log has, at most limit.
	Pending(ctx context.Context, limit int) (int, error)
	// OldestTouch is the age of the oldest row of the touch log, of so many at
	// most; zero: there is none.
	OldestTouch(ctx context.Context, limit int) (time.Duration, error)
	// Vitals examines the database itself; transactions that are open for
	// longer than long are findings.
	Vitals(ctx context.Context, long time.Duration) (*Vitals, error)
	// Prune deletes history older than keep, in bounded pieces. Commands that
	// are older, and those of a group beyond [MostCommands], go too, oldest
	// first, and each group that loses some gets a [Gap] and goes on.
	Prune(ctx context.Context, keep time.Duration) error

	// Retry makes parked and waiting groups of a sync ("" for all; key "" for
	// all) dirty and due at once with a fresh attempt count, and returns how
	// many. Their refused commands are refused no more.
	Retry(ctx context.Context, sync, key string) (int64, error)
	// Settle takes a person's word about a parked group without a remote id:
	// its record has remoteID, so that what was in doubt has landed, and is to
	// be sent in full; or, with none, it is not at the remote, and the group is
	// as one of which nothing went out. False, and nothing is changed, if the
	// group is not parked or has a remote id, if another group of the sync has
	// that record (its key is returned too), or, without remoteID, while it is in
	// doubt. Otherwise as Retry.
	Settle(ctx context.Context, id ID, remoteID string) (done bool, other string, err error)
	// Skip makes a parked group due, whose claims have what from then on, and notes
	// that in its history. A doubt that is over ends with it, as by a claim. done is
	// false, and nothing is changed, for one that is not parked, without a remote
	// id, or in doubt still.
	// A touch that forces the group, and Retry, end the wish.
	Skip(ctx context.Context, id ID, what []byte, note string) (done bool, err error)
	// Sync reads what is stored of a sync; the zero SyncState if nothing is.
	Sync(ctx context.Context, sync string) (SyncState, error)
	// RootKeys reads by what the groups of each installed sync are known: what the
	// last Install found.
	RootKeys(ctx context.Context) (map[string]RootKey, error)
	// Labels reads by sync what NoteLabels has noted.
	Labels(ctx context.Context) (map[string]Labels, error)
	// NoteLabels notes the labels of the enums that a sync reads, in the place of
	// those that were noted before.
	NoteLabels(ctx context.Context, sync string, labels Labels) error
	// StartBackfill (re)starts passing over the root table; with sweep every
	// group is raised, not only made if missing, and with force sent even
	// if equal. version is stored as the sync's mapping version.
	StartBackfill(ctx context.Context, sync, version string, sweep, force bool) error
	// Backfill passes over the next limit root rows (and, in a sweep, over
	// groups whose root row is gone), in key order, in the backfill lane,
	// remembering how far it came in the same transaction. more is false
	// once it is over.
	Backfill(ctx context.Context, shape *Shape, limit int) (more bool, err error)
	// Stumble notes why the pass that is under way does not go on, for people,
	// until a Backfill goes on. Meanwhile a Fold leaves what is in the log for
	// the sync to a sweep as far as it would have to read the sync's tables.
	Stumble(ctx context.Context, sync, reason string) error
}

// SyncState is what is stored of a sync.
type SyncState struct {
	Version  string
	Backfill Progress
	// Backlog is how many groups in the backfill lane are due, counted up to
	// 10,000, while a backfill is running.
	Backlog  int
	Overlong time.Time // see [Counts]
}

// RootKey is by what the groups of a sync are known: its root table, and the columns
// of that one's primary key, in its order.
type RootKey struct {
	Table   string   `json:"table"`
	Columns []string `json:"columns"`
}

// RootKey is the shape's own.
func (s *Shape) RootKey() RootKey {
	k := RootKey{Table: s.Root.Table.String()}
	for _, c := range s.Root.Key {
		k.Columns = append(k.Columns, c.Name)
	}
	return k
}

// Loader reads composites.
type Loader interface {
	// Load reads the composites of the keys in one read-only snapshot
	// (repeatable read) that begins after the call, with one query for each
	// member of the shape. A key without a root row has no composite in the
	// answer. Row-level security that would hide rows is an error. Rows whose
	// values a where, an order or a column can't be computed of are their own
	// composite's fault alone ([Unloadable]); each part of the keys may then have
	// a snapshot of its own. Of keys whose rows together take more memory than
	// the shape's ByteLimit the first are loaded, at least one; rest are the others,
	// of which nothing is known: they are to be loaded next.
	Load(ctx context.Context, shape *Shape, keys []string) (found map[string]Composite, rest []string, err error)
	// Canonical gives root keys the spelling that groups have: "1" for " 01" of
	// an integer, and where texts are equal that differ (a collation that
	// ignores case) the row's own, if it is there. What can be no key of the
	// root table is left out. Keys that are surely spelled so already cost no
	// statement, and all others together one.
	Canonical(ctx context.Context, shape *Shape, keys []string) (map[string]string, error)
	// Keys lists root keys, limit at most, in an order that stays: those after
	// a place, which is empty for the first, and the place to go on from,
	// which is empty after the last. It needs nothing of Upkeep in the
	// database.
	Keys(ctx context.Context, shape *Shape, after string, limit int) (keys []string, next string, err error)
}

// Composite is a root row with its members.
type Composite struct {
	Row Row
	// Key is set, and Row is not to be used, when the row's own key is spelled
	// otherwise than the one it was asked for by: another group has this row.
	Key string
	// Err is set when this composite can't be used: over the member limit, a
	// value that is not of its column's kind. Row is for a person to look at
	// then: it may not be complete, and in the place of a value that can't be
	// used is the error that says why.
	Err error
}

// ErrResult is an error of Record: the database does not take what a result would
// write, as a key that is too long for an index. Tried again, it fails again.
var ErrResult = errors.New("the database does not take a result")

// Unloadable is the error of a composite whose rows the database can't read, as
// their values are. failed says which member it is, and must quote no value.
func Unloadable(failed error) error {
	return fmt.Errorf("%w: a where, an order or a column can't be computed of a row's values; correct the row, or have the where take such values too", failed)
}

// Limits holds a remote's limits over all processes.
type Limits interface {
	// Hold makes the process hold up to ask.Slots of a remote's slots for
	// ask.TTL, giving back what it holds above that, and returns how many it
	// has, and how many other processes hold or want some. All processes
	// together never hold more than ask.Limit. Slots of a dead process come
	// free with its TTL. Call again before that is over to keep them; no slots
	// give all back and are no wish for more. A holder whose name begins with
	// [Spare] lives on what the workers leave: it is not counted among others,
	// so that none gives up a share for it, but one slot is set aside for it if
	// there are two or more.
	Hold(ctx context.Context, remote, holder string, ask Ask) (held, others int, err error)
	// Take takes up to want requests out of the remote's token bucket of rate
	// per second and burst; with none it says how long to wait for one. A clock
	// that is [SetBack] is gone by: else nothing would grow until it is there again.
	Take(ctx context.Context, remote string, want int, rate float64, burst int) (got int, wait time.Duration, err error)
	// Holders lists who holds slots of a remote or waits for some, by name;
	// those whose ttl is over are not among them.
	Holders(ctx context.Context, remote string) ([]Holder, error)
	// Health reads a remote's state; the zero one if nothing is stored.
	Health(ctx context.Context, remote string) (Health, error)
	// Pause stops all requests to a remote for a time (the later end wins).
	Pause(ctx context.Context, remote string, d time.Duration, reason string) error
	// Break opens the remote's breaker for d: after it, one process at a
	// time may Probe. Mend closes it.
	Break(ctx context.Context, remote string, d time.Duration, reason string) error
	Mend(ctx context.Context, remote string) error
	// Meter notes what a remote says of its quota now.
	Meter(ctx context.Context, remote string, used, limit int64) error
	// ProbeNow lets the next probe of a remote whose breaker is open go at once;
	// false: it is not open.
	ProbeNow(ctx context.Context, remote string) (bool, error)
	// Probe asks to be the one that probes an open breaker; true at most
	// once in each d over all processes.
	Probe(ctx context.Context, remote, holder string, d time.Duration) (bool, error)
}

// Ask is what a process asks of a remote's slots.
type Ask struct {
	Slots int // that it wants
	Limit int // of all processes together
	TTL   time.Duration
	// Calls are those that it has under way, and Oldest is for how long the first
	// of them has been: for people, see [Health].
	Calls  int
	Oldest time.Duration
}

// SetBack is how far a registry's clock is behind a time that it wrote when it was
// set back. Two that read it at one time, and write one after the other, are less
// apart.
const SetBack = 10 * time.Second

// Spare begins the name of a holder of slots that is no worker.
const Spare = "spare:"

// Holder is a process that holds slots.
type Holder struct {
	Holder string
	Slots  int
	Left   time.Duration // of its ttl
	Until  time.Time     // when that is over, by the database's clock
	// Calls are those that it had under way when it asked for slots last;
	// OldestCall is the age of the oldest of them now.
	Calls      int
	OldestCall time.Duration
}

// Health of a remote.
type Health struct {
	PausedFor time.Duration // zero: not paused
	Broken    bool          // the breaker is open
	ProbeIn   time.Duration // while Broken: until the next probe may be tried
	Failures  int           // breaks in a row
	Reason    string
	Held      int // slots held by all processes
	// Calls are those that all processes had under way when they asked for slots
	// last; OldestCall is the age of the oldest of them now.
	Calls      int
	OldestCall time.Duration
	Quota      Quota
}

// Quota is how many of the requests that a remote allows in a while are used,
// by all of its users, as it said itself at a time; zero: it did not say.
type Quota struct {
	Used, Limit int64
	At          time.Time
}

// Left is how many requests are left; never less than none.
func (q Quota) Left() int64 { return max(q.Limit-q.Used, 0) }

// Errors that callers tell apart.
var (
	// ErrNoTable: the table does not exist or the role can't see it.
	ErrNoTable = errors.New("no such table")
	// ErrNoColumn: a condition or order reads a column that its table does not have.
	ErrNoColumn = errors.New("no such column")
	// ErrView is an ErrNoTable too: the name is that of a view.
	ErrView = fmt.Errorf("%w: it is a view, which has no changes of its own", ErrNoTable)
	// ErrNoGroup: the registry has no such group.
	ErrNoGroup = errors.New("no such group")
	// ErrPlan: another process has installed another configuration; stop and
	// start again with that one.
	ErrPlan = errors.New("another process has installed another configuration: start this one again with the same, or stop every process that has the other first")
	// ErrMoved: the registry may be another one than it was; look where it comes
	// from before anything is claimed.
	ErrMoved = errors.New("the registry may have been replaced")
	// ErrReplaced: another database stands where this process has one open, and
	// the application writes to the other one. Only a new process gets there.
	ErrReplaced = errors.New("another file was put in the place of the database's while this process has the old one open; start it again")
	// ErrRights: the role may not read or write what it has to.
	ErrRights = errors.New("the role lacks a right")
	// ErrNotInstalled: the database has no Upkeep schema, or an older one.
	ErrNotInstalled = errors.New("upkeep is not installed in this database, or an older version is: call Engine.Run or Engine.Install, or run: upkeep apply")
)
