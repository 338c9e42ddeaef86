// Package upkeeptest tests a sync: rows in, record out.
//
// The engine and the triggers are the real ones, on a SQLite file of the
// test's own, and the remote is in memory. There is no server to start and
// nothing to wait for:
//
//	db := upkeeptest.New(t, schema, customer, salesOrder)
//	db.Exec(`insert into users (id, name) values (1, 'Ada')`)
//	db.Exec(`insert into orders (id, user_id, state) values (42, 1, 'placed')`)
//	db.Record("sales_order", 42).Want(`{"entity": "customer-1", "state": "placed"}`)
//
// Between the calls of a [DB] the engine rests, so that a test sees every
// step and leaves nothing running. The functions of a sync alone need no
// package: call its Translate with a struct.
package upkeeptest

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/internal/store"
	"github.com/upkeep-sync/upkeep/sqlite"
)

const (
	// patience is how long the engine may take to come to rest.
	patience = 20 * time.Second
	// drain is how long the end of the test waits for a call that hangs.
	drain = time.Second
)

// DB is a database with the syncs under test. Its methods end the test when
// something fails. It is for one goroutine.
type DB struct {
	// SQL is the database as an application has it, for code under test that
	// takes a connection. Foreign keys are enforced, as PostgreSQL does it; with
	// SQLite an application asks for that itself (_pragma=foreign_keys(1)).
	SQL *sql.DB
	// Engine is the engine, for all that has no method here: Explain, Retry,
	// Verify, Register. It works while a method of the DB runs, or a call of the
	// engine's waits for it (Verify, Audit, Quiet), and rests otherwise.
	Engine *upkeep.Engine
	// Remote has the records, and can be told to refuse them.
	Remote *memory.Remote

	t     testing.TB
	clock *clock
	keys  map[string]int // how many columns the primary key of each sync has
}

// New makes an empty SQLite database with the schema, which is SQL, and
// installs the syncs there. Syncs that they refer to must be given too. All
// are sent to a remote in memory, whatever remote they were declared with, if
// any; what the connection of that one refuses before it asks its remote
// ([connector.Foreseer]) is refused here too. A reference stands in a record as
// the external id of what it refers to.
func New(t testing.TB, schema string, syncs ...upkeep.AnySync) *DB {
	t.Helper()
	path := filepath.Join(t.TempDir(), "test.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// The folder has the test's name in it, which may have a # of a subtest.
	app, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=foreign_keys(1)&_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = app.Close() })
	if _, err := app.Exec(schema); err != nil {
		t.Fatalf("schema: %v", err)
	}
	database, err := sqlite.Open(path, sqlite.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = database.Close() })
	return On(t, database, app, syncs...)
}

// On is New on a database that the caller made, with its tables: a PostgreSQL,
// for instance, for what SQLite does not have. Both arguments lead to the same
// database. The engine works until the test and its subtests are over, so close
// them with t.Cleanup, before the call of On: a deferred Close comes too early,
// which is logged.
func On(t testing.TB, database upkeep.Database, app *sql.DB, syncs ...upkeep.AnySync) *DB {
	t.Helper()
	db := &DB{SQL: app, Remote: memory.New(memory.Config{}), t: t, clock: newClock(), keys: map[string]int{}}
	refuses := map[string][]connector.Foreseer{}
	to := &upkeep.Remote{Name: "test", Connection: connect(db.Remote, refuses)}
	mappings := make([]upkeep.AnySync, len(syncs))
	for i, s := range syncs {
		m, err := s.Declaration()
		if err != nil {
			t.Fatal(err)
		}
		if m.To != nil {
			if f, can := m.To.Connection.(connector.Foreseer); can && !slices.Contains(refuses[m.Record], f) {
				refuses[m.Record] = append(refuses[m.Record], f)
			}
		}
		m.To = to
		mappings[i] = *m
		if m.From == nil {
			continue // New says so
		}
		if info, err := database.Table(t.Context(), store.ParseTable(m.From.Table)); err == nil { // else Install says so
			db.keys[m.Name] = len(info.Key)
		}
	}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	var err error
	if db.Engine, err = upkeep.New(upkeep.Config{Database: database, Syncs: mappings, Logger: log, Clock: db.clock, Drain: drain}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := db.Engine.Install(ctx); err != nil {
		cancel()
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- db.Engine.Run(context.WithValue(ctx, ofEngine{}, true)) }()
	t.Cleanup(func() {
		if _, err := database.Secret(ctx); err != nil {
			t.Logf("the database is gone before the engine has ended (%v): close it with t.Cleanup, before the call of upkeeptest.On", err)
		}
		cancel()
		db.clock.end()
		if err := <-done; err != nil {
			t.Errorf("the engine ended: %v", err)
		}
	})
	return db
}

// Exec runs SQL as the application would.
func (db *DB) Exec(query string, args ...any) {
	db.t.Helper()
	if _, err := db.SQL.Exec(query, args...); err != nil {
		db.t.Fatalf("%s: %v", query, err)
	}
}

// Settle lets the engine work until nothing is left to do. Groups that are
// parked, or wait for a record that does not come, do not count. The other
// methods call it.
func (db *DB) Settle() {
	db.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	db.clock.wake()
	defer db.clock.rest()
	if err := db.Engine.Quiet(ctx, nil); err != nil {
		status, _ := db.Engine.Status(context.Background())
		db.t.Fatalf("the engine did not come to rest: %v\n%+v", err, status)
	}
}

// Touched lists the groups that the changes in f touch, as "sales_order/42",
// sorted: those that the engine loads again because of them. A change of a
// column that no sync reads touches none.
func (db *DB) Touched(f func()) []string {
	db.t.Helper()
	before := db.generations()
	f()
	var touched []string
	for id, generation := range db.generations() {
		if generation > before[id] {
			touched = append(touched, id.String())
		}
	}
	slices.Sort(touched)
	return touched
}

// generations tells how often each group was touched by rows.
func (db *DB) generations() map[upkeep.ID]int64 {
	db.t.Helper()
	db.Settle()
	all := map[upkeep.ID]int64{}
	for _, g := range db.groups() {
		if g.Cause.Op != "reference" && g.Cause.Op != "settle" {
			all[g.ID] = g.Generation
		}
	}
	return all
}

// groups reads the whole registry.
func (db *DB) groups() []upkeep.Group {
	db.t.Helper()
	const page = 1000
	status, err := db.Engine.Status(context.Background())
	if err != nil {
		db.t.Fatal(err)
	}
	var all []upkeep.Group
	for _, s := range status.Syncs {
		for after := (upkeep.ID{}); ; {
			groups, err := db.Engine.Groups(context.Background(), s.Sync, "", after, page)
			if err != nil {
				db.t.Fatal(err)
			}
			all = append(all, groups...)
			if len(groups) < page {
				break
			}
			after = groups[page-1].ID
		}
	}
	return all
}

// Sent lists the calls that the changes in f lead to, sorted, with the fields
// of an update: "create salesOrder sales_order-42", "update customer
// customer-1: email, name". It is empty when every record is as it was.
func (db *DB) Sent(f func()) []string {
	db.t.Helper()
	db.Settle()
	names := map[string]string{}
	for _, r := range db.Remote.Records("") {
		names[r.ID] = r.ExternalID
	}
	db.Remote.Forget()
	f()
	db.Settle()
	var sent []string
	for _, q := range db.Remote.Requests() {
		switch q.Verb {
		case memory.Create, memory.Initialize, memory.Delete, memory.Update:
		default:
			continue
		}
		name := q.ExternalID
		if name == "" {
			name = names[q.RemoteID]
		}
		line := fmt.Sprintf("%s %s %s", q.Verb, q.Type, name)
		if q.Verb == memory.Update {
			line += ": " + strings.Join(slices.Sorted(maps.Keys(q.Fields)), ", ")
		}
		sent = append(sent, line)
	}
	slices.Sort(sent)
	return sent
}
