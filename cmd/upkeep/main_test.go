package main

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep"
)

const tiny = `
source: sqlite:${DB}
remotes:
  here: {connector: memory}
syncs:
  thing: {from: {table: things}, to: here, record: thing, fields: {name: name}}
`

// tinyShop makes a database and a configuration, and returns the arguments
// and the environment that lead to them.
func tinyShop(t *testing.T) (config string, env func(string) (string, bool)) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "tiny.db")
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`CREATE TABLE things (id integer PRIMARY KEY, name text); INSERT INTO things VALUES (1, 'one')`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	config = filepath.Join(dir, "upkeep.yaml")
	if err := os.WriteFile(config, []byte(tiny), 0o600); err != nil {
		t.Fatal(err)
	}
	return config, func(name string) (string, bool) { return file, name == "DB" }
}

func TestWatchLooksUntilInterrupted(t *testing.T) {
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
		ended <- run(ctx, []string{"status", "--watch", "--every", "100ms", "--json", "-c", config}, env, strings.NewReader(""), w, &log)
		_ = w.Close()
	}()
	lines := bufio.NewScanner(r)
	for range 3 {
		if !lines.Scan() {
			t.Fatalf("the watch ended by itself: %s", &log)
		}
		var look struct{ Syncs []struct{ Clean int } }
		if err := json.Unmarshal(lines.Bytes(), &look); err != nil || len(look.Syncs) != 1 || look.Syncs[0].Clean != 1 {
			t.Fatalf("a look is %s (%v)", lines.Bytes(), err)
		}
	}
	interrupt()
	go func() { _, _ = io.Copy(io.Discard, r) }()
	select {
	case status := <-ended:
		if status != statusOK {
			t.Errorf("an interrupted watch has status %d: %s", status, &log)
		}
	case <-time.After(patience):
		t.Error("an interrupted watch goes on")
	}
}

func TestTreeShowsACompositeOnLinesOfItsOwn(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	lines := make([]upkeep.Row, treeRows+2)
	for i := range lines {
		lines[i] = upkeep.Row{"qty": int64(i)}
	}
	tree{&b}.row(upkeep.Row{
		"total":   decimal.RequireFromString("9.50"),
		"note":    "two\nlines \x1b[31m",
		"day":     upkeep.Date{Year: 2026, Month: 11, Day: 23},
		"at":      time.Date(2026, 11, 23, 10, 0, 0, 5000, time.UTC),
		"photo":   []byte("1234"),
		"extra":   map[string]any{"a": []any{json.Number("1")}},
		"nothing": nil,
		"long":    strings.Repeat("é", 300),
		"billing": upkeep.Row(nil),
		"user":    upkeep.Row{"name": "Ada"},
		"lines":   lines,
	}, 1)
	got := b.String()
	for _, want := range []string{
		"  at: 2026-11-23T10:00:00.000005Z\n", "  day: 2026-11-23\n", "  extra: {\"a\":[1]}\n", "  note: \"two\\nlines \\x1b[31m\"\n",
		"  nothing: null\n", "  photo: 4 bytes\n", "  total: 9.5\n", "  billing: none\n", "  user\n    name: \"Ada\"\n",
		"  lines: 52\n    - 1\n      qty: 0\n", "    - 50\n      qty: 49\n", "    ... and 2 more\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the tree lacks %q", want)
		}
	}
	if strings.Contains(got, "\x1b") || strings.Contains(got, strings.Repeat("é", valueMost)) {
		t.Error("the tree has what could steer a terminal, or a value uncut")
	}
	if t.Failed() {
		t.Log(got)
	}
}

func TestOneLineKeepsARemotesWordsHarmless(t *testing.T) {
	t.Parallel()
	if got, want := oneLine("a\r\n\tb\x1b[2Jc\u009bd"), "a b [2Jc d"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestProgressMakesWayForALog(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	silent := newProgress(&b)
	silent.say("hidden")
	silent.done()
	if b.Len() > 0 {
		t.Errorf("progress was written to a pipe: %q", b.String())
	}
	p := &progress{w: &b, live: true, width: 8}
	p.say("0123456789")
	p.say("0123456789")
	if _, err := p.Write([]byte("log\n")); err != nil {
		t.Fatal(err)
	}
	p.say("x")
	p.done()
	p.done()
	if got, want := b.String(), "\r\x1b[K0123456\r\x1b[Klog\n\r\x1b[Kx\r\x1b[K"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
