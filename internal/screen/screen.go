// Package screen draws a picture of lines on a terminal, again and again in
// its place.
package screen

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
)

// Screen is a terminal. Set Out; the methods may be called from any goroutine,
// the fields set between calls only.
type Screen struct {
	Out    io.Writer
	Width  int  // in columns; 0: unknown, and nothing is cut
	Height int  // in lines; 0: unknown, and nothing is left out
	Raw    bool // the terminal is in raw mode: it does not return by itself at a line's end

	mu    sync.Mutex
	drawn int // lines of the picture
}

// Say prints a line for good, above the picture.
func (s *Screen) Say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drawn > 0 {
		fmt.Fprintf(s.Out, "\r\x1b[%dA\x1b[J", s.drawn)
		s.drawn = 0
	}
	fmt.Fprintf(s.Out, format+s.end(), args...)
}

// Draw replaces the picture. Lines that are too long are cut, as a wrapped
// line would spoil the counting, and so would lines below the last.
func (s *Screen) Draw(lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Height > 1 && len(lines) >= s.Height {
		lines = lines[:s.Height-1]
	}
	var b strings.Builder
	if s.drawn > 0 {
		fmt.Fprintf(&b, "\r\x1b[%dA", s.drawn)
	}
	for _, l := range lines {
		if s.Width > 1 && Columns(l) >= s.Width {
			l = Cut(l, s.Width-2) + "…"
		}
		b.WriteString("\x1b[2K" + l + s.end())
	}
	b.WriteString("\x1b[J")
	_, _ = io.WriteString(s.Out, b.String()) // a terminal that is gone shows nothing
	s.drawn = len(lines)
}

func (s *Screen) end() string {
	if s.Raw {
		return "\r\n"
	}
	return "\n"
}

const barWidth = 30

// Bar shows how much of total is done; full when there is nothing to do.
func Bar(done, total int64) string {
	full := barWidth
	if total > 0 {
		full = int(max(0, min(done, total)) * barWidth / total)
	}
	return "[" + strings.Repeat("█", full) + strings.Repeat("·", barWidth-full) + "]"
}

// Digits writes a number with a comma before each thousand.
func Digits(n int64) string {
	s := strconv.FormatInt(n, 10)
	first := 0
	if n < 0 {
		first = 1
	}
	for i := len(s) - 3; i > first; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
