package upkeep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/moment"
	"github.com/upkeep-sync/upkeep/internal/spelling"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// Status is how things stand.
type Status struct {
	Syncs   []Counts
	Remotes []RemoteStatus
	// Pending is how many touches are not folded yet, at most PendingMost.
	Pending int
	// OldestTouch is the age of the oldest of them; zero: there is none.
	OldestTouch time.Duration
	// HeldDeletes are the syncs whose limit of deletes was reached.
	HeldDeletes []HeldDeletes
	// Pauses are those that people made, also of what the configuration no
	// longer names.
	Pauses []Pause
	// Jobs are the bulk jobs at the remotes, oldest first.
	Jobs []Job
	// Processes are those at work, by name ([Config.Name]); one that was killed is
	// among them for some minutes. See [Status.Unattended].
	Processes []string
	// Failures are what processes can't do as things are, such as to fold the
	// log; each is tried again and again. They are gone when it works.
	Failures []Failure
}

// PendingMost is the highest Status.Pending that is counted.
const PendingMost = 100_000

// RemoteStatus is how a remote stands.
type RemoteStatus struct {
	Name        string
	Concurrency int
	// InUse is how many slots all processes hold. They are taken before calls
	// and kept for a few seconds after, so all may be held while nothing is
	// under way; a process that wants some is given its part within a second
	// or two.
	InUse int
	// Calls are under way, in all processes, as of the last second or two; the
	// oldest has been for OldestCall, so that a remote that hangs is seen before
	// its calls are given up.
	Calls      int
	OldestCall time.Duration
	// LostCalls were under way in processes that seem to have died: nobody waits
	// for their answers, and they are not among Calls. See [Engine.Absent].
	LostCalls int
	PausedFor time.Duration // zero: not paused
	Broken    bool          // its breaker is open
	Breaks    int           // how often in a row: the first time and each probe that failed
	ProbeIn   time.Duration // while Broken, until the next probe; see [Engine.Resume]
	Reason    string        // of the pause or the breaker
	Syncs     []string      // that go there
	// Quota is what the remote itself says of the requests that it allows in a
	// while, as a process at work has noted it; zero: it does not say.
	Quota Quota
}

// Status counts groups by state for each declared sync.
func (e *Engine) Status(ctx context.Context) (*Status, error) {
	s, err := Stored(ctx, e.db, e.remotes...)
	if err != nil {
		return nil, err
	}
	s.HeldDeletes = e.stillHeld(s.HeldDeletes)
	if e.running.Load() && !slices.Contains(s.Processes, e.cfg.Name) { // it is only beginning
		s.Processes = append(s.Processes, e.cfg.Name)
	}
	counts := s.Syncs
	s.Syncs = nil
	for _, d := range e.defs {
		line := Counts{Sync: d.Name}
		for _, c := range counts {
			if c.Sync == d.Name {
				line = c
			}
		}
		line.Stuck = e.stuck.why(d.Name)
		s.Syncs = append(s.Syncs, line)
	}
	for i, r := range e.remotes {
		for _, d := range e.defs {
			if d.To == r {
				s.Remotes[i].Syncs = append(s.Remotes[i].Syncs, d.Name)
			}
		}
	}
	return s, nil
}

// Stored is what the registry of a database has of a [Status], for when there is
// no engine, since the declarations do not fit the tables: of all syncs that it
// knows, declared or not, and of the given remotes, in their order and without
// their Syncs. A remote that is nil is an error.
func Stored(ctx context.Context, db Database, remotes ...*Remote) (*Status, error) {
	if isNil(db) {
		return nil, errors.New("stored: the database is nil: give what sqlite.Open or postgres.Open returned")
	}
	for i, r := range remotes {
		if r == nil {
			return nil, fmt.Errorf("stored: remotes[%d] is nil: give the *upkeep.Remote that the syncs go to, or leave it out", i)
		}
	}
	s := &Status{}
	var err error
	// The log before the groups, as a touch goes from one to the other: it is
	// counted twice rather than not at all.
	if s.Pending, err = db.Pending(ctx, PendingMost); err != nil {
		return nil, err
	}
	if s.Pending > 0 {
		if s.OldestTouch, err = db.OldestTouch(ctx, PendingMost); err != nil {
			return nil, err
		}
	}
	if s.Pauses, err = db.PausedByHand(ctx); err != nil {
		return nil, err
	}
	if s.HeldDeletes, err = db.HeldDeletes(ctx); err != nil {
		return nil, err
	}
	if s.Jobs, err = db.Jobs(ctx); err != nil {
		return nil, err
	}
	if s.Failures, err = db.Failures(ctx, failing); err != nil {
		return nil, err
	}
	if s.Processes, err = atWork(ctx, db); err != nil {
		return nil, err
	}
	if s.Syncs, err = db.Counts(ctx); err != nil {
		return nil, err
	}
	for _, r := range remotes {
		one, err := remoteStatus(ctx, db, r)
		if err != nil {
			return nil, err
		}
		s.Remotes = append(s.Remotes, one)
	}
	return s, nil
}

// remoteStatus is how a remote stands, without its Syncs.
func remoteStatus(ctx context.Context, db Database, r *Remote) (RemoteStatus, error) {
	h, err := db.Health(ctx, r.Name)
	if err != nil {
		return RemoteStatus{}, err
	}
	lost := 0
	if h.Calls > 0 {
		holders, err := db.Holders(ctx, r.Name)
		if err != nil {
			return RemoteStatus{}, err
		}
		h.Calls, h.OldestCall = 0, 0
		for _, one := range holders {
			if _, gone := sinceRenewed(one); gone {
				lost += one.Calls
				continue
			}
			h.Calls, h.OldestCall = h.Calls+one.Calls, max(h.OldestCall, one.OldestCall)
		}
	}
	return RemoteStatus{
		Name: r.Name, Concurrency: r.traits().Concurrency, InUse: h.Held, Calls: h.Calls, OldestCall: h.OldestCall, LostCalls: lost, PausedFor: h.PausedFor,
		Broken: h.Broken, Breaks: h.Failures, ProbeIn: h.ProbeIn, Reason: h.Reason, Quota: h.Quota,
	}, nil
}

// Trouble says why no call goes to the remote now, or none comes back; empty: all
// is well, but for what a person has paused ([Status.Pauses]).
func (r RemoteStatus) Trouble() string {
	switch {
	case r.Broken && r.ProbeIn > 0:
		return fmt.Sprintf("remote %s fails, and is tried again in %s: %s", r.Name, moment.Span(r.ProbeIn), r.Reason)
	case r.Broken:
		return fmt.Sprintf("remote %s fails, and is to be tried again now: %s", r.Name, r.Reason)
	case r.PausedFor > 0:
		return fmt.Sprintf("remote %s is left alone for another %s: %s", r.Name, moment.Span(r.PausedFor), r.Reason)
	case r.OldestCall >= SlowCall:
		return fmt.Sprintf("remote %s has not answered a call for %s", r.Name, moment.Span(r.OldestCall))
	}
	return ""
}

// SlowCall is for how long a call must have been under way to be worth a word.
const SlowCall = 10 * time.Second

var states = []State{Clean, Dirty, Claimed, InDoubt, Waiting, Parked, Gone, Skipped}

// Groups lists groups of a sync (empty for all) in a state (empty for any), by
// key and sync, after the given group, at most limit: give the zero ID for the first
// page, and the ID of a page's last group for the next. A state that is none, and a
// negative limit, are errors.
func (e *Engine) Groups(ctx context.Context, sync string, state State, after ID, limit int) ([]Group, error) {
	if _, err := e.chosen(sync); err != nil {
		return nil, err
	}
	if !slices.Contains(states, state) && state != "" {
		var names []string
		for _, s := range states {
			names = append(names, string(s))
		}
		return nil, fmt.Errorf("there is no state %q%s; there are: %s", state, spelling.DidYouMean(string(state), names), strings.Join(names, ", "))
	}
	if limit < 0 {
		return nil, fmt.Errorf("the limit of groups is %d; it must not be negative", limit)
	}
	return e.db.Groups(ctx, sync, state, after, limit)
}

// installed says whether every sync's declaration is the one in the registry.
func (e *Engine) installed(ctx context.Context) (bool, error) {
	found, err := e.Uninstalled(ctx)
	return err == nil && len(found) == 0, err
}

// Uninstalled tells of the syncs that are not installed as they are declared, so
// that nothing is sent of them, or what another declaration says. It is
// [ErrNotInstalled] if nothing of Upkeep is there.
func (e *Engine) Uninstalled(ctx context.Context) ([]Finding, error) {
	var found []Finding
	for _, d := range e.defs {
		state, err := e.db.Sync(ctx, d.Name)
		if err != nil {
			return nil, err
		}
		if u := uninstalled(d, state); u != nil {
			found = append(found, Finding{Severity: Warning, Subject: d.Name, Message: u.err.Error(), Fix: u.fix})
		}
	}
	return found, nil
}

// uninstalled says how what is installed of a sync is not what is declared; nil: it is.
func uninstalled(d *definition, state store.SyncState) *unfit {
	switch state.Version {
	case d.version:
		return nil
	case "":
		return &unfit{err: errors.New("it is not installed, and nothing of it is sent"), fix: "see what would be with upkeep plan; install it with upkeep apply, and then, or at once, start upkeep run"}
	}
	return &unfit{err: errors.New("its declaration is not the one that is installed"), fix: "see the difference with upkeep plan; to have this one, stop every upkeep run with the other, and start it with this one"}
}

// Check examines the configuration against the database and the remotes
// without changing anything, and returns every problem and warning it finds.
// The error is for what kept it from looking.
func (e *Engine) Check(ctx context.Context) ([]Finding, error) {
	shapes, whole, findings := e.fitting(ctx)
	rights, err := e.rights(ctx, whole)
	findings = append(findings, rights...)
	if err != nil {
		return findings, err
	}
	altered, err := e.altered(ctx, shapes)
	if err != nil {
		return findings, err
	}
	findings = append(findings, altered...)
	moved, err := e.elsewhere(ctx)
	if err != nil {
		return findings, err
	}
	findings = append(findings, movedFindings(moved)...)
	unnoticed, err := e.unnoticedRestore(ctx)
	if err != nil {
		return findings, err
	}
	findings = append(findings, unnoticed...)
	found := make([][]Finding, len(e.remotes))
	var asked sync.WaitGroup // at once: one that does not answer takes as long as a call may
	for i, r := range e.remotes {
		asked.Go(func() { found[i] = e.checkRemote(ctx, r) })
	}
	asked.Wait()
	if ctx.Err() != nil { // what a remote did not answer then is no finding
		return findings, ctx.Err()
	}
	return append(findings, slices.Concat(found...)...), nil
}

// Rights says what the database's role may not do of what the syncs need, each
// with the statement that grants it, and what else is wrong with their tables.
// It is a part of [Engine.Check], without the remotes.
func (e *Engine) Rights(ctx context.Context) ([]Finding, error) {
	_, whole, findings := e.fitting(ctx)
	rights, err := e.rights(ctx, whole)
	return append(findings, rights...), err
}

func (e *Engine) rights(ctx context.Context, shapes []*store.Shape) ([]Finding, error) {
	found, err := e.db.Rights(ctx, shapes)
	if err != nil {
		return found, fmt.Errorf("examine the database: %w", err)
	}
	published, err := e.published(ctx)
	if err != nil || published == nil {
		return found, err
	}
	return append(found, published.findings(e.cfg.Published)...), nil
}

// Capture says what keeps changes from being noticed, or syncs from being
// loaded: a table that a mapping no longer fits, a trigger that is missing or
// disabled. It is a part of [Engine.Check], and reads the catalogue only. None:
// all is in place, or was never installed as it is declared.
func (e *Engine) Capture(ctx context.Context) ([]Finding, error) {
	shapes, _, findings := e.fitting(ctx)
	altered, err := e.altered(ctx, shapes)
	if ctx.Err() != nil { // what was not looked at is no finding
		return nil, ctx.Err()
	}
	findings = append(findings, altered...)
	return slices.DeleteFunc(findings, func(f Finding) bool { return f.Severity != Problem }), err
}

// fitting returns the shapes of the syncs whose declarations fit the tables;
// those that the database could load, whether or not the fields of a struct can
// take what it loads; and a finding for each thing that does not fit, or may not.
func (e *Engine) fitting(ctx context.Context) (shapes, whole []*store.Shape, findings []Finding) {
	for _, d := range e.defs {
		shape, loads, err := e.resolve(ctx, d)
		if loads {
			whole = append(whole, shape)
		}
		if err == nil {
			shapes = append(shapes, shape)
			findings = append(findings, d.keyDoubt(shape)...)
		}
		for _, one := range split(err) {
			f := Finding{Severity: Problem, Subject: d.Name, Message: one.Error()}
			if u, ok := one.(*unfit); ok {
				f.Message, f.Fix, f.Table = u.err.Error(), u.fix, u.table
			}
			if f.Table != "" {
				f.Sync = d.Name
			}
			findings = append(findings, f)
		}
		if d.described != nil {
			_, nullable := d.described.misfits(shape.Root)
			for _, u := range nullable {
				findings = append(findings, Finding{Severity: Warning, Subject: d.Name, Message: u.err.Error(), Fix: u.fix})
			}
		}
	}
	return shapes, whole, findings
}

// altered says how the capture differs from what was installed. It can be told
// only when all declarations fit and are those that are installed.
func (e *Engine) altered(ctx context.Context, shapes []*store.Shape) ([]Finding, error) {
	if now, err := e.installed(ctx); err != nil || !now || len(shapes) < len(e.defs) {
		return nil, nil // nothing is installed, or it is told elsewhere
	}
	found, err := e.db.Inspect(ctx, shapes)
	if err != nil {
		return nil, fmt.Errorf("inspect the capture: %w", err)
	}
	return found, nil
}

// checkPatience is how long a check waits until the workers leave it a slot: longer
// than one lasts whose process died.
const checkPatience = slotTTL + 5*time.Second

// checkRemote is [Remote.Check] within what the workers leave of the remote's limits.
// A remote that they can't reach, or are not to use, is asked all the same.
func (e *Engine) checkRemote(ctx context.Context, r *Remote) []Finding {
	if _, asks := r.Connection.(connector.Checker); !asks {
		return r.Check(ctx, nil)
	}
	spare := &spare{Engine: e, remote: r, traits: r.traits(), most: 1}
	for left := checkPatience; ; {
		began, wait, err := spare.try(ctx)
		if err == nil && wait > 0 {
			if left -= wait; left >= 0 {
				err = e.cfg.Clock.Sleep(ctx, wait)
			}
		}
		if err != nil || wait <= 0 || left < 0 {
			defer spare.close()
		}
		switch {
		case err != nil:
			return r.Check(ctx, e.uses(r))
		case wait <= 0:
			defer spare.leave(ctx, began, nil)
			defer spare.keep(ctx)()
			return r.Check(ctx, e.uses(r))
		case left < 0:
			return append(r.cautions(), Finding{Severity: Note, Subject: r.Name, Fix: "try again later",
				Message: (&connector.Untried{What: "the workers use all that it allows at once, or it asked to be left alone for a while"}).Error()})
		}
	}
}

// Check lets the connection examine itself against the remote, within the time
// of one call, and returns what it finds and what it could not try. Nothing is
// changed there. uses are what the syncs use of the remote; with none it is
// only whether the remote answers and the credentials are right.
func (r *Remote) Check(ctx context.Context, uses []connector.Use) []Finding {
	found := r.cautions()
	checker, ok := r.Connection.(connector.Checker)
	if !ok {
		return append(found, Finding{Severity: Note, Subject: r.Name, Message: (&connector.Untried{What: "its connector has no check; whether address, login, record types and fields are right shows at the first record"}).Error()})
	}
	ctx, cancel := context.WithTimeout(ctx, r.traits().Timeout)
	defer cancel()
	for _, err := range checker.Check(ctx, uses) {
		f := Finding{Severity: Problem, Subject: r.Name, Message: err.Error(), Fix: remedy(err)}
		var untried *connector.Untried
		switch {
		case errors.As(err, &untried):
			f.Severity, f.Fix = Note, untried.Help
		case isKind(err, connector.RateLimited): // it is there, and knows us
			f.Severity, f.Message = Note, "not tried to the end: "+f.Message
		}
		var use *connector.UseError
		if errors.As(err, &use) {
			f.Sync, f.Field = use.Sync, use.Field
		}
		found = append(found, f)
	}
	return found
}

// remedy says what to do about a call that failed while nothing was at stake, if
// it was one.
func remedy(err error) string {
	var call *connector.Error
	if !errors.As(err, &call) {
		return ""
	}
	switch call.Kind {
	case connector.Unauthorized:
		return "see whether the credentials are right, and may do what is needed there"
	case connector.RateLimited:
		return "try again later; if it comes often, lower its rate or concurrency"
	case connector.Unavailable, connector.Unknown:
		return "see whether its address is right and can be reached from here, and whether it works"
	}
	return ""
}

// cautions are what the connection warns of without a call.
func (r *Remote) cautions() (found []Finding) {
	if c, ok := r.Connection.(connector.Cautious); ok {
		for _, x := range c.Cautions() {
			found = append(found, Finding{Severity: Warning, Subject: r.Name, Message: x.What, Fix: x.Help})
		}
	}
	return found
}

// split undoes errors.Join, also of joined ones; of nil there is none.
func split(err error) (all []error) {
	if err == nil {
		return nil
	}
	many, joined := err.(interface{ Unwrap() []error })
	if !joined {
		return []error{err}
	}
	for _, one := range many.Unwrap() {
		all = append(all, split(one)...)
	}
	return all
}
