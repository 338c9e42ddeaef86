package postgres

import (
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// The server's messages about values quote them ("invalid input syntax for type
// integer: ..."), and the values are those of the application's rows. So in the
// place of such a message stands what its SQLSTATE means.

// discreet is err without what the server says of a value.
func discreet(err error) error { return without(err, "22", "23") }

// wordless is err without what a function of the user's says either, for what is
// kept in the registry.
func wordless(err error) error { return without(err, "22", "23", "P0") }

func without(err error, classes ...string) error {
	var e *pgconn.PgError
	if !errors.As(err, &e) || !ofClass(e.Code, classes...) || e.Message == "" {
		return err
	}
	return &valueError{strings.ReplaceAll(err.Error(), e.Message, meaning(e)), err}
}

// valueError is an error with another text.
type valueError struct {
	text string
	error
}

func (e *valueError) Error() string { return e.text }

func (e *valueError) Unwrap() error { return e.error }

// ofClass says whether a SQLSTATE is of one of the classes.
func ofClass(code string, classes ...string) bool {
	for _, c := range classes {
		if strings.HasPrefix(code, c) {
			return true
		}
	}
	return false
}

// ofRow says whether reading failed since the values of a row are as they are: a
// cast, an overflow, a function of the user's that refuses them.
func ofRow(err error) bool { return ofClass(code(err), "21", "22", "23", "54", "P0") }

// meaning is what a SQLSTATE means: the name of its condition, as PostgreSQL's
// documentation has it.
func meaning(e *pgconn.PgError) string {
	said := conditions[e.Code]
	switch {
	case said != "":
	case ofClass(e.Code, "22"):
		said = "data exception"
	case ofClass(e.Code, "23"):
		said = "integrity constraint violation"
	default:
		said = "a function raised it; its words may quote a value of a row"
	}
	if e.ConstraintName != "" {
		said += ", constraint " + e.ConstraintName
	}
	return said
}

var conditions = map[string]string{
	"22001": "string data right truncation", "22003": "numeric value out of range", "22004": "null value not allowed",
	"22007": "invalid datetime format", "22008": "datetime field overflow", "22009": "invalid time zone displacement value",
	"22011": "substring error", "22012": "division by zero", "22015": "interval field overflow", "22018": "invalid character value for cast",
	"2201B": "invalid regular expression", "2201E": "invalid argument for logarithm", "2201F": "invalid argument for power function",
	"22021": "character not in repertoire", "22023": "invalid parameter value", "22025": "invalid escape sequence",
	"22030": "duplicate JSON object key value", "22031": "invalid argument for SQL/JSON datetime function", "22032": "invalid JSON text",
	"22033": "invalid SQL/JSON subscript", "22034": "more than one SQL/JSON item", "22035": "no SQL/JSON item", "22036": "non-numeric SQL/JSON item",
	"22038": "singleton SQL/JSON item required", "22039": "SQL/JSON array not found", "2203A": "SQL/JSON member not found",
	"2203F": "SQL/JSON scalar required", "2203G": "SQL/JSON item cannot be cast to target type", "2202E": "array subscript error",
	"22P01": "floating point exception", "22P02": "invalid text representation", "22P03": "invalid binary representation",
	"22P05": "untranslatable character", "2200L": "not an XML document", "2200M": "invalid XML document",
	"23502": "not null violation", "23503": "foreign key violation", "23505": "unique violation", "23514": "check violation",
	"23P01": "exclusion violation",
}
