package upkeep

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Missed is a change that the capture did not see.
//
//	ID                // Sync and Key
//	At      time.Time // when it was found
//	Fields  []string  // whose values are not the ones that the remote acknowledged; empty: the whole record
//	Columns []string  // "table.column" that these fields read; without fields, those of the key of a row that is gone
//
// RowGone says whether the row is not there though nobody saw its deletion: it
// was detached with its partition, dropped, or deleted while the triggers were
// off, or the role can't see it. Nothing is sent for such a one; its group is
// parked, and a person says whether it was deleted ([Resync].Deleted).
type Missed = store.Missed

// Missed lists the changes that audits found to have been missed within
// [Config].History, the newest first, limit at most.
func (e *Engine) Missed(ctx context.Context, limit int) ([]Missed, error) {
	if limit < 0 {
		return nil, fmt.Errorf("the limit of missed changes is %d; it must not be negative", limit)
	}
	return e.db.Missed(ctx, limit)
}

// Audit checks the change detection itself: it renders every group of a sync
// (empty for all of them) that is up to date again and compares it with what the
// remote acknowledged last. A difference without a touch is a change that was missed: a trigger
// that was off, a function that reads more than its row (the clock, a table, the
// order of a map). So is a record whose row is not there though nobody saw it go.
// It is noted, and the group is touched, so that a running engine sends it, or
// parks it if the row is gone. No remote is called. Progress, if not nil, is told how many groups were looked at. While
// the sync is not installed as it is declared, or a backfill of it runs, there
// is nothing to compare, and that is an error.
// [Engine.Run] does the same all the time with a few groups.
func (e *Engine) Audit(ctx context.Context, sync string, progress func(done int)) ([]Missed, error) {
	defs, err := e.chosen(sync)
	if err != nil {
		return nil, err
	}
	if err := e.ready(ctx); err != nil {
		return nil, err
	}
	var missed []Missed
	done := 0
	for _, d := range defs {
		found, err := e.audit(ctx, d, func(n int) {
			if done += n; progress != nil {
				progress(done)
			}
		})
		missed = append(missed, found...)
		if err != nil {
			return missed, fmt.Errorf("audit %s: %w", d.Name, err)
		}
	}
	return missed, nil
}

// audit audits one sync; progress is told how many more groups were looked at.
func (e *Engine) audit(ctx context.Context, d *definition, progress func(more int)) (missed []Missed, err error) {
	if err := e.auditable(ctx, d); err != nil {
		return nil, err
	}
	a := newAuditor(e)
	for after := (ID{}); ; {
		groups, err := e.db.Groups(ctx, d.Name, "", after, maxRecord)
		if err != nil {
			return missed, err
		}
		if len(groups) == 0 {
			break
		}
		if err := a.look(ctx, d, groups); err != nil {
			return missed, err
		}
		after = groups[len(groups)-1].ID
		progress(len(groups))
	}
	for more := true; more; {
		if more, err = a.lookForUnknown(ctx, d, maxRecord); err != nil {
			return missed, err
		}
	}
	for len(a.suspects) > 0 {
		found, err := a.settle(ctx)
		missed = append(missed, found...)
		if err != nil {
			return missed, err
		}
		if len(a.suspects) > 0 {
			if err := a.await(ctx); err != nil {
				return missed, err
			}
		}
	}
	return missed, nil
}

// auditable says why nothing of a sync can be compared now; nil: it can.
func (e *Engine) auditable(ctx context.Context, d *definition) error {
	state, err := e.db.Sync(ctx, d.Name)
	switch {
	case err != nil:
		return err
	case state.Version == "":
		return uninstalled(d, state)
	case state.Version != d.version:
		return errors.New("its declaration is not the one that is installed; see the difference with upkeep plan, install it with upkeep apply, and audit it when its sweep is over")
	case state.Backfill.Running:
		return errors.New("a backfill or a sweep of it is under way, which looks at every group; audit it when that is over (see upkeep status)")
	}
	return nil
}

const (
	auditEvery  = time.Minute
	auditSample = 20 // groups of each sync in that time, unless Config.Audit says otherwise
	// foldPatience is how long an audit waits for an engine that folds.
	foldPatience = 10 * time.Second
)

// auditLoop looks at a few groups of each sync all the time.
func (e *Engine) auditLoop(ctx context.Context) error {
	sample := e.cfg.Audit
	if sample == 0 {
		sample = auditSample
	}
	if sample < 0 {
		return nil
	}
	a := newAuditor(e)
	first := true
	return e.forever(ctx, "audit", func() (time.Duration, error) {
		if first { // what was installed a moment ago has work to do
			first = false
			return auditEvery, nil
		}
		if _, err := a.settle(ctx); err != nil {
			return 0, err
		}
		for _, d := range e.defs {
			groups, err := e.db.Groups(ctx, d.Name, "", ID{Sync: d.Name, Key: a.somewhere()}, sample)
			if err == nil && len(groups) < sample {
				groups, err = e.db.Groups(ctx, d.Name, "", ID{}, sample)
			}
			if err != nil {
				return 0, err
			}
			if err := a.look(ctx, d, groups); err != nil {
				return 0, fmt.Errorf("%s: %w", d.Name, err)
			}
			if _, err := a.lookForUnknown(ctx, d, sample); err != nil {
				return 0, fmt.Errorf("%s: %w", d.Name, err)
			}
		}
		return auditEvery, nil
	})
}

// auditor remembers what looked like a missed change, until everything that
// had been committed then is folded.
type auditor struct {
	*Engine
	suspects map[store.ID]suspect
	places   map[string]string // of each sync: how far its root keys were passed over

	leftToOthers time.Duration // how long it was waited for another engine to fold
}

func newAuditor(e *Engine) *auditor {
	return &auditor{Engine: e, suspects: map[store.ID]suspect{}, places: map[string]string{}}
}

type suspect struct {
	generation int64 // zero: there was no group
	since      time.Time
	missed     Missed
}

// somewhere is a random place among keys, most of which are numbers or
// hexadecimal.
func (a *auditor) somewhere() string {
	const digits = "0123456789abcdef"
	b := make([]byte, 3)
	for i := range b {
		b[i] = digits[int(a.cfg.Random()*10)%len(digits)]
		if i == 0 && a.cfg.Random() < 0.3 {
			b[i] = digits[int(a.cfg.Random()*16)%len(digits)]
		}
	}
	return string(b)
}

// look renders groups that are up to date and adds those that differ to the
// suspects.
func (a *auditor) look(ctx context.Context, d *definition, groups []Group) error {
	state, err := a.db.Sync(ctx, d.Name)
	if err != nil || state.Backfill.Running || state.Version != d.version || a.isBarred(d.Name) != nil {
		return err // what is compared is about to change
	}
	var jobs []*job
	generations := map[string]int64{}
	for _, g := range groups {
		if !g.State.Settled() {
			continue
		}
		j := &job{def: d, shape: a.shape(d.Name), claim: claimOf(g)}
		j.result = store.Result{ID: g.ID, RemoteID: g.RemoteID, Digests: g.Digests}
		jobs = append(jobs, j)
		generations[g.Key] = g.Generation
	}
	if len(jobs) == 0 {
		return nil
	}
	r := newRunner(a.Engine, d.To)
	err = a.loadAll(ctx, a.shape(d.Name), jobs, func(jobs []*job) error {
		since := a.cfg.Clock.Now() // not before the load, which sees what is committed until then
		r.translate(ctx, jobs)
		r.refer(ctx, jobs)
		for _, j := range jobs {
			if j.leftByItsRow() {
				a.suspects[j.claim.ID] = suspect{generation: generations[j.claim.Key], since: since, missed: Missed{ID: j.claim.ID, Columns: keyColumns(j.shape)}}
			}
			if j.done {
				continue // it would wait or be refused: there is nothing to compare
			}
			if j.compare(); !j.done {
				a.suspects[j.claim.ID] = suspect{generation: generations[j.claim.Key], since: since, missed: r.missed(ctx, j)}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	return nil
}

// leftByItsRow: there is a record, and no row, and nobody saw the row go.
func (j *job) leftByItsRow() bool {
	return j.result.Outcome == store.Refused && strings.HasPrefix(j.result.Reason, store.DeletionUnseen) && j.claim.RemoteID != ""
}

// keyColumns are the root's, as "table.column".
func keyColumns(shape *store.Shape) (columns []string) {
	for _, c := range shape.Root.Key {
		columns = append(columns, shape.Root.Table.String()+"."+c.Name)
	}
	return columns
}

// lookForUnknown passes over some more of the root rows and adds those without
// a group to the suspects: inserts that were missed. more is false at the end.
func (a *auditor) lookForUnknown(ctx context.Context, d *definition, limit int) (more bool, err error) {
	state, err := a.db.Sync(ctx, d.Name)
	if err != nil || state.Backfill.Running || state.Version != d.version || d.ByHand {
		return false, err
	}
	keys, next, err := a.db.Keys(ctx, a.shape(d.Name), a.places[d.Name], limit)
	if err != nil {
		return false, err
	}
	since := a.cfg.Clock.Now()
	a.places[d.Name] = next
	ids := make([]store.ID, len(keys))
	for i, k := range keys {
		ids[i] = store.ID{Sync: d.Name, Key: k}
	}
	known, err := a.db.Records(ctx, ids)
	if err != nil {
		return false, err
	}
	for _, id := range ids {
		if _, there := known[id]; !there {
			a.suspects[id] = suspect{since: since, missed: Missed{ID: id}}
		}
	}
	return next != "", nil
}

// missed says what differs, and of which columns it is made.
func (r *runner) missed(ctx context.Context, j *job) Missed {
	m := Missed{ID: j.claim.ID}
	if j.goal != present || j.claim.RemoteID == "" {
		return m
	}
	if len(j.changed) > 0 {
		m.Fields, m.Columns = j.changed, r.columnsRead(ctx, j)
	}
	return m
}

// await brings the log forward, which nobody else does when no engine runs.
func (a *auditor) await(ctx context.Context) error {
	l := a.learned.Load()
	f, err := a.db.Fold(ctx, l.shapes, l.plan, foldLimit)
	switch {
	case errors.Is(err, store.ErrPlan) && a.leftToOthers < foldPatience:
		// Some syncs of the configuration are left out, since they don't fit; the
		// engine that is at work with all of them folds.
		a.leftToOthers += pollSlow
		return a.cfg.Clock.Sleep(ctx, pollSlow)
	case errors.Is(err, store.ErrPlan):
		return errors.New("changes wait in the touch log, which only an engine with all syncs that are installed may fold; see that upkeep run is at work, and audit again")
	case err != nil:
		return fmt.Errorf("fold: %w", err)
	}
	a.tellUnfit(f)
	if f.More {
		return nil
	}
	return a.cfg.Clock.Sleep(ctx, pollSlow)
}

// settle decides about the suspects whose touches, had there been any, are
// folded by now: a group that was not touched since was missed.
func (a *auditor) settle(ctx context.Context) ([]Missed, error) {
	if len(a.suspects) == 0 {
		return nil, nil
	}
	// Both ends of the time since are this machine's, so that no two clocks are
	// compared; and this end is before the log is looked at.
	now := a.cfg.Clock.Now()
	vitals, err := a.db.Vitals(ctx, longTransaction)
	if err != nil {
		return nil, err
	}
	var missed []Missed
	for id, s := range a.suspects {
		if vitals.OldestTouch >= now.Sub(s.since) {
			continue
		}
		delete(a.suspects, id)
		g, err := a.db.Group(ctx, id)
		switch {
		case errors.Is(err, store.ErrNoGroup):
			if s.generation == 0 {
				missed = append(missed, s.missed)
			}
		case err != nil:
			return nil, err
		case g.Generation == s.generation && g.State.Settled():
			missed = append(missed, s.missed)
		}
	}
	if len(missed) == 0 {
		return nil, nil
	}
	touches := make([]store.Touch, len(missed))
	for i, m := range missed {
		touches[i] = store.Touch{ID: m.ID, Register: !a.byName[m.Sync].ByHand}
		if m.RowGone() {
			a.log.Error("a deletion was missed: the row is not there, and no trigger saw it go; the record is left alone, and its group is parked", "sync", m.Sync, "key", m.Key)
			continue
		}
		a.log.Error("a change was missed, or what makes the record says something else of the same rows each time: the record is not what the rows say, and nothing told so; it is sent now",
			"sync", m.Sync, "key", m.Key, "fields", m.Fields, "columns", m.Columns)
	}
	if err := a.db.NoteMissed(ctx, missed); err != nil {
		return nil, err
	}
	if err := a.db.Append(ctx, nil, touches); err != nil {
		return nil, fmt.Errorf("touch what was missed: %w", err)
	}
	return missed, nil
}
