package postgres_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/upkeep-sync/upkeep/internal/store"
	"github.com/upkeep-sync/upkeep/postgres"
)

// A transaction that stays open and a table that is not vacuumed are found,
// each with what to do about it.
func TestVitalsFindWhatKeepsVacuumOff(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.migrate()
	b.exec(`ALTER TABLE upkeep.groups SET (autovacuum_enabled = false)`)
	tx, err := b.app.Begin(b.ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(b.ctx) }() // it only reads
	if _, err := tx.Exec(b.ctx, `SELECT 1`); err != nil {
		t.Fatal(err)
	}
	v, err := b.db.Vitals(b.ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	for subject, fix := range map[string]string{"process ": "pg_terminate_backend", "upkeep.groups": "RESET (autovacuum_enabled)"} {
		if !slices.ContainsFunc(v.Findings, func(f store.Finding) bool {
			return strings.HasPrefix(f.Subject, subject) && strings.Contains(f.Fix, fix) && f.Message != ""
		}) {
			t.Errorf("nothing is said of %s: %+v", subject, v.Findings)
		}
	}
}

// Where a database has its commits written later, for the application's sake,
// ours are not; a program's own pool is left as it is, and it is said.
func TestCommitsThatMayBeTakenBack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.migrate()
	b.exec(`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$`)
	pool, err := pgxpool.New(b.ctx, b.url)
	b.ok(err)
	t.Cleanup(pool.Close)
	for name, want := range map[string]struct {
		db   *postgres.DB
		said bool
	}{"a connection of ours": {open(t, b.url), false}, "a program's pool": {postgres.New(pool), true}} {
		v, err := want.db.Vitals(b.ctx, time.Hour)
		b.ok(err)
		said := slices.ContainsFunc(v.Findings, func(f store.Finding) bool {
			return f.Subject == "synchronous_commit" && strings.Contains(f.Fix, "SET synchronous_commit = on")
		})
		if said != want.said {
			t.Errorf("%s: findings %+v", name, v.Findings)
		}
	}
}
