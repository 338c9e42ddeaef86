// Package storetest is the conformance suite of [store.Store]. A database
// that passes [Run] can be a source of Upkeep. It runs against a real
// database, as an application and a worker would use it: the application
// writes on a connection of its own, and what the store answers is compared
// with what the application did.
package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Target is one empty database, made for one subtest.
type Target struct {
	// Store is the database under test: opened, not yet migrated.
	Store store.Store
	// Again opens a second Store on the same database, as another process
	// would. The suite closes it.
	Again func(t *testing.T) store.Store
	// Exec runs statements of the application on a connection that is not
	// the Store's. Foreign keys are enforced there.
	Exec func(sql string) error
	// Begin starts a transaction of the application. While it has written
	// and is open the suite calls no method that writes.
	Begin func(t *testing.T) Tx
	// Advance moves the clock that the Store goes by.
	Advance func(d time.Duration)
	// Objects lists every object of the database (schemas, tables, indexes,
	// triggers, functions, types), each once, sorted: to see that nothing
	// is left behind.
	Objects func(t *testing.T) []string
	// DropTrigger drops one of Upkeep's triggers on the table, as a person
	// might.
	DropTrigger func(t *testing.T, table string)
	// Piece is the most groups that rows of members' tables raise in one fold.
	Piece int
	// Reserved: tables whose names begin with upkeep_ are the registry's.
	Reserved bool
	// Row is the SQL of n rows with one integer column n, from 1:
	// "(SELECT ...)", to be used in FROM.
	Row func(n int) string
}

// Tx is a transaction of the application.
type Tx interface {
	Exec(sql string) error
	Commit() error
	Rollback() error
	// Handle is what [store.Log.Append] takes: *sql.Tx or pgx.Tx.
	Handle() any
}

// test is one named case; it gets a fresh database with the shop in it.
type test struct {
	name string
	run  func(e *env)
}

// Run runs the whole suite. open makes an empty database for one subtest and
// cleans up after it.
func Run(t *testing.T, open func(t *testing.T) *Target) {
	for _, stage := range []struct {
		name  string
		tests []test
	}{
		{"catalog", catalogTests()},
		{"fragment", fragmentTests()},
		{"install", installTests()},
		{"capture", captureTests()},
		{"paths", pathTests()},
		{"names", nameTests()},
		{"fold", foldTests()},
		{"isolate", isolateTests()},
		{"hand", handTests()},
		{"claim", claimTests()},
		{"doubt", doubtTests()},
		{"record", recordTests()},
		{"waiting", waitingTests()},
		{"graph", graphTests()},
		{"status", statusTests()},
		{"load", loadTests()},
		{"values", valueTests()},
		{"backfill", backfillTests()},
		{"limits", limitTests()},
		{"pause", pauseTests()},
		{"deletes", deleteTests()},
		{"clash", clashTests()},
		{"skip", skipTests()},
		{"job", jobTests()},
		{"vitals", vitalTests()},
		{"notes", noteTests()},
		{"interventions", interventionTests()},
		{"forget", forgetTests()},
		{"preview", previewTests()},
		{"keys", keyTests()},
		{"command", commandTests()},
	} {
		t.Run(stage.name, func(t *testing.T) {
			for _, c := range stage.tests {
				t.Run(c.name, func(t *testing.T) {
					c.run(newEnv(t, open(t)))
				})
			}
		})
	}
}

// newEnv migrates the target and makes the shop.
func newEnv(t *testing.T, target *Target) *env {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	e := &env{t: t, Target: target, ctx: ctx, seen: map[store.ID]int64{}}
	e.exec(shopTables...)
	e.ok(target.Store.Migrate(ctx))
	return e
}
