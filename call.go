package upkeep

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// caller makes the calls that bring one record to its goal.
type caller struct {
	*runner
	job           *job
	life, running context.Context
}

// bring makes the calls and completes the result when all went well.
func (c *caller) bring() error {
	j := c.job
	id := j.claim.RemoteID
	if id == "" && c.mustFind(j) {
		if c.traits.Class == connector.Blind {
			return c.makeUnseen()
		}
		if !j.def.finds() {
			j.refuse(unfindable)
			return nil
		}
		var err error
		if id, err = c.find(); err != nil && !isKind(err, connector.NotFound) {
			return err
		}
	}
	switch {
	case j.goal == present && id == "":
		return c.make()
	case j.goal == present:
		return c.change(id)
	case id == "":
	case j.goal == absent && j.claim.RemoteID == "" && j.limited():
		j.found(id)
		return nil
	case j.goal == absent:
		if err := c.deleteAll(id); err != nil {
			return err
		}
		if !j.def.finds() && c.mayBeAnother(j) {
			j.vanished(unfindable) // a person is asked by the next claim
			return nil
		}
		if c.mayBeUnseen(j) {
			j.vanished("the record that was known is gone; another may have been made in what the registry has forgotten")
			return nil
		}
	default: // ended
		err := c.update(id, j.record.Fields)
		if isKind(err, connector.NotFound) && c.mayBeAnother(j) {
			if !j.def.finds() {
				j.vanished(unfindable)
				return nil
			}
			if id, err = c.find(); err == nil {
				err = c.update(id, j.record.Fields)
			}
		}
		if err == nil {
			j.synced(id)
		}
		if !isKind(err, connector.NotFound) {
			return err
		}
	}
	j.finish(store.Result{Outcome: store.Removed})
	return nil
}

// found takes a record that the registry did not know, to be deleted like any
// other: within the limit, and only if a person allows it after a restore.
func (j *job) found(id string) {
	j.result.RemoteID, j.result.ExternalID = id, j.record.ExternalID
	j.finish(store.Result{Outcome: store.Partial, After: time.Second, Reason: "its record was found, and is to be deleted"})
}

// vanished: there is no record under the id that was known, at a remote that can't
// look one up. What follows from it is for another claim: this one may have lost
// its lease, and a second record would be made.
func (j *job) vanished(reason string) {
	j.result.RemoteID, j.result.Digests = "", nil
	j.finish(store.Result{Outcome: store.Partial, After: time.Millisecond, Reason: reason})
}

// isKind says whether err is a connector's error of that kind.
func isKind(err error, k connector.Kind) bool { return err != nil && connector.KindOf(err) == k }

// change updates a record, and makes it again if it is gone.
func (c *caller) change(id string) error {
	j := c.job
	fields := only(j.record.Fields, j.changed)
	if j.claim.RemoteID == "" {
		fields = j.record.Fields // it was found: what it holds is not known
	}
	err := c.update(id, fields)
	if err == nil {
		j.synced(id)
	}
	if !isKind(err, connector.NotFound) {
		return err
	}
	if c.traits.Class != connector.Upsert {
		// An older create may still land, or have landed under another id.
		if j.claim.InDoubt {
			j.finish(store.Result{Outcome: store.Retry, Free: true, After: c.doubtFor(), Reason: "the record is gone, but an older request may still make it"})
			return nil
		}
		if c.traits.Class == connector.Blind && j.claim.Forced {
			j.refuse(untold) // it was made again, perhaps: the id is still the old one's
			return nil
		}
		if c.traits.Class == connector.Blind {
			j.vanished("the record is gone, and is made again")
			return nil
		}
		if c.traits.Class == connector.Lookup {
			if found, err := c.find(); !isKind(err, connector.NotFound) {
				return c.adopt(found, err)
			}
		}
	}
	if j.def.Initialize != nil && !c.findOrigin() {
		return nil
	}
	j.leaveSelfOut()
	return c.make()
}

// deleteAll deletes the record. When an older create may have landed after it
// was gone, there is one of another id, which is deleted too.
func (c *caller) deleteAll(id string) error {
	err := c.delete(id)
	if err != nil || !c.mayBeAnother(c.job) || !c.job.def.finds() {
		return err
	}
	another, err := c.find()
	if err == nil && another != id {
		return c.delete(another)
	}
	if isKind(err, connector.NotFound) {
		return nil
	}
	return err
}

// mayBeAnother: a record of another id than the known one may be there. Forced
// counts as a doubt, also where a person asked for it: it is what a doubt that is
// over leaves behind, and one that a person forced may have been in doubt before.
func (r *runner) mayBeAnother(j *job) bool {
	return j.goal != present && (j.claim.InDoubt || j.claim.Forced) && r.traits.Class != connector.Blind
}

// mayBeUnseen: the record was deleted, but at a remote that can't look any up
// another may be there, which a restored registry has forgotten.
func (r *runner) mayBeUnseen(j *job) bool {
	return r.traits.Class == connector.Blind && j.goal == absent && j.claim.Forced && r.provenance.restored.Load()
}

// makeUnseen makes a record at a remote that can't say whether it is there, if
// that is sure. After a restore it is, once the sweep has forced all that was.
func (c *caller) makeUnseen() error {
	j := c.job
	if j.goal != present || j.claim.InDoubt || j.claim.Forced {
		j.refuse(untold)
		return nil
	}
	state, err := c.db.Sync(c.life, j.claim.Sync)
	swept := err == nil && !state.Backfill.Running
	if swept { // the sweep may have come between the claim and now
		var g *store.Group
		g, err = c.db.Group(c.life, j.claim.ID)
		swept = err == nil && g.ForcedGeneration <= j.claim.Generation
	}
	switch {
	case err != nil:
		j.finish(store.Result{Outcome: store.Retry, Free: true, After: c.backoff(1), Reason: "look whether all was swept after a restore: " + err.Error()})
	case !swept:
		j.finish(store.Result{Outcome: store.Retry, Free: true, After: time.Second, Reason: "waits until all was swept after a restore"})
	default:
		return c.make()
	}
	return nil
}

// make creates or initializes the record; one that exists is adopted.
func (c *caller) make() error {
	c.job.digests.Left = nil
	id, err := c.create()
	if isKind(err, connector.Exists) && c.job.def.finds() {
		found, missing := c.find()
		if isKind(missing, connector.NotFound) {
			return err // another unique value clashes: the remote's own words say which
		}
		return c.adopt(found, missing)
	}
	if err == nil {
		c.job.synced(id)
	}
	return err
}

// adopt takes a record that was found: what it holds is not known, so all
// fields are sent.
func (c *caller) adopt(id string, err error) error {
	c.job.digests.Left = nil
	if err == nil {
		err = c.update(id, c.job.record.Fields)
	}
	if err == nil {
		c.job.synced(id)
	}
	return err
}

// mustFind: a create may be repeated blindly only where the remote holds the
// external key unique; an initialized record, and one with fields that are
// only for its creation, is looked up first unless this is its first try. A
// remote that can't look anything up is asked for no second create while the
// outcome of one is not known.
func (r *runner) mustFind(j *job) bool {
	settled := !j.claim.InDoubt && !j.claim.Forced
	if r.provenance.restored.Load() && r.traits.Class == connector.Lookup {
		return true // it may have been made in what the registry has forgotten
	}
	first := j.claim.ExternalID == "" && settled // nothing can have gone out
	if j.goal != present || first && r.mayBeFromBefore(j.def) {
		return true
	}
	if r.traits.Class == connector.Blind {
		return !settled || r.provenance.restored.Load()
	}
	return !first && (r.traits.Class != connector.Upsert || j.origin != nil || len(j.only) > 0)
}

// mayBeFromBefore: an earlier installation may have made records of a sync of
// which this one does not know. Its first sweep forces all groups; those that a
// touch raised before the sweep came to them are known by its being under way,
// and those that people register are in no sweep.
func (r *runner) mayBeFromBefore(d *definition) bool {
	if !d.looks() {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return d.ByHand || !r.swept[d.Name]
}

// learnSwept notes which syncs have no sweep under way, before groups are
// claimed: what these sweeps forced is claimed as forced.
func (r *runner) learnSwept(ctx context.Context) error {
	for _, d := range r.defs {
		if !d.looks() || d.ByHand || !r.mayBeFromBefore(d) {
			continue
		}
		state, err := r.db.Sync(ctx, d.Name)
		if err != nil {
			return err
		}
		r.mu.Lock()
		r.swept[d.Name] = state.Version != "" && !state.Backfill.Running
		r.mu.Unlock()
	}
	return nil
}

// findOrigin looks up what a lost record was initialized from; without it the
// job waits.
func (c *caller) findOrigin() bool {
	id := c.job.originID
	found, err := c.db.Records(c.life, []store.ID{id})
	if err != nil {
		c.job.finish(store.Result{Outcome: store.Retry, Free: true, After: c.backoff(1), Reason: "look up references: " + err.Error()})
		return false
	}
	if found[id].RemoteID == "" {
		c.job.finish(store.Result{Outcome: store.Waits, WaitsFor: []store.ID{id}, After: waitNet, Reason: "waits for " + id.String()})
		return false
	}
	c.job.origin = &connector.Origin{}
	return c.fromOrigin(c.job, found[id])
}

func (c *caller) find() (id string, err error) {
	err = c.call("find", nil, func(ctx context.Context) error {
		id, err = named(c.remote.Connection.Find(ctx, c.job.record.Type, c.job.record.ExternalID))
		return err
	})
	return id, err
}

func (c *caller) update(id string, fields connector.Fields) error {
	return c.call("update", fields, func(ctx context.Context) error {
		rec := c.job.record
		rec.Fields = fields
		return c.remote.Connection.Update(ctx, id, rec)
	})
}

func (c *caller) delete(id string) error {
	return c.call("delete", nil, func(ctx context.Context) error {
		if remover, ok := c.remote.Connection.(connector.Remover); ok {
			rec := c.job.record
			rec.Fields = nil
			return remover.Remove(ctx, id, rec)
		}
		return c.remote.Connection.Delete(ctx, c.job.record.Type, id)
	})
}

func (c *caller) create() (id string, err error) {
	rec := c.job.record
	rec.Fields = c.job.createFields()
	if c.job.origin != nil {
		err = c.call("initialize", rec.Fields, func(ctx context.Context) error {
			id, err = named(c.remote.Connection.(connector.Initializer).Initialize(ctx, *c.job.origin, rec))
			return err
		})
		return id, err
	}
	err = c.call("create", rec.Fields, func(ctx context.Context) error {
		id, err = named(c.remote.Connection.Create(ctx, rec))
		return err
	})
	return id, err
}

// named holds a connector to its contract: a success names the record. An empty
// id would be taken for a record that is not there, and made again; one that the
// registry can't keep as it is would come to be that of another.
func named(id string, err error) (string, error) {
	switch {
	case err != nil:
	case id == "":
		err = &connector.Error{Kind: connector.Unknown, Message: "the answer names no id for the record"}
	case !keepable(id):
		err = &connector.Error{Kind: connector.Unknown, Message: "the answer's id for the record holds the character NUL or is not valid UTF-8, and can't be kept: the remote or its connector has to answer with an id that is text"}
	}
	return id, err
}

// keepable: every database keeps such a text as it is.
func keepable(id string) bool { return utf8.ValidString(id) && !strings.Contains(id, "\x00") }

// call makes one call, if the remote's limits and the lease allow it, and
// notes it in the job's history.
func (c *caller) call(action string, fields connector.Fields, f func(context.Context) error) error {
	began, err := c.gate.enter(c.running, c.job.claim.Sync, c.job.deadline.Add(-c.traits.Timeout))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.life, c.traits.Timeout)
	defer cancel()
	err = c.callOnce(ctx, f)
	took := c.cfg.Clock.Now().Sub(began)
	c.gate.leave(c.life, began, err)
	c.job.result.Calls++
	c.observe(took)
	c.job.tried(action, fields, err, took)
	return err
}

// callOnce is the connector's call. One that panics has ended too: its slot is
// free, and it stands in the history.
func (c *caller) callOnce(ctx context.Context, f func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = c.panicked(p)
		}
	}()
	return f(ctx)
}

// panicked is the outcome of a call in which the connector panicked: was it sent?
// Nobody knows.
func (r *runner) panicked(p any) error {
	site := panicSite()
	r.log.Error("the connector panicked", "remote", r.remote.Name, "panic", p, "at", site)
	return &connector.Error{Kind: connector.Unknown, Message: fmt.Sprintf("the connector panicked: %v, at %s", p, site)}
}

// tried notes a call in the job's history. A try is one line there, of its last
// call; the message ends with what those before it said.
func (j *job) tried(action string, fields connector.Fields, err error, took time.Duration) {
	// An external id that went out must be known even if the row goes away.
	j.result.ExternalID = j.record.ExternalID
	j.attempt = &store.Attempt{Epoch: j.claim.Epoch, Action: action, Outcome: "ok", Took: took, Fields: slices.Sorted(maps.Keys(fields))}
	j.wrote(action, fields, err)
	said := "ok"
	if err != nil {
		e := connector.AsError(err)
		j.attempt.Outcome, j.attempt.Status = e.Kind.String(), e.Status
		said = cut(e.Error(), maxMessage)
		j.attempt.Message = said
	}
	if j.before != "" {
		j.attempt.Message = strings.TrimSpace(j.attempt.Message + " (after " + j.before + ")")
	}
	j.before = joinWords(j.before, "; ", action+": "+cut(said, maxBefore))
}

const (
	maxMessage = 2_000 // bytes of the remote's words that are kept
	maxBefore  = 500   // of each call before a try's last one
	maxReason  = 8_000 // of why a group is parked, which may have the words of the user's function
)

// cut is so much of somebody else's words that can be kept: text, without the
// character NUL.
func cut(s string, n int) string {
	end := ""
	if len(s) > n {
		for n > 0 && s[n]&0xC0 == 0x80 { // not in the middle of a rune
			n--
		}
		s, end = s[:n], "…"
	}
	if !keepable(s) {
		s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\uFFFD")
	}
	return s + end
}

func (r *runner) observe(took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.latency == 0 {
		r.latency = took
	}
	r.latency = max((9*r.latency+took)/10, time.Microsecond)
}

// untold is why a group with a remote of class Blind is parked.
const untold = "the remote may have made this record and offers no way to find out: look for it there, then say what you found with upkeep retry and --is ID or --not-there"

// unfindable is the same where the remote does not have a look-up for this type.
const unfindable = "an older request may have made a record under its external id, and the remote offers no way to look it up: look for it there, then say what you found with upkeep retry and --is ID or --not-there"

// A record that has a unique value of this one's may be about to give it up: when
// a row's key changes, its new record may be sent before the old one is deleted.
// The same of a delete that is refused: the records that refer to it may be about
// to refer to another one.
const (
	clashes  = 6 // in a row, over half a minute; then the record is parked; see clash.go
	taken    = "; tried again, as the record that has the value may be about to change or to go"
	referred = "; tried again, as records that refer to it may be about to change or to go"
)

// unstopped is a remote's sentence that goes on.
func unstopped(sentence string) string { return strings.TrimSuffix(sentence, ".") }

// lookedUp says whether the last call was a look-up, which writes nothing.
func (j *job) lookedUp() bool { return j.attempt != nil && j.attempt.Action == "find" }

// judge turns a failed call into the group's next state.
func (c *caller) judge(err error) {
	if errors.Is(err, errNotSent) {
		c.job.finish(store.Result{Outcome: store.Released, After: c.gate.peace()})
		return
	}
	e := connector.AsError(err)
	after, reason := asked(e)
	last := c.job.claim.Attempts+1 >= c.cfg.MaxAttempts
	free := c.gate.troubled()
	wait := max(c.backoff(c.job.claim.Attempts+1), after)
	res := store.Result{Reason: reason, After: wait}
	switch e.Kind {
	case connector.Unknown:
		res.Outcome, res.Free = store.Doubtful, free
		if c.job.lookedUp() { // nothing was written: as [connector.Unavailable], but one record may be to blame
			res.Outcome = store.Retry
		} else {
			res.Doubt = c.doubtFor()
		}
		if c.traits.Class == connector.Blind && c.job.attempt != nil && c.job.attempt.Action == "create" {
			res.Outcome = store.Refused
			res.Reason = untold + "; " + reason
		} else if last && !free {
			res.Outcome, res.Reason = store.Refused, givenUp(c.job.claim.Attempts+1, reason)
		}
	case connector.RateLimited:
		res = store.Result{Outcome: store.Released, After: c.gate.peace(), Reason: reason}
	case connector.Unavailable, connector.Unauthorized:
		res.Outcome, res.Free = store.Retry, true
	case connector.Busy:
		res.Outcome = store.Retry
		if last {
			res.Outcome, res.Reason = store.Refused, givenUp(c.job.claim.Attempts+1, reason)
		}
	case connector.Exists: // another unique value than the external id
		res.Outcome = store.Retry
		res.Reason = unstopped(reason) + taken
		if last || c.job.claim.Attempts+1 >= clashes {
			res.Outcome, res.Reason, res.Clash = store.Refused, unstopped(reason)+heldThere, true
		}
	default: // Rejected, and NotFound where nothing more can be done
		res.Outcome = store.Refused
		if e.Kind == connector.Rejected && c.job.goal == absent {
			res.Clash, res.Reason = true, unstopped(reason)+refersHere
			if c.job.claim.Attempts+1 < min(clashes, c.cfg.MaxAttempts) {
				res.Outcome, res.Reason = store.Retry, unstopped(reason)+referred
			}
		}
		if e.Kind == connector.Rejected && len(c.job.lacks) > 0 {
			res = c.job.refusedInPart(reason)
		}
	}
	c.job.finish(res)
}
