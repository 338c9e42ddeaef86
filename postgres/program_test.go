package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/pgtest"
)

// The program of the example does what it says.
func TestExampleProgram(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(ctx, `create table orders (id integer primary key, state text not null); insert into orders values (41, 'placed'), (42, 'placed')`); err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- keepUp(running, url) }()
	synced := 0
	for synced == 0 {
		select {
		case err := <-ended:
			t.Fatalf("it ended: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
		// Not there yet while the program installs it.
		_ = conn.QueryRow(ctx, `select count(*) from upkeep.groups where key = '42' and remote_id is not null`).Scan(&synced)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	var groups int
	if err := conn.QueryRow(ctx, `select count(*) from upkeep.groups`).Scan(&groups); err != nil || groups != 1 {
		t.Errorf("%d groups, %v; only order 42 was registered", groups, err)
	}
}
