package postgres_test

import (
	"slices"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// A record that fails in the middle leaves nothing behind: no result, no open
// transaction, and no connection that has to be made anew.
func TestRecordThatFails(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.migrate()
	b.exec(`INSERT INTO upkeep.groups (sync, key, due_at) SELECT 's', n::text, now() FROM generate_series(1, 3) n`)
	claims, err := b.db.Claim(b.ctx, store.ClaimRequest{Holder: "h", Lease: time.Minute, Limit: 3, Syncs: []store.ClaimSync{{Sync: "s"}}})
	b.ok(err)
	var results []store.Result
	for _, c := range claims {
		results = append(results, store.Result{ID: c.ID, Epoch: c.Epoch, Generation: c.Generation, Outcome: store.Synced, RemoteID: "r" + c.Key,
			Calls: 1, Attempt: &store.Attempt{Action: "create", Outcome: "ok"}})
	}
	const (
		sessions = `SELECT pid::text || ' ' || state FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'upkeep' ORDER BY 1`
		state    = `SELECT concat_ws(' ', key, holder, synced_generation, remote_id) FROM upkeep.groups ORDER BY key`
	)
	before := b.query(sessions)
	b.exec(`ALTER TABLE upkeep.attempts ADD CONSTRAINT never CHECK (false) NOT VALID`)
	for range 3 {
		if _, err := b.db.Record(b.ctx, results, nil); err == nil {
			t.Fatal("the history can't be written, and the record says nothing")
		}
	}
	b.equal("groups", b.query(state), "1 h 0 ", "2 h 0 ", "3 h 0 ")
	b.equal("sessions", b.query(sessions), before...)
	b.exec(`ALTER TABLE upkeep.attempts DROP CONSTRAINT never`)
	stale, err := b.db.Record(b.ctx, results, nil)
	b.ok(err)
	if len(stale) > 0 {
		t.Errorf("stale: %v", stale)
	}
	b.equal("groups", b.query(state), "1 1 r1", "2 1 r2", "3 1 r3")
	b.equal("calls", b.query(`SELECT calls::text FROM upkeep.syncs`), "3")
}

// equal compares lines.
func (b *bench) equal(what string, got []string, want ...string) {
	b.t.Helper()
	if !slices.Equal(got, want) {
		b.t.Errorf("%s are %q, want %q", what, got, want)
	}
}
