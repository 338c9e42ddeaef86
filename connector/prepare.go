package connector

import "context"

// Type is what is known of a field's values before they are there.
type Type int

const (
	// AnyType is not known: null only, values of several kinds, or made by code that
	// does not say.
	AnyType Type = iota
	// Text is a JSON string.
	Text
	// Integer is a whole JSON number, within 64 bits unless it says otherwise
	// itself.
	Integer
	// Decimal is a JSON number, exact.
	Decimal
	// Float is a JSON number that was a floating-point one.
	Float
	// Boolean is true or false.
	Boolean
	// Date is a string "2006-01-02".
	Date
	// Time is a string in the form of RFC 3339, in UTC.
	Time
	// Bytes are a string in base64.
	Bytes
	// JSON is any JSON value, mostly an object.
	JSON
	// Reference is what the connection's [Referencer] makes, or the other
	// record's remote id as a string.
	Reference
	// List is a JSON array.
	List
)

// String is the type in words, as error messages have it.
func (t Type) String() string {
	return [...]string{"unknown", "text", "integer", "decimal", "float", "boolean", "date", "time", "bytes", "json", "reference", "list"}[t]
}

// Column is a field with the type of its values, each of which may also be
// null.
type Column struct {
	Name string
	Type Type
	// List are the fields of a [List]'s elements, when these are objects of
	// known fields; a list of plain values has one without a name. Nil: not
	// known.
	List []Column
	// Once: the field is sent when the record is made, and never again.
	Once bool
}

// Preparer is a [Connection] to a remote whose records have no form before
// somebody gives them one, such as the tables of a database. The engine calls
// Prepare before it sends anything.
type Preparer interface {
	// Prepare makes what the uses need and the remote lacks. It drops nothing
	// and changes nothing that is there. It is idempotent, and several
	// processes may call it at once. The error tells a person all that is in
	// the way; nothing was made then, or everything.
	Prepare(ctx context.Context, uses []Use) error

	// Lacking lists what Prepare would make, in words, and changes nothing.
	Lacking(ctx context.Context, uses []Use) ([]string, error)
}
