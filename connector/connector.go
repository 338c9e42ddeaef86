// Package connector is what Upkeep asks of a third-party system.
//
// A connector is the code that speaks to one kind of system; a [Connection]
// is an open connector, bound to one account. It knows the network and the
// remote's model and nothing else: it never sleeps, retries, logs or
// remembers. The engine alone does retry, rate limits, create-then-find,
// digests and history.
//
// The package depends on the standard library only.
package connector

import (
	"context"
	"encoding/json"
	"time"
)

// Fields are the top-level fields of a record, each already encoded as JSON.
// What was compared is, byte for byte, what is sent. A JSON null clears the
// remote's field; a field that is absent is left as it is.
type Fields map[string]json.RawMessage

// Record is one record as it is to be at the remote.
type Record struct {
	// Type is the remote's own name for the kind of record: "salesOrder".
	Type string
	// ExternalID is the key that the record carries at the remote, in a field
	// or place that the connector chooses: it is in none of Fields. It is a
	// pure function of the source's identity, so that it survives crashes
	// and restores. Never empty, and the same in every write of a record.
	ExternalID string
	// Fields holds all fields at creation, and only the changed ones in an
	// update. A JSON array is a list that replaces the remote's list whole.
	Fields Fields
	// Version grows with every claim of the record's group: of two writes to a
	// record, the one with the higher version was made of newer rows. A remote
	// that can compare it refuses the older one.
	Version int64
	// Generation is the group's generation that this write brings to the
	// remote. A repeated attempt at one generation may be of newer rows than the
	// first, and several commands may have one; with a digest of the body it makes
	// a key for idempotency.
	Generation int64
	// Command is the number of the version that is delivered, of a sync that
	// delivers every version; zero for the current state. It is the same however
	// often that version is sent, whatever the generation, no other version has it,
	// and later ones of the record have higher ones: it makes a key for idempotency.
	// An update then has all fields.
	Command int64
	// Registry is an opaque text that is another one after Upkeep was installed
	// anew, and after each restore of its registry: there generations and numbers
	// of commands come again for other writes. It belongs into every key for
	// idempotency.
	Registry string
}

// Origin is the remote record from which another is initialized, such as the
// sales order that a fulfillment is made from.
type Origin struct {
	Type     string
	RemoteID string
}

// Ref is a reference to another record at the same remote. That record is
// there: type, remote id and external id are all known, and a remote may refer
// by either id.
type Ref struct {
	Type       string
	RemoteID   string
	ExternalID string
	// Field is the top-level field that the reference stands in.
	Field string
}

// Connection is an open connector. Every method is safe for concurrent use,
// returns when ctx ends, and reports failure as an [*Error] whose Kind is the
// decision the engine takes. A connection makes at most one attempt per call
// (but may renew an access token first).
type Connection interface {
	// Traits says what the engine must know of this kind of remote. It does
	// no input or output and always answers the same.
	Traits() Traits

	// Create makes the record and returns the remote's id for it, never
	// empty. With Traits.Class [Upsert] it is repeatable: a second call with
	// one (Type, ExternalID) updates the record that the first one made and
	// returns its id. With the other classes a second call may fail with
	// [Exists], or make a duplicate: the engine calls Find before it repeats
	// a Create whose outcome is unknown.
	Create(ctx context.Context, r Record) (remoteID string, err error)

	// Update changes the given fields of an existing record and leaves all
	// others alone. A record that is gone is [NotFound].
	Update(ctx context.Context, remoteID string, r Record) error

	// Delete removes a record. One that is already gone is success.
	Delete(ctx context.Context, recordType, remoteID string) error

	// Find looks a record up by its external id. None is [NotFound], also when
	// the remote answers with an empty list: never an empty id without an error.
	// Several are [Rejected], with words that tell a person what to merge or
	// remove: taking one of them would leave the others to go stale.
	Find(ctx context.Context, recordType, externalID string) (remoteID string, err error)

	// Close frees what the connection holds. Calls under way end.
	Close() error
}

// Initializer is a [Connection] that can let the remote make a record from
// another one, with the remote's own defaults (NetSuite's transform).
type Initializer interface {
	// Initialize makes r from origin, with r's fields over the remote's
	// defaults: a list is all that the new record has of it. The remote holds ExternalID unique: a second Initialize
	// with the same one fails with [Exists] and makes nothing.
	Initialize(ctx context.Context, origin Origin, r Record) (remoteID string, err error)
}

// Remover is a [Connection] whose deletes tell the remote more than its id.
type Remover interface {
	// Remove is Delete for a record of which also the external id, the version
	// and the generation are known; r has no fields.
	Remove(ctx context.Context, remoteID string, r Record) error
}

// Finder is a [Connection] of class [Upsert] that can't look up records of
// every type.
type Finder interface {
	// Finds says whether Find works for a record type. Where it does not, it is
	// not called: what may have been made by an older request, and is to be gone,
	// is parked for a person to look for. It does no input or output and always
	// answers the same.
	Finds(recordType string) bool
}

// Foreseer is a [Connection] that refuses some writes before it sends anything.
type Foreseer interface {
	// Foresee is the error, of kind [Rejected], with which the write of c would end
	// before anything is sent: its external id or a field has no form that the
	// remote takes. Nil: only the remote can tell. It does no input or output.
	// It is for plans; what it refuses the write itself has to refuse too.
	Foresee(c Change) error
}

// Reader is a [Connection] that can read a record back.
type Reader interface {
	// Read returns the remote's values of the fields that want names, in
	// the form that want has them: references, lists and numbers are
	// brought to want's shape, and what want does not name (links, display
	// names, fields of a line that nobody sends) is left out, so that equal
	// JSON means equal values. A record that is gone is [NotFound].
	// [Project] does what is not the remote's own.
	Read(ctx context.Context, recordType, remoteID string, want Fields) (Fields, error)
}

// Referencer is a [Connection] whose references are not plain JSON strings.
type Referencer interface {
	// Reference encodes a reference for use inside a field. It does no
	// input or output.
	Reference(Ref) (json.RawMessage, error)
}

// Remaker is a [Connection] whose updates may make a record that is gone anew, of
// the fields that they carry alone: an upsert that serves as an update. After an
// update with an unknown outcome all fields are sent then.
type Remaker interface {
	// Remakes says whether those of a record type do. It does no input or output.
	Remakes(recordType string) bool
}

// Use says what a sync uses of the remote: for [Checker] and [Preparer].
type Use struct {
	Sync   string
	Type   string
	Fields []string // top-level fields, sorted
	// Updated are those of Fields that are sent to records that are there, too;
	// the others go out once, when a record is made. Nil: it is not known which.
	Updated []string
	// Columns are the fields with their types, those that an ending sets too,
	// by name. Nil: they are not known before they are sent.
	Columns     []Column
	Initialized bool // made by [Initializer]
}

// Checker is a [Connection] that can examine its own configuration against
// the remote, without changing anything there.
type Checker interface {
	// Check returns every problem it finds, each an error that tells a
	// person what to do: wrong credentials, an unknown record type or
	// field, a missing permission. Those that a use is to blame for are each a
	// [UseError]. An [Untried] among them is no problem.
	Check(ctx context.Context, uses []Use) []error
}

// Untried is what [Checker.Check] could not try. It is told to a person, so
// that silence is not taken for success.
type Untried struct {
	What string // "the address and the login"
	Help string // what would let it be tried; empty: nothing would
}

// Error says what was not tried.
func (u *Untried) Error() string { return "not tried: " + u.What }

// Metered is a [Connection] to a remote that allows so many requests in a while
// and tells how many are used.
type Metered interface {
	// Quota is what the remote said last: the requests used, by all of its
	// users, and those that there are. Not known before it said anything. It does
	// no input or output.
	Quota() (used, limit int64, known bool)
}

// Cautious is a [Connection] that can tell, without a call, what works as it is
// configured and should still be changed.
type Cautious interface {
	Cautions() []Caution
}

// Caution is told to a person as a warning.
type Caution struct {
	What string // "the connection may be unencrypted"
	Help string // what to do
}

// Class says how a create can be repeated after an unknown outcome. To choose,
// ask what a second create with the same external id does:
//
//   - It updates the record and answers with its id: [Upsert].
//   - It is refused, since the key is unique (409, "already exists"), or makes
//     another record; and a record can be found by its external id: [Lookup].
//     The refusal is of kind [Exists]: the engine then finds the record and
//     adopts it. A unique key alone does not make an Upsert.
//   - The same, and records can't be found by external id: [Blind].
type Class int

const (
	// Upsert: the remote keeps a unique external key, and a create by it is an
	// update where there is a record. Repeating is safe at any time.
	Upsert Class = iota
	// Lookup: the remote finds records by key, whether it holds the key unique
	// or not, but a create updates none. After an unknown create the engine
	// waits Traits.Quiet, then calls Find, then creates again if there is none. It
	// calls Find too before the first create in a new sync's backfill, since an
	// earlier installation may have made the record.
	Lookup
	// Blind: neither. An unknown create is parked for a person, and not
	// repeated. The engine never calls Find.
	Blind
)

// Traits is what the engine must know of a kind of remote.
type Traits struct {
	Class Class
	// Quiet is how long after its connection closed the remote may still
	// apply a request. With class [Lookup] it is also how long a record that
	// was made may stay out of Find's sight, at a remote whose search lags.
	// Zero means a minute. The engine waits ten seconds longer.
	Quiet time.Duration
	// Concurrency is how many requests the remote takes at once when the
	// configuration does not say. Zero means 10.
	Concurrency int
	// Timeout is how long one call may take. Zero means a minute.
	Timeout time.Duration
	// Linger is how long changes may gather, after some were sent, before the
	// next are: for remotes that count requests. The first change after a rest
	// is not delayed, nor is a backlog that fills the batches. Zero means not
	// at all. Of a connection that is no [Batcher] it is ignored.
	Linger time.Duration
}
