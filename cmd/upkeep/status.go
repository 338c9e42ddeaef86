package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/internal/moment"
	"github.com/upkeep-sync/upkeep/internal/setup"
)

type statusCmd struct {
	Sync  string         `arg:"" optional:"" help:"This sync only, of the lines of syncs or, with --state, of its groups."`
	State string         `placeholder:"STATE" help:"List the groups in this state, with reasons: clean, dirty, claimed, in-doubt, waiting, parked, gone, skipped." enum:",clean,dirty,claimed,in-doubt,in_doubt,in doubt,waiting,parked,gone,skipped" default:""`
	Limit *int           `help:"With --state: how many groups to list at most (100)."`
	Watch bool           `help:"Show it again and again until interrupted."`
	Every *time.Duration `help:"With --watch: how often (2s)."`
	JSON  bool           `help:"Print as JSON."`
}

// Run shows how things stand.
func (c *statusCmd) Run(p *program) error {
	every := 2 * time.Second
	switch {
	case c.Limit != nil && *c.Limit < 1:
		return usageError("--limit must be 1 or more")
	case c.Limit != nil && c.State == "":
		return usageError("--limit is for a list of groups: give --state too")
	case c.Every != nil && *c.Every < 100*time.Millisecond:
		return usageError("--every must be 100ms or more")
	case c.Every != nil && !c.Watch:
		return usageError("--every is for --watch: give that too")
	case c.Every != nil:
		every = *c.Every
	}
	v := &statusView{cmd: c, p: p}
	defer v.close()
	if !c.Watch {
		_, err := v.look()
		return err
	}
	var misfit error // what does not fit is told when the screen stays
	err := repeat(p.ctx, every, func() (bool, error) {
		if isTerminal(p.out) {
			fmt.Fprint(p.out, "\x1b[H\x1b[2J")
		}
		shown, err := v.look()
		if shown {
			misfit, err = err, nil
		}
		return false, err
	})
	if err != nil {
		return err
	}
	return misfit
}

// statusView looks once or again and again.
type statusView struct {
	cmd     *statusCmd
	p       *program
	fitting *setup.Setup // nil: not open, or at the last look it did not fit the tables
}

func (v *statusView) close() {
	if v.fitting != nil {
		v.fitting.Close()
	}
}

// look shows how things stand. With an error it may have shown what can be told
// without the configuration.
func (v *statusView) look() (shown bool, err error) {
	if v.fitting == nil {
		s, misfit, err := setup.OpenFitting(v.p.ctx, v.p.options(setup.Options{}))
		if err != nil {
			shown, storedErr := v.cmd.stored(v.p)
			return shown, errors.Join(err, storedErr)
		}
		if misfit != nil {
			defer s.Close()
			err := v.cmd.misfitting(v.p, s, misfit)
			return err == nil, errors.Join(misfit, err)
		}
		v.fitting = s
	}
	err = v.cmd.show(v.p.ctx, v.p.out, v.fitting)
	return err == nil, err
}

// known is an error if the sync that was named is not in the configuration.
func (c *statusCmd) known(s *setup.Setup) error {
	if err := s.Known(c.Sync); err != nil {
		return usageError(err.Error())
	}
	return nil
}

// only leaves the lines of the sync that was named.
func (c *statusCmd) only(st *upkeep.Status) {
	st.Syncs = slices.DeleteFunc(st.Syncs, func(l upkeep.Counts) bool { return c.Sync != "" && l.Sync != c.Sync })
}

func (c *statusCmd) show(ctx context.Context, w io.Writer, s *setup.Setup) error {
	if err := c.known(s); err != nil {
		return err
	}
	if c.State != "" {
		if err := c.groups(ctx, w, s.Database, s.Syncs()); err != nil || c.JSON {
			return err
		}
		return c.heldBack(ctx, w, s)
	}
	st, err := s.Engine.Status(ctx)
	if err != nil {
		return err
	}
	c.only(st)
	capture, err := s.Engine.Capture(ctx)
	if err != nil {
		return err
	}
	absent, err := s.Engine.Absent(ctx)
	if err != nil {
		return err
	}
	turns, err := s.Engine.HeldTurns(ctx)
	if err != nil {
		return err
	}
	uninstalled, err := s.Engine.Uninstalled(ctx)
	if err != nil {
		return err
	}
	if c.Sync != "" {
		uninstalled = slices.DeleteFunc(uninstalled, func(f upkeep.Finding) bool { return f.Subject != c.Sync })
	}
	if c.JSON {
		form := statusForm(s.Database.Name(), st)
		form.Capture = findingForms(capture)
		form.Absent = absentForms(absent)
		form.HeldTurns, form.Uninstalled = findingForms(turns), findingForms(uninstalled)
		return c.encode(w, form)
	}
	if err := printStatus(w, s.Database.Name(), st); err != nil {
		return err
	}
	for _, f := range append(uninstalled, turns...) {
		if _, err := fmt.Fprintf(w, "\n%s\n", oneLine(f.Subject+": "+f.Message+"; "+f.Fix)); err != nil {
			return err
		}
	}
	for i, a := range absent {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, oneLine(a.String()))
	}
	if len(capture) == 0 {
		return nil
	}
	fmt.Fprintln(w, "\nChanges may go unseen:")
	for _, f := range capture {
		fmt.Fprintf(w, "%s: %s: %s\n", f.Severity, f.Subject, f.Message)
	}
	_, err = fmt.Fprintln(w, "A running worker puts this right, or logs why it can't. See upkeep doctor.")
	return err
}

// encode prints JSON: indented, but one line for each look of --watch.
func (c *statusCmd) encode(w io.Writer, v any) error {
	if c.Watch {
		return json.NewEncoder(w).Encode(v)
	}
	return printJSON(w, v)
}

func printStatus(w io.Writer, database string, st *upkeep.Status) error {
	fmt.Fprintf(w, "%s, %s\n\n", database, pending(st))
	t := newTable(w, "SYNC", ">GROUPS", ">CLEAN", ">DIRTY", ">CLAIMED", ">IN DOUBT", ">WAITING", ">PARKED", ">GONE", ">LAG", ">CALLS", ">SAVED", "BACKFILL")
	n := func(v int64) string { return strconv.FormatInt(v, 10) }
	for _, c := range st.Syncs {
		t.row(c.Sync, n(c.Groups), n(c.Clean), n(c.Dirty), n(c.Claimed), n(c.InDoubt), n(c.Waiting), n(c.Parked), n(c.Gone),
			moment.Span(c.Oldest), n(c.Calls), n(c.Saved), backfill(c))
	}
	if err := t.flush(); err != nil {
		return err
	}
	if len(st.Remotes) > 0 {
		fmt.Fprintln(w)
		if err := printRemotes(w, st); err != nil {
			return err
		}
	}
	for _, c := range st.Syncs {
		if text := lane(c); text != "" {
			if _, err := fmt.Fprintf(w, "\n%s: %s\n", c.Sync, text); err != nil {
				return err
			}
		}
	}
	for _, c := range st.Syncs {
		if c.Skipped > 0 {
			if _, err := fmt.Fprintf(w, "\n%s: left as they are at the remote by upkeep skip: %d; which: upkeep status %s --state skipped\n", c.Sync, c.Skipped, c.Sync); err != nil {
				return err
			}
		}
		if c.Backfill.Failure != "" {
			if _, err := fmt.Fprintf(w, "\n%s: held, since its tables can't be read; the other syncs go on: %s\n", c.Sync, oneLine(c.Backfill.Failure)); err != nil {
				return err
			}
		}
		if c.Held == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "\n%s\n", heldText(c)); err != nil {
			return err
		}
	}
	if text := st.Unattended(); text != "" {
		if _, err := fmt.Fprintf(w, "\n%s: start upkeep run\n", text); err != nil {
			return err
		}
	}
	for _, f := range st.Failures {
		if _, err := fmt.Fprintf(w, "\n%s\n", failureText(f)); err != nil {
			return err
		}
	}
	for _, h := range st.HeldDeletes {
		text := fmt.Sprintf("deletes over its limit are held: %d", h.Held)
		if h.Held == 0 {
			text = "no delete goes out before a person allows it; none waits now"
		}
		if _, err := fmt.Fprintf(w, "\n%s: %s; see upkeep deletes\n", h.Sync, text); err != nil {
			return err
		}
	}
	if err := printJobs(w, st.Jobs); err != nil {
		return err
	}
	for i, p := range st.Pauses {
		if i == 0 {
			fmt.Fprintln(w)
		}
		if _, err := fmt.Fprintln(w, pauseText(p)); err != nil {
			return err
		}
	}
	return nil
}

// heldText is a line on a sync whose groups can't be loaded.
func heldText(c upkeep.Counts) string {
	return oneLine(fmt.Sprintf("%s is held, since its groups can't be loaded: %s", c.Sync, c.Held))
}

// failureText is a line on what a process can't do.
func failureText(f upkeep.Failure) string {
	return oneLine(fmt.Sprintf("%s fails in %s since %s: %s", f.Stage, f.Holder, moment.Of(f.Since), f.Reason))
}

func pending(st *upkeep.Status) string {
	said := touches(st.Pending)
	if st.OldestTouch > oldTouch {
		said += ", the oldest " + moment.Span(st.OldestTouch) + " old"
		if !slices.ContainsFunc(st.Failures, func(f upkeep.Failure) bool { return f.Stage == "fold" }) {
			said += ": is upkeep run at work?"
		}
	}
	return said
}

// oldTouch: who folds does so within a second.
const oldTouch = 5 * time.Second

func touches(n int) string {
	switch {
	case n >= upkeep.PendingMost:
		return fmt.Sprintf("%d touches or more to fold", n)
	case n == 1:
		return "1 touch to fold"
	}
	return fmt.Sprintf("%d touches to fold", n)
}

func backfill(c upkeep.Counts) string {
	switch b := c.Backfill; {
	case !b.Running:
		return "-"
	case b.Total > 0:
		return fmt.Sprintf("%d of about %d", b.Done, max(b.Total, b.Done))
	default:
		return fmt.Sprintf("%d", b.Done)
	}
}

// printRemotes has a column of the quotas if a remote tells its own. Slots are
// the calls that processes may make at once; UNDER WAY are those that they make.
func printRemotes(w io.Writer, st *upkeep.Status) error {
	remotes := st.Remotes
	head := []string{"REMOTE", "SLOTS HELD", "UNDER WAY", "STATE"}
	metered := slices.ContainsFunc(remotes, func(r upkeep.RemoteStatus) bool { return r.Quota != upkeep.Quota{} })
	if metered {
		head = slices.Insert(head, 3, "QUOTA LEFT")
	}
	t := newTable(w, head...)
	for _, r := range remotes {
		cells := []string{r.Name, fmt.Sprintf("%d of %d", r.InUse, r.Concurrency), orDash(underWay(r)), remoteState(r, st.Pauses)}
		if metered {
			cells = slices.Insert(cells, 3, orDash(quotaText(r.Quota)))
		}
		t.row(cells...)
	}
	return t.flush()
}

// underWay is about the calls that processes make: "3 calls, the oldest for 40s",
// and those of processes that died; empty if there are none.
func underWay(r upkeep.RemoteStatus) string {
	var parts []string
	switch {
	case r.Calls == 1:
		parts = append(parts, "1 call, for "+moment.Span(r.OldestCall))
	case r.Calls > 1:
		parts = append(parts, fmt.Sprintf("%d calls, the oldest for %s", r.Calls, moment.Span(r.OldestCall)))
	}
	if r.LostCalls > 0 {
		parts = append(parts, count(r.LostCalls, "call")+" of a process that is gone")
	}
	return strings.Join(parts, "; ")
}

// quotaText is what is left of a quota; empty if the remote tells none.
func quotaText(q upkeep.Quota) string {
	if q == (upkeep.Quota{}) {
		return ""
	}
	return fmt.Sprintf("%d of %d", q.Left(), q.Limit)
}

func remoteState(r upkeep.RemoteStatus, pauses []upkeep.Pause) string {
	state := "ok"
	byHand := slices.ContainsFunc(pauses, func(p upkeep.Pause) bool { return p.Remote == r.Name })
	switch {
	case r.Broken:
		state = "breaker open, next probe in " + moment.Span(r.ProbeIn)
		if r.ProbeIn <= 0 {
			state = "breaker open, a probe is due"
		}
	case byHand:
		return "paused"
	case r.PausedFor > 0:
		state = "paused for " + moment.Span(r.PausedFor)
	case r.OldestCall >= upkeep.SlowCall:
		return "no answer for " + moment.Span(r.OldestCall)
	}
	if state != "ok" && r.Reason != "" {
		state += ": " + r.Reason
	}
	return state
}

// groups lists the groups in a state, sync by sync, or those of the one that was
// named. A sync "" stands for all.
func (c *statusCmd) groups(ctx context.Context, w io.Writer, db upkeep.Database, syncs []string) error {
	state := upkeep.State(c.State)
	switch c.State {
	case "in-doubt", "in_doubt": // as the JSON has it
		state = "in doubt"
	}
	if c.Sync != "" {
		syncs = []string{c.Sync}
	}
	limit := 100
	if c.Limit != nil {
		limit = *c.Limit
	}
	found := []upkeep.Group{}
	for _, name := range syncs {
		gs, err := db.Groups(ctx, name, state, upkeep.ID{}, limit+1-len(found))
		if err != nil {
			return err
		}
		if found = append(found, gs...); len(found) > limit {
			break
		}
	}
	more := len(found) > limit
	found = found[:min(len(found), limit)]
	if c.JSON {
		forms := []groupForm{}
		for i := range found {
			forms = append(forms, formOfGroup(&found[i]))
		}
		return c.encode(w, map[string]any{"groups": forms, "more": more})
	}
	if len(found) == 0 {
		_, err := fmt.Fprintf(w, "no group is %s\n", state)
		return err
	}
	t := newTable(w, "SYNC", "KEY", "STATE", "TOUCHED", "SYNCED", ">RETRIES", "REASON")
	for _, g := range found {
		t.row(g.Sync, g.Key, string(g.State), moment.Of(g.TouchedAt), moment.Of(g.SyncedAt), strconv.Itoa(g.Attempts), reason(&g))
	}
	if err := t.flush(); err != nil {
		return err
	}
	if more {
		fmt.Fprintf(w, "There are more than %d: see them with --limit.\n", limit)
	}
	return nil
}

// heldBack says below a list of groups what keeps all of them, whatever their own
// reasons are.
func (c *statusCmd) heldBack(ctx context.Context, w io.Writer, s *setup.Setup) error {
	st, err := s.Engine.Status(ctx)
	if err != nil {
		return err
	}
	var lines []string
	for _, r := range st.Remotes {
		if c.Sync != "" && !slices.Contains(r.Syncs, c.Sync) {
			st.Pauses = slices.DeleteFunc(st.Pauses, func(p upkeep.Pause) bool { return p.Remote == r.Name })
		} else if trouble := r.Trouble(); trouble != "" {
			lines = append(lines, trouble)
		}
	}
	for _, p := range st.Pauses {
		if kind, name := p.Subject(); c.Sync == "" || p.Sync == "" || p.Sync == c.Sync {
			lines = append(lines, fmt.Sprintf("%s %s is paused: %s", kind, name, orDash(p.Reason)))
		}
	}
	for _, line := range lines {
		if _, err := fmt.Fprintf(w, "\n%s\n", oneLine(line)); err != nil {
			return err
		}
	}
	return nil
}

func reason(g *upkeep.Group) string {
	switch {
	case g.Reason == "" && len(g.WaitsFor) > 0:
		return "waits for " + joined(g.WaitsFor)
	case g.Reason == "" && g.State == upkeep.InDoubt:
		return "acknowledged, but an earlier request may still be applied, until " + moment.Of(g.InDoubtUntil)
	}
	return g.Reason
}
