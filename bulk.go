package upkeep

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/store"
)

const (
	maxJob    = 10_000  // groups in one job
	jobBytes  = 8 << 20 // about what their records take in memory until the job runs
	fillPiece = 500     // groups claimed and loaded at once for a job
	maxJobs   = 4       // that a process follows of one remote
	bulkEvery = 500 * time.Millisecond
	jobPoll   = 10 * time.Second // unless the remote says otherwise
	// withoutJobs is how long a sync does without jobs after the remote refused
	// to make one.
	withoutJobs = 10 * time.Minute
	// lately is how long the lane is left to jobs after one was made: what is
	// given back of it belongs into the next.
	lately = 5 * time.Second
)

// bulk is the lane of a remote's large backfills. Where enough groups wait in
// the backfill lane of a sync it claims them, and sends what differs as one job
// ([connector.Bulker]); followers see to the rest. Live changes, and what can't
// be in a job, go their usual way beside it.
type bulk struct {
	*runner
	remote connector.Bulker
	life   context.Context // of calls under way; outlives a stop by the drain
	wake   chan struct{}

	mu        sync.Mutex
	kept      map[string]bool      // syncs whose backfill lane is left to jobs
	made      map[string]time.Time // when the last job was made, or tried to be
	without   map[string]time.Time
	following map[int64]bool
	handing   bool // a job's changes are in memory: the next is not filled yet
	followers sync.WaitGroup
}

// newBulk returns nil where no sync of the remote can go in jobs.
func newBulk(r *runner) *bulk {
	remote, ok := r.remote.Connection.(connector.Bulker)
	if !ok {
		return nil
	}
	b := &bulk{runner: r, remote: remote, wake: make(chan struct{}, 1), kept: map[string]bool{}, made: map[string]time.Time{}, without: map[string]time.Time{}, following: map[int64]bool{}}
	for _, d := range r.defs {
		b.kept[d.Name] = d.bulk().Most > 0 // until the first look
	}
	return b
}

// bulk is what the remote takes of a sync's records in one job; zero without
// jobs. What is made from another record takes calls of its own, so does what
// has to be looked up before it is made, and commands go one after the other.
func (d *definition) bulk() connector.Bulk {
	b, ok := d.To.Connection.(connector.Bulker)
	if !ok || d.traits.Class != connector.Upsert || d.Initialize != nil || d.Deliver == Every {
		return connector.Bulk{}
	}
	limit := b.Bulk(d.Record)
	limit.Most = min(limit.Most, maxJob)
	limit.From = max(1, min(limit.From, limit.Most))
	return limit
}

// lane is what the usual way claims of a sync: not what is left to jobs.
func (r *runner) lane(sync string) store.Lane {
	if r.bulk == nil {
		return store.BothLanes
	}
	r.bulk.mu.Lock()
	defer r.bulk.mu.Unlock()
	if r.bulk.kept[sync] {
		return store.LiveLane
	}
	return store.BothLanes
}

// run makes jobs and takes those over that nobody follows, until ctx ends and
// all followers have ended.
func (b *bulk) run(ctx, life context.Context) {
	if b == nil {
		return
	}
	b.life = life
	_ = b.forever(ctx, "bulk jobs of "+b.runner.remote.Name, func() (time.Duration, error) {
		if b.mustExamine() {
			return bulkEvery, b.examineOrigin(ctx)
		}
		if err := b.takeOver(ctx); err != nil {
			return 0, err
		}
		for _, d := range b.defs {
			if err := b.look(ctx, d); err != nil {
				return 0, err
			}
		}
		if !b.active() {
			b.sleep(ctx, pollNet, b.wake)
			return 0, nil
		}
		return bulkEvery, nil
	})
	b.followers.Wait()
}

// active says whether a lane is left to jobs, or a job is followed.
func (b *bulk) active() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, kept := range b.kept {
		if kept {
			return true
		}
	}
	return len(b.following) > 0
}

// look decides whether a sync's backfill lane is left to jobs, and makes one
// when it is time: when there are as many groups as fit, or, once the backfill
// is over, as many as make a job worthwhile.
func (b *bulk) look(ctx context.Context, d *definition) error {
	limit := d.bulk()
	if limit.Most <= 0 {
		return nil
	}
	state, err := b.db.Sync(ctx, d.Name)
	if err != nil {
		return err
	}
	waiting, err := b.db.Backlog(ctx, d.Name, limit.Most)
	if err != nil {
		return err
	}
	running := state.Backfill.Running
	b.mu.Lock()
	now := b.cfg.Clock.Now()
	refused := now.Before(b.without[d.Name])
	b.kept[d.Name] = !refused && (running || waiting >= limit.From || now.Before(b.made[d.Name].Add(lately)))
	free := len(b.following) < maxJobs && !b.handing
	b.mu.Unlock()
	enough := waiting >= limit.Most || !running && waiting >= limit.From
	if refused || !enough || !free || b.isHeld(d.Name) || b.gate.closed(d.Name) {
		return nil
	}
	due, full := b.fill(ctx, d, limit)
	if full { // of large records fewer are worth a job
		limit.From = min(limit.From, max(1, len(due)/2))
	}
	b.dispatch(ctx, d, limit, due)
	b.mu.Lock()
	b.made[d.Name] = b.cfg.Clock.Now()
	b.mu.Unlock()
	return nil
}

// fill claims, loads, translates and compares groups of the backfill lane, a
// piece at a time, until there are enough for a job, or, which is full, as much
// as memory is to hold.
func (b *bulk) fill(ctx context.Context, d *definition, limit connector.Bulk) (due []*job, full bool) {
	began, size := b.cfg.Clock.Now(), 0
	for len(due) < limit.Most && size < jobBytes && b.cfg.Clock.Now().Sub(began) < b.cfg.Lease/3 {
		asked := min(fillPiece, limit.Most-len(due))
		claimedAt := b.cfg.Clock.Now()
		claims, err := b.lease(ctx, store.ClaimRequest{Holder: b.cfg.Name, Lease: b.cfg.Lease, Limit: asked, Mark: b.provenance.lastMark(),
			Syncs: []store.ClaimSync{{Sync: d.Name, Quiet: b.doubtFor(), Lane: store.BackfillLane}}})
		if b.provenance.moved(err) {
			return due, false
		}
		if err != nil { // what is claimed already goes on
			b.log.Error("claim for a job failed", "sync", d.Name, "error", err)
			return due, false
		}
		jobs := b.translate(ctx, b.load(ctx, claims, claimedAt))
		b.refer(ctx, jobs)
		for _, j := range b.limitDeletes(ctx, b.distinct(ctx, b.compare(jobs))) {
			if b.fits(j) {
				j.composite, j.fields, j.create = nil, nil, nil // not needed any more
				j.sealed, j.digests = j.digests.bytes(), digests{}
			}
			size += j.size()
			due = append(due, j)
		}
		if len(claims) < asked {
			break
		}
	}
	return due, size >= jobBytes
}

// size is about what a job's record takes in memory.
func (j *job) size() int {
	n := 1 << 10
	for name, value := range j.record.Fields {
		n += 2*len(name) + len(value) + 160
	}
	return n
}

// fits: a change that failed before goes by itself, where one record can be
// looked at, and so does one that is made in part first, or refers to itself.
func (b *bulk) fits(j *job) bool {
	return j.claim.Attempts == 0 && len(j.lacks) == 0 && !slices.Contains(j.refs, j.claim.ID) && !b.alone(j) && b.remote.Carries(j.def.Record, j.change())
}

// dispatch sends as jobs what is enough for one, and the rest the usual way.
func (b *bulk) dispatch(ctx context.Context, d *definition, limit connector.Bulk, due []*job) {
	var rest []*job
	lists := map[connector.Action][]*job{}
	names := map[string]bool{}
	for _, j := range due {
		switch {
		case !b.fits(j):
			rest = append(rest, j)
		case names[j.record.ExternalID]: // a mistake of the mapping; no job takes both
			j.finish(store.Result{Outcome: store.Released, After: time.Minute})
			b.record(j)
		default:
			names[j.record.ExternalID] = true
			lists[j.action()] = append(lists[j.action()], j)
		}
	}
	for action := range connector.Delete + 1 {
		list := lists[action]
		if len(list) < limit.From || !b.start(ctx, d, action, list) {
			rest = append(rest, list...)
		}
		delete(lists, action)
	}
	b.usual(ctx, rest)
}

// usual sends jobs in calls, as many at once as the remote takes. The leases
// bound how long that may take.
func (b *bulk) usual(ctx context.Context, jobs []*job) {
	var calls errgroup.Group
	calls.SetLimit(b.traits.Concurrency)
	for _, j := range jobs {
		if j.sealed != nil {
			j.digests, _ = parseDigests(j.sealed)
		}
	}
	for _, batch := range b.batches(jobs) {
		calls.Go(func() error {
			b.performBatch(b.life, ctx, batch)
			for _, j := range batch {
				b.record(j)
			}
			return nil
		})
	}
	_ = calls.Wait() // none returns an error
}

// start makes a job at the remote, writes it down with its groups, and lets a
// follower run it. False: the remote makes no such jobs, and the groups are to
// go another way.
func (b *bulk) start(ctx context.Context, d *definition, action connector.Action, list []*job) bool {
	var id string
	err := b.call(ctx, b.life, d.Name, b.traits.Timeout, func(ctx context.Context) (err error) {
		id, err = b.remote.StartJob(ctx, d.Record, action)
		return err
	})
	if err == nil && (id == "" || !keepable(id)) {
		err = &connector.Error{Kind: connector.Busy, Message: "the answer names no id for the job that can be kept"}
	}
	if isKind(err, connector.Rejected) && !errors.Is(err, errNotSent) {
		b.mu.Lock()
		b.without[d.Name], b.kept[d.Name] = b.cfg.Clock.Now().Add(withoutJobs), false
		b.mu.Unlock()
		b.log.Error("the remote refuses to make a job; the backfill goes on without", "sync", d.Name, "error", err)
		return false
	}
	if err != nil {
		b.releaseAll(list, err)
		return true
	}
	f := &follower{bulk: b, def: d, began: b.cfg.Clock.Now(), calls: 1, job: store.Job{Remote: b.runner.remote.Name, RemoteJob: id, Sync: d.Name,
		RecordType: d.Record, Action: action.String(), State: connector.JobOpen.String(), Rows: len(list), Holder: b.cfg.Name}}
	changes, err := f.writeDown(ctx, list)
	if err != nil {
		b.log.Error("a job could not be written down; nothing of it was sent", "sync", d.Name, "job", id, "error", err)
		if err := f.abort(ctx); err != nil {
			b.log.Warn("the job stays open at the remote, with nothing in it", "sync", d.Name, "job", id, "error", err)
		}
		b.releaseAll(list, errNotSent)
		return true
	}
	b.log.Info("job made", "sync", d.Name, "job", id, "action", action.String(), "rows", len(changes))
	b.follow(ctx, f, changes)
	return true
}

// releaseAll gives groups back of which nothing was sent.
func (b *bulk) releaseAll(list []*job, err error) {
	for _, j := range list {
		c := &caller{runner: b.runner, job: j, life: b.life, running: b.life}
		if isKind(err, connector.Unknown) && !errors.Is(err, errNotSent) { // a job whose id got lost applies nothing
			err = &connector.Error{Kind: connector.Unavailable, Message: "no job could be made", Err: err}
		}
		c.judge(err)
		b.record(j)
	}
}

// takeOver follows the jobs of this remote that nobody follows.
func (b *bulk) takeOver(ctx context.Context) error {
	for {
		j, err := b.db.TakeJob(ctx, b.runner.remote.Name, b.cfg.Name, jobLease)
		if err != nil || j == nil {
			return err
		}
		d := b.byName[j.Sync]
		if d == nil || d.To != b.runner.remote {
			// What became of its groups is found out when its sync comes back. The
			// job stays ours for a while, so that the next one is seen.
			if err := b.giveUpJob(ctx, *j); err != nil {
				return err
			}
			continue
		}
		b.mu.Lock()
		mine := b.following[j.ID]
		b.mu.Unlock()
		if mine {
			continue // it was kept too late
		}
		b.log.Info("job taken over", "sync", j.Sync, "job", j.RemoteJob, "state", j.State, "left", j.Left)
		b.follow(ctx, &follower{bulk: b, def: d, began: b.cfg.Clock.Now().Add(-j.Age), job: *j}, nil)
	}
}

// follow lets a follower go on by itself.
func (b *bulk) follow(ctx context.Context, f *follower, changes []connector.Change) {
	b.mu.Lock()
	b.following[f.job.ID] = true
	b.handing = b.handing || changes != nil
	b.mu.Unlock()
	b.followers.Add(1)
	go func() {
		defer b.followers.Done()
		f.follow(ctx, changes)
		b.mu.Lock()
		delete(b.following, f.job.ID)
		b.mu.Unlock()
	}()
}

// call makes one call about a job, if the remote's limits allow it.
func (b *bulk) call(running, life context.Context, sync string, timeout time.Duration, f func(context.Context) error) (err error) {
	began, err := b.gate.enter(running, sync, b.cfg.Clock.Now().Add(time.Minute))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(life, timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = b.panicked(p)
		}
		b.gate.leave(life, began, err)
	}()
	return f(ctx)
}
