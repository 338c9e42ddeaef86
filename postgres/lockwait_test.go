package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
	"github.com/upkeep-sync/upkeep/postgres"
)

// So does who migrates the registry, whose statements wait by themselves.
func TestLockWaitsOfAMigrationAreTold(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.migrate()
	holder, err := b.app.Acquire(b.ctx)
	b.ok(err)
	defer holder.Release()
	for _, sql := range []string{"SET application_name = 'the application'", "BEGIN", "LOCK TABLE upkeep.migrations"} {
		_, err = holder.Exec(b.ctx, sql)
		b.ok(err)
	}
	told := make(chan store.LockWait, 10)
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	ctx = store.TellLockWaits(ctx, func(w store.LockWait) { told <- w })
	ended := make(chan error, 1)
	go func() { ended <- b.db.Migrate(ctx) }()
	select {
	case w := <-told:
		if w.On != "table upkeep.migrations" || !strings.Contains(w.HeldBy(), "(the application), idle in transaction, its transaction open since 20") || !strings.Contains(w.ToDo(), "SELECT pg_terminate_backend(") || len(w.Holders) != 1 {
			t.Errorf("told: %s", w)
		}
	case err := <-ended:
		t.Fatalf("it ended, and told nothing: %v", err)
	}
	_, err = holder.Exec(b.ctx, "COMMIT")
	b.ok(err)
	b.ok(<-ended)
}

// Who installs or removes triggers says for whom it waits: which process, or which
// prepared transaction, or which process of Upkeep's, and how to end that.
func TestLockWaitsAreTold(t *testing.T) {
	t.Parallel()
	install := fmt.Sprint(int64(postgres.LockInstall))
	for name, c := range map[string]struct {
		hold, release string
		on, who, end  string
		uninstall     bool
	}{
		"a transaction": {
			hold: "BEGIN; UPDATE t SET v = 'x'", release: "COMMIT",
			on: "table public.t", who: "(the application), idle in transaction, its transaction open since 20", end: "SELECT pg_terminate_backend(",
		},
		"a prepared one": {
			hold: "BEGIN; UPDATE t SET v = 'x'; PREPARE TRANSACTION 'o''clock'", release: "ROLLBACK PREPARED 'o''clock'",
			on: "table public.t", who: "prepared transaction o'clock of ", end: "COMMIT PREPARED 'o''clock', or ROLLBACK PREPARED 'o''clock'",
		},
		"of our log": {
			hold: "BEGIN; UPDATE t SET v = 'x'", release: "COMMIT", uninstall: true,
			on: "table public.t", who: "idle in transaction", end: "SELECT pg_terminate_backend(",
		},
		"a reader, where triggers go": {
			hold: "BEGIN; SELECT FROM t", release: "COMMIT", uninstall: true,
			on: "table public.t", who: "idle in transaction", end: "SELECT pg_terminate_backend(",
		},
		"another process": {
			hold: "SELECT pg_advisory_lock(" + install + ")", release: "SELECT pg_advisory_unlock(" + install + ")",
			on: "the schema upkeep, which one process changes at a time", who: "(the application), idle", end: "nothing: it goes on by itself",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.exec(`CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')`)
			b.migrate()
			s := b.shape("s", table("t"), "v")
			if c.uninstall {
				b.install(s)
			}
			holder, err := b.app.Acquire(b.ctx)
			b.ok(err)
			defer holder.Release()
			_, err = holder.Exec(b.ctx, "SET application_name = 'the application'")
			b.ok(err)
			for _, sql := range strings.Split(c.hold, "; ") {
				_, err = holder.Exec(b.ctx, sql)
				b.ok(err)
			}
			told := make(chan store.LockWait, 10)
			ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
			defer cancel()
			ctx = store.TellLockWaits(ctx, func(w store.LockWait) { told <- w })
			ended := make(chan error, 1)
			go func() {
				if c.uninstall {
					ended <- b.db.Uninstall(ctx)
					return
				}
				ended <- b.db.Install(ctx, []*store.Shape{s}, plan, "")
			}()
			select {
			case w := <-told:
				if w.On != c.on || !strings.Contains(w.HeldBy(), c.who) || !strings.Contains(w.ToDo(), c.end) || len(w.Holders) != 1 {
					t.Errorf("told: %s", w)
				}
			case err := <-ended:
				t.Fatalf("it ended, and told nothing: %v", err)
			}
			_, err = holder.Exec(b.ctx, c.release)
			b.ok(err)
			b.ok(<-ended)
			if len(told) > 0 {
				t.Errorf("told twice: %s", <-told)
			}
		})
	}
}

// A reader is in the way of no trigger that is made.
func TestReadersDelayNoInstall(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')`)
	b.migrate()
	reader, err := b.app.Begin(b.ctx)
	b.ok(err)
	defer func() { _ = reader.Rollback(b.ctx) }()
	_, err = reader.Exec(b.ctx, `SELECT FROM t FOR KEY SHARE`)
	b.ok(err)
	b.install(b.shape("s", table("t"), "v"))
}
