package connector

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Kind is the decision that an error asks of the engine. One that is none of these
// is a mistake of the connector: the error says so, and parks the record.
type Kind int

const (
	// Unknown: nobody can say whether the remote applied the request: a
	// timeout, a connection that broke after the request was written, a 5xx,
	// an answer that makes no sense. The group is in doubt until the remote
	// can no longer apply it; of a look-up or a read, which apply nothing, it is
	// only tried again. The zero value, because it is the careful one.
	Unknown Kind = iota
	// Unavailable: the request was surely not applied and the remote as a
	// whole cannot be reached: name lookup, connection refused, TLS. Counts
	// against the remote, not the record.
	Unavailable
	// RateLimited: surely not applied; the remote asks for less. Pauses the
	// remote for RetryAfter and costs the record no attempt.
	RateLimited
	// Unauthorized: surely not applied; credentials or rights are wrong.
	// Counts against the remote, not the record.
	Unauthorized
	// Busy: surely not applied; this record is locked or was changed at the
	// same moment. Retried with backoff; costs the record an attempt.
	Busy
	// Rejected: surely not applied, and will not be until the data, the
	// mapping or the account changes. Parks the record with the message.
	Rejected
	// NotFound: the record that the call names does not exist.
	NotFound
	// Exists: surely not applied; a record with this external id, or another
	// unique value, is already there. One with the external id is found and
	// adopted. Where it is another value, also one that an update sets, the
	// record is tried again for half a minute, since the one that has the value
	// may be about to change or to go, and then parked; and tried now and then
	// from then on, as when other records of the remote have changed or gone.
	Exists
)

// String is the word used in logs, history and the command line.
func (k Kind) String() string {
	switch k {
	case Unknown:
		return "outcome unknown"
	case Unavailable:
		return "unavailable"
	case RateLimited:
		return "rate limited"
	case Unauthorized:
		return "unauthorized"
	case Busy:
		return "busy"
	case Rejected:
		return "rejected"
	case NotFound:
		return "not found"
	case Exists:
		return "exists"
	}
	return fmt.Sprintf("Kind(%d)", int(k))
}

// Error is a failed call. Its text is for a person: it holds the remote's own
// words and never a secret, a query string or a header. A function that returns
// an error returns a plain nil when nothing failed: a nil *Error in it is none
// (see the Go FAQ, "Why is my nil error value not equal to nil?"), and counts as
// one of kind [Unknown].
type Error struct {
	Kind Kind
	// RetryAfter is how long the remote asked to wait. Zero: it did not say.
	// With RateLimited nothing is sent to the remote for so long; with the
	// other kinds the record rests for at least so long before it goes again.
	// More than an hour is an hour: then it is tried, so that a remote which
	// goes wrong stops nothing for good.
	RetryAfter time.Duration
	// Status is the HTTP status, zero when there was no answer.
	Status int
	// Code is the remote's own code for the error, such as
	// "CONCURRENCY_LIMIT_EXCEEDED"; may be empty.
	Code string
	// Message is the remote's own words, cut to a sensible length.
	Message string
	// Err is the cause on this side, if any.
	Err error
}

// Error joins what is known: status, code, message and cause.
func (e *Error) Error() string {
	if e == nil {
		e = nilError()
	}
	s := e.Kind.String()
	if e.Kind < Unknown || e.Kind > Exists {
		s = fmt.Sprintf("the connector returned an error of the kind %d, which there is not", int(e.Kind))
	}
	if e.Status != 0 {
		s += fmt.Sprintf(" (HTTP %d", e.Status)
		if e.Code != "" {
			s += " " + e.Code
		}
		s += ")"
	} else if e.Code != "" {
		s += " (" + e.Code + ")"
	}
	if e.Message != "" {
		s += ": " + e.Message
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.Err
}

// nilError stands for an error that is a nil *Error: the connector meant to say
// that nothing failed, or lost what did.
func nilError() *Error {
	return &Error{Kind: Unknown, Message: "the connector returned a nil *connector.Error as an error; when nothing failed it must return a plain nil"}
}

// AsError returns the *Error in err's chain. Any other error is taken as one
// of kind [Unknown], the careful reading; so is a nil *Error. Nil for nil.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		if e == nil {
			return nilError()
		}
		return e
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return &Error{Kind: Unknown, Message: "no answer in time", Err: err}
	}
	return &Error{Kind: Unknown, Err: err}
}

// KindOf is AsError(err).Kind; err must not be nil.
func KindOf(err error) Kind { return AsError(err).Kind }
