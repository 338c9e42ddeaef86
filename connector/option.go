package connector

import "strings"

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
