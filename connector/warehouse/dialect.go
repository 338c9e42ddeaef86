package warehouse

import (
	"context"
	"database/sql"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
)

// dialect is what one kind of database does in its own way. All else is SQL
// that PostgreSQL and SQLite share: INSERT ... ON CONFLICT, UPDATE ... FROM,
// temporary tables. A new dialect is one file, and a line in [dialects].
type dialect interface {
	// open makes a pool. It does no input or output. Its errors hold no
	// password.
	open(url string) (*sql.DB, error)
	// caution is what should be changed in a URL that works; nil: nothing.
	caution(url string) *connector.Caution
	// schema is the one of tables without.
	schema() string
	// quote makes an identifier of any name that named lets pass.
	quote(name string) string
	// named says what is wrong with a name; empty: nothing.
	named(name string) string
	// place writes a table's name.
	place(p place) string
	// parameter is the placeholder of a statement's only parameter.
	parameter() string

	// typeOf is the type of a column for values of a type, and class how the
	// values of a column of any type are written and read.
	typeOf(t connector.Type) string
	class(columnType string) class
	// keeps is what a column of a type refuses, beyond its class.
	keeps(columnType string) keeper
	// text is an expression that gives a column's value as [decode] takes it.
	text(column string, c class) string
	// now is the time of the transaction, and ago that of some time before.
	now() string
	ago(d time.Duration) string

	// begin begins a transaction. Each statement of it ends within limit, and
	// the server itself ends one whose client says nothing for a while. If lock
	// is not empty, the transaction holds the lock of that name to its end:
	// alone, or together with others that don't want it alone.
	begin(limit time.Duration, lock string, alone bool) string
	// load makes an empty temporary table, which the transaction's end empties
	// or drops, and fills it. An error that is one row's fault is a
	// [*rowError].
	load(ctx context.Context, conn *sql.Conn, s *stage) error

	// table describes a table; nil: there is none.
	table(ctx context.Context, q querier, p place) (*found, error)
	// tables lists the tables of a schema whose name begins so; false if there
	// is no such schema.
	tables(ctx context.Context, q querier, schema, prefix string) ([]string, bool, error)
	// makeSchema is the statement for it; empty: it can't be made.
	makeSchema(schema string) string
	// makeIndex is the statement for the table's index of columns.
	makeIndex(p place, columns string) string
	// reference is what a foreign key says it leads to.
	reference(p place, column string) string
	// rights returns what the login may not do of what it must.
	rights(ctx context.Context, q querier, r rights) []error

	// judge says what an error means of a transaction that was not committed,
	// and nil if it does not know it. final tells that it also holds of an
	// error in answer to COMMIT: the database has rolled back.
	judge(err error) (e *connector.Error, final bool)
	// outdated tells an error that says that tables are not as they were.
	outdated(err error) bool
}

// querier is a connection, or a pool of them.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// found is a table as the database has it.
type found struct {
	columns []column
	// unique are the columns that are a unique key each by itself.
	unique []string
}

func (f *found) column(name string) (column, bool) {
	for _, c := range f.columns {
		if c.name == name {
			return c, true
		}
	}
	return column{}, false
}

// column of a table.
type column struct {
	name  string
	typ   string // in the database's words
	class class
	keeps keeper
	// needed: it can't be null and has no default.
	needed bool
}

// rights are what a login needs of one table.
type rights struct {
	place
	exists bool // or will be made
	makes  bool // something will be made in the schema
	alters bool // columns will be added
	delete bool
}

// stage is a temporary table and what is to be in it.
type stage struct {
	name    string
	columns []column
	rows    [][]cell
}

// cell is a value in the form that [encode] makes.
type cell struct {
	text string
	null bool
}

// rowError is the fault of one row of a stage.
type rowError struct {
	row    int
	column string // of the stage; may be empty
	err    error
}

func (e *rowError) Error() string { return e.err.Error() }
func (e *rowError) Unwrap() error { return e.err }
