package demo

import (
	"bytes"
	"context"
	"errors"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/internal/pgtest"
	"github.com/upkeep-sync/upkeep/internal/screen"
)

// until is a writer that calls then once all that was written matches.
type until struct {
	mu      sync.Mutex
	text    bytes.Buffer
	pattern *regexp.Regexp
	then    func()
}

func (u *until) Write(b []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.text.Write(b)
	if u.then != nil && u.pattern.Match(u.text.Bytes()) {
		u.then()
		u.then = nil
	}
	return len(b), nil
}

// visible is what a terminal shows in the end, if it never scrolls.
func visible(text string) []string {
	lines, at := []string{""}, 0
	for len(text) > 0 {
		switch m := escape.FindStringSubmatch(text); {
		case m != nil && m[2] == "A":
			n := 0
			for _, digit := range m[1] {
				n = 10*n + int(digit-'0')
			}
			at -= n
			text = text[len(m[0]):]
		case m != nil && m[2] == "J":
			lines = append(lines[:at], "")
			text = text[len(m[0]):]
		case m != nil: // K: the whole line
			lines[at] = ""
			text = text[len(m[0]):]
		case text[0] == '\n':
			if at++; at == len(lines) {
				lines = append(lines, "")
			}
			text = text[1:]
		case text[0] == '\r':
			text = text[1:]
		default:
			end := strings.IndexAny(text, "\x1b\n\r")
			if end < 0 {
				end = len(text)
			}
			lines[at] += text[:end]
			text = text[end:]
		}
	}
	return lines
}

var escape = regexp.MustCompile(`^\x1b\[([0-9]*)([AJK])`)

func TestLive(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]string{"SQLite": "", "PostgreSQL": pgtest.New(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			out := &until{pattern: regexp.MustCompile(`The application did [1-9][0-9]+ things`), then: stop}
			inSync, err := Run(ctx, Config{Source: source, Scale: scale, Connectors: connectors(), Out: out, Terminal: true, Width: 60})
			if err != nil || !inSync {
				t.Fatalf("in sync %v, %v", inSync, err)
			}
			lines := visible(out.text.String())
			shown := strings.Join(lines, "\n")
			// What is left on the screen is the beginning and the summary.
			if want := regexp.MustCompile(`(?s)^The shop: .*\nBackfill: 180 groups in .*\nThe application goes on .*\n` +
				`sync +groups +dirty +lag +calls +saved\ncustomer +\d+ +0 +0s .*\nThe application did \d+ things in \d+ statements: .*\n$`); !want.MatchString(shown) {
				t.Errorf("on the screen:\n%s", shown)
			}
			if strings.Contains(shown, "Ctrl-C") || strings.Contains(shown, "[█") {
				t.Errorf("the picture is still there:\n%s", shown)
			}
		})
	}
}

// TestInterrupted ends a run early: nothing is left.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	tmp := t.TempDir()
	for _, after := range []string{`The configuration: `, `Backfill: 90 of`, `Backfill: 180 groups`} {
		ctx, stop := context.WithCancel(t.Context())
		out := &until{pattern: regexp.MustCompile(after), then: stop}
		inSync, err := Run(ctx, Config{Once: true, Scale: scale, Connectors: connectors(), Out: out, under: tmp})
		if !errors.Is(err, errInterrupted) || inSync {
			t.Errorf("after %q: in sync %v, %v", after, inSync, err)
		}
		left, err := os.ReadDir(tmp)
		if err != nil || len(left) > 0 {
			t.Errorf("after %q these were left: %v %v", after, left, err)
		}
		stop()
	}
}

func TestScreenCutsLines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := &board{Screen: screen.Screen{Out: &out, Width: 20}, terminal: true}
	s.did("a very long description of what was done")
	s.live(&upkeep.Status{Syncs: []upkeep.Counts{{Sync: "customer", Groups: 1234567, Dirty: 2, Claimed: 1, Parked: 3, Oldest: 1500 * time.Millisecond}}}, 0, 0, 0)
	for _, l := range visible(out.String()) {
		if n := len([]rune(l)); n >= 20 {
			t.Errorf("%q has %d columns", l, n)
		}
	}
	if got := table(&upkeep.Status{Syncs: []upkeep.Counts{{Sync: "customer", Groups: 1234567, Dirty: 2, Claimed: 1, Parked: 3, Oldest: 1500 * time.Millisecond}}})[1]; got != "customer       1,234,567        3     1.5s        0        0  3 PARKED" {
		t.Errorf("%q", got)
	}
}
