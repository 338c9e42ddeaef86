package postgres_test

import (
	"testing"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// A load keeps no snapshot, and no lock on the application's tables, of a process
// that says nothing any more: it is told so in its first words. (What writes is shown
// by processes that are stopped: internal/prove/crash.)
func TestLoadStandsStill(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE p (id int PRIMARY KEY)`, `CREATE TABLE c (id int PRIMARY KEY, p int)`,
		`INSERT INTO p VALUES (1)`, `INSERT INTO c VALUES (1, 1)`)
	b.migrate()
	s := b.shape("s", table("p"), "id")
	c := b.many(s, "cs", table("c"), "p")
	c.Where = `current_setting('idle_in_transaction_session_timeout') = '10s'`
	found, _, err := b.db.Load(b.ctx, s, []string{"1"})
	b.ok(err)
	if rows := found["1"].Row["cs"].([]store.Row); len(rows) != 1 {
		t.Errorf("%v", found)
	}
}
