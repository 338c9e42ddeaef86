// Package connectortest is the conformance suite of connectors: what the
// engine relies on, as tests. A connector passes it against a stand-in of its
// remote:
//
//	func TestConformance(t *testing.T) {
//		connectortest.Run(t, func(t *testing.T) connectortest.Target { ... })
//	}
//
// A stand-in that is an http.Handler gets its faults from [Disturb].
package connectortest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/upkeep-sync/upkeep/connector"
)

// Target is one connector with a fresh, empty remote behind it. All fields
// are needed unless they say otherwise.
type Target struct {
	// Connection is open; the suite closes it.
	Connection connector.Connection
	// Type is the record type of the tests.
	Type string
	// Required are fields without which the remote refuses a new record. May
	// be empty; may name fields below.
	Required connector.Fields

	// Text and Other name fields that hold text; Text at least LongText
	// characters, at least 255.
	Text, Other string
	LongText    int
	// Number names a field that holds each of Numbers exactly (JSON
	// numbers, whole, with decimals, negative, large).
	Number  string
	Numbers []string
	// Date and Time name fields for "2006-01-02" and RFC 3339 times in UTC;
	// a text field where the remote has no such type.
	Date, Time string
	// List names a field that is a list, and Line makes its line i (from 0)
	// with a quantity (1 to 9), as JSON; different i make different lines.
	List string
	Line func(i, quantity int) json.RawMessage
	// RefField names a field that refers to another record, and Ref makes
	// such a record and names it: type, remote id and external id.
	RefField string
	Ref      func(t *testing.T) connector.Ref

	// Poison are fields for which the remote refuses a record, and that record
	// alone, in a batch or a job. Nil: no such are known. For a
	// [connector.Batcher] or a [connector.Bulker].
	Poison connector.Fields

	// Opaque: the remote can't be asked which types and fields it has. For a
	// [connector.Checker].
	Opaque bool

	// Origin makes a record from which the connection's Initialize makes
	// records of InitType, with the text field InitText. Needed for a
	// [connector.Initializer].
	Origin             func(t *testing.T) connector.Origin
	InitType, InitText string
	// InitPart are fields for a record of InitType with one list, which names
	// less than Origin's record has. Nil: there are no such lists.
	InitPart connector.Fields

	// Stored returns what the remote itself has of a field, as JSON. Needed
	// for a connection that is no [connector.Reader].
	Stored func(recordType, remoteID, field string) json.RawMessage
	// Count returns how many records the remote itself has with an external
	// id.
	Count func(recordType, externalID string) int

	// Fail makes every request from now on meet the fault, until Heal.
	// Requests for an access token are not disturbed.
	Fail func(Fault)
	Heal func()
	// Lacks tells the faults that this kind of remote does not have: a database
	// has no Retry-After. Nil: it has all.
	Lacks func(Fault) bool
	// Sure says that the connector knows of a request that was cut off before
	// it was applied that it was not, as of a transaction that was never
	// committed, and of any that only reads. Its kind is then Unavailable where
	// others have Unknown.
	Sure bool

	// Secrets are texts that may be in no error, such as passwords, keys and
	// tokens.
	Secrets []string
}

// FaultKind is a way in which a remote fails.
type FaultKind string

// The ways to fail. They say what the remote does; what the connector has to
// make of them is in the suite.
const (
	// Answer: an answer with Fault.Status, RetryAfter and Message in the
	// remote's own form of an error.
	Answer FaultKind = "answer"
	// Reset: the TCP connection is reset instead of an answer.
	Reset FaultKind = "reset"
	// HTML: an HTML page, as proxies and portals give it, with Fault.Status;
	// zero: 200.
	HTML FaultKind = "html"
	// Empty: status 200 with no body and no telling header.
	Empty FaultKind = "empty"
	// Garbage: a success with a body of the right media type that breaks off
	// in the middle.
	Garbage FaultKind = "garbage"
	// Hang: no answer until the caller goes away or Heal is called.
	Hang FaultKind = "hang"
)

// Fault is what the remote does with requests, see Target.Fail.
type Fault struct {
	Kind FaultKind
	// Applied: the remote applies the request and then fails. Otherwise it
	// changes nothing.
	Applied bool
	// Status, RetryAfter (zero: none) and Message are for [Answer], and Status
	// for [HTML].
	Status     int
	RetryAfter time.Duration
	Message    string
	// Met must be called, when not nil, each time that a request meets the
	// fault (and has been applied, if Applied), before it is answered.
	Met func()
}

// String names the fault for subtests.
func (f Fault) String() string {
	s := string(f.Kind)
	switch {
	case f.Kind == Answer:
		s = fmt.Sprint(f.Status)
	case f.Status != 0:
		s = fmt.Sprint(f.Status, " in ", f.Kind)
	}
	if f.RetryAfter > 0 {
		s += " with Retry-After"
	}
	if f.Applied {
		s += " after applying"
	}
	return s
}

// Run runs the suite, of which -run can choose any subtest. newTarget is called
// once for each, and once to see which apply; it should use t.Cleanup for what it
// opens besides the connection.
func Run(t *testing.T, newTarget func(t *testing.T) Target) {
	tests := []struct {
		name string
		test func(*suite)
		// optional tells whether the connection has the ability that the
		// test is about; nil: every connection has.
		optional func(Target) bool
	}{
		{name: "close leaves nothing behind", test: (*suite).closeLeavesNothing},
		{name: "traits", test: (*suite).traits},
		{name: "create, find, read", test: (*suite).createFindRead},
		{name: "create twice", test: (*suite).createTwice},
		{name: "update touches only its fields", test: (*suite).updateTouchesOnlyItsFields},
		{name: "null clears, absent leaves", test: (*suite).nullClears},
		{name: "lists replace whole", test: (*suite).listsReplaceWhole},
		{name: "texts", test: (*suite).texts},
		{name: "texts that not every form can hold", test: (*suite).oddTexts},
		{name: "numbers", test: (*suite).numbers},
		{name: "dates and times", test: (*suite).datesAndTimes},
		{name: "references", test: (*suite).references},
		{name: "external ids", test: (*suite).externalIDs},
		{name: "delete twice", test: (*suite).deleteTwice},
		{name: "unknown ids", test: (*suite).unknownIDs},
		{name: "the caller's fields stay", test: (*suite).callersFieldsStay},
		{name: "faults", test: (*suite).faults},
		{name: "a lost reply", test: (*suite).lostReply},
		{name: "a request that was not applied", test: (*suite).notApplied},
		{name: "a cancelled context", test: (*suite).cancelled},
		{name: "a context that ends during the call", test: (*suite).cancelledDuring},
		{name: "close ends calls", test: (*suite).closeEndsCalls},
		{name: "many at once", test: (*suite).manyAtOnce},
		{name: "one record from many at once", test: (*suite).oneFromMany},
		{name: "read follows want", test: (*suite).readFollowsWant, optional: is[connector.Reader]},
		{name: "initialize", test: (*suite).initialize, optional: is[connector.Initializer]},
		{name: "initialize with a part of a list", test: (*suite).initializePart, optional: func(t Target) bool { return t.InitPart != nil }},
		{name: "initialize with a lost reply", test: (*suite).initializeLostReply, optional: is[connector.Initializer]},
		{name: "batch", test: (*suite).batch, optional: batches},
		{name: "a batch with records to blame", test: (*suite).batchPartly, optional: batches},
		{name: "a batch that meets a fault", test: (*suite).batchFaults, optional: batches},
		{name: "a batch with a lost reply", test: (*suite).batchLostReply, optional: batches},
		{name: "a job", test: (*suite).bulk, optional: jobs},
		{name: "a job that is aborted", test: (*suite).bulkAborted, optional: jobs},
		{name: "a job that meets a fault", test: (*suite).bulkFaults, optional: jobs},
		{name: "check", test: (*suite).check, optional: is[connector.Checker]},
	}
	var sample Target
	open := func(t *testing.T) {
		sample = newTarget(t)
		if lacks := sample.incomplete(); len(lacks) > 0 {
			t.Fatalf("the Target lacks %s: its doc comments say what they are for", strings.Join(lacks, ", "))
		}
		if err := sample.Connection.Close(); err != nil {
			t.Errorf("close of an unused connection: %v", err)
		}
	}
	if !t.Run("open and close", open) {
		return // the tests would say the same, or panic
	}
	if sample.Connection == nil { // -run leaves it out, and what the others need is still to be known
		open(t)
	}
	for _, c := range tests {
		if c.optional != nil && !c.optional(sample) {
			continue
		}
		t.Run(c.name, func(t *testing.T) { c.test(newSuite(t, newTarget)) })
	}
}

func is[T any](t Target) bool { _, ok := t.Connection.(T); return ok }

// suite is one subtest's target and what it has seen.
type suite struct {
	*testing.T
	Target
	ctx context.Context
}

// ids numbers external ids, so that no two subtests share one.
var ids atomic.Int64

// patience is how long a call may take at most before the suite gives up.
const patience = 20 * time.Second

func newSuite(t *testing.T, newTarget func(t *testing.T) Target) *suite {
	t.Helper()
	s := &suite{T: t, Target: newTarget(t)}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	s.ctx = ctx
	t.Cleanup(func() {
		s.Heal()
		cancel()
		if err := s.Connection.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// part is the suite of a subtest, which has its own time.
func (s *suite) part(t *testing.T) *suite {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return &suite{T: t, Target: s.Target, ctx: ctx}
}

func (s *suite) id() string { return fmt.Sprintf("suite-%d", ids.Add(1)) }

// record makes a record of the required fields and the given ones.
func (s *suite) record(externalID string, f connector.Fields) connector.Record {
	all := connector.Fields{}
	maps.Copy(all, s.Required)
	maps.Copy(all, f)
	return connector.Record{Type: s.Type, ExternalID: externalID, Fields: all}
}

// changes makes a record for an update.
func (s *suite) changes(externalID string, f connector.Fields) connector.Record {
	return connector.Record{Type: s.Type, ExternalID: externalID, Fields: f}
}

// create makes a record that has to succeed.
func (s *suite) create(r connector.Record) string {
	s.Helper()
	id, err := s.Connection.Create(s.ctx, r)
	s.look(err)
	if err != nil {
		s.Fatalf("create %s %q: %v", r.Type, r.ExternalID, err)
	}
	if id == "" {
		s.Fatalf("create %s %q: no remote id and no error", r.Type, r.ExternalID)
	}
	return id
}

func (s *suite) update(id string, r connector.Record) {
	s.Helper()
	err := s.Connection.Update(s.ctx, id, r)
	s.look(err)
	if err != nil {
		s.Fatalf("update %s %s: %v", r.Type, id, err)
	}
}

// fails expects an error of one of the kinds.
func (s *suite) fails(err error, what string, kinds ...connector.Kind) *connector.Error {
	s.Helper()
	s.look(err)
	if err == nil {
		s.Errorf("%s: no error, want one of kind %s", what, either(kinds))
		return &connector.Error{}
	}
	e := connector.AsError(err)
	for _, k := range kinds {
		if e.Kind == k {
			return e
		}
	}
	s.Errorf("%s: an error of kind %q, want %s: %v", what, e.Kind, either(kinds), err)
	return e
}

func either(kinds []connector.Kind) string {
	var words []string
	for _, k := range kinds {
		words = append(words, strconv.Quote(k.String()))
	}
	return strings.Join(words, " or ")
}

// lacks says whether the remote does not have a fault.
func (s *suite) lacks(f Fault) bool { return s.Lacks != nil && s.Lacks(f) }

// cutOff is the kind of a call's error when the remote did not answer.
func (s *suite) cutOff(verb string, applied bool) connector.Kind {
	if s.Sure && (!applied || verb == "find" || verb == "read") {
		return connector.Unavailable
	}
	return connector.Unknown
}

// look checks what holds of every error: its type, that it says something,
// and that it says no secret.
func (s *suite) look(err error) {
	s.Helper()
	if err == nil {
		return
	}
	var e *connector.Error
	if !errors.As(err, &e) {
		s.Errorf("%T is not a *connector.Error: %v", err, err)
		return
	}
	if e == nil {
		s.Errorf("a nil *connector.Error was returned as an error, which is not nil then: return a plain nil when nothing failed")
		return
	}
	text := err.Error() + fmt.Sprintf("%+v %#v", err, e.Message)
	switch {
	case strings.TrimSpace(e.Message) == "" && e.Err == nil:
		s.Errorf("the error %q has neither a Message nor an Err: say what happened, also when the remote gives no reason", err)
	case len(err.Error()) > 4096 || !utf8.ValidString(err.Error()):
		s.Errorf("the error's text is too long (%d bytes) or not UTF-8", len(err.Error()))
	case strings.Contains(strings.ToLower(text), "<html"):
		s.Errorf("the error holds a whole page: %v", err)
	}
	for _, secret := range s.Secrets {
		if secret != "" && strings.Contains(text, secret) {
			s.Errorf("the error holds a secret: %s", strings.ReplaceAll(err.Error(), secret, "[secret]"))
		}
	}
}

// stored returns what the remote has, in want's form.
func (s *suite) stored(recordType, id string, want connector.Fields) connector.Fields {
	s.Helper()
	if r, ok := s.Connection.(connector.Reader); ok {
		got, err := r.Read(s.ctx, recordType, id, want)
		s.look(err)
		if err != nil {
			s.Fatalf("read %s %s: %v", recordType, id, err)
		}
		return got
	}
	got := connector.Fields{}
	for k, w := range want {
		p, err := connector.Project(w, s.Stored(recordType, id, k))
		if err != nil {
			s.Fatalf("stored %s: %v", k, err)
		}
		got[k] = p
	}
	return got
}

// has checks that the remote has these values.
func (s *suite) has(id string, want connector.Fields) {
	s.Helper()
	got := s.stored(s.Type, id, want)
	for k, w := range want {
		if !sameJSON(w, got[k]) {
			s.Errorf("field %s: the remote has %s, want %s", k, clip(got[k]), clip(w))
		}
	}
}

// count checks how many records have an external id.
func (s *suite) count(externalID string, want int) {
	s.Helper()
	if n := s.Count(s.Type, externalID); n != want {
		s.Errorf("%d records with the external id %q, want %d", n, externalID, want)
	}
}

// find checks what Find answers; empty want: NotFound.
func (s *suite) find(externalID, want string) {
	s.Helper()
	id, err := s.Connection.Find(s.ctx, s.Type, externalID)
	switch {
	case s.Connection.Traits().Class == connector.Blind:
		s.fails(err, "find at a remote that has no look-up", connector.NotFound, connector.Rejected)
	case want == "":
		s.fails(err, fmt.Sprintf("find %q", externalID), connector.NotFound)
	default:
		s.look(err)
		if err != nil || id != want {
			s.Errorf("find %q: %q, %v; want %q", externalID, id, err, want)
		}
	}
}

func sameJSON(a, b json.RawMessage) bool {
	var x, y bytes.Buffer
	if json.Compact(&x, a) != nil || json.Compact(&y, b) != nil {
		return false
	}
	if bytes.Equal(x.Bytes(), y.Bytes()) {
		return true
	}
	p, err := connector.Project(a, b) // got in another order of members
	return err == nil && bytes.Equal(p, a)
}

func clip(b json.RawMessage) string {
	if len(b) > 300 {
		return string(b[:300]) + "..."
	}
	return string(b)
}

func quote(text string) json.RawMessage {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string always encodes
	}
	return b
}
