package demo

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/upkeep-sync/upkeep"
)

// screen shows how things go: on a terminal a picture that is drawn again in
// its place, elsewhere plain lines.
type screen struct {
	out      io.Writer
	terminal bool
	width    int // of the terminal, in columns

	mu     sync.Mutex
	drawn  int // lines of the picture on the terminal
	recent []string
	total  int // of what the application did
}

const (
	recentMost = 8
	barWidth   = 30
)

// say prints a line for good, above the picture.
func (s *screen) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	fmt.Fprintf(s.out, format+"\n", args...)
}

// did notes what the application just did.
func (s *screen) did(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total++
	s.recent = append(s.recent, what)
	if len(s.recent) > recentMost {
		s.recent = s.recent[1:]
	}
}

// erase takes the picture away.
func (s *screen) erase() {
	if s.drawn > 0 {
		fmt.Fprintf(s.out, "\r\x1b[%dA\x1b[J", s.drawn)
		s.drawn = 0
	}
}

// draw replaces the picture. Lines that are too long are cut, as a wrapped
// line would spoil the counting.
func (s *screen) draw(lines []string) {
	var b strings.Builder
	if s.drawn > 0 {
		fmt.Fprintf(&b, "\r\x1b[%dA", s.drawn)
	}
	for _, l := range lines {
		if r := []rune(l); s.width > 1 && len(r) >= s.width {
			l = string(r[:s.width-2]) + "…"
		}
		b.WriteString("\x1b[2K" + l + "\n")
	}
	b.WriteString("\x1b[J")
	io.WriteString(s.out, b.String())
	s.drawn = len(lines)
}

// progress shows a bar; it is for terminals only.
func (s *screen) progress(what string, done, total int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.terminal {
		return
	}
	s.draw([]string{fmt.Sprintf("%s %s %d of %d", what, bar(done, total), done, total)})
}

func bar(done, total int64) string {
	full := barWidth
	if total > 0 {
		full = int(min(done, total) * barWidth / total)
	}
	return "[" + strings.Repeat("█", full) + strings.Repeat("·", barWidth-full) + "]"
}

// live shows the syncs and what the application did last.
func (s *screen) live(st *upkeep.Status, statements, touches, calls int) {
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
	s.draw(append(lines, "", "Ctrl-C ends it."))
}

func (s *screen) plain(st *upkeep.Status, statements, touches, calls int) {
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
	fmt.Fprintf(s.out, "%d statements, %d touches, %d calls, %d groups dirty, lag %s%s\n", statements, touches, calls, dirty, short(lag), last)
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
		rows = append(rows, []string{c.Sync, digits(c.Groups), digits(unsynced(c)), short(c.Oldest), digits(c.Calls), digits(c.Saved), note})
	}
	var out []string
	for _, r := range rows {
		out = append(out, strings.TrimRight(fmt.Sprintf("%-14s %8s %8s %8s %8s %8s  %s", r[0], r[1], r[2], r[3], r[4], r[5], r[6]), " "))
	}
	return out
}

// unsynced is how many groups the remote does not have as they are.
func unsynced(c upkeep.Counts) int64 { return c.Dirty + c.Claimed + c.InDoubt }

// digits writes a number with a comma before each thousand.
func digits(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// short is a duration for people.
func short(d time.Duration) string {
	switch {
	case d <= 0:
		return "-"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}
