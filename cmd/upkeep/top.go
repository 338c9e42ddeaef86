package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/internal/moment"
	"github.com/upkeep-sync/upkeep/internal/screen"
	"github.com/upkeep-sync/upkeep/internal/setup"
)

type topCmd struct {
	Every time.Duration `default:"1s" help:"How often to look."`
}

// Run shows how things go until q is pressed or the context ends. Where there
// is no terminal it prints lines.
func (c *topCmd) Run(p *program) (err error) {
	if c.Every < 100*time.Millisecond {
		return usageError("--every must be 100ms or more")
	}
	s, err := p.open(setup.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	ctx, stop := context.WithCancel(p.ctx)
	defer stop()
	t := &top{out: p.out, database: s.Database.Name()}
	if isTerminal(p.out) {
		t.screen = &screen.Screen{Out: p.out}
		if in, ok := p.in.(*os.File); ok && isTerminal(in) {
			before, err := term.MakeRaw(int(in.Fd()))
			if err != nil {
				return fmt.Errorf("read keys from the terminal: %w", err)
			}
			defer func() { err = errors.Join(err, term.Restore(int(in.Fd()), before)) }()
			t.screen.Raw = true
			go untilQuit(in, stop)
		}
	}
	return repeat(ctx, c.Every, func() (bool, error) {
		st, err := s.Engine.Status(ctx)
		if err != nil {
			return false, err
		}
		if t.blockers = nil; slices.ContainsFunc(st.Syncs, func(c upkeep.Counts) bool { return c.Waiting > 0 }) {
			if t.blockers, err = s.Engine.Blockers(ctx, blockersShown); err != nil {
				return false, err
			}
		}
		return false, t.show(st, time.Now())
	})
}

// untilQuit reads keys and stops at q or Ctrl-C, which a terminal in raw mode
// hands over as a key.
func untilQuit(in io.Reader, stop func()) {
	key := make([]byte, 1)
	for {
		n, err := in.Read(key)
		if err != nil {
			return // the keyboard is gone; the signals are not
		}
		if n == 1 && (key[0] == 'q' || key[0] == 'Q' || key[0] == 3) {
			stop()
			return
		}
	}
}

// top is a view of the status with what changed since the look before.
type top struct {
	out      io.Writer
	screen   *screen.Screen // nil: lines
	database string
	blockers []upkeep.Blocker
	before   map[string]upkeep.Counts
	at       time.Time
}

func (t *top) show(st *upkeep.Status, now time.Time) error {
	rates := map[string]string{}
	seen := map[string]upkeep.Counts{}
	for _, c := range st.Syncs {
		rates[c.Sync] = "-" // at the first look
		if b, ok := t.before[c.Sync]; ok && now.After(t.at) {
			rates[c.Sync] = strconv.FormatFloat(float64(max(0, c.Calls-b.Calls))/now.Sub(t.at).Seconds(), 'f', 1, 64)
		}
		seen[c.Sync] = c
	}
	t.before, t.at = seen, now
	if t.screen == nil {
		return t.lines(st, rates)
	}
	lines, err := t.picture(st, rates)
	if err != nil {
		return err
	}
	if f, ok := t.out.(*os.File); ok { // the window may have changed
		if width, height, err := term.GetSize(int(f.Fd())); err == nil {
			t.screen.Width, t.screen.Height = width, height
		}
	}
	t.screen.Draw(lines)
	return nil
}

// blockersShown is how many parked groups are named that keep others waiting.
const blockersShown = 3

// blockerText is a line on a parked group that others wait for.
func blockerText(b upkeep.Blocker) string {
	return oneLine(fmt.Sprintf("%s is parked and blocks %s: %s", b.ID, blocks(b.Direct, b.All), b.Reason))
}

// unsynced is how many groups the remote may not have as they are.
func unsynced(c upkeep.Counts) int64 { return c.Dirty + c.Claimed + c.InDoubt }

// picture is what a terminal shows.
func (t *top) picture(st *upkeep.Status, rates map[string]string) ([]string, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s, %s\n\n", oneLine(t.database), pending(st))
	tab := newTable(&b, "SYNC", ">GROUPS", ">DIRTY", ">CLAIMED", ">IN DOUBT", ">WAITING", ">PARKED", ">LAG", ">CALLS/S", ">SAVED", "BACKFILL")
	n := screen.Digits
	for _, c := range st.Syncs {
		fill := "-"
		if c.Backfill.Running {
			fill = screen.Bar(c.Backfill.Done, max(c.Backfill.Total, c.Backfill.Done)) + " " + backfill(c)
		}
		tab.row(c.Sync, n(c.Groups), n(c.Dirty), n(c.Claimed), n(c.InDoubt), n(c.Waiting), n(c.Parked), moment.Span(c.Oldest), rates[c.Sync], n(c.Saved), fill)
	}
	if err := tab.flush(); err != nil {
		return nil, err
	}
	fmt.Fprintln(&b)
	if err := printRemotes(&b, st); err != nil {
		return nil, err
	}
	if err := printJobs(&b, st.Jobs); err != nil {
		return nil, err
	}
	for _, c := range st.Syncs {
		if text := lane(c); text != "" {
			fmt.Fprintf(&b, "\n%s: %s\n", c.Sync, text)
		}
		if c.Held != "" {
			fmt.Fprintf(&b, "\n%s\n", heldText(c))
		}
	}
	if text := st.Unattended(); text != "" {
		fmt.Fprintf(&b, "\n%s: start upkeep run\n", text)
	}
	for _, p := range st.Pauses {
		fmt.Fprintf(&b, "\n%s", pauseText(p))
	}
	for _, l := range t.blockers {
		fmt.Fprintf(&b, "\n%s", blockerText(l))
	}
	fmt.Fprint(&b, "\nq ends it.")
	return strings.Split(b.String(), "\n"), nil
}

// lines is the same for a pipe: a line for each sync and each remote.
func (t *top) lines(st *upkeep.Status, rates map[string]string) error {
	var b bytes.Buffer
	at := moment.Of(t.at)
	for _, c := range st.Syncs {
		fmt.Fprintf(&b, "%s sync %s: %d groups, %d dirty, %d claimed, %d in doubt, %d waiting, %d parked, lag %s, %s calls/s, %d saved", at, c.Sync, c.Groups, c.Dirty, c.Claimed, c.InDoubt, c.Waiting, c.Parked,
			moment.Span(c.Oldest), rates[c.Sync], c.Saved)
		if c.Backfill.Running {
			fmt.Fprintf(&b, ", backfill %s", backfill(c))
		}
		if text := lane(c); text != "" {
			fmt.Fprintf(&b, ", %s", text)
		}
		if c.Held != "" {
			fmt.Fprintf(&b, ", held: %s", oneLine(c.Held))
		}
		fmt.Fprintln(&b)
	}
	for _, r := range st.Remotes {
		fmt.Fprintf(&b, "%s remote %s: %d of %d slots held, %s%s\n", at, r.Name, r.InUse, r.Concurrency, oneLine(remoteState(r, st.Pauses)), comma(underWay(r)))
	}
	for _, j := range st.Jobs {
		fmt.Fprintf(&b, "%s job %s of %s: %s, %d of %d %ss, %d failed, for %s%s\n", at, oneLine(j.RemoteJob), j.Sync, j.State, j.Processed, j.Rows, j.Action,
			j.Failed, moment.Span(j.Age), oneLine(colon(j.Message)))
	}
	if text := st.Unattended(); text != "" {
		fmt.Fprintf(&b, "%s %s: start upkeep run\n", at, text)
	}
	for _, p := range st.Pauses {
		fmt.Fprintf(&b, "%s %s\n", at, pauseText(p))
	}
	for _, l := range t.blockers {
		fmt.Fprintf(&b, "%s %s\n", at, blockerText(l))
	}
	_, err := t.out.Write(b.Bytes())
	return err
}

// comma sets what is not empty off from what is before it.
func comma(s string) string {
	if s == "" {
		return ""
	}
	return ", " + s
}
