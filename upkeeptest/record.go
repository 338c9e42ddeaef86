package upkeeptest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
)

// Record is what is at the remote for one group.
type Record struct {
	// Exists is false when there is no record there; all others but State and
	// Why are then empty.
	Exists bool
	// Type is the remote's name for the kind of record.
	Type string
	// ExternalID is the key that the record carries.
	ExternalID string
	// Fields are the fields as the remote has them, each in JSON.
	Fields connector.Fields
	// From is the external id of the record that it was initialized from;
	// empty for an ordinary one.
	From string
	// State is where the group stands; empty when there is none: no such row, or
	// one that was not registered.
	State upkeep.State
	// Why is one sentence on the group: clean, parked with the reason,
	// waiting for which record.
	Why string

	t     testing.TB
	name  string
	group *upkeep.Group // nil: there is none
}

// Record settles, and returns what is at the remote for the row with this
// primary key, one value for each column. What can be no key of the table ends
// the test.
func (db *DB) Record(sync string, key ...any) *Record {
	db.t.Helper()
	db.Settle()
	if n, known := db.keys[sync]; known && n != len(key) {
		db.t.Fatalf("Record(%q, ...): the values given are %d, and the columns of the primary key %d", sync, len(key), n)
	}
	k, err := upkeep.Key(key...)
	if err != nil {
		db.t.Fatal(err)
	}
	x, err := db.Engine.Explain(context.Background(), sync, k)
	if err != nil {
		db.t.Fatal(err)
	}
	r := &Record{Why: x.Why, t: db.t, name: sync + " " + k, group: x.Group}
	if x.Group == nil {
		return r
	}
	r.State = x.Group.State
	if x.Group.RemoteID == "" {
		return r
	}
	for _, at := range db.Remote.Records("") {
		if at.ID == x.Group.RemoteID {
			r.Exists, r.Type, r.ExternalID, r.Fields = true, at.Type, at.ExternalID, at.Fields
			r.From = externalID(db.Remote, at.From.RemoteID)
		}
	}
	return r
}

// Get returns one field in JSON; "" when it is not there.
func (r *Record) Get(field string) string { return string(r.Fields[field]) }

// String is the fields as one JSON object, sorted by name, or "none: " and
// Why.
func (r *Record) String() string {
	if !r.Exists {
		return "none: " + r.Why
	}
	var b bytes.Buffer
	b.WriteByte('{')
	for i, name := range slices.Sorted(maps.Keys(r.Fields)) {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q: %s", name, r.Fields[name])
	}
	b.WriteByte('}')
	return b.String()
}

// Want fails the test unless the record's fields are exactly these, given as
// one JSON object. Order and white space do not count, 1.50 is 1.5, and a field
// that was sent as null is not there. It fails of a group that is parked or waits,
// whose record is of before: see [Record.WantParked], and Fields for what is there.
func (r *Record) Want(fields string) {
	r.t.Helper()
	want, err := plain([]byte(fields))
	if err != nil {
		r.t.Fatalf("what is wanted of %s is not JSON: %v", r.name, err)
	}
	if !r.Exists {
		r.t.Errorf("%s: there is no record: %s", r.name, r.Why)
		return
	}
	if r.State == upkeep.Parked || r.State == upkeep.Waiting {
		r.t.Errorf("%s: the record is of before, and its group is held up: %s", r.name, r.Why)
	}
	got, err := plain([]byte(r.String()))
	if err != nil {
		r.t.Fatalf("%s: %v", r.name, err)
	}
	if !reflect.DeepEqual(got, want) {
		r.t.Errorf("%s\n got %s\nwant %s\n(%s)", r.name, r, fields, r.Why)
	}
}

// WantNone fails the test unless there is no record, and none is to be: there
// is no such row, or the mapping leaves it out. One that is only not there yet,
// parked or waiting, fails: see [Record.WantParked] and [Record.WantWaiting].
func (r *Record) WantNone() {
	r.t.Helper()
	switch r.State {
	case "", upkeep.Clean, upkeep.Gone, upkeep.Skipped:
		if r.Exists {
			r.t.Errorf("%s: there is a record, and there must not be one: %s", r.name, r)
		}
	default:
		r.t.Errorf("%s: there is to be no record, and this one is only held up: %s", r.name, r.Why)
	}
}

// WantParked fails the test unless the group is parked, with a reason that
// contains this text: the words of the remote or of Translate's error.
func (r *Record) WantParked(reason string) {
	r.t.Helper()
	if r.State != upkeep.Parked || !strings.Contains(r.group.Reason, reason) {
		r.t.Errorf("%s: it is not parked for %q: %s", r.name, reason, r.Why)
	}
}

// WantWaiting fails the test unless the group waits for another one's record,
// given as [DB.Touched] has it: "customer/1".
func (r *Record) WantWaiting(other string) {
	r.t.Helper()
	if r.State != upkeep.Waiting || !slices.ContainsFunc(r.group.WaitsFor, func(id upkeep.ID) bool { return id.String() == other }) {
		r.t.Errorf("%s: it does not wait for %s: %s", r.name, other, r.Why)
	}
}

// plain decodes JSON so that equal values are deeply equal.
func plain(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return exact(v), nil
}

func exact(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = exact(e)
		}
	case []any:
		for i, e := range v {
			v[i] = exact(e)
		}
	case json.Number:
		if n, ok := new(big.Rat).SetString(v.String()); ok {
			return json.Number(n.RatString())
		}
	}
	return v
}
