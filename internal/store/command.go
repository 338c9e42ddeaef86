package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/upkeep-sync/upkeep/internal/moment"
)

// Commands is the log of the ordered lane: for syncs whose shape is Every, each
// committed version of a group with its payload, until it is delivered. A
// group's commands are numbered in the order of their commits.
type Commands interface {
	// NextCommands returns the oldest command that waits of each group that
	// has one.
	NextCommands(ctx context.Context, ids []ID) (map[ID]Command, error)
	// WaitingCommands lists a group's commands, oldest first, without their
	// payloads.
	WaitingCommands(ctx context.Context, id ID, limit int) ([]Command, error)
	// AppendCommand makes the version that the group has in tx a command, for
	// a sync that is ByHand, and registers the group. tx is as in
	// [Log.Append].
	AppendCommand(ctx context.Context, tx any, shape *Shape, key string) error
	// SkipCommand drops the oldest command of a group, writes that into its
	// history, and lets the group go on. ErrNoCommand if that has another number,
	// or none waits; ErrClaimed while a worker has the group.
	SkipCommand(ctx context.Context, id ID, number int64) (Command, error)
	// Gaps lists versions that did not become commands, newest first: those that
	// concern a group or, with an empty key, all of a sync.
	Gaps(ctx context.Context, sync, key string, limit int) ([]Gap, error)
	// TurnHolders lists, by sync, transactions that have had the turn of groups
	// for longer than others wait for it. None where no transaction waits so.
	TurnHolders(ctx context.Context) ([]TurnHolder, error)
}

// TurnHolder is a transaction that is not over, though its versions are read: it
// is prepared, or has made its constraints immediate. Each commit that changes one
// of its groups waits in vain for its turn.
type TurnHolder struct {
	LockHolder
	Sync  string
	Whole bool // of all groups of the sync, as it changes many
}

// String says it for a person who knows which sync it is about.
func (h TurnHolder) String() string {
	which := "some of its groups"
	if h.Whole {
		which = "all its groups"
	}
	return h.LockHolder.String() + ", has the turn of " + which
}

// Command is one committed version of a group.
type Command struct {
	ID
	Number  int64     // grows with each command; not without holes
	At      time.Time // when its transaction appended it
	Tx      string    // the database's transaction id
	Deleted bool
	// Unordered is why the place of this version among the group's others, or
	// its being whole, is not certain; empty: it is.
	Unordered string
	// Refused is why the remote, or the mapping of that version, did not take
	// it; empty: not refused.
	Refused        string
	RefusedVersion string
	// Late: a command was delivered that ended the record, and whose transaction
	// this version's had not seen: it was prepared, or read from a snapshot of
	// before. From NextCommands only, and never where one transaction writes at
	// a time.
	Late bool
	// Payload is the composite, as [DecodePayload] reads it; nil if Deleted.
	Payload json.RawMessage
}

// Gap is a version, or several, that did not become commands.
type Gap struct {
	Sync string
	Key  string // empty: any group of the sync may be concerned
	At   time.Time
	Tx   string
	// Reason is for a person.
	Reason string
}

// SkippedMessage is what the history says of a skipped command.
func SkippedMessage(c Command) string {
	if c.Refused != "" { // which names it
		return "dropped by hand, refused as: " + c.Refused
	}
	return fmt.Sprintf("dropped by hand: command %d of %s", c.Number, moment.Of(c.At))
}

// MostCommands is how many commands of one group wait at most. Beyond it
// [Registry.Prune] drops the oldest, and leaves a [Gap].
const MostCommands = 10_000

// Errors of [Commands.SkipCommand].
var (
	ErrNoCommand = errors.New("no version waits")
	ErrClaimed   = errors.New("a worker is at this group")
)
