package upkeep

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// How often the database is asked for work: fast while there is some, slowly
// when idle. Then one look of the fold loop is all that is asked, and it wakes
// the others: the runners of the remotes for what became due by itself or was
// folded by another process, and the backfill for a pass that somebody began.
const (
	pollFast  = 10 * time.Millisecond
	pollSlow  = 250 * time.Millisecond
	lookEvery = 500 * time.Millisecond // also while there is always something to fold
	pollNet   = 10 * time.Second       // should a wake-up be lost
	foldLimit = 5_000                  // log rows in one fold
	foldRest  = 100 * time.Millisecond // between two at most, while there is work

	backfillPiece   = 1_000 // root rows in one step
	backfillBacklog = 5_000 // dirty backfill groups above which the next step waits
	careEvery       = time.Minute
)

// Run installs what is missing and keeps the remotes up to date until ctx
// ends. Then it stops claiming, lets the calls under way end (for
// Config.Drain at most), records them and returns nil: a clean stop leaves
// nothing in doubt. After that the contexts of calls end, and those that do not
// end with them are left alone some seconds later: the error names them. A
// database that goes away is waited for. It returns an
// error when the configuration does not fit the database, when another process
// installed another one, when Upkeep was uninstalled, when a database file was
// replaced under it, when the program closes the database, or, at once, when this engine runs already.
func (e *Engine) Run(ctx context.Context) (err error) {
	if !e.running.CompareAndSwap(false, true) {
		return errors.New("this engine runs already: call Run once; more engines on one database are made with upkeep.New")
	}
	defer e.running.Store(false)
	e.failed.Store(nil)
	e.reached.Store(nil)
	defer func() {
		if err != nil {
			e.failed.Store(&err)
		}
	}()
	if err := e.install(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	runners, gates := make([]*runner, len(e.remotes)), make([]*gate, len(e.remotes))
	for i, r := range e.remotes {
		runners[i] = newRunner(e, r)
		gates[i] = runners[i].gate
	}
	e.gates.Store(&gates)
	g, ctx := errgroup.WithContext(ctx)
	wake := &waking{runners: runners, backfill: make(chan struct{}, 1), care: make(chan struct{}, 1), first: make(chan struct{})}
	for _, d := range e.defs {
		wake.syncs = append(wake.syncs, d.Name)
	}
	g.Go(func() error { return e.foldLoop(ctx, wake) })
	g.Go(func() error {
		select {
		case <-wake.first:
			return e.backfillLoop(ctx, wake.backfill)
		case <-ctx.Done():
			return nil
		}
	})
	g.Go(func() error { return e.careLoop(ctx, wake) })
	g.Go(func() error { return e.auditLoop(ctx) })
	for _, r := range runners {
		g.Go(func() error { return r.run(ctx) })
	}
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// foldLoop turns touches into dirty groups, looks for whatever else there is to
// do, and wakes who does it.
func (e *Engine) foldLoop(ctx context.Context, wake *waking) error {
	idle := pacer{fast: pollFast, slow: pollSlow}
	var looked time.Time
	busy := false // then it is as well to fold at once
	return e.forever(ctx, folding, e.noting(ctx, folding, func() (time.Duration, error) {
		began, l := e.cfg.Clock.Now(), e.learned.Load()
		if !busy || began.Sub(looked) > lookEvery {
			looked = began
			seen, err := e.db.Look(ctx, l.plan, wake.syncs)
			if err != nil {
				return 0, err
			}
			wake.seen(seen)
			if e.relabel.Swap(false) {
				nudge(wake.care)
			}
			if !seen.Touched {
				busy = false
				wake.folded()
				return idle.next(false), nil
			}
		}
		f, err := e.db.Fold(ctx, l.shapes, l.plan, foldLimit)
		busy = err == nil && f.Rows > 0
		if err != nil {
			return 0, err
		}
		e.tellUnfit(f)
		took := e.cfg.Clock.Now().Sub(began)
		if f.Groups > 0 {
			wake.all()
		}
		wake.folded()
		if f.More {
			return 0, nil
		}
		return max(idle.next(f.Rows > 0), rest(took, f.Rows)), nil
	}))
}

// rest is how long to wait after a fold. One of many rows costs little more than
// one of a few: when they take long, because there are many or because the cores
// are full, more are let come together, so that the application has most of the
// time. When both is so, they would take long all the time, each with as few rows
// as came since the last one; so then it is longer still.
func rest(took time.Duration, rows int) time.Duration {
	return min(took*time.Duration(max(3, rows/10)), foldRest)
}

// waking is whom the fold loop wakes.
type waking struct {
	runners  []*runner
	syncs    []string
	backfill chan struct{}
	care     chan struct{}
	released atomic.Bool // tables were, and have no triggers
	schema   int64       // as it was seen last, by the fold loop
	forget   time.Time   // when to look for groups that are gone, by careLoop; zero: now
	once     sync.Once
	first    chan struct{} // closed after the first fold
}

// folded lets the backfill begin: what changed before is in the live lane.
func (w *waking) folded() { w.once.Do(func() { close(w.first) }) }

func (w *waking) all() {
	for _, r := range w.runners {
		nudge(r.wake)
	}
}

func (w *waking) seen(s store.Seen) {
	if s.Schema != w.schema { // the triggers may have more to see than they do: there is a new unique index
		w.schema = s.Schema
		nudge(w.care)
	}
	for _, r := range w.runners {
		due := slices.ContainsFunc(r.defs, func(d *definition) bool { return slices.Contains(s.Due, d.Name) })
		if r.bulk != nil && (due || s.Passing) {
			nudge(r.bulk.wake) // first: it may want the lane for itself
		}
		if due {
			nudge(r.wake)
		}
	}
	if s.Passing {
		nudge(w.backfill)
	}
	if s.Released {
		w.released.Store(true)
		nudge(w.care)
	}
}

// nudge wakes who rests on the channel, now or when it next does.
func nudge(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// sleep waits for d or a nudge.
func (e *Engine) sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-wake:
			cancel()
		case <-ctx.Done():
		}
	}()
	_ = e.cfg.Clock.Sleep(ctx, d) // its only error is that ctx ended
}

// backlog is how many groups may wait in a sync's backfill lane: as many as
// fill a job, where there are any.
func (e *Engine) backlog(sync string) int {
	return max(backfillBacklog, e.byName[sync].bulk().Most-1)
}

// careLoop mends the capture when somebody altered it, and forgets old history.
func (e *Engine) careLoop(ctx context.Context, wake *waking) error {
	defer e.leave(ctx)
	care := e.noting(ctx, caring, func() (time.Duration, error) { return 0, e.care(ctx, wake) })
	return e.forever(ctx, caring, func() (time.Duration, error) {
		if _, err := care(); err != nil {
			return 0, err
		}
		e.sleep(ctx, careEvery, wake.care)
		return 0, nil
	})
}

func (e *Engine) care(ctx context.Context, wake *waking) error {
	if err := e.attend(ctx); err != nil {
		return err
	}
	if err := e.examineOrigin(ctx); err != nil {
		return err
	}
	var capture error // what can't be mended keeps nothing else from being done
	if wake.released.Swap(false) {
		if capture = e.putBack(ctx); capture != nil {
			wake.released.Store(true)
		}
	}
	if capture == nil {
		capture = e.inspect(ctx)
	}
	if err := e.tellBarred(ctx); err != nil {
		return err
	}
	if err := e.sweepLater(ctx); err != nil {
		return err
	}
	if err := e.giveUpJobs(ctx); err != nil {
		return err
	}
	if _, err := e.db.FreeDeletes(ctx, slices.Sorted(maps.Keys(e.byName))); err != nil {
		return err
	}
	if err := e.retryClashes(ctx); err != nil {
		return err
	}
	return errors.Join(capture, e.db.Prune(ctx, e.cfg.History), e.db.PruneInterventions(ctx), e.forgetGone(ctx, wake))
}

// forgetGone looks seldom: many groups may be gone for long that others still refer to,
// and each look asks for all of them.
func (e *Engine) forgetGone(ctx context.Context, wake *waking) error {
	now := e.cfg.Clock.Now()
	if now.Before(wake.forget) {
		return nil
	}
	if err := e.db.ForgetGone(ctx, e.cfg.History); err != nil {
		return err
	}
	wake.forget = now.Add(time.Hour)
	return nil
}

const putBackReleased = "a migration released a table; its triggers are put back"

// putBack puts the triggers back that a migration took away with
// upkeep.release, which has asked for a sweep itself.
func (e *Engine) putBack(ctx context.Context) error {
	if e.learned.Load() == nil { // it is only being installed
		return nil
	}
	// Of another process that put them back already nothing is left to tell.
	if changes, err := e.db.Preview(ctx, e.learned.Load().shapes); err == nil {
		tables := []string{}
		for _, c := range changes {
			if name := c.Table.String(); !slices.Contains(tables, name) {
				tables = append(tables, name)
			}
		}
		if len(tables) > 0 {
			e.log.Info(putBackReleased, "tables", tables)
		} else {
			e.log.Info("a migration released a table; its triggers are back already")
		}
	}
	if err := e.installAnew(ctx); err != nil {
		return fmt.Errorf("put the triggers of a released table back: %w", err)
	}
	return nil
}

// inspect looks whether the capture is as it was installed, and mends it.
func (e *Engine) inspect(ctx context.Context) error {
	l := e.learned.Load()
	if l == nil { // it is only being installed
		return nil
	}
	now, misfit, err := e.learnAnew(ctx)
	if err != nil {
		return err
	}
	switch {
	case now.plan == l.plan:
		if err := e.noteLabels(ctx, now.shapes); err != nil {
			return err
		}
		e.learned.CompareAndSwap(l, now)
	case misfit == nil:
		return e.installAnew(ctx)
	}
	findings, err := e.db.Inspect(ctx, l.shapes)
	if err != nil {
		return err
	}
	altered := slices.DeleteFunc(slices.Clone(findings), func(f store.Finding) bool { return f.Severity == store.Note })
	if len(altered) == 0 {
		e.said.over(captureAltered)
		return e.complete(ctx, findings)
	}
	findings = altered
	first := findings[0].Subject + ": " + findings[0].Message
	if e.said.anew(captureAltered, first, e.cfg.Clock.Now()) {
		e.log.Error("capture was altered; installing it again and sweeping", "finding", first, "findings", len(findings))
	}
	if err := e.mend(ctx); err != nil {
		return e.because(ctx, err, e.defs...)
	}
	return nil
}

// complete installs what normal operation leaves to be done: a new partition lacks
// a trigger, a table that was released lacks all. What it may have kept from being
// seen Install sweeps, or the release does, and no more.
func (e *Engine) complete(ctx context.Context, notes []store.Finding) error {
	if len(notes) == 0 {
		return nil
	}
	var of []string
	var released []string
	for _, f := range notes {
		if f.Message == store.ReleasedTable {
			released = append(released, f.Subject)
		} else if !slices.Contains(of, f.Subject) {
			of = append(of, f.Subject)
		}
	}
	if len(of) > 0 {
		e.log.Info("partitions are new; what their triggers lack is installed", "partitions", of)
	}
	if len(released) > 0 {
		e.log.Info(putBackReleased, "tables", released)
	}
	if err := e.installAnew(ctx); err != nil {
		return e.because(ctx, err, e.defs...)
	}
	return nil
}

// captureAltered is a subject of what is logged.
const captureAltered = "capture"

// mend installs the capture again. What changed without it is not known, so
// every group is raised; equal digests skip the calls.
func (e *Engine) mend(ctx context.Context) error {
	if err := e.installAnew(ctx); err != nil {
		return err
	}
	return e.sweep(ctx, e.defs)
}

// forever calls step, waits as long as it says, and calls it again. A step
// that fails is logged when its error is a new one, and again rarely, and tried
// again with growing pauses, but for a registry that is gone, or another's now
// and not to be adopted, and a database that the program has closed: that ends
// the engine.
func (e *Engine) forever(ctx context.Context, what string, step func() (time.Duration, error)) error {
	failures := 0
	var logged said
	for {
		wait, err := step()
		if errors.Is(err, store.ErrPlan) && ctx.Err() == nil {
			err = e.adopt(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, store.ErrPlan):
			return store.ErrPlan // where it was met does not matter, what to do does
		case errors.Is(err, store.ErrNotInstalled), errors.Is(err, store.ErrReplaced):
			return fmt.Errorf("%s: %w", what, err)
		case store.Closed(err):
			return fmt.Errorf("%s: the database was closed while Run was at work: close it, or its pool, when Run has returned (%w)", what, err)
		case err != nil:
			failures++
			e.provenance.unsure.Store(true) // it may come back as another one
			wait = e.backoffUpTo(failures, 10*time.Second)
			if logged.anew(what, err.Error(), e.cfg.Clock.Now()) {
				e.log.Error(what+" failed; trying again", "error", err)
			}
		default:
			failures = 0
			if logged.over(what) {
				e.log.Info(what + " works again")
			}
		}
		if wait > 0 && e.cfg.Clock.Sleep(ctx, wait) != nil {
			return nil
		}
	}
}

// backoff is the pause after so many failures in a row: doubling from a second
// to a quarter of an hour, spread by half either way.
func (e *Engine) backoff(failures int) time.Duration {
	return e.backoffUpTo(failures, 15*time.Minute)
}

func (e *Engine) backoffUpTo(failures int, most time.Duration) time.Duration {
	d := min(time.Second<<min(max(failures-1, 0), 20), most)
	return time.Duration(float64(d) * (0.5 + e.cfg.Random()))
}

// pacer spaces polls: fast while there is work, then slower and slower.
type pacer struct{ fast, slow, now time.Duration }

func (p *pacer) next(work bool) time.Duration {
	if work || p.now == 0 {
		p.now = p.fast
	} else {
		p.now = min(p.now*3/2, p.slow)
	}
	return p.now
}

// runner performs the syncs of one remote.
type runner struct {
	*Engine
	remote *Remote
	defs   []*definition
	traits connector.Traits
	gate   *gate
	bulk   *bulk  // nil: the remote has no jobs
	tardy  *tardy // nil: the runner does not run, and translations are waited for

	wake      chan struct{}
	calls     chan []*job
	answered  chan *job
	many      chan struct{} // nudged when many are answered
	claimedAt time.Time
	examined  int64         // of provenance, when its remote's pauses were last looked up
	perCall   int           // the most groups that one call takes
	linger    time.Duration // zero: not

	mu          sync.Mutex
	queued      int // calls handed to the senders and not yet answered
	enough      int // of them, so that no more groups are claimed
	callless    int // groups to claim while none needs a call; see appetite
	pending     int // groups claimed and not yet recorded
	latency     time.Duration
	held        map[string]time.Time   // syncs that can't be loaded, until when
	deletesHeld map[string]deletesHeld // by sync
	said        said                   // what was logged of them
	begun       waits                  // of groups that wait, until the database has it

	swept    map[string]bool         // syncs that have been swept whole, once at least
	reserved map[recordName]store.ID // those that are being sent
	refused  refusals                // the recorder's
	under    map[store.ID]bool       // the groups of calls under way
	yielded  time.Time               // when a record changed last or went, that may have had what another one is to have
	asked    time.Time               // when the groups were looked at last that wait for that
}

func newRunner(e *Engine, remote *Remote) *runner {
	r := &runner{Engine: e, remote: remote, examined: e.provenance.examined.Load(), wake: make(chan struct{}, 1), held: map[string]time.Time{}, deletesHeld: map[string]deletesHeld{}, begun: waits{}, swept: map[string]bool{}, reserved: map[recordName]store.ID{}, refused: refusals{}, under: map[store.ID]bool{}}
	for _, d := range e.defs {
		if d.To == remote {
			r.defs = append(r.defs, d)
			r.traits = d.traits
		}
	}
	r.gate = newGate(e, remote, r.traits)
	r.perCall = 1
	for _, d := range r.defs {
		r.perCall = max(r.perCall, d.batch().Most)
	}
	if r.perCall > 1 {
		r.linger = r.traits.Linger
	}
	r.calls = make(chan []*job, maxRecord)
	r.answered, r.many = make(chan *job, maxRecord), make(chan struct{}, 1)
	r.bulk = newBulk(r)
	return r
}

// doubtFor is how long after an unknown outcome the request may still be
// applied, or its sender may still be alive: D+Z in docs/promises.md.
func (r *runner) doubtFor() time.Duration { return r.traits.Quiet + stall }

// stall (Z) is how long a live process may pause between looking at its lease
// and writing to the network.
const stall = 10 * time.Second

// nudge says that there may be work.
func (r *runner) nudge() { nudge(r.wake) }
