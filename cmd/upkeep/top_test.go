package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/internal/screen"
)

func TestTopShowsWhatMoved(t *testing.T) {
	t.Parallel()
	st := &upkeep.Status{
		Pending: 3,
		Syncs: []upkeep.Counts{
			{Sync: "customer", Groups: 12345, Dirty: 2, Claimed: 1, InDoubt: 1, Parked: 5, Waiting: 6, Calls: 100, Saved: 7000, Oldest: 1500 * time.Millisecond},
			{Sync: "order", Groups: 10, Backfill: upkeep.Progress{Running: true, Done: 5, Total: 10}},
		},
		Remotes: []upkeep.RemoteStatus{
			{Name: "netsuite", InUse: 2, Concurrency: 5, Calls: 2, OldestCall: 40 * time.Second},
			{Name: "other", Concurrency: 1, PausedFor: 2 * time.Second, Reason: "asked to\x1b[2J"},
			{Name: "third", Concurrency: 1, Broken: true, ProbeIn: 12 * time.Second},
			{Name: "fourth", Concurrency: 1},
		},
		Pauses: []upkeep.Pause{{Sync: "order", Reason: "month end"}, {Remote: "fourth"}},
	}
	var plain, drawn bytes.Buffer
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, view := range []*top{{out: &plain}, {out: &drawn, database: "sqlite:shop.db", screen: &screen.Screen{Out: &drawn}}} {
		view.blockers = []upkeep.Blocker{{ID: upkeep.ID{Sync: "customer", Key: "8"}, Reason: "no\x1b[2J", Direct: 3, All: 57}}
		for _, calls := range []int64{100, 125} {
			st.Syncs[0].Calls = calls
			if err := view.show(st, now.Add(time.Duration(calls-100)/25*10*time.Second)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, want := range []string{
		"2026-11-23T12:00:00Z sync customer: 12345 groups, 2 dirty, 1 claimed, 1 in doubt, 6 waiting, 5 parked, lag 1.5s, - calls/s, 7000 saved\n",
		"2026-11-23T12:00:10Z sync customer: 12345 groups, 2 dirty, 1 claimed, 1 in doubt, 6 waiting, 5 parked, lag 1.5s, 2.5 calls/s, 7000 saved\n",
		"sync order: 10 groups, 0 dirty, 0 claimed, 0 in doubt, 0 waiting, 0 parked, lag 0s, 0.0 calls/s, 0 saved, backfill 5 of about 10\n",
		"remote netsuite: 2 of 5 slots held, no answer for 40s, 2 calls, the oldest for 40s\n", "remote other: 0 of 1 slots held, paused for 2s: asked to [2J\n", "remote third: 0 of 1 slots held, breaker open, next probe in 12s\n", "remote fourth: 0 of 1 slots held, paused\n",
		"sync order is paused since never: month end; end it with: upkeep resume order\n",
		"2026-11-23T12:00:10Z customer/8 is parked and blocks 3 groups directly, 57 in all: no [2J\n",
	} {
		if !strings.Contains(plain.String(), want) {
			t.Errorf("the lines lack %q:\n%s", want, plain.String())
		}
	}
	for _, want := range []string{"sqlite:shop.db, 3 touches to fold", `12,345 +2 +1 +1 +6 +5 +1\.5s +2\.5 +7,000 +-`, `order +10 +0 .*█·+\] 5 of about 10`,
		`netsuite +2 of 5 +2 calls, the oldest for 40s +no answer for 40s`, `order is paused`, `customer/8 is parked and blocks 3 groups directly`, `q ends it\.`} {
		if !regexp.MustCompile(want).MatchString(drawn.String()) {
			t.Errorf("the picture lacks %q:\n%s", want, drawn.String())
		}
	}
	if strings.Contains(strings.ReplaceAll(drawn.String(), "\x1b[2K", ""), "\x1b[2J") {
		t.Error("a remote's words steer the terminal")
	}
}

func TestTopInAPipeGoesOnUntilInterrupted(t *testing.T) {
	t.Parallel()
	config, env := tinyShop(t)
	var out, log bytes.Buffer
	if status := run(t.Context(), []string{"run", "--once", "-c", config}, env, strings.NewReader(""), &out, &log); status != statusOK {
		t.Fatalf("run --once: status %d\n%s%s", status, &out, &log)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	r, w := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"top", "--every", "100ms", "-c", config}, env, strings.NewReader("q"), w, &log)
		_ = w.Close()
	}()
	lines := bufio.NewScanner(r)
	for _, want := range []string{` sync thing: 1 groups, 0 dirty, .* - calls/s`, ` remote here: \d+ of \d+ slots held, ok$`, ` sync thing: 1 groups, .* 0\.0 calls/s`} {
		if !lines.Scan() || !regexp.MustCompile(want).MatchString(lines.Text()) {
			t.Fatalf("a line is %q, want %s: %s", lines.Text(), want, &log)
		}
	}
	interrupt()
	go func() { _, _ = io.Copy(io.Discard, r) }()
	select {
	case status := <-ended:
		if status != statusOK {
			t.Errorf("an interrupted top has status %d: %s", status, &log)
		}
	case <-time.After(patience):
		t.Error("an interrupted top goes on")
	}
}

func TestKeysThatEndTop(t *testing.T) {
	t.Parallel()
	for keys, want := range map[string]bool{"xyq": true, "Q": true, "a\x03": true, "xyz": false, "": false} {
		stopped := false
		untilQuit(strings.NewReader(keys), func() { stopped = true })
		if stopped != want {
			t.Errorf("%q ends it: %v", keys, stopped)
		}
	}
}
