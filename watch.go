package upkeep

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/upkeep-sync/upkeep/internal/moment"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// A function of the user's may loop for ever or wait for something, and
// nothing can stop it. So it runs in a goroutine of its own, which is left
// behind: after patience the other jobs go on, and after Config.TranslateLimit
// its group is parked. A process leaves at most mostStuck behind of a sync.

const (
	// patience is how long the other jobs wait for one that is being translated.
	patience = time.Second
	// mostStuck is how many translations of a sync may be under way, while
	// nobody waits for them, before no more are begun. Each may use up a core.
	mostStuck = 8
	// watchSteps is in how many parts a wait is counted. A process that was
	// stopped in between counts it as one of them, and blames nobody.
	watchSteps = 10
)

// translate makes the representations of jobs and returns those that are
// ready or refused. While the runner runs, one that takes long is not among
// them: it comes to tardy when it ends, and is parked when it does not.
func (r *runner) translate(ctx context.Context, jobs []*job) (ready []*job) {
	if r.tardy == nil {
		r.look(ctx, jobs)
		return jobs
	}
	var rest []*job
	for _, j := range jobs {
		if j.done {
			ready = append(ready, j)
		} else {
			rest = append(rest, j)
		}
	}
	for len(rest) > 0 {
		rest = r.begin(rest, &ready)
		if len(rest) == 0 {
			break
		}
		p := &pass{jobs: rest, ended: make(chan struct{}), late: make(chan struct{}), next: *rest[0]}
		go p.run()
		n := r.attend(ctx, p)
		ready = append(ready, rest[:n]...)
		if n == len(rest) {
			break
		}
		slow := rest[n]
		rest = rest[n+1:]
		if ctx.Err() != nil { // a stop: nobody is to blame
			for _, j := range append(rest, slow) {
				j.finish(store.Result{Outcome: store.Released})
				ready = append(ready, j)
			}
			return ready
		}
		r.stuck.add(slow.def.Name, 1)
		r.tardy.watchers.Go(func() { r.follow(ctx, slow, p) })
	}
	return ready
}

// begin puts off the jobs of syncs of which too many translations are stuck,
// and returns the others.
func (r *runner) begin(jobs []*job, ready *[]*job) (rest []*job) {
	for _, j := range jobs {
		if r.stuck.full(j.def.Name) {
			j.finish(store.Result{Outcome: store.Released, After: patience, Reason: "translations of this sync do not end"})
			*ready = append(*ready, j)
			continue
		}
		rest = append(rest, j)
	}
	return rest
}

// pass is the translation of some jobs, one after the other. Each works on a
// copy of its job, so that one that is left behind touches nothing.
type pass struct {
	jobs  []*job
	ended chan struct{} // closed when all are translated
	late  chan struct{} // closed when the one that was left behind is
	next  job           // a copy of the one that is being translated

	mu   sync.Mutex
	at   int  // how many are translated
	left bool // nobody waits any more
}

// run translates until all are, or nobody waits any more. A function that ends
// its goroutine refuses its own group, and another goroutine goes on.
func (p *pass) run() {
	returned := false
	defer func() {
		if returned {
			return
		}
		p.next.refuse("translate: the translation called runtime.Goexit (FailNow and Fatal of a test do)")
		if p.keep() {
			go p.run()
		}
	}()
	for more := true; more; more = p.keep() {
		p.next.translate()
	}
	returned = true
}

// keep takes what was translated, and says whether there is more to do.
func (p *pass) keep() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left {
		close(p.late)
		return false
	}
	*p.jobs[p.at] = p.next
	p.at++
	if p.at == len(p.jobs) {
		close(p.ended)
		return false
	}
	p.next = *p.jobs[p.at]
	return true
}

// attend waits for a pass until it has ended, until one of its jobs takes too
// long, or until ctx has ended, and returns how many jobs are translated.
func (r *runner) attend(ctx context.Context, p *pass) int {
	most := r.cfg.TranslateLimit
	if r.tardy != nil {
		most = min(most, patience)
	}
	at := 0
	w := r.newWatch(most)
	for {
		ended := w.step(ctx, p.ended)
		p.mu.Lock()
		if p.at != at {
			at, w.spent = p.at, 0
		}
		if ended || ctx.Err() != nil || w.over() {
			p.left = at < len(p.jobs)
			p.mu.Unlock()
			return at
		}
		p.mu.Unlock()
	}
}

// follow watches a translation that was left behind. One that ends in time
// goes on its way; the group of one that does not is parked.
func (r *runner) follow(ctx context.Context, j *job, p *pass) {
	w := r.newWatch(r.cfg.TranslateLimit - min(patience, r.cfg.TranslateLimit))
	for !w.over() {
		if w.step(ctx, p.late) {
			*j = p.next
			r.stuck.add(j.def.Name, -1)
			r.tardy.put(j)
			r.nudge()
			return
		}
		if ctx.Err() != nil {
			j.finish(store.Result{Outcome: store.Released})
			r.record(j)
			return
		}
	}
	j.refuse(r.overdue(j))
	r.record(j)
	r.leave(ctx, j.claim, p)
}

// overdue is why a job that was not translated in time is parked.
func (r *runner) overdue(j *job) string {
	return fmt.Sprintf("translate: the functions of sync %s did not end within %s for %s: mend what loops or waits in them, start the processes again, then run: upkeep retry %s",
		j.def.Name, moment.Span(r.cfg.TranslateLimit), j.claim.Key, j.claim.ID.Args())
}

// leave counts a translation as stuck until it ends after all. When there are
// too many the sync is paused, for all processes: each would come to as many.
func (r *runner) leave(ctx context.Context, c store.Claim, p *pass) {
	sync := c.Sync
	r.looks.lose(&lost{id: c.ID, generation: c.Generation, ended: p.late}, true)
	n := r.stuck.stick(sync, 1)
	r.log.Error("a translation does not end; its group is parked, and it goes on in the background until the process ends", "sync", sync, "stuck", n, "most", mostStuck)
	if n == mostStuck {
		reason := fmt.Sprintf("%d translations do not end in process %s: mend the sync's functions, start all processes again, then resume it", n, r.cfg.Name)
		if err := r.db.PauseByHand(ctx, store.Pause{Sync: sync, Reason: reason}); err != nil {
			r.log.Error("the sync can't be paused; this process leaves it alone", "sync", sync, "error", err)
		} else {
			r.log.Error("the sync is paused", "sync", sync, "reason", reason)
		}
	}
	select {
	case <-p.late:
		r.stuck.stick(sync, -1)
		r.stuck.add(sync, -1)
		r.log.Warn("a translation that was given up has ended after all", "sync", sync)
	case <-ctx.Done():
	}
}

// watch counts the time that something takes: by the engine's clock, and by
// the real one where that goes faster. What loops uses up real time, also under
// a clock that stands still.
type watch struct {
	clock        Clock
	most, spent  time.Duration
	looked, seen time.Time // by the clock, and really
}

func (r *runner) newWatch(most time.Duration) *watch {
	return &watch{clock: r.cfg.Clock, most: most, looked: r.cfg.Clock.Now(), seen: time.Now()}
}

func (w *watch) over() bool { return w.spent >= w.most }

// step waits for a part of the time, and says whether done is closed.
func (w *watch) step(ctx context.Context, done <-chan struct{}) bool {
	part := max(w.most/watchSteps, 1)
	within, cancel := context.WithCancel(ctx)
	defer cancel()
	defer time.AfterFunc(part, cancel).Stop()
	go func() {
		select {
		case <-done:
			cancel()
		case <-within.Done():
		}
	}()
	_ = w.clock.Sleep(within, part) // its only error is that within ended
	now, seen := w.clock.Now(), time.Now()
	w.spent += min(max(now.Sub(w.looked), seen.Sub(w.seen)), part)
	w.looked, w.seen = now, seen
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// stuck counts, by sync, the translations that nobody waits for, and those of
// them that were given up.
type stuck struct {
	mu              sync.Mutex
	behind, givenUp map[string]int
}

func newStuck() *stuck { return &stuck{behind: map[string]int{}, givenUp: map[string]int{}} }

func (s *stuck) add(sync string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behind[sync] += n
}

func (s *stuck) stick(sync string, n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.givenUp[sync] += n
	return s.givenUp[sync]
}

func (s *stuck) full(sync string) bool { return s.count(sync) >= mostStuck }

// why says what a sync waits for of which too many do not end.
func (s *stuck) why(sync string) string {
	if n := s.count(sync); n >= mostStuck {
		return fmt.Sprintf("%d translations do not end in this process, and no more are begun: mend what loops or waits in the sync's functions, and start the process again", n)
	}
	return ""
}

func (s *stuck) count(sync string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.behind[sync]
}

// tardy are the jobs of a runner whose translation took long.
type tardy struct {
	watchers sync.WaitGroup
	mu       sync.Mutex
	ready    []*job
}

func (t *tardy) put(j *job) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ready = append(t.ready, j)
}

// take returns the jobs that are translated meanwhile.
func (t *tardy) take() []*job {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	jobs := t.ready
	t.ready = nil
	return jobs
}
