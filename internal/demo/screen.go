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

// progress shows a bar; it is for terminals only.
func (s *board) progress(what string, done, total int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.terminal {
		return
	}
	s.Draw([]string{fmt.Sprintf("%s %s %d of %d", what, screen.Bar(done, total), done, total)})
}

// live shows the syncs and what the application did last.
func (s *board) live(st *upkeep.Status, statements, touches, calls int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.terminal {
		s.plain(st, statements, touches, calls)
		return
	}
	lines := append([]string{""}, table(st)...)
	lines = append(lines, "", fmt.Sprintf("The application did %d things in %d statements: %d touches were logged, %d calls made.", s.total, statements, touches, calls), "")
	for _, r := range s.recent {
		lines = append(lines, "  "+r)
	}
	s.Draw(append(lines, "", "Ctrl-C ends it, and takes everything away. What to try meanwhile: at the top, and in the configuration."))
}

func (s *board) plain(st *upkeep.Status, statements, touches, calls int) {
	var dirty int64
	var lag time.Duration
	for _, c := range st.Syncs {
		dirty += unsynced(c)
		lag = max(lag, c.Oldest)
	}
	last := ""
	if n := len(s.recent); n > 0 {
		last = "; last: " + s.recent[n-1]
	}
	fmt.Fprintf(s.Out, "%d statements, %d touches, %d calls, %d groups dirty, lag %s%s\n", statements, touches, calls, dirty, moment.Span(lag), last)
}

// table has a line for each sync.
func table(st *upkeep.Status) []string {
	rows := [][]string{{"sync", "groups", "dirty", "lag", "calls", "saved", ""}}
	for _, c := range st.Syncs {
		note := ""
		if c.Waiting > 0 {
			note = fmt.Sprintf("%d waiting", c.Waiting)
		}
		if c.Parked > 0 {
			note = strings.TrimPrefix(note+fmt.Sprintf(", %d PARKED", c.Parked), ", ")
		}
		rows = append(rows, []string{c.Sync, screen.Digits(c.Groups), screen.Digits(unsynced(c)), moment.Span(c.Oldest), screen.Digits(c.Calls), screen.Digits(c.Saved), note})
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
