package postgres_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
	"github.com/upkeep-sync/upkeep/postgres"
)

// A process that starts while another one migrates or installs, which may take
// as long as a transaction of the application's, waits for it. The role's
// lock_timeout, which is meant for tables, does not end it.
func TestStartWhileAnotherIsAtIt(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]int64{"migrate": postgres.LockMigrate, "install": postgres.LockInstall} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
			defer cancel()
			b.exec(`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET lock_timeout = ''1ms''', current_database()); END $$`)
			second := open(t, b.url)
			holder, err := b.app.Acquire(ctx)
			b.ok(err)
			defer holder.Release()
			hold := func(sql string) {
				_, err := holder.Exec(ctx, sql, key)
				b.ok(err)
			}
			ended := make(chan error, 1)
			if name == "install" {
				b.migrate()
			}
			hold("SELECT pg_advisory_lock($1)")
			go func() {
				if name == "migrate" {
					ended <- second.Migrate(ctx)
					return
				}
				ended <- second.Install(ctx, nil, plan, "")
			}()
			tries := map[string]bool{}
			for len(tries) < 3 {
				select {
				case err := <-ended:
					t.Fatalf("it ended while another process was at it: %v", err)
				case <-time.After(2 * time.Millisecond):
				}
				for _, at := range b.query(`SELECT query_start::text FROM pg_stat_activity
					WHERE datname = current_database() AND application_name = 'upkeep' AND query LIKE '%pg_try_advisory_lock%'`) {
					tries[at] = true
				}
			}
			hold("SELECT pg_advisory_unlock($1)")
			b.ok(<-ended)
		})
	}
}

// A claim goes by the plan of its snapshot. While one is under way, which may
// stand still for long, no other plan is installed: its sweep would come to the
// group first, and the claim after it.
func TestPlanWaitsForClaims(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE t (id int PRIMARY KEY, v text)`)
	b.migrate()
	s := b.shape("s", table("t"), "v")
	b.install(s)
	claim, err := b.app.Begin(b.ctx)
	b.ok(err)
	defer func() { _ = claim.Rollback(b.ctx) }()
	_, err = claim.Exec(b.ctx, `UPDATE upkeep.groups SET epoch = epoch WHERE false`)
	b.ok(err)
	done := make(chan error, 1)
	go func() { done <- b.db.Install(b.ctx, []*store.Shape{s}, "another", "") }()
	for waits := ""; waits != "1"; {
		waits = b.query(`SELECT count(*)::text FROM pg_locks WHERE NOT granted AND relation = 'upkeep.groups'::regclass`)[0]
		select {
		case err := <-done:
			t.Fatalf("installed while a claim is under way: %v", err)
		default:
		}
	}
	b.ok(claim.Commit(b.ctx))
	b.ok(<-done)
	if got := b.query(`SELECT plan FROM upkeep.settings`)[0]; got != "another" {
		t.Errorf("the plan is %q", got)
	}
}

// An older program refuses what a newer one has made of the registry.
func TestOlderThanTheRegistry(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.migrate()
	b.exec("INSERT INTO upkeep.migrations (version_id, is_applied) VALUES (9999, true)")
	if err := b.db.Migrate(b.ctx); err == nil || !strings.Contains(err.Error(), "a newer Upkeep made the registry what it is (its tables have version 9999,") {
		t.Errorf("migrate: %v", err)
	}
}
