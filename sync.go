package upkeep

import "github.com/upkeep-sync/upkeep/connector"

// AnySync is a declaration of a sync: a [Mapping], a [Sync] of any type, or one
// of another package's that ends as a Mapping.
type AnySync interface {
	// Declaration is the sync as a Mapping. The error says what is wrong with
	// the declaration itself; it is not asked about a database.
	Declaration() (*Mapping, error)
}

// Declaration returns a copy of m.
func (m Mapping) Declaration() (*Mapping, error) { return &m, nil }

// Sync declares a sync over a struct type, whose tags are the whole
// declaration of what is loaded and watched:
//
//	type Order struct {
//		ID      int64    `db:"id"`
//		State   string   `db:"state"`
//		UserID  *int64   `db:"user_id"`               // a pointer: may be NULL
//		User    *User    `belongs_to:"users.user_id"` // the table there, the foreign key here
//		Billing *Billing `has_one:"billing_infos.order_id"` // the table and its foreign key
//		Lines   []Line   `has_many:"line_items.order_id" order:"id" where:"qty > 0"`
//		Notes   int64    `count:"notes.order_id" where:"visible"`
//		Total   decimal.Decimal `sum:"line_items.order_id" column:"amount"`
//	}
//
// The tags:
//
//   - db names a column. What follows a comma is ignored, so that structs with
//     the tags of other libraries can serve. The primary key comes from the
//     database's catalogue and needs no field.
//   - belongs_to, has_one and has_many name a table and a foreign key, a+b for
//     one of several columns, in the order of what they point at: the primary
//     key on the other side, or the columns that to names when it is not that.
//     belongs_to and has_one fields are pointers to a
//     struct, nil when there is no row; has_many fields are slices of structs
//     or of pointers to them, in the order of their keys unless order says
//     otherwise.
//   - count and sum are done by the database. A sum has a column.
//   - where and order are SQL over the columns of that table alone, for
//     has_one, has_many, count and sum. They may not depend on the clock or the
//     session ([Relation]).
//
// The fields that take the columns; a pointer to one of these, where a column
// may be NULL, is nil then, and so are slices, maps and any:
//
//	smallint, integer, bigint    integers of any size, decimal.Decimal, string
//	numeric                      decimal.Decimal, string; integers, of whole numbers
//	real, double precision       float64, float32
//	text, varchar, char, enums   string and types of it
//	uuid                         the same: uuid.UUID, string
//	boolean                      bool
//	date                         upkeep.Date, time.Time (its midnight in UTC)
//	timestamp, timestamptz       time.Time (in UTC)
//	bytea                        []byte
//	json, jsonb                  structs, maps, slices, json.RawMessage; any, whose numbers
//	                             are json.Number, in a map[string]any and a []any too
//	text[], integer[], arrays    slices of what takes the text of an element: []string, []int64,
//	                             []bool, []decimal.Decimal, []*string where one may be NULL; string
//	interval, all else           string, as the database writes it when it is cast to text
//	                             (an inet with its mask, 10.0.0.1/32; netip.Addr and net.IP
//	                             take one without a network, netip.Prefix any)
//	any of them                  types with a Scan, an UnmarshalText or an UnmarshalJSON
//
// Of SQLite the declared type counts, as it has none of its own: BOOL..., DATETIME and
// TIMESTAMP..., DATE, JSON..., what has CHAR, TEXT, CLOB or UUID in it, INT, BLOB, DECIMAL,
// NUMERIC or MONEY, REAL, FLOA or DOUB stand for the lines above, in this order; another
// one, or none, is a string. A time is a text as SQLite's own functions write it, or RFC
// 3339, in UTC where it names no zone, or an integer, which is a Unix time in seconds.
//
// A method of the type wins over its kind: type Status string with an
// UnmarshalText is what that makes of the column. Of several methods Scan is
// called, which gets a string, int64, float64, bool, []byte or time.Time as from
// the driver of PostgreSQL (of numeric the string, of json []byte, on SQLite
// too), else UnmarshalText, with the value's text, else UnmarshalJSON, with its
// JSON; but UnmarshalJSON before them for objects, arrays and numbers of a JSON
// column. None is called for NULL. An array's elements are read so, each from
// its text; a type with a method takes the whole array's.
//
// The types of database/sql (sql.NullString) are an error of [New], time.Duration
// for an interval and []string for a text one of [Engine.Check].
//
// Embedded structs are read as if their fields stood in their place. Fields
// without a tag, and the tags of other libraries, are left alone; a tag that is
// nearly one of these (hasMany, DB) is an error. A value that does not fit its field (a
// NULL, a number too large, an exact decimal for a float64) refuses the group,
// and is never rounded or replaced by a zero. The functions follow the rules
// of [Mapping].
type Sync[T any] struct {
	// Name of the sync, unique in a configuration.
	Name string
	// Table is the root table, as in [Relation].
	Table string
	// To is the remote, and Record its name for the kind of record.
	To     *Remote
	Record string
	// ExternalID defaults to the sync's name, a dash and the root key. It is
	// made from the primary key alone: what the other fields hold is
	// unspecified, and for a row that is gone they are zero. It must be unique
	// among the syncs of one remote and record type: a group whose external id
	// is another's is parked.
	ExternalID func(T) string
	// When says whether the row is to be at the remote. Nil means always.
	When func(T) bool
	// Translate makes the representation. Required. nil without an error parks
	// the group: When leaves rows out.
	Translate func(T) (Fields, error)
	// CreateFields are sent when the record is created, and never again. A
	// field of Translate's can't be one of them: such a group is parked.
	CreateFields func(T) (Fields, error)
	// Initialize lets the remote make the record from another one.
	Initialize func(T) Reference
	// The others are as in [Mapping].
	RefersTo            []string
	Sends               []string
	Columns             []connector.Column
	OnDelete, WhenFalse Ending
	ByHand              bool
	Deliver             Delivery
	Version             string
	DeleteLimit         int
	MemberLimit         int
}

// Declaration reads the tags of T. The error tells every one that is wrong, a
// line each, or that T is not a struct.
func (s Sync[T]) Declaration() (*Mapping, error) {
	d, err := describe[T](s.Table)
	if err != nil {
		return nil, each(err, "sync %q: ", s.Name)
	}
	m := &Mapping{
		Name: s.Name, From: d.from, To: s.To, Record: s.Record, RefersTo: s.RefersTo, Sends: s.Sends, Columns: s.Columns,
		OnDelete: s.OnDelete, WhenFalse: s.WhenFalse, ByHand: s.ByHand, Deliver: s.Deliver, Version: s.Version, MemberLimit: s.MemberLimit, DeleteLimit: s.DeleteLimit,
		described: d,
	}
	m.Translate = decoded(d, s.Translate)
	m.CreateFields = decoded(d, s.CreateFields)
	m.ExternalID = decoded(d, withoutError(s.ExternalID))
	m.When = decoded(d, withoutError(s.When))
	m.Initialize = decoded(d, withoutError(s.Initialize))
	return m, nil
}

// decoded lifts a function of a struct to one of a row; nil stays nil.
func decoded[T, R any](d *description, f func(T) (R, error)) func(Row) (R, error) {
	if f == nil {
		return nil
	}
	return func(r Row) (R, error) {
		var v T
		if err := d.decode(r, &v); err != nil {
			var zero R
			return zero, unread{err}
		}
		return f(v)
	}
}

// unread is the error of a row of which a value does not go into its field: a
// matter of no function, since none was called.
type unread struct{ error }

func (u unread) Unwrap() error { return u.error }

func withoutError[T, R any](f func(T) R) func(T) (R, error) {
	if f == nil {
		return nil
	}
	return func(v T) (R, error) { return f(v), nil }
}
