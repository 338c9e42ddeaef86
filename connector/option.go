package connector

import (
	"fmt"
	"strings"
)

// OptionError is a problem of one of a connector's options. Whoever read the
// options from a file can show the place. A connector that finds several
// returns them joined ([errors.Join]).
type OptionError struct {
	// Path leads to the option: keys of maps, and of lists the position as a
	// decimal number, from 0. Of an option that is missing it names the key
	// where it should be.
	Path []string
	// Offset is where in the option's text the problem is, in characters.
	Offset int
	// Err says what is wrong and what to do, without the path and without a
	// secret.
	Err error
}

// Error is the path and what is wrong with it.
func (e *OptionError) Error() string {
	return strings.Join(e.Path, ".") + ": " + e.Err.Error()
}

// Unwrap returns Err.
func (e *OptionError) Unwrap() error { return e.Err }

// UseError is a problem of what a sync uses of the remote: a record type or a
// field that is not there. Whoever read the sync from a file can show the place.
type UseError struct {
	// Sync is that of the [Use].
	Sync string
	// Field is one of its fields; empty: it is about the record type.
	Field string
	// Err says what is wrong and what to do, without the sync's name.
	Err error
}

// Error is the sync and what is wrong with it.
func (e *UseError) Error() string { return "sync " + e.Sync + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *UseError) Unwrap() error { return e.Err }

// Problem makes a [UseError] of the use, with a text as fmt.Errorf makes it.
// field is one of its fields, or empty when it is about the record type.
func (u Use) Problem(field, format string, args ...any) error {
	return &UseError{Sync: u.Sync, Field: field, Err: fmt.Errorf(format, args...)}
}
