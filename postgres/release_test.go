package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// A watched column can't be dropped or retyped by mistake, and can be after
// release.
func TestRelease(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE t (id int PRIMARY KEY, v text, w text)`, `INSERT INTO t VALUES (1, 'a')`)
	b.migrate()
	s := b.shape("s", table("t"), "v")
	b.install(s)
	b.ok(b.db.StartBackfill(b.ctx, "s", "1", false, false))
	b.pass(s, 100)
	b.syncAll(s)
	for _, sql := range []string{`ALTER TABLE t ALTER v TYPE varchar(20)`, `ALTER TABLE t DROP v`, `ALTER TABLE t ALTER id TYPE bigint`} {
		_, err := b.app.Exec(b.ctx, sql)
		if err == nil {
			t.Fatalf("no error from: %s", sql)
		}
		detail := b.detail(err)
		if !strings.Contains(detail, "upkeep.release()") {
			t.Errorf("%s: the message does not say what to do: %v: %s", sql, err, detail)
		}
	}
	b.exec(`DO $$ BEGIN PERFORM upkeep.release('t'); ALTER TABLE t ALTER v TYPE varchar(20); UPDATE t SET v = 'unseen'; END $$`)
	b.folds(0, "before the triggers are back", s)
	found, err := b.db.Inspect(b.ctx, []*store.Shape{s})
	if err != nil || len(found) != 1 || found[0].Severity != store.Note || found[0].Message != store.ReleasedTable {
		t.Errorf("an inspection finds %+v, %v; want a note of the release", found, err)
	}
	if n, _ := b.db.Pending(b.ctx, 10); n != 1 {
		t.Errorf("the log has %d rows, want the one of the release", n)
	}
	s = b.shape("s", table("t"), "v")
	b.install(s)
	b.intact(s)
	b.fold(s)
	b.pass(s, 100)
	if n := b.syncAll(s); n != 1 {
		t.Errorf("the sweep brought %d groups, want 1", n)
	}
	// A worker that runs on has yet to learn of the new type.
	b.exec(`DO $$ BEGIN PERFORM upkeep.release('t'); ALTER TABLE t ALTER v TYPE integer USING 1; END $$`)
	b.install(s)
	b.exec(`UPDATE t SET v = 2`)
	if n, _ := b.db.Pending(b.ctx, 10); n != 2 {
		t.Errorf("the log has %d rows, want those of the release and the update", n)
	}
}

// A migration that releases a table whose triggers are away still, of the one before
// it, keeps a worker from putting them back before it is over.
func TestReleaseOfWhatIsReleased(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE t (id int PRIMARY KEY, v text, w text)`)
	b.migrate()
	s := b.shape("s", table("t"), "v")
	b.install(s)
	b.exec(`DO $$ BEGIN PERFORM upkeep.release('t'); ALTER TABLE t ALTER v TYPE varchar(20); END $$`)
	tx, err := b.app.Begin(b.ctx)
	b.ok(err)
	defer func() { _ = tx.Rollback(b.ctx) }()
	_, err = tx.Exec(b.ctx, `SELECT upkeep.release('t')`)
	b.ok(err)
	s = b.shape("s", table("t"), "v")
	installed := make(chan error, 1)
	go func() { installed <- b.db.Install(b.ctx, []*store.Shape{s}, "plan", "") }()
	for over := false; !over; {
		select {
		case err := <-installed:
			t.Errorf("the triggers were put back before the migration was over, %v", err)
			installed <- err
			over = true
		case <-time.After(5 * time.Millisecond):
			over = b.query(`SELECT count(*)::text FROM pg_locks WHERE NOT granted AND relation = 't'::regclass`)[0] != "0"
		}
	}
	if _, err := tx.Exec(b.ctx, `ALTER TABLE t ALTER v TYPE varchar(30)`); err != nil {
		t.Error(err)
	}
	if err := tx.Commit(b.ctx); err != nil {
		t.Error(err)
	}
	if err := <-installed; err != nil {
		t.Error(err)
	}
}

// The table's owner may release it without any right on the schema upkeep; a
// role that does not own it may not.
func TestReleaseByTheOwner(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	role := "rel_" + b.query(`SELECT current_database()`)[0]
	b.exec(`CREATE TABLE t (id int PRIMARY KEY, v text)`, `CREATE TABLE u (id int PRIMARY KEY, v text)`,
		`CREATE ROLE `+role, `ALTER TABLE t OWNER TO `+role)
	t.Cleanup(func() { b.exec(`DROP OWNED BY `+role, `DROP ROLE `+role) })
	b.migrate()
	b.install(b.shape("s", table("t"), "v"), b.shape("u", table("u"), "v"))
	c, err := b.app.Acquire(b.ctx)
	b.ok(err)
	defer func() { _ = c.Conn().Close(b.ctx); c.Release() }()
	for _, sql := range []string{`SET ROLE ` + role, `SELECT upkeep.release('t')`, `ALTER TABLE t DROP v`} {
		if _, err := c.Exec(b.ctx, sql); err != nil {
			t.Fatalf("%v\nin: %s", err, sql)
		}
	}
	for _, sql := range []string{`SELECT upkeep.release('u')`, `SELECT upkeep.note_release('u')`} {
		if _, err := c.Exec(b.ctx, sql); err == nil {
			t.Errorf("a role that does not own the table may: %s", sql)
		}
	}
	if n, _ := b.db.Pending(b.ctx, 10); n != 1 {
		t.Errorf("the log has %d rows, want the one of the release", n)
	}
}

// Nor does the owner of a partition that is watched by itself need a right on its
// parent.
func TestReleaseByThePartitionsOwner(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	role := "part_" + b.query(`SELECT current_database()`)[0]
	b.exec(`CREATE TABLE t (id int PRIMARY KEY, v text) PARTITION BY RANGE (id)`,
		`CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (100)`,
		`CREATE ROLE `+role, `ALTER TABLE t1 OWNER TO `+role)
	t.Cleanup(func() { b.exec(`DROP OWNED BY `+role, `DROP ROLE `+role) })
	b.migrate()
	b.install(b.shape("s", table("t1"), "v"))
	b.exec(`SET ROLE ` + role + `; SELECT upkeep.release('t1'); RESET ROLE`)
	if n := b.query(`SELECT count(*)::text FROM pg_trigger WHERE tgname LIKE 'upkeep%'`); n[0] != "0" {
		t.Errorf("release left %s triggers", n)
	}
}
