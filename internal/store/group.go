package store

import (
	"fmt"
	"time"
)

// ID names a group.
type ID struct{ Sync, Key string }

// String is "sync/key".
func (id ID) String() string { return id.Sync + "/" + id.Key }

// Args is the group as a person types it behind a command: the sync and the
// key, quoted for a shell.
func (id ID) Args() string { return id.Sync + " " + shellQuote(id.Key) }

// State of a group, derived from its columns.
type State string

const (
	Clean   State = "clean"
	Dirty   State = "dirty"
	Claimed State = "claimed"
	InDoubt State = "in doubt"
	Waiting State = "waiting"
	Parked  State = "parked"
	Gone    State = "gone"    // clean, and not at the remote: deleted, or never passed `when`
	Skipped State = "skipped" // as clean, but for what a person has left as it is at the remote
)

// Settled says whether nothing is to be done, as far as is known.
func (s State) Settled() bool { return s == Clean || s == Gone || s == Skipped }

// Group is a row of the registry, for people (status, explain).
type Group struct {
	ID
	State                                          State
	Generation, SyncedGeneration, ForcedGeneration int64
	SettledGeneration                              int64 // the forced one, if only the end of a doubt has forced it
	Epoch                                          int64
	Holder                                         string
	LeaseUntil, InDoubtUntil, DueAt                time.Time // zero: none
	TouchedAt, SyncedAt                            time.Time // zero: never
	RemoteID, ExternalID                           string
	Digests                                        []byte
	Attempts                                       int
	Reason                                         string // why parked, waiting, or retried last
	WaitsFor                                       []ID
	Refs                                           []ID
	Cause                                          Cause // of the last touch
	Backfill                                       bool  // in the backfill lane
	DeleteSeen                                     bool
	Skip                                           []byte // as in Claim
	Skipped                                        bool   // as the last result said
}

// Cause is which change touched a group last.
type Cause struct {
	Table   string    `json:"table,omitempty"`
	Key     string    `json:"key,omitempty"`     // of the row, as Key has it
	Op      string    `json:"op"`                // insert update delete truncate touch register sweep backfill resync settle reference
	Columns []string  `json:"columns,omitempty"` // that changed
	Tx      string    `json:"tx,omitempty"`      // the database's transaction id
	At      time.Time `json:"at"`                // of the change
}

// Means says in a few words what a touch that no row's change made is; empty: a
// row's change it was.
func (c Cause) Means() string {
	switch c.Op {
	case "touch":
		return "touched by hand: by a program, upkeep.touch, or upkeep resync of one key"
	case "register":
		return "registered: by a program, or by an audit that found a change"
	case "backfill":
		return "a pass over all rows"
	case "sweep":
		return "every group was looked at again, as changes may have gone unseen, the mapping changed, or upkeep resync asked for it"
	case "resync":
		return "to be sent again whatever is known of it: upkeep resync --force or verify --fix asked for it, an audit found a change, or an earlier installation may have made its record"
	case "settle":
		return "its time in doubt was over, and what may have been written is sent once more"
	case "reference":
		return "a record that it refers to was made, or has another id"
	}
	return ""
}

// Claim is a lease on a dirty group, with all that is needed to bring it up
// to date.
type Claim struct {
	ID
	Generation int64 // at the claim; recorded as synced on success
	// Epoch is higher than that of every earlier claim of the group, also of
	// those that a registry restored from a backup has forgotten: it is the
	// clock in microseconds, or the last one plus 1 if that is more.
	Epoch   int64
	Before  int64 // the epoch of the claim before, whether a result of it was recorded or not
	Forced  bool  // a doubt is over, or something else asks: equal digests say nothing by themselves
	Whole   bool  // something else asks: all fields are sent
	InDoubt bool  // an older request may still land: neither do they then
	// DeleteSeen: of the root row's inserts and deletes, a delete was folded
	// last (deleted_generation is not zero: a delete sets it, an insert clears
	// it). A sync does not end it: what settling a doubt makes dirty again has
	// to know it still.
	DeleteSeen bool
	Granted    bool // as the last result said
	// Skip is of what a person has asked to leave out, as [Registry].Skip was given
	// it; nil: nothing. Kept until Synced, Removed or parked.
	Skip       []byte
	Skipped    bool // something is left out, as the last result said
	Backfill   bool
	RemoteID   string
	ExternalID string
	Digests    []byte // of what the remote acknowledged last; nil: nothing yet
	Attempts   int
	Refs       []ID
	TouchedAt  time.Time
	Mark       string // of the request, for the result; the caller's
}

// ClaimRequest asks for work of one remote.
type ClaimRequest struct {
	Holder string        // this process
	Lease  time.Duration // how long the claims are held
	Limit  int           // of all syncs together
	Syncs  []ClaimSync
	// Mark is [Origin].Mark as it was read last: with another one nothing is
	// claimed, and the error is ErrMoved. Empty: whatever it is.
	Mark string
	// Plan is the one that this process goes by: under another one nothing is
	// claimed, since a sweep that another configuration asked for must not be
	// answered by the functions of this one. Empty: whatever it is.
	Plan string
}

// ClaimSync is a sync to claim from. Quiet is D+Z: how long a request may
// still be applied after its holder lost it; a lease that is found expired
// puts its group in doubt for so long from now. With HoldInDoubt a group in
// doubt without a remote id is not handed out before that time is over (its
// remote does not hold external keys unique). With Rest no group in doubt is:
// what may still land must not land over the next version.
type ClaimSync struct {
	Sync        string
	Quiet       time.Duration
	HoldInDoubt bool
	Rest        bool
	Lane        Lane
}

// Lane is where a group queues: what a backfill or a sweep finds is behind
// what changes now.
type Lane int

const (
	BothLanes Lane = iota
	LiveLane
	BackfillLane
)

// Outcome of one claim.
type Outcome int

const (
	// Released: nothing was tried (drain, remote paused); due again After.
	Released Outcome = iota
	// Synced: remote id, external id, digests and refs are as given, and
	// synced_generation is the claimed one. Without an Attempt no call was
	// made (equal): one saved.
	Synced
	// Removed: the record is not at the remote (deleted, or never made):
	// synced, with remote id and digests cleared.
	Removed
	// Retry: failed and surely not applied; due again After; an attempt.
	Retry
	// Waits: a record it refers to is not there; woken by its success.
	Waits
	// Partial: the record is there as with Synced, but without what refers to
	// WaitsFor: digests and refs are of what was sent. The group stays dirty
	// and waits, as with Waits; for nothing, it is due again After.
	Partial
	// Refused: parked with Reason until touched, retried or remapped; not
	// parked if its generation was raised since the claim. With WaitsFor the
	// success of one of these ends it, too.
	Refused
	// Doubtful: the outcome is unknown; in doubt for Doubt, due again After;
	// an attempt.
	Doubtful
)

// String is the outcome's word in logs.
func (o Outcome) String() string {
	words := [...]string{"released", "synced", "removed", "retry", "waits", "partial", "refused", "doubtful"}
	if o < 0 || int(o) >= len(words) {
		return fmt.Sprintf("Outcome(%d)", int(o))
	}
	return words[o]
}

// Result is what became of a claim. Applied only while Epoch is the group's.
type Result struct {
	ID
	Epoch, Generation int64
	Outcome           Outcome
	RemoteID          string // written by Synced, Partial and Removed
	ExternalID        string // written by every outcome, unless empty
	Digests           []byte // written by Synced, Partial and Removed, and by the others unless it is nil
	Refs              []ID
	// Sent has the remote ids that Refs were sent as, of those that the claim
	// did not have: Synced, Partial. Nobody touches a group for a reference that
	// is not recorded yet, so one that has another remote id by now leaves the
	// group dirty and due.
	Sent     map[ID]string
	WaitsFor []ID          // Waits, Partial, Refused
	Wakes    []ID          // those of them that wait and are not parked are due at once
	After    time.Duration // Released, Retry, Waits and Partial (the net under the wake-up), Doubtful
	Doubt    time.Duration // Doubtful, and Refused after an unknown outcome: in doubt for so long from now
	Reason   string        // Retry, Waits, Partial, Refused, Doubtful
	Calls    int           // made at the remote, for the counters; of a batch, the first result has it
	Free     bool          // Retry, Doubtful: costs no attempt (the remote as a whole is to blame)
	Attempt  *Attempt      // for the history; nil when no call was made
	// Unsettled, of Synced: nothing was sent, though it was forced or in doubt. The
	// next claim for a touch is Forced.
	Unsettled bool
	// Clash, of Refused: another record at the remote has a value of this one's, or
	// refers to it.
	Clash bool
	// Granted: the limit of deletes has let its delete go. Kept for the next
	// claim, until Synced or Removed.
	Granted bool
	// Skipped, of Synced and Partial: what a person has left as it is at the remote
	// is not as the database says. Kept until the next of them, or Removed; of
	// Synced with Reason.
	Skipped bool
	// Present: the root row was there when it was loaded. A delete that was seen up
	// to Generation is none any more, whatever the outcome: a TRUNCATE of another
	// partition, or one whose row has come back. It counts under the mark that the
	// claim was made under ([ClaimRequest].Mark): a registry that was restored since
	// may know of a delete that the loaded row was not put back from.
	Present bool
	Mark    string // empty: whatever it is
	// Command is the number of the command that was delivered; zero: the
	// current state was. Synced and Removed delete it and leave the group
	// dirty and due, for the command or the state that follows; Refused keeps
	// the reason and Version, of the mapping, with it. Ends says that it ended
	// the record: versions of before are [Command.Late] if they come after it.
	Command int64
	Version string
	Ends    bool
	// PassedOver is why the command was not delivered, and is not to be: Released
	// deletes it and leaves a [Gap].
	PassedOver string
}

// RecordState is what others must know of a group's record before they refer
// to it.
type RecordState struct {
	RemoteID   string // empty: it is not at the remote
	ExternalID string
	Behind     bool // the group is dirty
	Parked     bool
}

// Namesake is a group with the external id of another one. Behind is also said
// of one in doubt.
type Namesake struct {
	ID
	RecordState
}

// Blocking is how many groups wait for one.
type Blocking struct {
	Direct int // for it
	All    int // and for these in turn, over any number of hops
}

// Blocker is a parked group that others wait for.
type Blocker struct {
	ID
	Reason string // why it is parked
	Blocking
}

// Attempt is one entry of a group's history. It never holds a value of the
// record, only the names of fields.
type Attempt struct {
	At      time.Time // zero when recording: the database's clock
	Epoch   int64
	Action  string // create update delete find initialize skip
	Outcome string // ok, or the error kind's word
	Status  int
	Message string
	Fields  []string
	Took    time.Duration
}

// Counts is one sync's line in status.
type Counts struct {
	Sync                                                          string
	Groups, Clean, Dirty, Claimed, InDoubt, Waiting, Parked, Gone int64
	Skipped                                                       int64
	Unseen                                                        int64         // of the parked, those whose row is not there, and nobody saw it go
	Touches, Calls, Saved                                         int64         // since install
	Oldest                                                        time.Duration // age of the oldest unsynced touch of a group that is neither parked nor waiting; zero: none
	OldestWaiting                                                 time.Duration // the same of those that wait
	Backfill                                                      Progress
	Commands                                                      int64         // that wait, in the ordered lane
	OldestCommand                                                 time.Duration // age of the oldest of them; zero: none
	Gaps                                                          int64         // versions that did not become commands, as far as history goes
	Held                                                          string        // why composites can't be loaded; empty: they can
	Stuck                                                         string        // why the engine that is asked begins no translations of it; empty: it does
	// Overlong is when a root row was met last that can have no group, since its
	// key and the sync's name are longer than an index of the registry takes. The
	// next pass over all rows looks again. Zero: none was met since the last began.
	Overlong time.Time
}

// LongestGroup is how many bytes a sync's name and a key have together that an
// index of any registry takes. Of more it is tried.
const LongestGroup = 2600

// LoadFailed begins the reason of a group whose composite can't be loaded for no
// fault of its own. Its sync is held.
const LoadFailed = "load: "

// Progress of a backfill or a sweep.
type Progress struct {
	Running bool
	Done    int64  // root rows passed so far
	Total   int64  // estimate
	Failure string // why it does not go on at the moment; empty: it does
}
