package demo

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/netsuite/netsuitetest"
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
			out := &until{pattern: regexp.MustCompile(`the application did [1-9][0-9]+ things`), then: stop}
			inSync, err := Run(ctx, Config{Source: source, Scale: scale, Connectors: connectors(), Out: out, Terminal: true, Size: func() (int, int) { return 80, 60 }})
			if err != nil || !inSync {
				t.Fatalf("in sync %v, %v", inSync, err)
			}
			lines := visible(out.text.String())
			shown := strings.Join(lines, "\n")
			// What is left on the screen is the beginning and the summary.
			if want := regexp.MustCompile(`(?s)^The shop: .*\nBackfill: 180 groups in .*\nThe application goes on .*\n` +
				`sync +groups +dirty +lag +calls +saved\ncustomer +\d+ +0 +0s .*\n[\d,]+ calls for [\d,]+ touches; the application did \d+ things in \d+ statements\.\n$`); !want.MatchString(shown) {
				t.Errorf("on the screen:\n%s", shown)
			}
			if strings.Contains(shown, "Ctrl-C") || strings.Contains(shown, "[█") {
				t.Errorf("the picture is still there:\n%s", shown)
			}
		})
	}
}

// A remote that hangs keeps nobody from leaving, and what did not go out is
// told. What to try is told in a pipe, too; what verify reads counts as no call.
func TestStopWhileTheRemoteHangs(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var d *demo
	out := &until{pattern: regexp.MustCompile(`touch(es)?, [1-9][0-9]* calls?, [0-9]+ groups? dirty`), then: func() {
		d.account.Heal() // of the latency, which counts as a fault
		d.account.ResetStats()
		if err := d.account.Fail(netsuitetest.Fault{Kind: netsuitetest.Hang}); err != nil {
			t.Error(err)
		}
		go func() {
			defer stop()
			for d.account.Stats().Faulted == 0 && ctx.Err() == nil {
				pause(ctx, 10*time.Millisecond)
			}
		}()
	}}
	if _, err := Run(ctx, Config{Scale: scale, Connectors: connectors(), Out: out, leave: 2 * time.Second, started: func(running *demo) { d = running }}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"explain sales_order 42", "/sandbox/faults -d", "within 2s; signal again", "Not all of it went out in that time"} {
		if !strings.Contains(out.text.String(), want) {
			t.Errorf("nothing says %q:\n%s", want, out.text.String())
		}
	}
}

// Somebody tries an edited configuration on the demo's shop: that process sends, and
// the demo goes on being the application and the remote.
func TestAnotherConfiguration(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var d *demo
	edited := make(chan error, 1)
	out := &until{pattern: regexp.MustCompile(`The application goes on`), then: func() {
		go func() {
			err := d.installEdited(ctx)
			edited <- err
			if err != nil {
				stop()
			}
		}()
	}}
	again := &until{pattern: regexp.MustCompile(`(?s)Another configuration was installed.*\n.* groups? dirty`), then: stop}
	inSync, err := Run(ctx, Config{Scale: scale, Connectors: connectors(), Out: io.MultiWriter(out, again), leave: 2 * time.Second, started: func(running *demo) { d = running }})
	if failed := <-edited; failed != nil || err != nil || !inSync {
		t.Fatalf("in sync %v, %v, %v\n%s", inSync, err, failed, out.text.String())
	}
}

// installEdited does what upkeep apply does with a copy of the demo's configuration
// that leaves a field out.
func (d *demo) installEdited(ctx context.Context) error {
	text, err := os.ReadFile(d.file)
	if err != nil {
		return err
	}
	other := &demo{Config: d.Config, file: filepath.Join(d.dir, "edited.yaml")}
	if err := os.WriteFile(other.file, regexp.MustCompile(`(?m)^ +email: email\n`).ReplaceAll(text, nil), 0o600); err != nil {
		return err
	}
	db, err := d.place.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	remotes, err := other.makeEngine(ctx, db, io.Discard)
	for _, r := range remotes {
		defer r.Connection.Close()
	}
	if err != nil {
		return err
	}
	return other.engine.Install(ctx)
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
	width := 40
	s := &board{Screen: screen.Screen{Out: &out}, terminal: true, size: func() (int, int) { return width, 30 }}
	s.did("a very long description of what was done by the application")
	st := &upkeep.Status{Syncs: []upkeep.Counts{{Sync: "customer", Groups: 1234567, Dirty: 2, Claimed: 1, Parked: 3, Oldest: 1500 * time.Millisecond}}}
	for _, width = range []int{40, 20, 120} { // the window changes
		s.live(st, "/tmp/upkeep.yaml", tally{things: 1234, statements: 2000, touches: 17989, calls: 1100})
		shown, longest := visible(out.String()), 0
		for _, l := range shown {
			longest = max(longest, len([]rune(l)))
		}
		if longest >= width || longest < 20-1 || width == 120 && longest < 60 {
			t.Errorf("%d columns are shown of %d: %q", longest, width, shown)
		}
		if s := (tally{things: 1, statements: 1, touches: 1, calls: 1}).String(); s != "1 call for 1 touch; the application did 1 thing in 1 statement." {
			t.Error(s)
		}
		if width == 40 && !strings.Contains(strings.Join(shown, "\n"), "1,100 calls for 17,989 touches") {
			t.Errorf("the figures that count are cut: %q", shown)
		}
	}
	if got := table(&upkeep.Status{Syncs: []upkeep.Counts{{Sync: "customer", Groups: 1234567, Dirty: 2, Claimed: 1, Parked: 3, Oldest: 1500 * time.Millisecond}}})[1]; got != "customer       1,234,567        3     1.5s        0        0  3 PARKED" {
		t.Errorf("%q", got)
	}
}

// Nothing goes out: the picture, and the lines in a pipe, say why.
func TestScreenTellsWhyNothingGoesOut(t *testing.T) {
	t.Parallel()
	st := &upkeep.Status{
		Syncs: []upkeep.Counts{{Sync: "customer", Groups: 7, Dirty: 2}},
		Remotes: []upkeep.RemoteStatus{{Name: "well"}, {Name: "broken", Broken: true, ProbeIn: 3 * time.Second, Reason: "HTTP 503\nnobody is here"},
			{Name: "tired", PausedFor: time.Second, Reason: "HTTP 429"}},
		Pauses: []upkeep.Pause{{Remote: "closed"}},
	}
	for _, terminal := range []bool{true, false} {
		var out bytes.Buffer
		s := &board{Screen: screen.Screen{Out: &out}, terminal: terminal, size: func() (int, int) { return 120, 40 }}
		s.live(st, "/tmp/upkeep.yaml", tally{})
		for _, want := range []string{"remote broken fails, and is tried again in 3s: HTTP 503 nobody is here", "remote tired is left alone for another 1s: HTTP 429",
			"remote closed is paused; it goes on with: upkeep resume closed"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("terminal %v: nothing says %q:\n%s", terminal, want, &out)
			}
		}
		if strings.Contains(out.String(), "well") {
			t.Errorf("terminal %v: a remote that is well is named:\n%s", terminal, &out)
		}
	}
}
