package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"

	"golang.org/x/term"

	"github.com/upkeep-sync/upkeep/internal/screen"
)

// isTerminal says whether w is a person's terminal, and no file or pipe.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// progress is one line on a terminal that says how far long work is. In a
// pipe it is silent. What is written through it takes the line away first.
type progress struct {
	mu    sync.Mutex
	w     io.Writer
	live  bool
	width int
	shown string
}

func newProgress(w io.Writer) *progress {
	p := &progress{w: w}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.live = true
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			p.width = width
		}
	}
	return p
}

// Write writes b, such as a line of the log, where the progress line was.
func (p *progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	return p.w.Write(b)
}

// say replaces the line.
func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.live {
		return
	}
	s := fmt.Sprintf(format, args...)
	if p.width > 1 {
		s = screen.Cut(s, p.width-1)
	}
	if s == p.shown {
		return
	}
	p.shown = s
	fmt.Fprintf(p.w, "\r\x1b[K%s", s)
}

// done takes the line away.
func (p *progress) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
}

func (p *progress) clear() {
	if p.shown != "" {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = ""
	}
}

// saying is a log whose lines stand in the progress line, for what is worth
// knowing only while it lasts.
type saying struct{ line *progress }

func (s saying) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }

func (s saying) Handle(_ context.Context, r slog.Record) error {
	s.line.say("%s", oneLine(r.Message))
	return nil
}

func (s saying) WithAttrs([]slog.Attr) slog.Handler { return s }

func (s saying) WithGroup(string) slog.Handler { return s }
