package sqlite

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// valueError says that a statement failed since the values of a row are as they
// are. Its text has none of them, where SQLite's may: "bad JSON path: ...".
type valueError struct{ failed *sqlite.Error }

func (e *valueError) Error() string {
	said := "an expression of the declaration fails"
	for _, known := range []string{"malformed JSON", "integer overflow", "string or blob too big", "datatype mismatch", "LIKE or GLOB pattern too complex"} {
		if strings.Contains(e.failed.Error(), known) {
			said = known
		}
	}
	return fmt.Sprintf("%s (SQLite error %d)", said, e.failed.Code())
}

func (e *valueError) Unwrap() error { return e.failed }

// failed makes an error of reading a member's rows a [valueError], unless the
// statement itself does not fit the tables, which has one code with it.
func (l *loader) failed(statement string, err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) || !slices.Contains([]int{sqlite3.SQLITE_ERROR, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH}, e.Code()&0xff) {
		return err
	}
	rows, refused := l.tx.QueryContext(l.ctx, "EXPLAIN "+statement, "[]")
	if refused != nil {
		return err
	}
	if closed := rows.Close(); closed != nil {
		return err
	}
	return &valueError{e}
}
