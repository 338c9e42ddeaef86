package upkeep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/moment"
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
	// Left names the fields that a person has left as they are at the remote, which
	// are not as the database says; see [Engine.Skip].
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
// nothing and calls no remote. It calls the sync's functions, as every look does;
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
		known, _ := parseDigests(x.Group.Digests)
		x.Left = known.Left
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
	goes := x.Send == "create" || x.Send == "update" || x.Send == "delete"
	switch trouble := x.Remote.Trouble(); {
	case x.Paused != nil && x.Send != "nothing":
		x.Why = describePause(*x.Paused) + "; " + x.Why
	case trouble != "" && goes && x.Group != nil && x.Group.State != store.Parked && x.Job == nil:
		x.Why = trouble + "; " + x.Why
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
	composites, err := e.db.Load(ctx, shape, []string{claim.Key})
	if err != nil {
		return nil, err
	}
	r := newRunner(e, d.To)
	j := &job{def: d, shape: shape, claim: claim}
	j.result = store.Result{ID: claim.ID, RemoteID: claim.RemoteID, Digests: claim.Digests}
	if c, there := composites[claim.Key]; there {
		j.composite = &c
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

func (x *Explanation) why(d *definition, j *job, now time.Time) string {
	g := x.Group
	if g == nil {
		if x.Composite == nil {
			return fmt.Sprintf("%s has no row with this key, and nothing is known of it", d.From.Table)
		}
		if d.ByHand {
			return "not registered: this sync's groups are registered by hand"
		}
		s := "not in the registry yet: the backfill has not come to it, or no engine has folded its touch"
		if x.Send == "refuse" {
			s += "; it would be refused: " + j.result.Reason
		}
		return s
	}
	if j.departed {
		return string(g.State) + ": the row is gone (deleted, or its key changed); the delete is in the log and not folded yet; is an upkeep run at work?"
	}
	if x.Send == "refuse" && g.State.Settled() {
		return "clean as far as the triggers saw, but: " + j.result.Reason
	}
	switch g.State {
	case store.Parked:
		return x.parked(j)
	case store.Skipped:
		return x.skipped()
	case store.Waiting:
		s := "waiting for the record of " + joinIDs(g.WaitsFor) + ", which is not at the remote"
		if g.RemoteID != "" && g.SyncedAt.IsZero() {
			s = "waiting: " + g.Reason
		}
		if r := root(x.Chain); r != nil {
			s += "; " + r.String()
		}
		return s
	case store.InDoubt:
		return x.doubt(now)
	case store.Claimed:
		if x.Job != nil {
			return "in " + describeJob(*x.Job)
		}
		return "claimed by " + g.Holder + " until " + moment.Of(g.LeaseUntil)
	case store.Dirty:
		s := "dirty: " + describeCause(g.Cause)
		if len(x.Commands) > 0 {
			s = fmt.Sprintf("dirty: %s wait, the oldest is command %d", some(len(x.Commands), "version"), x.Commands[0].Number)
			if x.Commands[0].Deleted {
				s += ", the deletion of its row"
			}
		}
		if g.Skip != nil && x.Send == "nothing" {
			s += "; what was refused is left as it is (upkeep skip)"
		}
		if x.Send == "wait" {
			s += "; " + j.result.Reason
		} else if x.Send == "refuse" {
			s += "; as it is now it is refused: " + j.result.Reason
		} else if g.Reason != "" {
			s += "; last try: " + g.Reason
		}
		if g.Attempts > 0 {
			s += fmt.Sprintf("; tried %d times, next %s", g.Attempts, moment.Of(g.DueAt))
		}
		return s
	case store.Gone:
		if x.Composite == nil {
			return "gone: the row is gone (deleted, or its key changed), and so is its record"
		}
		if j.goal != present {
			return "not at the remote: when is false"
		}
		return "gone: its record is not at the remote"
	}
	if j.goal == kept && x.Composite != nil && (j.claim.Forced || j.claim.InDoubt) {
		return "clean: when is false, and its record is kept as it was; what the remote has is not certain, so all of it is sent when the row passes again"
	}
	if j.goal == kept && x.Composite != nil {
		return "clean: when is false, and its record is kept as it was"
	}
	return "clean: the remote has acknowledged what the database says; last touched by " + describeCause(g.Cause)
}

// parked says why, and what lets it go again.
func (x *Explanation) parked(j *job) string {
	g := x.Group
	if len(x.Commands) > 0 && x.Commands[0].Refused != "" {
		later := ""
		if n := len(x.Commands) - 1; n > 0 {
			later = fmt.Sprintf("later versions (%d) wait for it; ", n)
		}
		return fmt.Sprintf("parked: %[1]s; %[2]stry it again with: upkeep retry %[3]s, or leave it out with: upkeep skip %[3]s", g.Reason, later, g.Args())
	}
	later := ""
	if n := len(x.Commands) - 1; n > 0 {
		later = fmt.Sprintf("; later versions (%d) wait behind the deletion: to leave out only that, and let them go: upkeep skip %s", n, g.Args())
	}
	if g.Reason == store.DeleteHeld && j.def.DeleteLimit < 0 {
		return fmt.Sprintf("parked: %s; the sync has no limit any more, and what was held before stays held until somebody says so: upkeep deletes %s --allow N, or for this one upkeep retry %s%s", g.Reason, g.Sync, g.Args(), later)
	}
	if g.Reason == store.DeleteHeld {
		return fmt.Sprintf("parked: %s %s --allow N, where N is how many that command says are held (upkeep retry would only park it again)%s", g.Reason, g.Sync, later)
	}
	s := "parked: " + strings.TrimSuffix(g.Reason, ".") + "; it goes again when its data or its mapping changes, or with: upkeep retry " + g.Args()
	if g.RemoteID != "" && len(x.Commands) == 0 && (x.Record != nil || x.Send == "delete") {
		s += "; to leave it as it is there: upkeep skip " + g.Args()
	}
	return s
}

// doubt says what is in doubt, until when, and what happens then.
func (x *Explanation) doubt(now time.Time) string {
	g := x.Group
	if !g.InDoubtUntil.After(now) {
		return fmt.Sprintf("in doubt: %s; since %s nothing of before can be applied any more, and what may have been written is sent once more as soon as a process works for its remote", orElse(g.Reason, "a call's outcome was unknown"), moment.Of(g.InDoubtUntil))
	}
	until := moment.Of(g.InDoubtUntil)
	what := "an earlier request"
	for _, a := range x.Attempts {
		if a.Outcome == connector.Unknown.String() {
			what = fmt.Sprintf("the %s of %s", a.Action, moment.Of(a.At))
			break
		}
	}
	if g.SyncedGeneration >= g.Generation {
		return fmt.Sprintf("in doubt until %s: the remote has acknowledged what the database says, but the outcome of %s is unknown: it may still be applied, over what is there; at that time what it may have written is sent once more, and the record is clean then", until, what)
	}
	return fmt.Sprintf("in doubt until %s: %s; %s may still be applied; the record may be tried again before that, and what may have been written is sent once more when the time is over", until, orElse(g.Reason, "a call's outcome is unknown"), what)
}

func describePause(p Pause) string {
	kind, name := p.Subject()
	s := kind + " " + name + " is paused since " + moment.Of(p.Since)
	if p.Reason != "" {
		s += " (" + p.Reason + ")"
	}
	return s
}

func describeCause(c store.Cause) string {
	if means := c.Means(); means != "" {
		return c.Op + " (" + means + ")"
	}
	if c.Table == "" {
		return orElse(c.Op, "an unknown touch")
	}
	s := c.Op + " of " + c.Table
	if c.Key != "" {
		s += " " + c.Key
	}
	if len(c.Columns) > 0 {
		s += " (" + strings.Join(c.Columns, ", ") + ")"
	}
	if !c.At.IsZero() {
		s += " at " + moment.Of(c.At)
	}
	if c.Tx != "" {
		s += ", transaction " + c.Tx
	}
	return s
}

func joinIDs(ids []store.ID) string {
	s := make([]string, len(ids))
	for i, id := range ids {
		s[i] = id.String()
	}
	return strings.Join(s, ", ")
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
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
