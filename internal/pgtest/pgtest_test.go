package pgtest_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/pgtest"
)

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

func TestNewDatabasesAreApart(t *testing.T) {
	ctx := context.Background()
	a, b := connect(t, pgtest.New(t)), connect(t, pgtest.New(t))
	if _, err := a.Exec(ctx, "CREATE TABLE x (id int)"); err != nil {
		t.Fatal(err)
	}
	var there bool
	if err := b.QueryRow(ctx, "SELECT to_regclass('x') IS NOT NULL").Scan(&there); err != nil {
		t.Fatal(err)
	}
	if there {
		t.Error("a table of one database is seen in the other")
	}
}

func TestStopAndStartKeepData(t *testing.T) {
	ctx := context.Background()
	s := pgtest.Start(t)
	if _, err := connect(t, s.URL()).Exec(ctx, "CREATE TABLE x (id int)"); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	if c, err := pgx.Connect(ctx, s.URL()); err == nil {
		_ = c.Close(ctx)
		t.Fatal("a stopped server answers")
	}
	s.Start(t)
	if _, err := connect(t, s.URL()).Exec(ctx, "SELECT FROM x"); err != nil {
		t.Error(err)
	}
}

func TestTakeOverLosesWhatHadNotArrived(t *testing.T) {
	ctx := context.Background()
	s := pgtest.Start(t)
	app := connect(t, s.URL())
	do := func(c *pgx.Conn, sql string) {
		t.Helper()
		if _, err := c.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	count := func(c *pgx.Conn) (n int) {
		t.Helper()
		if err := c.QueryRow(ctx, "SELECT count(*) FROM x").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	do(app, "CREATE TABLE x (id int)")
	standby := s.Follow(t, strings.Split(strings.Split(s.URL(), "@")[1], "/")[0])
	do(app, "INSERT INTO x VALUES (1)")
	follower := connect(t, standby.URL())
	deadline := time.Now().Add(time.Minute)
	for count(follower) == 0 && time.Now().Before(deadline) {
		do(follower, "SELECT pg_sleep(0.01)")
	}
	if n := count(follower); n != 1 {
		t.Fatalf("%d rows at the standby", n)
	}
	do(follower, "ALTER SYSTEM SET primary_conninfo = ''")
	do(follower, "SELECT pg_reload_conf()")
	for followed := true; followed && time.Now().Before(deadline); {
		if err := app.QueryRow(ctx, "SELECT count(*) > 0 FROM pg_stat_replication").Scan(&followed); err != nil {
			t.Fatal(err)
		}
	}
	do(app, "INSERT INTO x VALUES (2)")
	s.TakeOver(t, standby)
	app = connect(t, s.URL())
	if n := count(app); n != 1 {
		t.Errorf("%d rows after the failover, want the one that had arrived", n)
	}
	var timeline string
	if err := app.QueryRow(ctx, "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)").Scan(&timeline); err != nil || timeline != "00000002" {
		t.Errorf("timeline %q, %v", timeline, err)
	}
}

func TestDump(t *testing.T) {
	ctx := context.Background()
	s := pgtest.Start(t)
	c := connect(t, s.URL())
	if _, err := c.Exec(ctx, "CREATE SCHEMA y; CREATE TABLE y.x (id int); INSERT INTO y.x VALUES (7)"); err != nil {
		t.Fatal(err)
	}
	sql, err := s.Dump("postgres", "y")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(ctx, "DROP SCHEMA y CASCADE; "+sql); err != nil {
		t.Fatal(err)
	}
	var id int
	if err := c.QueryRow(ctx, "SELECT id FROM y.x").Scan(&id); err != nil || id != 7 {
		t.Errorf("%d, %v", id, err)
	}
}
