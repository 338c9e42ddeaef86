package upkeep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/internal/moment"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// From when on [Engine.Doctor] speaks up.
const (
	longTransaction = 5 * time.Minute
	oldTouch        = 15 * time.Second // who folds does so within a second
	missedListed    = 20
	blockersListed  = 3
	foundFor        = 24 * time.Hour // a restore, a missed change
	oldGroup        = 15 * time.Minute
	clockWarning    = 5 * time.Second
	clockProblem    = time.Minute // signed requests are refused by many remotes
)

// Doctor examines a system that is at work: all that [Engine.Check] does, then
// the touch log, old transactions, vacuum, the clocks, and what is parked,
// late, in doubt, paused or broken. Each finding says what to do. It changes
// nothing; the error is for what kept it from looking.
func (e *Engine) Doctor(ctx context.Context) ([]Finding, error) {
	findings, err := e.Check(ctx)
	if err != nil {
		return findings, err
	}
	if differ, err := e.Uninstalled(ctx); err == nil && len(differ) > 0 {
		findings = append(findings, Finding{Severity: Warning, Subject: "configuration", Message: "it is not the one that is installed; the capture was not examined",
			Fix: "see the difference with upkeep plan; to have this one, stop every upkeep run with the other, and then start it with this one, or install it with upkeep apply"})
		findings = append(findings, differ...)
	}
	more, err := e.Condition(ctx)
	return store.ToldOnce(findings, more), err
}

// Condition is what [Engine.Doctor] examines of a system at work, besides
// whether the configuration fits and is installed.
func (e *Engine) Condition(ctx context.Context) (findings []Finding, err error) {
	status, err := e.Status(ctx)
	if errors.Is(err, ErrNotInstalled) {
		return append(findings, Finding{Severity: Problem, Subject: e.db.Name(), Message: "Upkeep is not installed in this database, or is an older version",
			Fix: "upkeep plan, then upkeep apply; or upkeep run"}), nil
	}
	if err != nil {
		return findings, err
	}
	before := e.cfg.Clock.Now()
	vitals, err := e.db.Vitals(ctx, longTransaction)
	if err != nil {
		return findings, err
	}
	findings = append(findings, vitals.Findings...)
	findings = append(findings, clockFinding(vitals.Now, before, e.cfg.Clock.Now())...)
	findings = append(findings, logFinding(vitals, status)...)
	findings = append(findings, unattendedFinding(status)...)
	findings = append(findings, failureFindings(status.Failures)...)
	plans, err := e.db.Plans(ctx)
	if err != nil {
		return findings, err
	}
	findings = append(findings, turnFindings(plans, vitals.Now)...)
	bySync, err := e.conditionOfSyncs(ctx, status)
	findings = append(findings, bySync...)
	if err != nil {
		return findings, err
	}
	turns, err := e.HeldTurns(ctx)
	if err != nil {
		return findings, err
	}
	findings = append(findings, turns...)
	blocking, err := e.blockerFindings(ctx, status)
	if err != nil {
		return findings, err
	}
	findings = append(findings, blocking...)
	restored, err := e.db.Restored(ctx)
	if err != nil {
		return findings, err
	}
	if ago := vitals.Now.Sub(restored); !restored.IsZero() && ago < foundFor {
		findings = append(findings, Finding{Severity: Warning, Subject: e.db.Name(),
			Message: "the database was found to be restored, copied or failed over at " + moment.Of(restored) + "; every record is sent again in full, and deletes are held",
			Fix:     "look at what is to be deleted with upkeep deletes, and compare with upkeep verify when the sweep is over"})
	}
	missed, err := e.db.Missed(ctx, missedListed)
	if err != nil {
		return findings, err
	}
	all := len(missed) < missedListed
	missed = slices.DeleteFunc(missed, func(m Missed) bool {
		return vitals.Now.Sub(m.At) > foundFor || e.byName[m.Sync] == nil // a sync that left the configuration is kept no more
	})
	findings = append(findings, missedFindings(slices.DeleteFunc(slices.Clone(missed), Missed.RowGone), all)...)
	gone, err := e.goneFindings(ctx, status, slices.DeleteFunc(missed, func(m Missed) bool { return !m.RowGone() }))
	findings = append(findings, gone...)
	if err != nil {
		return findings, err
	}
	for _, h := range status.HeldDeletes {
		findings = append(findings, heldFinding(h, e.unlimited(h.Sync)))
	}
	findings = append(findings, e.jobFindings(status)...)
	absent, err := e.Absent(ctx)
	if err != nil {
		return findings, err
	}
	findings = append(findings, absentFindings(absent)...)
	return append(findings, remoteFindings(status)...), nil
}

// conditionOfSyncs is the part of [Engine.Condition] that is about each sync.
func (e *Engine) conditionOfSyncs(ctx context.Context, status *Status) (findings []Finding, err error) {
	vain := &vain{e, map[ID]*Link{}}
	for _, c := range status.Syncs {
		findings = append(findings, syncFindings(c, heldOf(status, c.Sync), pauseOf(status.Pauses, e.byName[c.Sync]))...)
		waits, err := e.waitFindings(ctx, vain, c, pauseOf(status.Pauses, e.byName[c.Sync]))
		if err != nil {
			return findings, err
		}
		findings = append(findings, waits...)
		if !c.Overlong.IsZero() {
			message, fix := e.overlong(c.Sync)
			findings = append(findings, Finding{Severity: Problem, Subject: c.Sync, Message: message + "; seen last at " + moment.Of(c.Overlong), Fix: fix})
		}
		lane, err := e.laneFindings(ctx, c)
		if err != nil {
			return findings, err
		}
		findings = append(findings, lane...)
	}
	return findings, nil
}

// missedFindings tells of changes that were missed, newest first, those of one
// sync and the same fields as one. all: no more were missed.
func missedFindings(missed []Missed, all bool) (findings []Finding) {
	cause := func(m Missed) string {
		if len(m.Fields) == 0 {
			return "its record"
		}
		what := "fields " + strings.Join(m.Fields, ", ")
		if len(m.Columns) > 0 { // of a function in Go it can't be told
			what += ", which read " + strings.Join(m.Columns, ", ")
		}
		return what
	}
	for len(missed) > 0 {
		first, what := missed[0], cause(missed[0])
		keys := map[string]bool{} // a group may be missed again
		missed = slices.DeleteFunc(missed, func(m Missed) bool {
			alike := m.Sync == first.Sync && cause(m) == what
			if alike {
				keys[m.Key] = true
			}
			return alike
		})
		f := Finding{Severity: Problem, Subject: first.ID.String(),
			Message: "a change was missed, found at " + moment.Of(first.At) + ": " + what,
			Fix:     "it was sent; find out what wrote past the triggers, or what the translation reads beside its row, and look at everything once: upkeep audit " + first.Sync}
		if n := len(keys); n > 1 {
			more := ""
			if !all {
				more = " and more"
			}
			f.Subject = first.Sync
			f.Message = fmt.Sprintf("changes were missed, of %d groups%s, such as %s, found until %s: %s", n, more, first.Key, moment.Of(first.At), what)
			f.Fix = strings.Replace(f.Fix, "it was", "they were", 1)
		}
		findings = append(findings, f)
	}
	return findings
}

// heldFinding says what to do about deletes that are held, also where none is yet,
// and where the limit that held them was taken away since.
func heldFinding(h HeldDeletes, unlimited bool) Finding {
	if h.Held == 0 {
		return Finding{Severity: Warning, Subject: h.Sync,
			Message: "no delete goes out before a person allows it, since " + moment.Of(h.Since) + "; none waits for that now",
			Fix:     "when nothing is looked at any more (upkeep status), end it: upkeep deletes " + h.Sync + " --allow 0"}
	}
	f := Finding{Severity: Problem, Subject: h.Sync,
		Message: fmt.Sprintf("more records are to be deleted than its limit allows; held: %d", h.Held),
		Fix:     fmt.Sprintf("see which with upkeep status %s --state parked; if they are meant, upkeep deletes %s --allow %d; a higher delete_limit alone lets none of them go", h.Sync, h.Sync, h.Held)}
	if unlimited {
		f.Message = fmt.Sprintf("its deletes have no limit any more, and those that were held before stay held: %d", h.Held)
		f.Fix, _, _ = strings.Cut(f.Fix, "; a higher")
	}
	if h.Later > 0 {
		f.Message += fmt.Sprintf("; of these have later versions, which wait behind the deletion: %d", h.Later)
		f.Fix += "; where the row is there again, upkeep skip leaves out only the deletion, see upkeep explain"
	}
	return f
}

// clockFinding compares the server's clock with this machine's: it was read
// between the two times.
func clockFinding(server, before, after time.Time) []Finding {
	off := server.Sub(before)
	if off > 0 {
		off = max(0, server.Sub(after))
	}
	f := Finding{Severity: Warning, Subject: "clock", Fix: "let both machines keep their time by NTP"}
	switch ago := off.Abs(); {
	case ago < clockWarning:
		return nil
	case ago >= clockProblem:
		f.Severity = Problem
	}
	f.Message = fmt.Sprintf("the database's clock is %s off this machine's; remotes refuse signed requests with a wrong time", moment.Span(off))
	return []Finding{f}
}

func logFinding(v *store.Vitals, s *Status) []Finding {
	if v.OldestTouch < oldTouch || slices.ContainsFunc(s.Failures, func(f Failure) bool { return f.Stage == folding }) {
		return nil
	}
	return []Finding{{Severity: Problem, Subject: "touch log",
		Message: fmt.Sprintf("it is not folded: its oldest row waits for %s; it has %d rows and %d MB", moment.Span(v.OldestTouch), s.Pending, v.LogBytes>>20),
		Fix:     "start upkeep run"}}
}

// unattendedFinding is a problem when what is to be done is old: a backfill has no
// age, and who runs from cron may be about to come.
func unattendedFinding(s *Status) []Finding {
	text := s.Unattended()
	if text == "" {
		return nil
	}
	f := Finding{Severity: Warning, Subject: "processes", Message: text, Fix: "start upkeep run"}
	if slices.ContainsFunc(s.Syncs, func(c Counts) bool { return c.Oldest > oldGroup }) {
		f.Severity = Problem
	}
	return []Finding{f}
}

// heldOf is how many of a sync's parked groups are deletes over its limit, which
// have a finding of their own, as have those whose rows nobody saw go.
func heldOf(s *Status, sync string) int64 {
	for _, h := range s.HeldDeletes {
		if h.Sync == sync {
			return h.Held
		}
	}
	return 0
}

func syncFindings(c Counts, held int64, pause *Pause) []Finding {
	var found []Finding
	add := func(s Severity, message, fix string) {
		found = append(found, Finding{Severity: s, Subject: c.Sync, Message: message, Fix: fix})
	}
	if c.Held != "" {
		add(Problem, "it is held, since its groups can't be loaded: "+c.Held, "see with upkeep check whether the configuration still fits the tables, and what rights are missing; it goes on by itself when they can be loaded")
	}
	if c.Stuck != "" {
		add(Problem, "it is held: "+c.Stuck, "the stacks of the process (SIGQUIT, or pprof's goroutines) say where they are")
	}
	if parked := c.Parked - held - c.Unseen; parked > 0 {
		add(Problem, fmt.Sprintf("refused and not tried again (parked): %d", parked),
			"see the reasons with upkeep status "+c.Sync+" --state parked; mend the data or the mapping, or upkeep retry "+c.Sync+"; what the remote will never take: upkeep skip "+c.Sync+" KEY")
	}
	if c.Skipped > 0 {
		add(Note, fmt.Sprintf("not as the database says, since upkeep skip has left them as they are at the remote: %d", c.Skipped),
			"nothing; which: upkeep status "+c.Sync+" --state skipped; upkeep resync "+c.Sync+" KEY --force sends one again")
	}
	if c.Backfill.Failure != "" {
		add(Problem, "its tables can't be read, and it is held until they can; the other syncs go on: "+c.Backfill.Failure,
			"upkeep check says what does not fit, or which right is missing; when it is mended all its rows are looked at, and nothing is lost")
	}
	if c.InDoubt > 0 {
		add(Warning, fmt.Sprintf("groups whose last call has an unknown outcome (in doubt): %d", c.InDoubt), "nothing: each is sent once more when its time is over")
	}
	if c.Oldest > oldGroup && pause == nil {
		add(Warning, fmt.Sprintf("a change waits for %s", moment.Span(c.Oldest)),
			"see what it waits for with upkeep status "+c.Sync+" --state dirty")
	}
	return found
}

// blockerFindings names the parked groups that keep most others waiting.
func (e *Engine) blockerFindings(ctx context.Context, s *Status) ([]Finding, error) {
	waiting := int64(0)
	for _, c := range s.Syncs {
		waiting += c.Waiting
	}
	if waiting == 0 {
		return nil, nil
	}
	blockers, err := e.Blockers(ctx, blockersListed)
	var found []Finding
	for _, b := range blockers {
		fix := "see it with upkeep explain " + b.Args() + "; mend its data or the mapping, or upkeep retry " + b.Args()
		if b.Reason == store.DeleteHeld {
			fix = "upkeep deletes " + b.Sync
		}
		found = append(found, Finding{Severity: Problem, Subject: b.ID.String(),
			Message: fmt.Sprintf("it is parked, and so many groups wait for it: %d (%d directly); %s", b.All, b.Direct, b.Reason),
			Fix:     fix})
	}
	return found, err
}

// names says whether what is paused is one of those that the status is of.
func (s *Status) names(p Pause) bool {
	return slices.ContainsFunc(s.Syncs, func(c Counts) bool { return c.Sync == p.Sync }) ||
		slices.ContainsFunc(s.Remotes, func(r RemoteStatus) bool { return r.Name == p.Remote })
}

func remoteFindings(s *Status) []Finding {
	var found []Finding
	for _, r := range s.Remotes {
		switch {
		case r.Broken:
			found = append(found, Finding{Severity: Problem, Subject: r.Name, Message: store.BreakerOpen + r.Reason,
				Fix: "see whether the remote works and the credentials are right; it is probed by itself, and at once after: upkeep resume " + r.Name})
		case r.PausedFor > 0 && strings.HasSuffix(r.Reason, settles):
			found = append(found, Finding{Severity: Warning, Subject: r.Name, Message: fmt.Sprintf("nothing is sent for another %s: %s", moment.Span(r.PausedFor), r.Reason),
				Fix: "nothing; it goes on by itself"})
		case r.PausedFor > 0:
			found = append(found, Finding{Severity: Warning, Subject: r.Name, Message: fmt.Sprintf(store.PausedFor+"%s: %s", moment.Span(r.PausedFor), r.Reason),
				Fix: "nothing; if it comes often, lower its rate or concurrency"})
		case r.OldestCall >= SlowCall:
			found = append(found, Finding{Severity: Warning, Subject: r.Name, Message: fmt.Sprintf("calls under way: %d, the oldest for %s: it hangs, or is slow", r.Calls, moment.Span(r.OldestCall)),
				Fix: "see whether the remote works; a call that gets no answer in the remote's timeout is given up, and its record is in doubt then"})
		}
	}
	for _, p := range s.Pauses {
		_, name := p.Subject()
		f := Finding{Severity: Warning, Subject: name, Message: describePause(p), Fix: "upkeep resume " + name}
		if !s.names(p) {
			f.Message += "; nothing of this configuration is held by it"
			f.Fix += ", or it is paused still when it comes back"
		}
		found = append(found, f)
	}
	return found
}
