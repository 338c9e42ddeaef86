package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// A person asks for a sweep while a pass, which has locked the sync, and a worker
// that is to write to it wait for each other. The sweep stands between the two in
// the queue and is the first to look whether they go in a circle, so it is the
// one that loses. It tries again.
func TestStartBackfillLosesAgainstWorkers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.migrate()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	b.exec(`INSERT INTO upkeep.syncs (sync) VALUES ('a'), ('b')`)
	for try := 0; ; try++ {
		if ctx.Err() != nil {
			t.Fatalf("in %d tries the sweep never lost", try)
		}
		if b.losing(ctx) {
			return
		}
	}
}

// A person asks for a sweep while a pass waits for a group that somebody records: it
// waits for neither, and the piece that was under way is undone.
func TestSweepIsAskedForBesideAPass(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.migrate()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	b.exec(`CREATE TABLE t (id integer PRIMARY KEY, v text)`, `INSERT INTO t VALUES (1, 'a'), (2, 'b')`)
	s := b.shape("s", store.Table{Name: "t"}, "v")
	b.install(s)
	pass := func() bool {
		more, err := b.db.Backfill(ctx, s, 10)
		b.ok(err)
		return more
	}
	b.ok(b.db.StartBackfill(ctx, "s", "v", true, false))
	for pass() {
	}
	b.ok(b.db.StartBackfill(ctx, "s", "v", true, false))
	recording := b.worker(ctx, "1h")
	b.ok(recording(`SELECT FROM upkeep.groups FOR UPDATE`))
	ended := make(chan error, 1)
	go func() {
		more, err := b.db.Backfill(ctx, s, 10)
		if err == nil && !more {
			err = errors.New("the pass is over, though another one was asked for")
		}
		ended <- err
	}()
	b.waits(ctx, "%upkeep.groups%")
	b.ok(b.db.StartBackfill(ctx, "s", "v", true, true))
	b.ok(recording(`UPDATE upkeep.syncs SET saved = saved + 1`)) // as who records does, and no circle
	b.ok(recording(`COMMIT`))
	b.ok(<-ended)
	b.equal("the groups before the new pass", b.query(`SELECT DISTINCT generation || ' ' || forced_generation FROM upkeep.groups`), "1 0")
	for pass() {
	}
	b.equal("and after it", b.query(`SELECT count(*)::text FROM upkeep.groups WHERE forced_generation > 1`), "2")
}

// losing starts a sweep that loses, and says whether it did: on a machine that
// is busy it may look before the circle is closed.
func (b *bench) losing(ctx context.Context) (lost bool) {
	b.t.Helper()
	one, two := b.worker(ctx, "1h"), b.worker(ctx, "3s") // what is left of the circle ends by itself
	b.ok(one(`SELECT FROM upkeep.syncs WHERE sync = 'b' FOR UPDATE`))
	b.ok(two(`UPDATE upkeep.syncs SET saved = saved + 1 WHERE sync = 'a'`))
	sweep, ended := make(chan error, 1), make(chan error, 2)
	go func() { sweep <- b.db.StartBackfill(ctx, "b", "v", true, false) }()
	began := b.waits(ctx, "%started_at = excluded.started_at%")
	go func() {
		ended <- errors.Join(two(`UPDATE upkeep.syncs SET saved = saved + 2 WHERE sync = 'b'`), two(`ROLLBACK`))
	}()
	b.waits(ctx, "%saved + 2%")
	go func() {
		ended <- errors.Join(one(`UPDATE upkeep.syncs SET saved = saved + 3 WHERE sync = 'a'`), one(`COMMIT`))
	}()
	for len(ended) < 2 && ctx.Err() == nil {
		if at := b.since("%started_at = excluded.started_at%"); at != "" && at != began {
			lost = true // it tries again
		}
		<-time.After(2 * time.Millisecond)
	}
	if err := <-sweep; err != nil {
		b.t.Fatalf("a sweep that lost: %v", err)
	}
	for range 2 {
		if err := <-ended; err != nil && !strings.Contains(err.Error(), "deadlock detected") {
			b.t.Fatal(err)
		}
	}
	return lost
}

// worker is a connection in a transaction, which looks for deadlocks after so long.
func (b *bench) worker(ctx context.Context, patience string) (exec func(sql string) error) {
	b.t.Helper()
	c, err := pgx.Connect(ctx, b.url)
	b.ok(err)
	b.t.Cleanup(func() { _ = c.Close(b.ctx) })
	exec = func(sql string) error { _, err := c.Exec(ctx, sql); return err }
	b.ok(exec(`SET deadlock_timeout = '` + patience + `'`))
	b.ok(exec(`BEGIN`))
	return exec
}

// waits waits until a statement waits for a lock, and says since when it is made.
func (b *bench) waits(ctx context.Context, statement string) (began string) {
	b.t.Helper()
	for began == "" {
		if ctx.Err() != nil {
			b.t.Fatalf("nothing waits: %s", statement)
		}
		<-time.After(2 * time.Millisecond)
		began = b.since(statement)
	}
	return began
}

// since is when a statement began that waits for a lock; empty if none does.
func (b *bench) since(statement string) string {
	b.t.Helper()
	return strings.Join(b.query(`SELECT query_start::text FROM pg_stat_activity
		WHERE datname = current_database() AND wait_event_type = 'Lock' AND pid <> pg_backend_pid() AND query LIKE $1`, statement), "")
}

// An application that has a partitioned table, and then writes to a partition of it,
// goes from the parent down. So do who releases the partition and who puts triggers
// on it, also on one that is older than its parent: while they wait for the parent
// they have nothing that the application comes to next.
func TestPartitionsAreLockedFromTheParentDown(t *testing.T) {
	t.Parallel()
	const release = `SELECT upkeep.release('"Klinik A"."messung 2025"'); `
	for name, test := range map[string]struct {
		installed bool
		before    string
		migration string // empty: a worker installs
		waits     string
	}{
		"release":       {true, `SELECT`, release, "%upkeep.release%"},
		"release again": {true, release, release + `ALTER TABLE "Klinik A".messung DETACH PARTITION "Klinik A"."messung 2025"; `, "%upkeep.release%"},
		"install":       {false, `SELECT`, "", "CREATE TRIGGER%"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
			defer cancel()
			b.exec(`CREATE SCHEMA "Klinik A"`,
				`CREATE TABLE "Klinik A"."messung 2025" (id int PRIMARY KEY, v text)`,
				`CREATE TABLE "Klinik A".messung (id int PRIMARY KEY, v text) PARTITION BY RANGE (id)`,
				`CREATE TABLE "Klinik A"."messung 2024" PARTITION OF "Klinik A".messung FOR VALUES FROM (0) TO (100)`,
				`ALTER TABLE "Klinik A".messung ATTACH PARTITION "Klinik A"."messung 2025" FOR VALUES FROM (100) TO (200)`)
			b.migrate()
			s := b.shape("s", store.Table{Schema: "Klinik A", Name: "messung"}, "v")
			if test.installed {
				b.install(s)
			}
			b.exec(test.before)
			application := b.worker(ctx, "10ms") // the first to look for a circle
			b.ok(application(`UPDATE "Klinik A".messung SET v = 'a' WHERE id = 1`))
			migration := b.worker(ctx, "1h")
			ended := make(chan error, 1)
			go func() {
				if test.migration == "" {
					ended <- b.db.Install(ctx, []*store.Shape{s}, plan, "")
					return
				}
				ended <- migration(test.migration + "COMMIT")
			}()
			b.waits(ctx, test.waits)
			if err := application(`INSERT INTO "Klinik A".messung VALUES (101, 'b')`); err != nil {
				t.Errorf("a write of the application fails: %v", err)
			}
			_ = application(`COMMIT`)
			b.ok(<-ended)
		})
	}
}
