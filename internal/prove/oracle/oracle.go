// Package oracle says, once all faults are healed and nothing is under way,
// whether every promise was kept. All proofs ask it, and nothing else.
package oracle

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/prove/ledger"
	"github.com/upkeep-sync/upkeep/internal/prove/shop"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// Case is what the oracle is asked about.
type Case struct {
	// Store is the registry, and App the application's connection.
	Store store.Store
	App   *sql.DB
	// Remote is what was sent to, and Since how much of its ledger was judged
	// before.
	Remote Remote
	Since  int
	// Edition of the syncs that ran last.
	Edition int
	// Ended says which records may have been deleted.
	Ended *shop.Ended
	// Forgotten are records that may be at the remote without a row, while the
	// registry, which was restored, knows nothing of them.
	Forgotten map[string]bool
	// Blind: the remote can't look records up, so that a row with the key of a
	// forgotten one makes another.
	Blind bool
	// Hurried: the registry's clock was moved, or the registry was put back, while
	// processes worked, so that leases ended before their time: several requests may
	// have been under way for one record.
	Hurried bool
	// MayPark says for which reason a group may be parked; nil: for none.
	MayPark func(reason string) bool
	// Refused are records that the remote refuses for good: exactly their groups are
	// to be parked, besides those of MayPark.
	Refused map[string]bool
	// Secrets must be in no table of the registry and no log.
	Secrets []string
	// Tables reads the registry's tables, each as text, by name.
	Tables func(context.Context) (map[string]string, error)
	// Logs are what the workers wrote.
	Logs string
	// AppErrors are the application's writes that failed though the database
	// was up.
	AppErrors []error
}

// Remote is what the oracle looks at of a remote.
type Remote interface {
	// Records are all of them, as the ledger has them.
	Records() []ledger.Record
	// Duplicates are the keys that more than one record has, each followed by a colon.
	Duplicates() []string
	// Applied are the changes after the first n; Overtaken and Crowded what came
	// in the wrong order, and at once. A remote that keeps no ledger has none.
	Applied(n int) []ledger.Entry
	Overtaken() []string
	Crowded() []string
}

// Verdict counts what is wrong. The zero value, but for Groups and Parked, is
// what is promised.
type Verdict struct {
	Groups, Parked             int
	Lost, Duplicates, Deletes  int // diverged records; keys twice; deletes without cause
	Unsettled, Touches, Leaked int
	Overtaken                  int // changes of records that were in a job
	Crowded                    int // requests beside another one for the same record
	AppErrors                  int
	Problems                   []string
}

// Other is what is wrong besides lost, duplicated and deleted records and what the
// application noticed.
func (v *Verdict) Other() int {
	return v.Unsettled + v.Touches + v.Leaked + v.Overtaken + v.Crowded
}

// Err is nil when every promise was kept.
func (v *Verdict) Err() error {
	if len(v.Problems) == 0 {
		return nil
	}
	shown := v.Problems
	if len(shown) > 20 {
		shown = append(slices.Clone(shown[:20]), fmt.Sprintf("and %d more", len(v.Problems)-20))
	}
	return fmt.Errorf("%d promises are broken:\n  %s", len(v.Problems), strings.Join(shown, "\n  "))
}

func (v *Verdict) add(n *int, format string, args ...any) {
	*n++
	v.Problems = append(v.Problems, fmt.Sprintf(format, args...))
}

// Judge compares. Its error is about the asking only.
func Judge(ctx context.Context, c Case) (*Verdict, error) {
	v := &Verdict{}
	want, err := shop.Expect(ctx, c.App, c.Edition)
	if err != nil {
		return nil, fmt.Errorf("compute what is expected: %w", err)
	}
	parked, known, err := v.registry(ctx, c)
	if err != nil {
		return nil, err
	}
	v.remote(c, want, parked, known)
	for _, err := range c.AppErrors {
		v.add(&v.AppErrors, "the application's write failed: %v", err)
	}
	return v, v.secrets(ctx, c)
}

// registry looks at every group, and at the log. It returns the keys of the
// parked ones, and of those that wait for these, and of all that it knows, as
// [shop.Want] has them.
func (v *Verdict) registry(ctx context.Context, c Case) (parked map[string]bool, known map[string]store.Group, err error) {
	parked, known = map[string]bool{}, map[string]store.Group{}
	var waiting []store.Group
	groups, err := Groups(ctx, c.Store)
	if err != nil {
		return nil, nil, err
	}
	for _, g := range groups {
		v.Groups++
		known[recordOf(g.ID)] = g
		switch g.State {
		case store.Clean, store.Gone:
			if g.Generation != g.SyncedGeneration || !g.InDoubtUntil.IsZero() || g.Holder != "" {
				v.add(&v.Unsettled, "%s counts as %s, with generation %d of %d, in doubt until %v, held by %q", g.ID, g.State, g.SyncedGeneration, g.Generation, g.InDoubtUntil, g.Holder)
			}
		case store.Parked:
			v.Parked++
			parked[recordOf(g.ID)] = true
			if !c.Refused[recordOf(g.ID)] && (g.Reason == "" || c.MayPark == nil || !c.MayPark(g.Reason)) {
				v.add(&v.Unsettled, "%s is parked: %q", g.ID, g.Reason)
			}
		case store.Waiting: // for one that is parked?
			waiting = append(waiting, g)
		default:
			v.add(&v.Unsettled, "%s is still %s: %s", g.ID, g.State, g.Reason)
		}
	}
	for _, record := range slices.Sorted(maps.Keys(c.Refused)) {
		if !parked[record] {
			v.add(&v.Unsettled, "%s is refused by the remote, and its group is not parked", record)
		}
	}
	for _, g := range waiting {
		if len(g.WaitsFor) == 0 || !parked[recordOf(g.WaitsFor[0])] {
			v.add(&v.Unsettled, "%s is still %s: %s", g.ID, g.State, g.Reason)
		}
		parked[recordOf(g.ID)] = true
	}
	n, err := c.Store.Pending(ctx, 1000)
	for range n {
		v.add(&v.Touches, "a touch is still in the log")
	}
	return parked, known, err
}

// recordOf is the key of a group's record, as [shop.Want] has it.
func recordOf(id store.ID) string { return id.Sync + "/" + id.Sync + "-" + id.Key }

// Groups reads the whole registry.
func Groups(ctx context.Context, s store.Store) ([]store.Group, error) {
	counts, err := s.Counts(ctx)
	if err != nil {
		return nil, err
	}
	var all []store.Group
	for _, c := range counts {
		for after := (store.ID{}); ; {
			page, err := s.Groups(ctx, c.Sync, "", after, 1000)
			if err != nil {
				return nil, err
			}
			all = append(all, page...)
			if len(page) < 1000 {
				break
			}
			after = page[len(page)-1].ID
		}
	}
	return all, nil
}

// remote compares every record, field by field.
func (v *Verdict) remote(c Case, want shop.Want, parked map[string]bool, known map[string]store.Group) {
	got := shop.Want{}
	records := c.Remote.Records()
	names := map[string]string{}
	for _, r := range records {
		names[r.ID] = r.Type + "/" + r.ExternalID
	}
	for _, r := range records {
		fields := map[string]string{}
		for name, value := range r.Fields {
			fields[name] = named(value, names)
		}
		got[names[r.ID]] = fields
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if parked[key] || c.Blind && c.Forgotten[key] {
			continue
		}
		if want.Kept(key) {
			v.kept(key, got[key], known[key], c.Ended.Has(key) || c.Ended.Undone(key))
			continue
		}
		for name, value := range want[key] {
			// Who refers to a parked record is touched when a person settled it.
			if to, is := referred(value); is && parked[to] && got[key] != nil {
				got[key][name] = value
			}
		}
		if diff := difference(want[key], got[key]); diff != "" {
			v.add(&v.Lost, "%s: %s", key, diff)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if g, known := known[key]; want[key] == nil && !parked[key] && (known && !c.Blind || !c.Forgotten[key]) {
			v.add(&v.Lost, "%s is at the remote, and its row is not there or does not pass; its group is %q", key, g.State)
		}
	}
	for _, d := range c.Remote.Duplicates() {
		if key, _, _ := strings.Cut(d, ":"); c.Blind && c.Forgotten[key] {
			continue
		}
		v.add(&v.Duplicates, "duplicate: %s", d)
	}
	for _, o := range c.Remote.Overtaken() {
		v.add(&v.Overtaken, "overtaken: %s", o)
	}
	if !c.Hurried {
		for _, what := range c.Remote.Crowded() {
			v.add(&v.Crowded, "two at once: %s", what)
		}
	}
	for _, e := range c.Remote.Applied(c.Since) {
		if e.Verb == "delete" && !c.Ended.Has(e.Type+"/"+e.ExternalID) {
			v.add(&v.Deletes, "%s/%s was deleted (%d in the ledger), and its row never was", e.Type, e.ExternalID, e.N)
		}
	}
}

// kept looks at a record that its row's condition leaves as it is. One whose row was
// deleted once may be gone though it is known: a delete of which nobody knows
// whether it was done stays in doubt until the row passes that came back since.
func (v *Verdict) kept(key string, got map[string]string, g store.Group, ended bool) {
	switch {
	case got == nil && g.RemoteID != "" && !ended:
		v.add(&v.Lost, "%s is to be kept as it is, and is not there", key)
	case strings.Contains(got["text"], shop.Hidden):
		v.add(&v.Lost, "%s is to be kept as it is, and has what was written since: %s", key, got["text"])
	}
}

// referred is the record that a named reference refers to.
func referred(value string) (key string, is bool) {
	var ref struct {
		Ref string `json:"ref"`
	}
	return ref.Ref, json.Unmarshal([]byte(value), &ref) == nil && ref.Ref != ""
}

// named puts external ids for the ids of the remote's own in a reference.
func named(value json.RawMessage, names map[string]string) string {
	var ref struct {
		Ref string `json:"ref"`
	}
	if json.Unmarshal(value, &ref) != nil || ref.Ref == "" {
		return string(value)
	}
	name, there := names[ref.Ref]
	if !there {
		name = "a record that is gone: " + ref.Ref
	}
	b, _ := json.Marshal(map[string]string{"ref": name}) // strings encode
	return string(b)
}

func difference(want, got map[string]string) string {
	if got == nil {
		return "there is no record at the remote"
	}
	var d []string
	for _, f := range slices.Sorted(maps.Keys(want)) {
		if !sameJSON(want[f], got[f]) {
			d = append(d, fmt.Sprintf("%s is %s, want %s", f, got[f], want[f]))
		}
	}
	for _, f := range slices.Sorted(maps.Keys(got)) {
		if _, wanted := want[f]; !wanted {
			d = append(d, fmt.Sprintf("%s is %s, want null", f, got[f]))
		}
	}
	return strings.Join(d, "; ")
}

func sameJSON(a, b string) bool {
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return a == b
	}
	p, _ := json.Marshal(x) // what was decoded can be encoded
	q, _ := json.Marshal(y)
	return string(p) == string(q)
}

// secrets looks for canaries in the logs and in every table of the registry.
func (v *Verdict) secrets(ctx context.Context, c Case) error {
	for _, s := range c.Secrets {
		if strings.Contains(c.Logs, s) {
			v.add(&v.Leaked, "a log has %q", s)
		}
	}
	if c.Tables == nil || len(c.Secrets) == 0 {
		return nil
	}
	tables, err := c.Tables(ctx)
	if err != nil {
		return err
	}
	for table, text := range tables {
		for _, s := range c.Secrets {
			if strings.Contains(text, s) {
				v.add(&v.Leaked, "%s has %q", table, s)
			}
		}
	}
	return nil
}
