package upkeep

import (
	"context"
	"fmt"
	"maps"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// batches puts the jobs together that go out in one request: changes of one
// sync, and of one action unless the remote takes them mixed. A job that may
// need several calls goes by itself.
func (r *runner) batches(jobs []*job) [][]*job {
	var out [][]*job
	open := map[batchKey]int{} // where in out
	for _, j := range jobs {
		most := r.batchMost(j)
		if most <= 1 {
			out = append(out, []*job{j})
			continue
		}
		k := batchKey{j.claim.Sync, connector.Create, most}
		if !j.def.batch().Mixed {
			k.action = j.action()
		}
		at, there := open[k]
		if !there || len(out[at]) == most || holds(out[at], j.record.ExternalID) {
			at = len(out)
			open[k] = at
			out = append(out, nil)
		}
		out[at] = append(out[at], j)
	}
	return out
}

type batchKey struct {
	sync   string
	action connector.Action
	most   int
}

// holds: remotes refuse or mix up two changes of one record in a request. Two
// groups with one external id are a mistake of the mapping.
func holds(batch []*job, externalID string) bool {
	for _, j := range batch {
		if j.record.ExternalID == externalID {
			return true
		}
	}
	return false
}

// batch is what the remote takes of a sync's record type; zero without
// batches.
func (d *definition) batch() connector.Batch {
	b, ok := d.To.Connection.(connector.Batcher)
	if !ok {
		return connector.Batch{}
	}
	limit := b.Batch(d.Record)
	limit.Most = min(limit.Most, maxClaim)
	return limit
}

// batchMost is how large a batch the job may go in. After a failure it is
// smaller each time, so that a record that makes whole requests fail in a way
// that does not tell it (a 500) is soon alone.
func (r *runner) batchMost(j *job) int {
	if r.alone(j) {
		return 1
	}
	return j.def.batch().Most >> min(2*j.claim.Attempts, 30)
}

// alone: a job that may need several calls, or has a call of its own.
func (r *runner) alone(j *job) bool {
	return r.mayBeAnother(j) || r.mayBeUnseen(j) || j.claim.RemoteID == "" && (j.goal != present || r.mustFind(j) || j.origin != nil)
}

// action is what a job in a batch does.
func (j *job) action() connector.Action {
	switch {
	case j.goal == absent:
		return connector.Delete
	case j.claim.RemoteID == "":
		return connector.Create
	}
	return connector.Update
}

// change is a job's part of a batch.
func (j *job) change() connector.Change {
	c := connector.Change{Action: j.action(), RemoteID: j.claim.RemoteID, Record: j.record}
	switch {
	case c.Action == connector.Delete:
		c.Record.Fields = nil
	case c.Action == connector.Create:
		c.Record.Fields = j.createFields()
	case j.goal == present:
		c.Record.Fields = only(j.record.Fields, j.changed)
	}
	return c
}

// createFields are all fields with those that are only for the creation.
func (j *job) createFields() connector.Fields {
	if len(j.only) == 0 {
		return j.record.Fields
	}
	all := maps.Clone(j.record.Fields)
	maps.Copy(all, j.only)
	return all
}

// performBatch makes one request for many jobs, and completes their results.
// One that is refused as a whole is sent again in halves, until the record to
// blame is alone.
func (r *runner) performBatch(life, running context.Context, batch []*job) {
	if len(batch) == 1 {
		r.perform(life, running, batch[0])
		return
	}
	results, err := r.apply(life, running, batch)
	if isKind(err, connector.Rejected) {
		r.performBatch(life, running, batch[:len(batch)/2])
		r.performBatch(life, running, batch[len(batch)/2:])
		return
	}
	for i, j := range batch {
		c := &caller{runner: r, job: j, life: life, running: running}
		if err != nil {
			c.judge(err)
			continue
		}
		c.conclude(results[i])
	}
}

// conclude completes the result of a job from its part of a batch's answer.
// What takes more than that goes the way of a single call.
func (c *caller) conclude(res connector.Result) {
	j := c.job
	action := j.action()
	if action == connector.Create {
		_, res.Err = named(res.RemoteID, res.Err)
	}
	switch {
	case res.Err == nil && action == connector.Delete, isKind(res.Err, connector.NotFound) && j.goal != present:
		j.finish(store.Result{Outcome: store.Removed})
	case res.Err == nil && action == connector.Create:
		j.synced(res.RemoteID)
	case res.Err == nil:
		j.synced(j.claim.RemoteID)
	case isKind(res.Err, connector.Exists) && action == connector.Create, isKind(res.Err, connector.NotFound):
		c.perform(c.life, c.running, j)
	default:
		c.judge(res.Err)
	}
}

// apply makes one request, if the remote's limits and the leases allow it, and
// notes it in the jobs' histories. The first job's counter has the call.
func (r *runner) apply(life, running context.Context, batch []*job) (results []connector.Result, err error) {
	deadline := batch[0].deadline
	changes := make([]connector.Change, len(batch))
	for i, j := range batch {
		deadline = minTime(deadline, j.deadline)
		changes[i] = j.change()
	}
	began, err := r.gate.enter(running, batch[0].claim.Sync, deadline.Add(-r.traits.Timeout))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(life, r.traits.Timeout)
	defer cancel()
	results, err = r.applyOnce(ctx, changes)
	took := r.cfg.Clock.Now().Sub(began)
	r.gate.leave(life, began, telling(results, err))
	r.observe(took)
	batch[0].result.Calls++
	for i, j := range batch {
		own := err
		if err == nil {
			own = results[i].Err
		}
		j.tried(changes[i].Action.String(), changes[i].Record.Fields, own, took)
	}
	r.log.Debug("sent", "sync", batch[0].claim.Sync, "changes", len(batch), "took", took)
	return results, err
}

// applyOnce is the connector's Apply with its contract checked.
func (r *runner) applyOnce(ctx context.Context, changes []connector.Change) (results []connector.Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			results, err = nil, r.panicked(p)
		}
	}()
	results, err = r.remote.Connection.(connector.Batcher).Apply(ctx, changes[0].Record.Type, changes)
	if err == nil && len(results) != len(changes) {
		err = &connector.Error{Kind: connector.Unknown, Message: fmt.Sprintf("the answer has %d results for %d changes", len(results), len(changes))}
	}
	return results, err
}

// telling is what a batch's answer says of the remote as a whole: a remote
// that has had enough may say so of single changes.
func telling(results []connector.Result, err error) error {
	if err != nil {
		return err
	}
	for _, res := range results {
		if isKind(res.Err, connector.RateLimited) || isKind(res.Err, connector.Unauthorized) {
			return res.Err
		}
	}
	return nil
}
