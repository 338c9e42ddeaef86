package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/pgtest"
)

// heard is an output that is read while it is written.
type heard struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (h *heard) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.b.Write(b)
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.b.String()
}

// A transaction that stays open is in the way of apply, run and uninstall, which
// say so on standard error.
func TestWaitsForATableAreTold(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	url := pgtest.New(t)
	app, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer app.Close(ctx)
	exec := func(sql string) {
		t.Helper()
		if _, err := app.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(`CREATE TABLE things (id integer PRIMARY KEY, name text); INSERT INTO things VALUES (1, 'one'); SET application_name = 'migration'`)
	config := filepath.Join(t.TempDir(), "upkeep.yaml")
	if err := os.WriteFile(config, []byte(strings.Replace(tiny, "sqlite:${DB}", "${DB}", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	env := func(name string) (string, bool) { return url, name == "DB" }
	for _, command := range [][]string{{"apply", "--yes"}, {"uninstall", "--yes"}, {"run"}} {
		exec(`BEGIN; UPDATE things SET name = 'secret'`)
		running, stop := context.WithCancel(ctx)
		var out, log heard
		ended := make(chan int, 1)
		go func() {
			ended <- run(running, append(command, "-c", config), env, strings.NewReader(""), &out, &log)
		}()
		deadline := time.Now().Add(patience)
		for !strings.Contains(log.String(), "waiting for a lock") {
			if time.Now().After(deadline) {
				t.Fatalf("%s says nothing: %s%s", command[0], &out, &log)
			}
			time.Sleep(10 * time.Millisecond)
		}
		for _, want := range []string{"public.things", "(migration), idle in transaction, its transaction open since ", "SELECT pg_terminate_backend(", "200ms at most"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("%s does not say %q: %s", command[0], want, &log)
			}
		}
		if strings.Contains(log.String(), "secret") {
			t.Errorf("%s tells what the transaction does: %s", command[0], &log)
		}
		exec(`COMMIT`)
		if command[0] == "run" {
			stop()
		}
		if status := <-ended; status != statusOK {
			t.Errorf("%s: status %d: %s%s", command[0], status, &out, &log)
		}
		stop()
	}
}
