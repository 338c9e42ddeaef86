package demo

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/internal/moment"
	"github.com/upkeep-sync/upkeep/internal/screen"
)

// board shows how things go: on a terminal a picture that is drawn again in
// its place, elsewhere plain lines.
type board struct {
	screen.Screen
	terminal bool
	size     func() (width, height int) // of the terminal; nil: unknown

	mu     sync.Mutex
	recent []string
	total  int // of what the application did
}

const recentMost = 8

// say prints a line for good, above the picture.
func (s *board) say(format string, args ...any) { s.Say(format, args...) }

// did notes what the application just did.
func (s *board) did(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total++
	s.recent = append(s.recent, what)
	if len(s.recent) > recentMost {
		s.recent = s.recent[1:]
	}
}

// things is how much the application did.
func (s *board) things() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

// draw replaces the picture, at the size that the terminal has by now.
func (s *board) draw(lines []string) {
	if s.size != nil {
		s.Width, s.Height = s.size()
	}
	s.Draw(lines)
}

// progress shows a bar; it is for terminals only.
func (s *board) progress(what string, done, total int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.terminal {
		return
	}
	s.draw([]string{fmt.Sprintf("%s %s %d of %d", what, screen.Bar(done, total), done, total)})
}

// tally is what came of what the application did since the backfill.
type tally struct {
	things, statements int
	touches            int64 // that the triggers logged
	calls              int64 // that the syncs made; not those that verify reads with
}

// String has what counts most first: a narrow window cuts the rest.
func (t tally) String() string {
	return fmt.Sprintf("%s for %s; the application did %s in %s.",
		many(t.calls, "call"), many(t.touches, "touch"), many(t.things, "thing"), many(t.statements, "statement"))
}

// many is a number of things: "1 touch", "1,234 touches".
func many[N int | int64](n N, what string) string {
	s := screen.Digits(int64(n)) + " " + what
	switch {
	case n == 1:
		return s
	case strings.HasSuffix(what, "ch"):
		return s + "es"
	}
	return s + "s"
}

// live shows the syncs and what the application did last. What to try is in the
// configuration, file, too, where it is found when the first lines are gone.
func (s *board) live(st *upkeep.Status, file string, t tally) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.terminal {
		s.plain(st, t)
		return
	}
	lines := append([]string{""}, table(st)...)
	if troubles := troubles(st); len(troubles) > 0 {
		lines = append(append(lines, ""), troubles...)
	}
	lines = append(lines, "", t.String(), "")
	for _, r := range s.recent {
		lines = append(lines, "  "+r)
	}
	s.draw(append(lines, "", "Ctrl-C ends it. To try: head -18 "+file))
}

// showTable prints the syncs for good.
func (s *board) showTable(st *upkeep.Status) {
	s.say("")
	for _, line := range table(st) {
		s.say("%s", line)
	}
	s.say("")
}

func (s *board) plain(st *upkeep.Status, t tally) {
	var dirty, doubts int64
	var lag time.Duration
	for _, c := range st.Syncs {
		dirty, doubts = dirty+c.Dirty+c.Claimed, doubts+c.InDoubt
		lag = max(lag, c.Oldest)
	}
	last := ""
	if n := len(s.recent); n > 0 {
		last = "; last: " + s.recent[n-1]
	}
	if doubts > 0 {
		last += fmt.Sprintf("; in doubt: %d", doubts)
	}
	for _, text := range troubles(st) {
		last += "; " + text
	}
	fmt.Fprintf(s.Out, "%s, %s, %s, %s dirty, lag %s%s\n", many(t.statements, "statement"), many(t.touches, "touch"), many(t.calls, "call"),
		many(dirty, "group"), moment.Span(lag), last)
}

// troubles are why no call goes to a remote now: its breaker is open, it asked for
// a pause, a person paused it, or it does not answer.
func troubles(st *upkeep.Status) (lines []string) {
	for _, r := range st.Remotes {
		if text := r.Trouble(); text != "" {
			lines = append(lines, strings.Join(strings.Fields(text), " "))
		}
	}
	for _, p := range st.Pauses {
		kind, name := p.Subject()
		lines = append(lines, fmt.Sprintf("%s %s is paused; it goes on with: upkeep resume %s", kind, name, name))
	}
	return lines
}

// table has a line for each sync.
func table(st *upkeep.Status) []string {
	rows := [][]string{{"sync", "groups", "dirty", "lag", "calls", "saved", ""}}
	for _, c := range st.Syncs {
		note := ""
		if c.Waiting > 0 {
			note = fmt.Sprintf("%d waiting", c.Waiting)
		}
		if c.InDoubt > 0 {
			note = strings.TrimPrefix(note+fmt.Sprintf(", %d in doubt", c.InDoubt), ", ")
		}
		if c.Parked > 0 {
			note = strings.TrimPrefix(note+fmt.Sprintf(", %d PARKED", c.Parked), ", ")
		}
		rows = append(rows, []string{c.Sync, screen.Digits(c.Groups), screen.Digits(c.Dirty + c.Claimed), moment.Span(c.Oldest), screen.Digits(c.Calls), screen.Digits(c.Saved), note})
	}
	width := 14
	for _, r := range rows {
		width = max(width, len(r[0]))
	}
	var out []string
	for _, r := range rows {
		out = append(out, strings.TrimRight(fmt.Sprintf("%-*s %8s %8s %8s %8s %8s  %s", width, r[0], r[1], r[2], r[3], r[4], r[5], r[6]), " "))
	}
	return out
}

// unsynced is how many groups the remote does not have as they are.
func unsynced(c upkeep.Counts) int64 { return c.Dirty + c.Claimed + c.InDoubt }
