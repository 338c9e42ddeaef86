package postgres_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/internal/store"
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
