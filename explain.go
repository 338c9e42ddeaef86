package upkeep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// Explanation is all that is known of one group.
type Explanation struct {
	// ID is the group, its key as the database writes it.
	ID ID
	// Why is one sentence: what state it is in and why.
	Why string
	// Group is the registry's row; nil when there is none.
	Group *Group
	// Composite is the row with its members as they are now; nil when there
	// is no such row. In the place of a value that can't be used is an error
	// that says why; nothing is sent of such a row.
	Composite Row
	// Record is what is to be at the remote; nil when nothing is.
	Record *connector.Record
	// Send is what would be done now: "create", "update", "delete",
	// "nothing", "wait" or "refuse"; Changed names the fields of an update.
	Send    string
	Changed []string
	// Left names the fields that a person has left as they are at the remote, or has
	// asked to, which are not as the database says; see [Engine.Skip].
	Left []string
	// LookFirst: the record is looked for by its external id before that. One that
	// is there is updated with all fields in the place of a "create".
	LookFirst bool
	// Missing are those that the record refers to and that are not at the remote,
	// for which it waits. Record has "(record of customer/7)" in their places.
	Missing []ID
	// WhenFalse: there is a row, and When leaves it out.
	WhenFalse bool
	// Attempts is the history, newest first.
	Attempts []Attempt
	// Interventions is what was done to it by hand, newest first, 20 at most.
	Interventions []Intervention
	// Chain is what it waits for, the nearest first, and what these wait for,
	// down to the root of the trouble; 20 groups at most.
	Chain []Link
	// Blocks are groups that wait for this one, 100 at most. BlocksDirect is how
	// many there are, and BlocksAll counts those too that wait for these, over
	// any number of hops; at most [BlockedMost].
	Blocks                  []string
	BlocksDirect, BlocksAll int
	// Commands are the versions that wait, oldest first, of a sync that
	// delivers every one: at most 100, without their data. With some, Composite,
	// Record and Send are of the oldest. Gaps are versions that did not become
	// commands, newest first.
	Commands []Command
	Gaps     []Gap
	// Paused is the pause, made by a person, that keeps it from being sent;
	// nil when there is none.
	Paused *Pause
	// Remote is how the remote stands, for all records that go there; without its
	// Syncs.
	Remote RemoteStatus
	// Job is the bulk job that it is in; nil when it is in none.
	Job *Job
}

// Explain says of one group what the database holds, what the record is to
// be, what would be sent and why, and what the remote said last. It changes
// nothing and calls no remote. Of a key without a group Explanation.Group is nil,
// and Why says why; that is no error. It calls the sync's functions, as every look does;
// of a group for which they are known not to end in this process it says so.
func (e *Engine) Explain(ctx context.Context, sync, key string) (*Explanation, error) {
	d, err := e.definition(sync)
	if err != nil {
		return nil, err
	}
	id, err := e.group(ctx, sync, key)
	if err != nil {
		return nil, err
	}
	x := &Explanation{ID: id}
	claim := store.Claim{ID: id}
	x.Group, err = e.db.Group(ctx, id)
	switch {
	case err == nil:
		claim = claimOf(*x.Group)
	case !errors.Is(err, store.ErrNoGroup):
		return nil, err
	}
	if err := x.around(ctx, e, id); err != nil {
		return nil, err
	}
	if err := x.lane(ctx, e, d, id); err != nil {
		return nil, err
	}
	j, err := e.rehearse(ctx, d, claim)
	if err != nil {
		return nil, err
	}
	if j.composite != nil {
		x.Composite = j.composite.Row
	}
	if j.record.Fields != nil {
		x.Record = &j.record
	}
	x.Send, x.Changed = j.rehearsed()
	x.Left = j.left()
	if x.LookFirst, err = e.looksFirst(ctx, d, j, x.Send); err != nil {
		return nil, err
	}
	x.WhenFalse = j.composite != nil && j.goal != present
	if x.Send == "wait" && x.Record == nil {
		if err := x.outlook(ctx, newRunner(e, d.To), j); err != nil {
			return nil, err
		}
	}
	pauses, err := e.db.PausedByHand(ctx)
	if err != nil {
		return nil, err
	}
	x.Paused = pauseOf(pauses, d)
	if x.Remote, err = remoteStatus(ctx, e.db, d.To); err != nil {
		return nil, err
	}
	if x.Job, err = e.jobOf(ctx, x.Group); err != nil {
		return nil, err
	}
	x.Why = x.why(d, j, e.cfg.Clock.Now())
	if err := x.keyChange(ctx, e); err != nil {
		return nil, err
	}
	if err := x.holder(ctx, e); err != nil {
		return nil, err
	}
	if x.ahead() && !j.departed {
		if x.Why, err = e.behind(ctx, d, x.Group); err == nil && x.Why == "" {
			return e.Explain(ctx, sync, key)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := x.unattended(ctx, e); err != nil {
		return nil, err
	}
	if held := x.held(); held != "" {
		x.Why = held + "; " + x.Why
	}
	return x, nil
}

// looksFirst says whether what is to be done with a job begins with a look for its
// record.
func (e *Engine) looksFirst(ctx context.Context, d *definition, j *job, send string) (bool, error) {
	if j.claim.RemoteID != "" || send != "create" && send != "delete" || !d.finds() {
		return false, nil
	}
	r := newRunner(e, d.To)
	if err := r.learnSwept(ctx); err != nil {
		return false, err
	}
	return r.mustFind(j), nil
}

// outlook fills in what the record of a job that waits is to be, with what is
// missing named in its place.
func (x *Explanation) outlook(ctx context.Context, r *runner, j *job) error {
	found, err := r.db.Records(ctx, j.refs)
	if err != nil || j.fields == nil {
		return err
	}
	x.Missing = j.missing(found)
	fields, err := encode(without(j.fields, j.leftOut), func(field string, ref Reference) (json.RawMessage, error) {
		if id := store.ID(ref); found[id].RemoteID == "" {
			return json.Marshal(promise + id.String() + ")")
		}
		return r.reference(field, ref, found)
	})
	if err == nil { // or it is refused when its turn comes, which says why
		x.Record = &connector.Record{Type: j.record.Type, ExternalID: j.record.ExternalID, Fields: fields}
	}
	return nil
}

// around fills in the group's history, what waits for it, and what it waits for.
func (x *Explanation) around(ctx context.Context, e *Engine, id ID) (err error) {
	if x.Attempts, err = e.db.Attempts(ctx, id, 20); err != nil {
		return err
	}
	if x.Interventions, err = e.db.Interventions(ctx, id.Sync, id.Key, 20); err != nil {
		return err
	}
	blocked, err := e.db.Blocked(ctx, id, 100)
	if err != nil {
		return err
	}
	for _, b := range blocked {
		x.Blocks = append(x.Blocks, b.String())
	}
	counts, err := e.db.Blocking(ctx, []ID{id}, BlockedMost)
	if err != nil {
		return err
	}
	x.BlocksDirect, x.BlocksAll = counts[id].Direct, counts[id].All
	if x.Group != nil {
		x.Chain, err = e.chain(ctx, id, x.Group.WaitsFor)
	}
	return err
}

// rehearse does with one group all that comes before send.
func (e *Engine) rehearse(ctx context.Context, d *definition, claim store.Claim) (*job, error) {
	shape := e.shape(d.Name)
	r := newRunner(e, d.To)
	j := &job{def: d, shape: shape, claim: claim}
	j.result = store.Result{ID: claim.ID, RemoteID: claim.RemoteID, Digests: claim.Digests}
	if _, err := e.load(ctx, shape, []*job{j}); err != nil {
		return nil, err
	}
	if err := e.foresee(ctx, shape, []*job{j}); err != nil {
		return nil, err
	}
	r.takeCommands(ctx, []*job{j})
	r.translate(ctx, []*job{j})
	r.refer(ctx, []*job{j})
	if !j.done {
		j.compare()
	}
	if !j.done {
		r.namesakes(ctx, []*job{j})
	}
	unsendable([]*job{j})
	return j, nil
}

// foresee takes those deletes as observed that are in the log, as a fold would.
func (e *Engine) foresee(ctx context.Context, shape *store.Shape, jobs []*job) error {
	var missing []string
	for _, j := range jobs {
		if j.composite == nil && !j.claim.DeleteSeen {
			missing = append(missing, j.claim.Key)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	gone, err := e.db.Departed(ctx, shape, missing)
	if errors.Is(err, ErrNotInstalled) { // of a plan: there is no log yet
		return nil
	}
	for _, j := range jobs {
		j.departed = slices.Contains(gone, j.claim.Key)
		j.claim.DeleteSeen = j.claim.DeleteSeen || j.departed
	}
	return err
}

// rehearsed names what would be done with a job that went as far as compare.
func (j *job) rehearsed() (string, []string) {
	if j.done {
		switch j.result.Outcome {
		case store.Waits, store.Released, store.Retry:
			return "wait", nil
		case store.Synced, store.Removed:
			return "nothing", nil
		}
		return "refuse", nil
	}
	switch {
	case j.goal == absent:
		return "delete", nil
	case j.claim.RemoteID == "":
		return "create", nil
	}
	return "update", j.changed
}

// MarshalJSON is for the command line's --json: the record's fields stand as
// they would be sent, and a value that can't be used as {"error": "..."}.
func (x *Explanation) MarshalJSON() ([]byte, error) {
	type plain Explanation // without this method
	composite, err := encode(Fields{"composite": presentable(x.Composite)}, func(_ string, r Reference) (json.RawMessage, error) { return json.Marshal(store.ID(r)) })
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		*plain
		Composite json.RawMessage
	}{(*plain)(x), composite["composite"]})
}

// presentable is a row with an object {"error": "..."} in the place of each
// value that can't be used.
func presentable(r Row) Row {
	if r == nil {
		return nil
	}
	out := make(Row, len(r))
	for name, v := range r {
		switch v := v.(type) {
		case error:
			out[name] = map[string]any{"error": v.Error()}
		case float64:
			out[name] = v
			if math.IsNaN(v) || math.IsInf(v, 0) {
				out[name] = map[string]any{"error": fmt.Sprintf("%v has no JSON form", v)}
			}
		case Row:
			out[name] = presentable(v)
		case []Row:
			rows := make([]Row, len(v))
			for i := range v {
				rows[i] = presentable(v[i])
			}
			out[name] = rows
		default:
			out[name] = v
		}
	}
	return out
}
