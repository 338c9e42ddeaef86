package upkeep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// Forecast is what [Engine.Forecast] found: what would be sent now.
type Forecast struct {
	Syncs   []ForecastSync
	Remotes []ForecastRemote
}

// ForecastSync counts one sync's groups by what would be done with them.
type ForecastSync struct {
	Sync                                              string
	Create, Update, Delete, Unchanged, Waits, Refused int64
	// Held says that a person has paused the sync, so that nothing of it goes now;
	// empty: nobody has.
	Held string
}

// Changes is how many of the sync's records would be sent.
func (f ForecastSync) Changes() int64 { return f.Create + f.Update + f.Delete }

// calls is how many requests the sync's changes take, at least.
func (f ForecastSync) calls(b connector.Batch, look bool) int64 {
	most := int64(max(b.Most, 1))
	if look { // each is looked for before it is made, and goes by itself
		made := f.Create
		f.Create = 0
		return 2*made + f.calls(b, false)
	}
	requests := func(changes int64) int64 { return (changes + most - 1) / most }
	if b.Mixed {
		return requests(f.Changes())
	}
	return requests(f.Create) + requests(f.Update) + requests(f.Delete)
}

// ForecastRemote is the work at one remote. Takes is by its limits: the larger
// of the calls by their rate, and the rounds of calls, one for each slot, by their
// latency.
type ForecastRemote struct {
	Remote      string
	Calls       int64
	Rate        float64       // a second; zero: not limited
	Concurrency int           // calls at once
	Latency     time.Duration // of one call
	Observed    bool          // the latency is that of earlier calls, not assumed
	Takes       time.Duration
	// Held says why no call goes to the remote now, or none comes back (a person
	// paused it, its breaker is open, it asked to be left alone); Takes does not count
	// it. Empty: all is well.
	Held string
}

// Calls is how many calls there are in all.
func (f *Forecast) Calls() (n int64) {
	for _, r := range f.Remotes {
		n += r.Calls
	}
	return n
}

// RecordChange is what would be done with one group's record.
type RecordChange struct {
	Sync, Key  string
	Action     string // create update delete wait refuse
	ExternalID string
	Fields     connector.Fields // that would be sent
	Reason     string           // of wait and refuse
}

// ForecastOptions say what to forecast.
type ForecastOptions struct {
	// Sync is one sync's name; empty for all.
	Sync string
	// Latency of a call, where none was observed yet. Defaults to 500 ms.
	Latency time.Duration
	// Each, if not nil, gets every change; its error ends the forecast.
	Each func(RecordChange) error
	// Progress, if not nil, is told how many groups were looked at.
	Progress func(sync string, done int64)
}

// Forecast goes over all rows and says which records would be created, updated
// and deleted with these declarations, without sending anything. It changes
// nothing, and needs nothing of Upkeep in the database: without a registry all
// records are new. A record that is to be made is taken to be there by those
// that refer to it. What is parked, or waits for what is not to be made, stays
// so, unless a declaration changed that lets it go. Rows are looked at a piece at a time.
func (e *Engine) Forecast(ctx context.Context, o ForecastOptions) (*Forecast, error) {
	setDefault(&o.Latency, 500*time.Millisecond)
	defs, err := e.chosen(o.Sync)
	if err != nil {
		return nil, err
	}
	shapes, err := e.resolveAll(ctx)
	if err != nil {
		return nil, err
	}
	if err := e.inPlace(ctx); err != nil {
		return nil, err
	}
	l := &learned{shapes: shapes}
	f := &forecaster{ForecastOptions: o, took: map[*Remote][]time.Duration{}, swept: map[string]bool{}, looked: map[string]int64{}, makes: map[madeName]store.ID{}, installed: true}
	if l.secret, err = e.db.Secret(ctx); errors.Is(err, ErrNotInstalled) {
		f.installed = false
	} else if err != nil {
		return nil, err
	}
	// An engine of its own, whose references all lead somewhere.
	unchanged := map[string]bool{}
	f.changed = map[string]bool{}
	for _, d := range e.defs {
		if f.installed {
			state, err := e.db.Sync(ctx, d.Name)
			if err != nil {
				return nil, err
			}
			unchanged[d.Name] = state.Version == d.version
			f.swept[d.Name] = state.Version != "" && !state.Backfill.Running
			f.changed[d.Name] = state.Version != d.version && state.Version != ""
		}
	}
	f.promises = promising{Store: e.db, installed: f.installed, unchanged: unchanged, comes: map[store.ID]bool{}, made: f.made, first: f.first}
	f.Engine = &Engine{cfg: e.cfg, db: f.promises, log: e.log, defs: e.defs, byName: e.byName, remotes: e.remotes, stuck: e.stuck, looks: e.looks}
	f.Engine.learned.Store(l)
	for _, d := range defs {
		if err := f.sync(ctx, d); err != nil {
			return nil, fmt.Errorf("forecast %s: %w", d.Name, err)
		}
	}
	for _, r := range e.remotes {
		f.remote(r, defs)
	}
	return &f.found, f.hold(ctx)
}

// forecaster is one forecast under way.
type forecaster struct {
	*Engine
	ForecastOptions
	installed bool
	changed   map[string]bool // syncs that are installed with another declaration
	deep      int             // records that hang on each other, in made
	promises  promising
	parked    map[string]string // groups of the piece, with the reason
	found     Forecast
	took      map[*Remote][]time.Duration // earlier calls
	makes     map[madeName]store.ID       // the records that would be made, where two could be one
	swept     map[string]bool             // syncs of whose records none can be of an earlier installation
	looked    map[string]int64            // records of a sync that are not to be there, and are looked for
}

const sampled = 20 // groups whose last call is looked at for its latency

// sync looks at the groups that there are, then at the rows without one.
func (f *forecaster) sync(ctx context.Context, d *definition) error {
	r := newRunner(f.Engine, d.To)
	s := &ForecastSync{Sync: d.Name}
	done := int64(0)
	step := func(jobs []*job, n int) error {
		if err := f.piece(ctx, r, d, s, jobs); err != nil {
			return err
		}
		if done += int64(n); f.Progress != nil {
			f.Progress(d.Name, done)
		}
		return nil
	}
	for after := (ID{}); f.installed; {
		groups, err := f.db.Groups(ctx, d.Name, "", after, maxRecord)
		if err != nil {
			return err
		}
		if len(groups) == 0 {
			break
		}
		var jobs []*job
		f.parked = map[string]string{}
		for _, g := range groups {
			if g.State == store.Parked && f.promises.unchanged[d.Name] {
				f.parked[g.Key] = g.Reason
			}
			if err := f.sample(ctx, d, g); err != nil {
				return err
			}
			jobs = append(jobs, &job{def: d, claim: claimOf(g)})
		}
		if err := step(jobs, len(groups)); err != nil {
			return err
		}
		after = groups[len(groups)-1].ID
	}
	f.parked = nil
	if !d.ByHand {
		if err := f.rows(ctx, d, step); err != nil {
			return err
		}
	}
	f.found.Syncs = append(f.found.Syncs, *s)
	return nil
}

// rows goes over the root rows that have no group.
func (f *forecaster) rows(ctx context.Context, d *definition, step func([]*job, int) error) error {
	shape := f.shape(d.Name)
	for next, first := "", true; first || next != ""; first = false {
		keys, at, err := f.db.Keys(ctx, shape, next, maxRecord)
		if err != nil {
			return err
		}
		next = at
		ids := make([]store.ID, len(keys))
		for i, k := range keys {
			ids[i] = store.ID{Sync: d.Name, Key: k}
		}
		there := map[store.ID]store.RecordState{}
		if f.installed && len(ids) > 0 {
			if there, err = f.db.(promising).Store.Records(ctx, ids); err != nil {
				return err
			}
		}
		var jobs []*job
		for _, id := range ids {
			if _, known := there[id]; !known {
				jobs = append(jobs, &job{def: d, claim: store.Claim{ID: id}})
			}
		}
		if err := step(jobs, len(jobs)); err != nil {
			return err
		}
	}
	return nil
}

// claimOf is a group as a worker would get it.
func claimOf(g Group) store.Claim {
	forced := g.ForcedGeneration > g.SyncedGeneration
	return store.Claim{ID: g.ID, Forced: forced, Whole: forced && g.ForcedGeneration != g.SettledGeneration, InDoubt: !g.InDoubtUntil.IsZero(),
		DeleteSeen: g.DeleteSeen, RemoteID: g.RemoteID, ExternalID: g.ExternalID, Digests: g.Digests, Refs: g.Refs, Epoch: g.Epoch, Before: g.Epoch, Skip: g.Skip, Skipped: g.Skipped}
}

// prepare does with some groups, which are loaded, all that comes before send.
func (f *forecaster) prepare(ctx context.Context, r *runner, shape *store.Shape, jobs []*job) error {
	for _, j := range jobs {
		j.shape = shape
		j.result = store.Result{ID: j.claim.ID, RemoteID: j.claim.RemoteID, Digests: j.claim.Digests}
	}
	if err := f.foresee(ctx, shape, jobs); err != nil {
		return err
	}
	r.translate(ctx, jobs)
	r.refer(ctx, jobs)
	for _, j := range jobs {
		if !j.done {
			j.compare()
		}
	}
	r.namesakes(ctx, jobs)
	unsendable(jobs)
	return nil
}

// piece counts some groups, and tells of what would be done with them.
func (f *forecaster) piece(ctx context.Context, r *runner, d *definition, s *ForecastSync, jobs []*job) error {
	shape := f.shape(d.Name)
	return f.loadAll(ctx, shape, jobs, func(jobs []*job) error {
		if err := f.prepare(ctx, r, shape, jobs); err != nil {
			return err
		}
		f.unlike(jobs)
		for _, j := range jobs {
			if err := f.count(s, j); err != nil {
				return err
			}
		}
		return nil
	})
}

// count adds one group to its sync's line, and tells of its change.
func (f *forecaster) count(s *ForecastSync, j *job) error {
	c := RecordChange{Sync: j.claim.Sync, Key: j.claim.Key, ExternalID: j.record.ExternalID}
	var changed []string
	c.Action, changed = j.rehearsed()
	reason := j.result.Reason
	if why, parked := f.parked[j.claim.Key]; parked && c.Action != "nothing" {
		c.Action, reason = "refuse", why
	}
	switch c.Action {
	case "nothing":
		s.Unchanged++
		if (j.goal == absent || j.goal == ended) && j.claim.RemoteID == "" && f.mayBeThere(j.def) {
			f.looked[j.claim.Sync]++
		}
		return nil
	case "create":
		s.Create++
		c.Fields = j.record.Fields
	case "update":
		s.Update++
		c.Fields = only(j.record.Fields, changed)
	case "delete":
		s.Delete++
	case "wait":
		s.Waits++
		c.Reason = reason
	default:
		s.Refused++
		c.Reason = reason
	}
	if f.Each == nil {
		return nil
	}
	return f.Each(c)
}

// mayBeThere: an earlier installation may have made records of the sync, so that each
// is looked for, also one that is not to be there, before the first sweep is over.
func (f *forecaster) mayBeThere(d *definition) bool { return d.looks() && !f.swept[d.Name] }

// sample notes how long the last call of a group took.
func (f *forecaster) sample(ctx context.Context, d *definition, g Group) error {
	if len(f.took[d.To]) >= sampled || g.RemoteID == "" {
		return nil
	}
	last, err := f.db.Attempts(ctx, g.ID, 1)
	if err != nil {
		return err
	}
	for _, a := range last {
		if a.Outcome == "ok" {
			f.took[d.To] = append(f.took[d.To], a.Took)
		}
	}
	return nil
}

// remote sums up what the syncs ask of a remote.
func (f *forecaster) remote(r *Remote, defs []*definition) {
	t := r.traits()
	line := ForecastRemote{Remote: r.Name, Rate: r.Rate, Concurrency: t.Concurrency, Latency: f.Latency}
	asked := false
	for i, d := range defs {
		if d.To == r {
			asked = true
			line.Calls += f.found.Syncs[i].calls(d.batch(), f.mayBeThere(d)) + f.looked[d.Name]
		}
	}
	if !asked {
		return
	}
	if took := f.took[r]; len(took) > 0 {
		var sum time.Duration
		for _, d := range took {
			sum += d
		}
		line.Latency, line.Observed = sum/time.Duration(len(took)), true
	}
	slots := int64(max(t.Concurrency, 1))
	line.Takes = time.Duration((line.Calls+slots-1)/slots) * line.Latency // the last call takes as long as each
	if r.Rate > 0 {
		line.Takes = max(line.Takes, time.Duration(float64(line.Calls)/r.Rate*float64(time.Second)))
	}
	f.found.Remotes = append(f.found.Remotes, line)
}

// hold notes what keeps calls from the remotes now.
func (f *forecaster) hold(ctx context.Context) error {
	if !f.installed {
		return nil
	}
	pauses, err := f.db.PausedByHand(ctx)
	if err != nil {
		return err
	}
	for i := range f.found.Syncs {
		for _, p := range pauses {
			if p.Sync != "" && p.Sync == f.found.Syncs[i].Sync {
				f.found.Syncs[i].Held = describePause(p)
			}
		}
	}
	for i := range f.found.Remotes {
		line := &f.found.Remotes[i]
		at := slices.IndexFunc(f.remotes, func(r *Remote) bool { return r.Name == line.Remote })
		is, err := remoteStatus(ctx, f.db, f.remotes[at])
		if err != nil {
			return err
		}
		line.Held = is.Trouble()
		for _, p := range pauses {
			if p.Remote == line.Remote {
				line.Held = describePause(p)
			}
		}
	}
	return nil
}

// MarshalJSON has the names of the command line's --json.
func (c RecordChange) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Sync       string           `json:"sync"`
		Key        string           `json:"key"`
		Action     string           `json:"action"`
		ExternalID string           `json:"external_id,omitempty"`
		Fields     connector.Fields `json:"fields,omitempty"`
		Reason     string           `json:"reason,omitempty"`
	}(c))
}
