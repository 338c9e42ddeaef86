package upkeep

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// work is the way of one batch of groups: claim, load, translate, compare,
// send, record. It returns how many groups it claimed. What needs no call is
// recorded at once; what needs one is handed to the senders, and recorded as
// the answers come in.
func (r *runner) work(ctx context.Context, limit int) (int, error) {
	claims, err := r.claim(ctx, limit)
	if err != nil {
		return 0, err
	}
	tardy := r.tardy.take()
	if len(claims)+len(tardy) == 0 {
		return 0, nil
	}
	if err := r.gate.refresh(ctx); err != nil {
		r.log.Error("the remote's state can't be read; what is known of it counts", "remote", r.remote.Name, "error", err)
	}
	jobs := append(tardy, r.translate(ctx, r.load(ctx, claims, r.claimedAt))...)
	r.refer(ctx, jobs)
	due := r.limitDeletes(ctx, r.distinct(ctx, r.reserve(r.compare(jobs))))
	r.learnAppetite(len(due))
	for _, batch := range r.batches(due) {
		r.send(batch)
	}
	return len(claims), nil
}

// job is one claimed group on its way.
type job struct {
	def      *definition
	shape    *store.Shape
	claim    store.Claim
	deadline time.Time     // of the lease, on this process's clock
	since    time.Duration // the last touch, about

	command   *store.Command   // nil: the current state is to be sent
	composite *store.Composite // nil: there is no root row
	departed  bool             // of a rehearsal: its delete is in the log
	goal      goal
	fields    Fields            // as translated
	create    Fields            // only for a create
	originID  store.ID          // the group that an initialized record is made from
	origin    *connector.Origin // its record; nil unless this record is to be made
	record    connector.Record  // all fields, encoded
	only      connector.Fields  // create's fields, encoded
	changed   []string          // names of the fields to update
	digests   digests
	sealed    []byte // the digests, once a job of the remote waits to be filled: a map of them takes more memory
	refs      []store.ID
	sent      map[store.ID]string // the remote ids of those that the claim does not have
	lacks     []store.ID          // those of refs that the record is made without: they wait for it
	leftOut   []string            // the fields that refer to them
	wakes     []store.ID          // what gets its try if the remote refuses this record without them

	spent    *store.Grant // of the limit of its sync, to a delete; nil: none
	registry string       // connector.Record.Registry
	forgot   bool         // a record may be there that the registry does not know
	restored bool         // the registry was, once

	done    bool // nothing (more) to send: result is complete
	result  store.Result
	attempt *store.Attempt
	before  string // what the calls of this try said, for a person
	writes  writes // of this try
}

// goal is what the record is to be at the remote.
type goal int

const (
	present goal = iota // as translated
	absent              // deleted
	ended               // with an ending's fields set
	kept                // as it is
)

// claim leases due groups of this remote's syncs.
func (r *runner) claim(ctx context.Context, limit int) ([]store.Claim, error) {
	if r.mustExamine() {
		if err := r.examineOrigin(ctx); err != nil {
			return nil, err
		}
	}
	mark := r.provenance.lastMark()
	if n := r.provenance.examined.Load(); n != r.examined {
		r.examined = n
		r.gate.forget() // a restore pauses the remote
		return nil, nil
	}
	req := store.ClaimRequest{Holder: r.cfg.Name, Lease: r.cfg.Lease, Limit: limit, Mark: mark}
	for _, d := range r.defs {
		if r.isHeld(d.Name) {
			continue
		}
		req.Syncs = append(req.Syncs, store.ClaimSync{
			Sync: d.Name, Quiet: r.doubtFor(), HoldInDoubt: d.traits.Class != connector.Upsert, Rest: d.Deliver == Every, Lane: r.lane(d.Name),
		})
	}
	if len(req.Syncs) == 0 {
		return nil, nil
	}
	if err := r.learnSwept(ctx); err != nil {
		return nil, fmt.Errorf("look what was swept: %w", err)
	}
	r.claimedAt = r.cfg.Clock.Now() // before the call: our deadline ends before the database's
	claims, err := r.lease(ctx, req)
	if r.provenance.moved(err) {
		r.nudge()
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("claim: %w", err)
	}
	return claims, nil
}

// lease claims groups. A claim that is cut off may be written all the same, and
// its groups would come to be in doubt although nothing was sent: so a stop
// waits for it, and gives back what it brought.
func (r *runner) lease(ctx context.Context, req store.ClaimRequest) ([]store.Claim, error) {
	if ctx.Err() != nil {
		return nil, nil
	}
	req.Plan = r.learned.Load().plan
	claimedAt := r.cfg.Clock.Now()
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.cfg.Lease)
	defer cancel()
	claims, err := r.db.Claim(within, req)
	for i := range claims {
		claims[i].Mark = req.Mark
	}
	if ctx.Err() == nil {
		return claims, err
	}
	for _, c := range claims {
		j := r.newJob(c, claimedAt)
		j.finish(store.Result{Outcome: store.Released})
		r.record(j)
	}
	return nil, err
}

// load finds out what each group is to be: as its oldest command has it or, if
// none waits, as its rows are.
func (r *runner) load(ctx context.Context, claims []store.Claim, claimedAt time.Time) []*job {
	jobs := make([]*job, len(claims))
	for i, c := range claims {
		jobs[i] = r.newJob(c, claimedAt)
	}
	rest := r.takeCommands(ctx, jobs)
	r.loadState(ctx, rest)
	r.takeCommands(ctx, rest) // what came meanwhile goes first
	return jobs
}

func (r *runner) newJob(c store.Claim, claimedAt time.Time) *job {
	j := &job{def: r.byName[c.Sync], shape: r.shape(c.Sync), claim: c, deadline: claimedAt.Add(r.cfg.Lease), since: claimedAt.Sub(c.TouchedAt)}
	j.registry = r.registry()
	// It may be of before a restore, or of an earlier installation if nothing went
	// out for a row yet that is deleted.
	j.restored = r.provenance.restored.Load()
	j.forgot = c.RemoteID == "" && j.def.finds() && (j.restored || c.DeleteSeen && c.ExternalID == "")
	j.result = store.Result{ID: c.ID, Epoch: c.Epoch, Generation: c.Generation, RemoteID: c.RemoteID, ExternalID: c.ExternalID, Refs: c.Refs, Digests: c.Digests, Granted: c.Granted}
	return j
}

// refer looks the records up that the representations refer to, all in one
// query, and makes what would be sent.
func (r *runner) refer(ctx context.Context, jobs []*job) {
	r.respell(ctx, jobs)
	wanted := map[store.ID]bool{}
	for _, j := range jobs {
		if j.done {
			continue
		}
		for _, id := range j.refs {
			wanted[id] = true
		}
	}
	ids := make([]store.ID, 0, len(wanted))
	for id := range wanted {
		ids = append(ids, id)
	}
	found := map[store.ID]store.RecordState{}
	if len(ids) > 0 {
		var err error
		if found, err = r.db.Records(ctx, ids); err != nil {
			for _, j := range jobs { // the others refer to nothing, and go on
				if !j.done && len(j.refs) > 0 {
					j.finish(store.Result{Outcome: store.Retry, Free: true, After: r.backoff(1), Reason: "look up references: " + err.Error()})
				}
			}
		}
	}
	waits, err := r.waits(ctx, jobs, found)
	if err != nil {
		r.log.Error("can't tell whether references go in a circle; looking again later", "error", err)
	}
	for _, j := range jobs {
		if !j.done {
			r.encode(j, found, waits)
		}
	}
}

// encode turns a translated job into the record that would be sent, or lets
// it wait for those it refers to.
func (r *runner) encode(j *job, found map[store.ID]store.RecordState, waits waits) {
	if missing := j.missing(found); len(missing) > 0 {
		j.await(missing, waits)
		if j.result.Outcome == store.Waits && j.def.circular {
			r.mu.Lock()
			r.begun[j.claim.ID] = j.result.WaitsFor
			r.mu.Unlock()
		}
	}
	if j.done {
		return
	}
	j.sends(found)
	ref := func(field string, x Reference) (json.RawMessage, error) { return r.reference(field, x, found) }
	fields, err := encode(without(j.fields, j.leftOut), ref)
	if err == nil {
		j.only, err = encode(j.create, ref)
	}
	if err != nil {
		j.refuse("translate: " + err.Error())
		return
	}
	if j.origin != nil && (j.inCircleWithOrigin(waits) || !r.fromOrigin(j, found[j.originID])) {
		return
	}
	j.record.Fields = fields
	j.digests = digestOf(r.learned.Load().secret, fields, j.goal == ended)
}

// sends notes what the references that are new to this record are sent as.
func (j *job) sends(found map[store.ID]store.RecordState) {
	for _, id := range j.refs {
		x := found[id]
		if x.RemoteID == "" || id == j.claim.ID || slices.Contains(j.claim.Refs, id) {
			continue
		}
		if j.sent == nil {
			j.sent = map[store.ID]string{}
		}
		j.sent[id] = x.RemoteID
	}
}

// fromOrigin fills in the record that a job's record is to be made from. One
// that is behind is waited for: what is made of it would be made of old data,
// and might keep it from ever being changed (a fulfilled order's lines).
func (r *runner) fromOrigin(j *job, origin store.RecordState) bool {
	res := store.Result{Outcome: store.Released, After: originPause, Reason: "waits until " + j.originID.String() + " is up to date"}
	if origin.Parked {
		res = store.Result{Outcome: store.Retry, Free: true, After: waitNet, Reason: "waits for " + j.originID.String() + ", which is parked"}
	}
	if origin.Behind || origin.Parked {
		j.finish(res)
		return false
	}
	*j.origin = connector.Origin{Type: r.byName[j.originID.Sync].Record, RemoteID: origin.RemoteID}
	return true
}

// originPause is how soon a job looks again whether its origin is up to date.
const originPause = 100 * time.Millisecond

// waitNet is how long a waiting group sleeps at most: a net, should the
// wake-up by the record it waits for be lost.
const waitNet = 10 * time.Minute

func (r *runner) reference(field string, x Reference, found map[store.ID]store.RecordState) (json.RawMessage, error) {
	id := store.ID{Sync: x.Sync, Key: x.Key}
	c, ok := r.remote.Connection.(connector.Referencer)
	if _, dry := r.db.(promising); ok && !(dry && promised(found[id].RemoteID)) {
		return c.Reference(connector.Ref{Type: r.byName[x.Sync].Record, RemoteID: found[id].RemoteID, ExternalID: found[id].ExternalID, Field: field})
	}
	return json.Marshal(found[id].RemoteID)
}

// compare decides what to send, and records the others.
func (r *runner) compare(jobs []*job) (due []*job) {
	for _, j := range jobs {
		if !j.done {
			j.compare()
		}
		if j.done {
			r.record(j)
		} else {
			due = append(due, j)
		}
	}
	return due
}

// compare decides what to send of one job: the fields whose digests differ, and no
// call if there are none. All of them go when nobody knows what the remote has:
// a resend is forced, or an older request may have written anything. A command is
// sent in any case, and whole.
func (j *job) compare() {
	sure := !j.claim.Forced && !j.claim.InDoubt
	known, any := parseDigests(j.claim.Digests)
	switch j.goal {
	case kept:
		j.keep(sure)
	case absent:
		switch {
		case j.claim.RemoteID == "" && sure && !j.forgot:
			j.finish(store.Result{Outcome: store.Removed})
		case j.skips() || known.Stays && sure && j.command == nil:
			known.Stays = true
			j.result.Digests = known.bytes()
			j.finish(store.Result{Outcome: store.Synced})
		}
	case present, ended:
		if j.goal == ended && j.claim.RemoteID == "" && sure && !j.forgot {
			j.finish(store.Result{Outcome: store.Removed})
			return
		}
		sure = sure && j.command == nil || j.isTold(known)
		if !sure || !any || j.claim.RemoteID == "" || known.Ended != j.digests.Ended {
			j.changed = j.digests.changed(digests{}) // all of them
		} else if j.changed = j.digests.changed(known); len(j.changed) == 0 {
			j.digests.Left = j.digests.leftOf(known, nil)
			j.synced(j.claim.RemoteID)
			return
		} else if j.goal == present { // an ending goes whole
			j.digests.Left = j.digests.leftOf(known, j.changed)
		}
		if j.skips() {
			j.leave()
		}
	}
}

// keep leaves the record as it is. If it is not sure what that is, the doubt stays
// until the row passes again: nothing of what is known then is taken for granted.
// Also where nothing is known to have gone out: a process may have lost its lease
// before it noted that it sent.
func (j *job) keep(sure bool) {
	if j.claim.InDoubt {
		j.result.ExternalID = j.record.ExternalID
	}
	if known, _ := parseDigests(j.claim.Digests); known.Stays { // now it is to stay
		known.Stays = false
		j.result.Digests = known.bytes()
	}
	j.finish(store.Result{Outcome: store.Synced, Unsettled: !sure})
}

// finish completes a result without a call, keeping the job's identity.
func (j *job) finish(res store.Result) {
	keep := j.result
	res.ID, res.Epoch, res.Generation = keep.ID, keep.Epoch, keep.Generation
	res.RemoteID, res.ExternalID, res.Digests, res.Refs = keep.RemoteID, keep.ExternalID, j.goesBy(res), keep.Refs
	res.Sent, res.Calls, res.Attempt, res.Granted = keep.Sent, keep.Calls, j.attempt, keep.Granted || j.spent != nil
	if j.claim.Skip != nil || j.claim.Skipped {
		known, _ := parseDigests(res.Digests)
		if res.Skipped = known.skipped(); res.Skipped && res.Outcome == store.Synced {
			res.Reason = known.leftText()
		}
	}
	if j.unspent(res) {
		res.Granted = false
	}
	if c := j.composite; j.claim.DeleteSeen && j.command == nil && c != nil && c.Err == nil && c.Key == "" { // with a key, the row is another group's
		res.Present, res.Mark = true, j.claim.Mark
	}
	if j.command != nil {
		res.Command, res.Version = keep.Command, keep.Version
		res.Ends = j.goal != present
		switch {
		case res.Outcome == store.Refused && (res.Reason == store.DeleteHeld || len(res.WaitsFor) > 0):
			res.Command = 0 // a person, or another record, lets it go: the command itself is not refused
		case res.Outcome == store.Refused:
			res.Reason = refusal(j.command, res.Reason)
		}
	}
	j.result, j.done = res, true
}

// synced completes a job whose record is at the remote as translated, or
// without what refers to those that wait for it.
func (j *job) synced(remoteID string) {
	j.result.RemoteID = remoteID
	j.result.ExternalID = j.record.ExternalID
	j.result.Digests = j.acknowledged().bytes()
	j.result.Refs = j.refs
	j.result.Sent = j.sent
	if len(j.lacks) > 0 {
		j.partial()
		return
	}
	j.finish(store.Result{Outcome: store.Synced})
}

func (j *job) refuse(reason string) {
	j.finish(store.Result{Outcome: store.Refused, Reason: cut(reason, maxReason)})
}
