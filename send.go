package upkeep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

const (
	maxRecord     = 256 // results recorded at once
	manyAnswers   = maxRecord / 4
	recordRest    = 25 * time.Millisecond // between two records at most, while there are few
	maxClaim      = 2_000                 // groups claimed at once, where the remote takes many in a request
	recordTimeout = 10 * time.Second
)

// run claims and sends until ctx ends, then drains.
func (r *runner) run(ctx context.Context) error {
	r.tardy = &tardy{}
	// Calls under way outlive ctx by the drain; so do the records of them.
	drain, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	gateDone := r.gate.start(drain)
	senders := make(chan struct{})
	for range r.traits.Concurrency {
		go func() {
			for batch := range r.calls {
				r.calling(batch, true)
				r.performBatch(drain, ctx, batch)
				r.calling(batch, false)
				r.answer(batch)
			}
			senders <- struct{}{}
		}()
	}
	recorded := make(chan struct{})
	go func() {
		r.recordAnswers(drain)
		close(recorded)
	}()

	r.prepared(ctx)
	inBulk, stopBulk := context.WithCancel(ctx)
	bulk := make(chan struct{})
	go func() {
		r.bulk.run(inBulk, drain)
		close(bulk)
	}()
	err := r.dispatch(ctx)

	stopBulk()
	close(r.calls) // what is queued is released by the senders, as ctx is over
	killed := time.AfterFunc(r.cfg.Drain, stop)
	called, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for range r.traits.Concurrency {
			<-senders
		}
		<-bulk
		close(called)
		r.tardy.watchers.Wait()
		for _, j := range r.tardy.take() {
			j.finish(store.Result{Outcome: store.Released})
			r.record(j)
		}
		close(r.answered)
		<-recorded
		killed.Stop()
		stop()
	}()
	err = errors.Join(err, r.ended(drain, called, ended))
	<-gateDone
	return err
}

// dispatch is the loop of one remote: work while there is room, wait when
// there is nothing to do or the remote asks for peace.
func (r *runner) dispatch(ctx context.Context) error {
	idle := pacer{fast: pollFast, slow: pollNet}
	stage := "work for " + r.remote.Name
	return r.forever(ctx, stage, r.noting(ctx, stage, func() (time.Duration, error) {
		room, wait, err := r.gate.room(ctx, r.appetite())
		if err != nil {
			return 0, err
		}
		if room == 0 {
			r.sleep(ctx, wait, r.wake)
			return 0, nil
		}
		r.wakeClashes(ctx)
		n, err := r.work(ctx, room)
		if err != nil {
			return 0, err
		}
		if n > 0 {
			r.gate.used()
		}
		switch {
		case n == room:
			return 0, nil
		case n > 0 && r.linger > 0:
			return r.linger, nil // whatever nudges: what comes meanwhile goes out together
		}
		r.sleep(ctx, idle.next(n > 0), r.wake)
		return 0, nil
	}))
}

// appetite is how many more groups to claim: for the calls that the senders
// can take on at once, and within some 50 ms more, so that they have work while
// the next are claimed and loaded. Groups that queue for long would be sent as
// they were loaded, and a change meanwhile would cost a second call. Without
// slots it is one group, to ask for some with: more would only wait here while
// other processes have all slots. A sweep of what is as it should be needs
// neither calls nor slots: each claim that led to no call makes the next larger.
func (r *runner) appetite() int {
	slots := min(r.gate.heldSlots(), r.traits.Concurrency)
	r.mu.Lock()
	defer r.mu.Unlock()
	if slots == 0 {
		return max(0, max(1, r.callless)-r.pending)
	}
	most := slots
	if r.latency > 0 {
		most += int(min(maxRecord, time.Duration(slots)*50*time.Millisecond/r.latency))
	}
	most = min(most, maxRecord)
	r.enough = min(slots+(most-slots)/2, most-1)
	if r.queued > r.enough {
		return 0 // a claim of many costs little more than one of a few
	}
	largest := min(max(maxRecord, r.perCall*slots), maxClaim)
	return max(0, min((most-r.queued)*r.perCall, largest, 2*largest-r.pending), r.callless-r.pending)
}

// learnAppetite notes how many groups of a claim need a call.
func (r *runner) learnAppetite(calls int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if calls > 0 {
		r.callless = 0
		return
	}
	r.callless = min(2*max(1, r.callless), maxRecord)
}

// send hands the jobs of one call to the senders.
func (r *runner) send(batch []*job) {
	r.mu.Lock()
	r.pending += len(batch)
	r.queued++
	r.mu.Unlock()
	r.calls <- batch
}

// answer hands jobs that the senders are done with to the recorder.
func (r *runner) answer(batch []*job) {
	r.mu.Lock()
	r.queued--
	hungry := r.queued <= r.enough
	r.mu.Unlock()
	if hungry {
		r.nudge()
	}
	for _, j := range batch {
		r.answered <- j
	}
	if len(r.answered) >= manyAnswers {
		nudge(r.many)
	}
}

// record hands a job that needed no call to the recorder.
func (r *runner) record(j *job) {
	r.mu.Lock()
	r.pending++
	r.mu.Unlock()
	r.answered <- j
	if len(r.answered) >= manyAnswers {
		nudge(r.many)
	}
}

// recordAnswers writes results down as they come, many at once. Like a fold, a
// record of many costs little more than one of a few: after a small one it
// rests, so that the next has more. Behind calls that take a while it rests longer.
func (r *runner) recordAnswers(ctx context.Context) {
	for j := range r.answered {
		batch := []*job{j}
	more:
		for len(batch) < maxRecord {
			select {
			case j, ok := <-r.answered:
				if !ok {
					break more
				}
				batch = append(batch, j)
			default:
				break more
			}
		}
		began := r.cfg.Clock.Now()
		r.recordBatch(ctx, batch)
		if len(batch) < manyAnswers {
			r.mu.Lock()
			rest := max(3*r.cfg.Clock.Now().Sub(began), r.latency/2)
			r.mu.Unlock()
			r.sleep(ctx, min(rest, recordRest), r.many)
		}
	}
}

// recordBatch writes the results of jobs down, and lets the jobs go.
func (r *runner) recordBatch(ctx context.Context, batch []*job) {
	r.write(ctx, batch)
	r.mu.Lock()
	r.pending -= len(batch)
	for _, j := range batch {
		delete(r.begun, j.claim.ID)
		r.release(j)
	}
	r.mu.Unlock()
	r.nudge()
}

// write writes results, each guarded by its epoch. One that the database does not
// take delays no other: it is found by halving, and written as far as it can be.
// If the database can't be reached until the leases are over, they end by
// themselves, in doubt.
func (r *runner) write(ctx context.Context, batch []*job) {
	deadline := batch[0].deadline
	for _, j := range batch {
		deadline = minTime(deadline, j.deadline)
	}
	for failures := 1; ; failures++ {
		results := make([]store.Result, len(batch))
		for i, j := range batch {
			results[i] = j.result
		}
		// Also what was cut off by the end of the drain is written down.
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
		stale, err := r.db.Record(within, results, r.byHand())
		cancel()
		if err == nil {
			r.recorded(ctx, batch, results, stale)
			return
		}
		if errors.Is(err, store.ErrResult) && len(batch) > 1 {
			r.write(ctx, batch[:len(batch)/2])
			r.write(ctx, batch[len(batch)/2:])
			return
		}
		if errors.Is(err, store.ErrResult) && batch[0].lessen(err) {
			if batch[0].result.Outcome == store.Partial {
				r.log.Warn("a record was written down without its references; it is compared again later", "sync", batch[0].claim.Sync, "key", batch[0].claim.Key, "reason", batch[0].result.Reason)
			}
			continue
		}
		if ctx.Err() != nil || r.cfg.Clock.Now().After(deadline) {
			r.log.Error("results could not be recorded; their groups will be in doubt", "results", len(results), "error", err)
			return
		}
		r.log.Error("record failed; trying again", "error", err)
		if r.cfg.Clock.Sleep(ctx, r.backoffUpTo(failures, 5*time.Second)) != nil {
			return
		}
	}
}

// recorded does what follows when results are written.
func (r *runner) recorded(ctx context.Context, batch []*job, results []store.Result, stale []store.ID) {
	r.returnDeletes(context.WithoutCancel(ctx), batch)
	r.freeDeletes(ctx, batch)
	r.clash(ctx, results)
	r.yields(results)
	r.tellRefused(batch, stale)
	for _, id := range stale {
		r.log.Warn("answer came after the lease had ended; it was discarded", "sync", id.Sync, "key", id.Key)
	}
}

// lessen leaves the references out of a result that the database does not take
// with them: false if it has none. A record that was made stays known, and is
// compared again later; what would wait for others is parked.
func (j *job) lessen(err error) bool {
	res := &j.result
	made := res.Outcome == store.Synced || res.Outcome == store.Partial
	if len(res.WaitsFor) == 0 && !(made && len(res.Refs) > 0) {
		return false
	}
	res.Reason = fmt.Sprintf("what it refers to can't be recorded: shorten the key of what it refers to, or leave that out; then it goes by itself (%v)", err)
	res.WaitsFor, res.Wakes = nil, nil
	if made {
		res.Outcome, res.Refs, res.Sent, res.After = store.Partial, nil, nil, waitNet
	} else {
		res.Outcome = store.Refused
	}
	return true
}

func minTime(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// perform makes the calls of one job and completes its result. life ends when
// the drain is over, running when the engine is asked to stop.
func (r *runner) perform(life, running context.Context, j *job) {
	c := &caller{runner: r, job: j, life: life, running: running}
	defer func() {
		if p := recover(); p != nil { // between two calls
			j.writes.anything = true
			c.judge(r.panicked(p))
		}
	}()
	if err := c.bring(); err != nil {
		c.judge(err)
	}
	r.log.Debug("sent", "sync", j.claim.Sync, "key", j.claim.Key, "outcome", j.result.Outcome.String(), "remote_id", j.result.RemoteID)
}

// errNotSent: the call was not made, because the remote is paused, the lease
// is nearly over or the engine stops.
var errNotSent = errors.New("not sent")
