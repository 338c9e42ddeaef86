package upkeep

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/store"
)

const (
	// jobLease is after how long a job is taken over whose follower died.
	jobLease = 30 * time.Second
	// jobPiece is how many results of a job are recorded at once.
	jobPiece = 250
	// jobCall is how long the hand-over of a job may take, and the reading of
	// its results.
	jobCall = 30 * time.Minute
)

// follower brings one job to its end: it runs it, looks at it until it is over,
// and records what became of each group. It may begin anywhere: where another
// process, that made the job, came to.
type follower struct {
	*bulk
	def     *definition
	began   time.Time // on this process's clock, when the job was written down
	running context.Context
	life    context.Context
	calls   int   // since results were recorded last
	refused error // of RunJob: surely not applied
	rest    bool  // the job just began to run
	over    bool

	mu  sync.Mutex
	job store.Job
}

// writeDown makes the groups the job's. It returns the changes of those whose
// claim was not lost meanwhile.
func (f *follower) writeDown(ctx context.Context, list []*job) ([]connector.Change, error) {
	groups := make([]store.JobGroup, len(list))
	for i, j := range list {
		groups[i] = store.JobGroup{Key: j.claim.Key, Epoch: j.claim.Epoch, Generation: j.claim.Generation,
			ExternalID: j.record.ExternalID, RemoteID: j.claim.RemoteID, Refs: j.refs, Sent: j.sent}
		if j.goal != absent {
			groups[i].Digests = j.sealed
		}
	}
	id, stale, err := f.db.AddJob(ctx, f.job, groups, jobLease)
	if err != nil {
		return nil, err
	}
	f.job.ID = id
	lost := map[store.ID]bool{}
	for _, s := range stale {
		lost[s] = true
	}
	changes := make([]connector.Change, 0, len(list))
	for _, j := range list {
		if !lost[j.claim.ID] {
			changes = append(changes, j.change())
		}
	}
	return changes, nil
}

// follow goes on until the job is over, somebody else follows it, or ctx ends:
// then the job is given back and runs on without us.
func (f *follower) follow(ctx context.Context, changes []connector.Change) {
	var stop, cut context.CancelFunc
	f.running, stop = context.WithCancel(ctx)
	f.life, cut = context.WithCancel(f.bulk.life)
	lost := func() { stop(); cut() }
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		f.hold(f.life, lost)
	}()
	if changes != nil {
		f.run(changes)
		changes = nil
		f.bulk.mu.Lock()
		f.bulk.handing = false
		f.bulk.mu.Unlock()
	}
	_ = f.forever(f.running, "job "+f.job.RemoteJob, func() (time.Duration, error) {
		wait, err := f.step()
		if errors.Is(err, errNotSent) {
			return f.gate.peace(), nil
		}
		if f.over {
			stop()
		}
		return wait, err
	})
	lost()
	<-kept
	if f.over {
		return
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if _, err := f.db.KeepJob(end, f.copy(), 0); err != nil {
		f.log.Warn("a job was not given back; it is taken over when its lease is over", "job", f.job.RemoteJob, "error", err)
	}
}

// hold keeps the job ours. Once it may be another's, what we do is cut off.
func (f *follower) hold(ctx context.Context, lost func()) {
	kept := f.cfg.Clock.Now()
	for f.cfg.Clock.Sleep(ctx, jobLease/5) == nil {
		asked := f.cfg.Clock.Now()
		mine, err := f.db.KeepJob(ctx, f.copy(), jobLease)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && mine:
			kept = asked
		case err == nil, f.cfg.Clock.Now().Sub(kept) > jobLease-jobLease/5:
			f.log.Warn("a job is followed by another process now", "job", f.job.RemoteJob, "error", err)
			lost()
			return
		}
	}
}

func (f *follower) copy() store.Job {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.job
}

// note writes down how the job is.
func (f *follower) note(job connector.Job) error {
	f.mu.Lock()
	f.job.State, f.job.Processed, f.job.Failed, f.job.Message = job.State.String(), job.Processed, job.Failed, cut(job.Message, maxMessage)
	f.mu.Unlock()
	mine, err := f.db.KeepJob(f.running, f.copy(), jobLease)
	if err == nil && !mine {
		err = errors.New("it is followed by another process now")
	}
	return err
}

// run hands the changes over.
func (f *follower) run(changes []connector.Change) {
	err := f.ask(f.def.Name, f.life, jobCall, func(ctx context.Context) error {
		return f.remote.RunJob(ctx, f.job.RemoteJob, f.job.RecordType, changes[0].Action, changes)
	})
	switch {
	case err == nil:
		f.rest = true
	case isKind(err, connector.Unknown) && !errors.Is(err, errNotSent):
		f.log.Warn("nobody can say whether a job runs; it is asked", "job", f.job.RemoteJob, "error", err)
	default:
		f.refused = err
	}
}

// ask makes one call. Of a paused sync no job is run, but one that runs is
// looked at: sync is empty then.
func (f *follower) ask(sync string, life context.Context, timeout time.Duration, call func(context.Context) error) error {
	return f.call(f.running, life, sync, timeout, func(ctx context.Context) error {
		f.calls++
		return call(ctx)
	})
}

// step takes the job a step further, and says how long to wait then.
func (f *follower) step() (time.Duration, error) {
	if f.refused != nil {
		f.log.Error("the remote did not take a job; its groups go another way", "sync", f.def.Name, "job", f.job.RemoteJob, "error", f.refused)
		return 0, f.withdraw(f.refused)
	}
	if f.rest {
		f.rest = false
		return f.poll(), f.note(connector.Job{State: connector.JobRunning})
	}
	var job connector.Job
	err := f.ask("", f.running, f.traits.Timeout, func(ctx context.Context) (err error) {
		job, err = f.remote.PollJob(ctx, f.job.RemoteJob)
		return err
	})
	late := f.age() > f.cfg.JobLimit && !errors.Is(err, errNotSent)
	switch {
	case isKind(err, connector.NotFound) && !errors.Is(err, errNotSent):
		return 0, f.close("the remote does not know the job any more", 0)
	case err != nil && late:
		f.log.Error("a job takes too long and can't be asked about; it is ended", "job", f.job.RemoteJob, "since", f.began, "error", err)
		if aborted := f.abort(f.running); !f.isHopeless(err) {
			return 0, errors.Join(err, aborted)
		}
		return 0, f.giveUp(err)
	case err != nil:
		return 0, err
	case job.State == connector.JobOpen:
		return 0, f.withdraw(errNotSent)
	case job.State == connector.JobRunning && late:
		f.log.Error("a job takes too long; it is ended", "job", f.job.RemoteJob, "since", f.began)
		return f.poll(), errors.Join(f.note(job), f.abort(f.running))
	}
	if err := f.note(job); err != nil || !job.State.Over() {
		return f.poll(), err
	}
	return 0, f.results(job)
}

// poll is how long to wait between two looks, also when the sync makes no jobs
// any more.
func (f *follower) poll() time.Duration {
	wait := f.remote.Bulk(f.job.RecordType).Poll
	setDefault(&wait, jobPoll)
	return wait
}

func (f *follower) age() time.Duration { return f.cfg.Clock.Now().Sub(f.began) }

// isHopeless: a call about the job failed although it should have been over
// long ago. A call that was not made says nothing.
func (f *follower) isHopeless(err error) bool {
	return err != nil && !errors.Is(err, errNotSent) && f.age() > f.jobPatience()
}

// giveUp lets the groups of a job go about which the remote can't be asked. It
// may still apply them: they are in doubt for long enough.
func (f *follower) giveUp(err error) error {
	return f.close("the remote can't be asked about the job: "+err.Error(), f.jobPatience())
}

// abort ends the job at the remote. One that it does not know has ended.
func (f *follower) abort(ctx context.Context) error {
	err := f.call(ctx, f.bulk.life, "", f.traits.Timeout, func(ctx context.Context) error {
		f.calls++
		return f.remote.AbortJob(ctx, f.job.RemoteJob)
	})
	if isKind(err, connector.NotFound) && !errors.Is(err, errNotSent) {
		return nil
	}
	return err
}

// withdraw gives up a job of which nothing was applied, for a reason. What the
// remote does not take in a job goes its usual way.
func (f *follower) withdraw(reason error) error {
	if err := f.abort(f.running); f.isHopeless(err) {
		return f.giveUp(err)
	} else if err != nil {
		return err
	}
	return f.settle(func(c *caller) {
		if !errors.Is(reason, errNotSent) && !isKind(reason, connector.RateLimited) && !isKind(reason, connector.Unavailable) && !isKind(reason, connector.Unauthorized) {
			c.job.finish(store.Result{Outcome: store.Retry, Reason: cut(reason.Error(), maxMessage)})
			return
		}
		c.judge(reason)
	})
}

// close records that nobody knows what became of the groups that are left,
// which are in doubt as after any call, or for longer.
func (f *follower) close(reason string, doubt time.Duration) error {
	n := 0
	err := f.settle(func(c *caller) {
		n++
		unknown := &connector.Error{Kind: connector.Unknown, Message: reason}
		c.job.tried(f.job.Action, nil, unknown, 0)
		c.judge(unknown)
		if doubt > 0 { // by itself then, and in no job that is lost as this one was
			c.job.result.Doubt, c.job.result.Free = max(c.job.result.Doubt, doubt), false
		}
	})
	if n > 0 {
		f.log.Warn("a job's results do not tell of some groups; they are in doubt", "sync", f.def.Name, "job", f.job.RemoteJob, "groups", n, "reason", reason)
	}
	return err
}

// settle completes all groups that are left in the job, and ends it.
func (f *follower) settle(complete func(*caller)) error {
	err := f.emptyJob(f.running, f.job.ID, func(groups []store.JobGroup) error {
		var done []store.Result
		for _, g := range groups {
			c := f.caller(g)
			complete(c)
			done = append(done, c.job.result)
		}
		return f.record(done)
	})
	f.over = err == nil
	return err
}

// results records what the remote says of a job that is over.
func (f *follower) results(job connector.Job) error {
	piece := make([]connector.JobResult, 0, jobPiece)
	err := f.ask("", f.running, jobCall, func(ctx context.Context) error {
		return f.remote.JobResults(ctx, f.job.RemoteJob, f.job.RecordType, func(r connector.JobResult) error {
			if piece = append(piece, r); len(piece) < jobPiece {
				return nil
			}
			err := f.recordPiece(piece)
			piece = piece[:0]
			return err
		})
	})
	if err := f.recordPiece(piece); err != nil { // what was told before an error stands
		return err
	}
	if err != nil && !isKind(err, connector.NotFound) && !f.isHopeless(err) {
		return err
	}
	reason := "the job's results do not tell of this record"
	if f.isHopeless(err) {
		reason = "the job's results can't be read: " + err.Error()
	}
	if job.Message != "" {
		reason += ": " + job.Message
	}
	if err := f.close(reason, 0); err != nil {
		return err
	}
	f.log.Info("job over", "sync", f.def.Name, "job", f.job.RemoteJob, "state", job.State.String(), "rows", f.job.Rows, "failed", job.Failed,
		"took", f.cfg.Clock.Now().Sub(f.began))
	return nil
}

// recordPiece records results, each of which is matched by its record's name
// and by nothing else. Of a group whose result is recorded already nothing is
// left in the job.
func (f *follower) recordPiece(piece []connector.JobResult) error {
	if len(piece) == 0 {
		return nil
	}
	var names store.JobNames
	for _, r := range piece {
		if r.ExternalID != "" {
			names.External = append(names.External, r.ExternalID)
		} else {
			names.Remote = append(names.Remote, r.RemoteID)
		}
	}
	groups, err := f.db.JobGroups(f.running, f.job.ID, names, 2*len(piece))
	if err != nil {
		return err
	}
	external, remote := map[string]store.JobGroup{}, map[string]store.JobGroup{}
	for _, g := range groups {
		external[g.ExternalID] = g
		if g.RemoteID != "" {
			remote[g.RemoteID] = g
		}
	}
	var done []store.Result
	for _, r := range piece {
		from, name := external, r.ExternalID
		if name == "" {
			from, name = remote, r.RemoteID
		}
		g, there := from[name]
		if !there {
			continue
		}
		delete(from, name)
		c := f.caller(g)
		f.conclude(c, r)
		done = append(done, c.job.result)
	}
	return f.record(done)
}

// conclude completes a group's result. What takes more than its change in a
// job, since the record is gone or there already, goes the usual way.
func (f *follower) conclude(c *caller, r connector.JobResult) {
	j := c.job
	j.tried(f.job.Action, nil, r.Err, f.cfg.Clock.Now().Sub(f.began)/time.Duration(max(1, f.job.Rows)))
	j.attempt.Message = joinWords("job "+f.job.RemoteJob, ": ", j.attempt.Message)
	if isKind(r.Err, connector.Exists) || isKind(r.Err, connector.NotFound) && j.goal == present {
		j.finish(store.Result{Outcome: store.Retry, Reason: cut(r.Err.Error(), maxMessage)})
		return
	}
	c.conclude(connector.Result{RemoteID: r.RemoteID, Err: r.Err})
}

// joinWords is for a person; a part may be empty.
func joinWords(a, between, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + between + b
}

// caller is a group in the job as it was when it was claimed, without its
// representation.
func (f *follower) caller(g store.JobGroup) *caller {
	id := store.ID{Sync: f.job.Sync, Key: g.Key}
	j := &job{def: f.def, refs: g.Refs, sent: g.Sent, claim: store.Claim{ID: id, Epoch: g.Epoch, Generation: g.Generation, RemoteID: g.RemoteID,
		ExternalID: g.ExternalID, Attempts: g.Attempts}}
	j.record = connector.Record{Type: f.job.RecordType, ExternalID: g.ExternalID}
	j.digests, _ = parseDigests(g.Digests)
	j.claim.Skipped = j.digests.skipped()
	if j.goal = present; f.job.Action == connector.Delete.String() {
		j.goal = absent
	} else if j.digests.Ended {
		j.goal = ended
	}
	j.result = store.Result{ID: id, Epoch: g.Epoch, Generation: g.Generation, RemoteID: g.RemoteID, ExternalID: g.ExternalID, Granted: j.goal == absent}
	return &caller{runner: f.runner, job: j, life: f.life, running: f.running}
}

// record writes results down, then takes their groups out of the job: in this
// order, so that a crash between the two leaves what is recorded once more in
// vain.
func (f *follower) record(done []store.Result) error {
	if len(done) == 0 {
		return nil
	}
	keys := make([]string, len(done))
	for i, r := range done {
		keys[i] = r.Key
	}
	done[0].Calls, f.calls = f.calls, 0
	if _, err := f.db.Record(f.running, done, f.byHand()); err != nil {
		return fmt.Errorf("record the results of job %s: %w", f.job.RemoteJob, err)
	}
	f.clash(f.running, done)
	f.yields(done)
	f.nudge()
	return f.db.LeaveJob(f.running, f.job.ID, keys)
}

// closed says whether the gate lets no call of a sync in now.
func (g *gate) closed(sync string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.held.remote || g.held.syncs[sync] || g.pausedUntil.After(g.cfg.Clock.Now()) || g.broken && !g.probing
}
