package connector

import "context"

// Action is what a [Change] does.
type Action int

const (
	// Create makes the record, as [Connection.Create] does.
	Create Action = iota
	// Update changes the given fields of an existing record.
	Update
	// Delete removes a record; one that is already gone is success.
	Delete
)

// String is the word used in history and on the command line.
func (a Action) String() string { return [...]string{"create", "update", "delete"}[a] }

// Change is one record's part of a batch.
type Change struct {
	Action Action
	// RemoteID is the record's id at the remote; empty for a Create.
	RemoteID string
	// Record is as in [Connection.Create] and [Connection.Update]; a Delete has
	// no fields.
	Record Record
}

// Result is what became of one change.
type Result struct {
	// RemoteID is the record's id, never empty for a Create that succeeded.
	RemoteID string
	// Err is nil if the change was applied. Its kind counts for this change
	// alone; see [Batcher.Apply].
	Err error
}

// Batch says what a remote takes in one request.
type Batch struct {
	// Most changes in one request. At one or less there are no batches of the
	// record type.
	Most int
	// Mixed: one request may hold creates, updates and deletes side by side.
	// Otherwise the engine sends each action by itself.
	Mixed bool
}

// Batcher is a [Connection] that takes many records in one request.
type Batcher interface {
	// Batch says how large a batch of a record type may be. It does no input
	// or output and always answers the same.
	Batch(recordType string) Batch

	// Apply makes the changes, all of one record type, no two of them of the
	// same external id, in one request. It returns one result for each change,
	// in the order of changes, whatever order the remote answers in: answers
	// are matched by the record's key where the remote gives one. A change
	// that the answer says nothing of has a result of kind [Unknown].
	//
	// The error is about the request as a whole, and then there are no results:
	// [Rejected] means that nothing of it was applied because something in it
	// is wrong, and the engine sends it again in halves until it has found the
	// record to blame; [Unknown] leaves all records in doubt; the other kinds
	// are as for a single call.
	//
	// Of a single change, [Exists] of a create, and [NotFound], make the engine
	// go the way of single calls for that record, with Find, and [Busy] is also for a
	// change that was rolled back for another one's fault. [RateLimited] and
	// [Unauthorized] of a single change hold for the remote, as those of a
	// call do.
	Apply(ctx context.Context, recordType string, changes []Change) ([]Result, error)
}
