package upkeep

import (
	"errors"
	"reflect"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// Row is a loaded row: column name to value, relation name to Row (nil when
// there is none) or []Row, aggregate name to its value. Values are nil,
// int64, [decimal.Decimal], float64, string, bool, [Date], [time.Time] (UTC),
// []byte, or what encoding/json decodes for a JSON column.
//
// [decimal.Decimal]: https://pkg.go.dev/github.com/shopspring/decimal#Decimal
type Row = store.Row

// Date is a date without a time or a zone. String and JSON are "2006-01-02", and
// Time is its midnight in UTC. The zero value is not a date, and parks the group
// that would send it; so does a year that has not four digits.
//
//	Year  int
//	Month time.Month
//	Day   int
type Date = store.Civil

// Fields is what a translation makes: the remote's field names with their
// values. A value is anything that encoding/json can encode, or a [Ref]. In maps
// with string keys, slices and arrays, of any type and however deep, and behind
// pointers, a decimal is sent as an exact JSON number, a time in UTC, and a Ref
// as the remote wants it; in a struct of your own, and in a type with a
// MarshalJSON or MarshalText, encoding/json decides, which writes a decimal as a
// string and refuses a Ref. A sql.NullString and its like are sent as what they
// hold, or null. nil clears the remote's field; a name that is absent leaves it as
// it is, with what was sent last.
type Fields map[string]any

// Reference is the remote record of another group; make one with [Ref].
type Reference struct{ Sync, Key string }

// Ref refers to the record of another sync's group, by the root key of that
// group: Ref("customer", order.UserID). The group that uses it waits until
// that record is there, and is woken by it. A record that goes later touches none
// that refer to it: they stay as they were sent, and clean, until rows of their own
// change, and then wait. A nil key, or a nil pointer (a
// foreign key that is NULL), refers to nothing and is sent as null. It may
// stand wherever [Fields] say that a Ref is sent; one in a struct of your own
// parks the group.
func Ref(sync string, key ...any) Reference {
	for _, k := range key {
		if v := reflect.ValueOf(k); k == nil || v.Kind() == reflect.Pointer && v.IsNil() {
			return Reference{}
		}
	}
	s, err := store.Key(key...)
	if err != nil {
		return Reference{Sync: sync, Key: badKey + err.Error()}
	}
	return Reference{sync, s}
}

// MarshalJSON is an error: encoding/json can't know what the remote calls the
// record. It is called for a reference inside a struct.
func (r Reference) MarshalJSON() ([]byte, error) {
	return nil, errors.New("a reference inside a struct can't be sent; use upkeep.Fields, or another map with string keys, in place of the struct")
}

const badKey = "\x00" // marks a Reference whose key could not be made

// Relation declares the rows that hang on a row, any number of hops deep. What
// is declared is what is loaded, and what is loaded is watched.
type Relation struct {
	// Table is the table's name, orders or sales.orders. What has a dot or a
	// double quote in it stands in double quotes, as in SQL: "my.table",
	// sales."my.table"; a quote in them is written twice.
	Table string
	// Via is the foreign key: columns of the parent for belongs_to, of this
	// table for has_one and has_many. Defaults to the declared foreign key
	// between the two tables, if there is just one. Its columns stand in the
	// order of To.
	Via []string
	// To is what Via points at, on the other side. Defaults to the primary
	// key there.
	To []string
	// Columns are the columns that are read.
	Columns []string
	// Where is an SQL condition over this table's own columns, and Order an
	// SQL ORDER BY list. The columns that they read are watched too. Rows that
	// are equal in Order, and all without one, are in the order of their key. Of
	// several rows of a HasOne the first by Order is taken; without one the
	// group is parked, since nobody said which.
	// Neither can be used for the root (use When) or a belongs_to. What may say
	// something else of a row that is the same is an error of Check and Install,
	// such as now(), current_user and a cast by the session's time zone: no
	// trigger sees it. Let a job of your own set a column when the time comes.
	Where, Order string
	// Aggregates are computed by the database, for has_many.
	Aggregates []Aggregate
	// OnlyAggregates leaves the rows themselves unloaded.
	OnlyAggregates bool

	BelongsTo, HasOne, HasMany map[string]*Relation
}

// Aggregate is a count of rows or the sum of a column. It stands in the parent's
// [Row] under Name, as an int64 (count) or a decimal (sum; 0 for no rows).
type Aggregate struct {
	// Name of the value in the parent's Row.
	Name string
	// Func is "count" or "sum".
	Func string
	// Column is what is summed.
	Column string
}

// Mapping declares a sync: these local rows become that kind of remote
// record. [Sync] is the same for struct types, and a configuration file ends
// as Mappings too. Its functions are pure: they may read their argument only,
// and are called again at any time, at once from several goroutines. One that
// panics, or takes longer than Config.TranslateLimit, parks its group.
type Mapping struct {
	// Name of the sync, unique in a configuration: "sales_order".
	Name string
	// From is the root table and its relations.
	From *Relation
	// To is the remote, and Record its name for the kind of record.
	To     *Remote
	Record string
	// ExternalID is the key that the record carries at the remote. Defaults
	// to the sync's name, a dash and the root key: "sales_order-42". It is
	// made from the primary key alone: the row of one that is gone has only
	// that, and what is given besides is unspecified. It must be unique
	// among the syncs of one remote and record type: a group whose external id
	// is another's is parked, and not sent. A record keeps the one that it was
	// made with.
	ExternalID func(Row) (string, error)
	// When says whether the row is to be at the remote. Nil means always.
	When func(Row) (bool, error)
	// Translate makes the representation. Required. nil without an error parks
	// the group: When leaves rows out.
	Translate func(Row) (Fields, error)
	// CreateFields are sent when the record is created, and never again. A
	// field of Translate's can't be one of them: such a group is parked.
	CreateFields func(Row) (Fields, error)
	// Initialize lets the remote make the record from another one, with the
	// remote's own defaults (NetSuite's transform). Nil means an ordinary
	// create.
	Initialize func(Row) (Reference, error)
	// RefersTo names the syncs that Translate, CreateFields and Initialize
	// refer to. A reference to a sync that is not here is an error.
	RefersTo []string
	// Sends names the top-level fields that are sent, for Check; nil: not
	// known before they are made.
	Sends []string
	// Columns are the fields of Sends with the types of their values, for a
	// remote that makes tables or columns of them. Nil: not known; such a
	// remote then needs them to be there. Fields that an Ending sets need not
	// be here.
	Columns []connector.Column
	// OnDelete is done when the root row was deleted; the zero value deletes
	// the record.
	OnDelete Ending
	// WhenFalse is done when When turns false for a record that is at the
	// remote; the zero value keeps it as it is.
	WhenFalse Ending
	// ByHand makes groups only by [Engine.Register]. Otherwise every row of
	// the root table that passes When is kept at the remote. What is registered is
	// the key: it stays so when the row goes, and a row that comes under the same
	// key later is sent. Where the database gives keys again (SQLite, to an INTEGER
	// PRIMARY KEY without AUTOINCREMENT), let When tell such rows apart.
	ByHand bool
	// Deliver says which versions are sent; the zero value means [Latest].
	Deliver Delivery
	// Version is raised by hand when the functions change in a way that
	// changes what they make: the sync is then swept, and records whose
	// representation differs are sent. The declaration itself is compared
	// without it.
	Version string
	// DeleteLimit is the most records that are deleted in an hour. When more
	// are to be, the others are parked, and no delete of the sync goes out
	// until [Engine.AllowDeletes]: a wrong statement must not empty the
	// remote. Zero means 100, or a tenth of the sync's records if that is more;
	// below zero there is no limit.
	DeleteLimit int
	// MemberLimit is the most rows of one relation in one record. Zero means
	// 10,000.
	MemberLimit int

	described *description // of the struct type that it was made of; nil: of none
}

// Action is what becomes of a record whose row ended.
type Action string

// The actions.
const (
	Keep   Action = "keep"   // leave the record as it is
	Delete Action = "delete" // delete it at the remote
	Set    Action = "set"    // keep it and set some fields: an archive mark
)

// Ending says what becomes of a record whose row was deleted, or no longer
// passes When.
type Ending struct {
	// Action; empty means the default of the place where it stands.
	Action Action
	// Fields to set, for Set, and for Set alone. They are plain values: a
	// [Ref] is an error of New. Translate makes them too, as they are while
	// the row is there, else records are parked: that of a row that comes
	// back would keep what it was ended with.
	Fields Fields
}

// Remote is one account of a third-party system, with its limits, which hold
// for all processes together. The syncs that go to it share one *Remote. A
// limit below zero is an error of New.
type Remote struct {
	// Name, unique in a configuration: "netsuite".
	Name string
	// Connection is open and is closed by whoever opened it.
	Connection connector.Connection
	// Concurrency is how many requests may be under way at once. Zero means
	// what the connector says.
	Concurrency int
	// Rate is how many requests a second may start, and Burst how many of
	// them at once. Zero means no limit, and a burst of one second's worth.
	Rate  float64
	Burst int
	// Timeout of one call. Zero means what the connector says.
	Timeout time.Duration
	// Quiet is how long after a timeout the remote may still apply the
	// request. Zero means what the connector says.
	Quiet time.Duration
}
