package pgtest_test

import (
	"context"
	"testing"

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
