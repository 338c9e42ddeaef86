package upkeep_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/internal/pgtest"
	"github.com/upkeep-sync/upkeep/postgres"
)

// noRoom has the server refuse to write to a table of the registry, as it does when
// there is no room on its disk, while disk names the table.
const noRoom = `
create table disk (full_of text not null);
create function no_room() returns trigger language plpgsql as $$ begin
	if exists (select from public.disk where full_of = tg_table_name) then
		raise 'could not extend file "base/1/2": No space left on device' using errcode = '53100', hint = 'Check free disk space.';
	end if;
	return null;
end $$;
do $$ declare t regclass; begin
	for t in select oid from pg_class where relnamespace = 'upkeep'::regnamespace and relkind = 'r' loop
		execute format('create trigger no_room before insert or update on %s for each statement execute function public.no_room()', t);
	end loop; end $$`

// restlessEngine is one that makes no pauses and logs to a buffer.
func (s *shop) restlessEngine(syncs ...upkeep.AnySync) (*upkeep.Engine, *safeBuffer) {
	s.t.Helper()
	log := new(safeBuffer)
	e, err := upkeep.New(upkeep.Config{Database: s.open(), Clock: new(restless), Logger: slog.New(slog.NewTextHandler(log, nil)), Syncs: syncs})
	if err != nil {
		s.t.Fatal(err)
	}
	return e, log
}

// held has the remote hold its calls until the returned function is called.
func (s *shop) held() (release func()) {
	hold := make(chan struct{})
	s.remote.Fail(memory.Fault{On: memory.Any, Times: -1, Until: hold})
	return func() { close(hold); s.remote.Heal() }
}

// PostgreSQL has no room on its disk while changes are on their way: what of Upkeep
// fails says so, nothing goes out that was not claimed, nothing is lost or made
// twice, and it goes on by itself when there is room again. The application's writes
// go through as long as there is room for the touch log's rows.
func TestPostgresDiskFull(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{Class: connector.Lookup}, (*shop).onPostgres)
	s.within(3 * time.Minute)
	s.users(50)
	e, log := s.restlessEngine(customerSync(s.to))
	s.run(e)
	s.quiet(e)
	s.exec(noRoom)

	release := s.held()
	s.exec(`insert into users (id, name) select i, 'user ' || i from generate_series(51, 400) i`)
	s.exec(`update users set name = name || ' again' where id <= 50`)
	s.until("calls under way", func() bool { return s.remote.InFlight() > 0 })
	s.exec(`insert into disk select relname from pg_class where relnamespace = 'upkeep'::regnamespace and relname <> 'touch'`)
	s.exec(`update users set name = name || ' and again' where id <= 10`)
	release()
	for _, failed := range []string{"record failed; trying again", "fold failed; trying again"} {
		s.until("the log to tell: "+failed, func() bool {
			for line := range strings.Lines(log.String()) {
				if strings.Contains(line, failed) && strings.Contains(line, "No space left on device") {
					return true
				}
			}
			return false
		})
	}
	s.until("what was claimed to be sent", func() bool { return s.remote.InFlight() == 0 })

	s.exec(`insert into disk values ('touch')`)
	const update = `update users set name = name || '!' where id = 300`
	if err := s.app(update); err == nil || !strings.Contains(err.Error(), "No space left on device") {
		t.Errorf("a write whose touch has no room: %v", err)
	}
	if err := s.app(`update users set name = name where id = 300; update users set phone = '1' where id = 300`); err != nil {
		t.Errorf("a write that no record is made of: %v", err)
	}
	s.exec(`delete from disk`)
	s.exec(update)
	s.settle(e)
	s.quiet(e)
	s.inSync(e, "customer")
	s.field("customer", "customer-300", "entityId", `"user 300!"`)
	if n := len(s.remote.Records("customer")); n != 400 {
		t.Errorf("%d records of 400 rows", n)
	}
	if !strings.Contains(log.String(), "fold works again") {
		t.Error("the log does not tell that it works again")
	}
}

// A server that takes so few connections that the application may have them all:
// a process that starts says so; one at work waits, says so, takes no more than its
// pool's, works with a single one, and goes on by itself.
func TestNoConnectionIsLeft(t *testing.T) {
	t.Parallel()
	const most = 4 // of ours
	server, err := pgtest.Open("max_connections = 16")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	s := makeShop(t, memory.Config{}, func(s *shop) {
		admin := connect(t, s.ctx, server.URL())
		for _, sql := range []string{`create role shop login`, `create database shop owner shop`} {
			if err := admin.Exec(s.ctx, sql).Close(); err != nil {
				t.Fatal(err)
			}
		}
		s.onURL(strings.Replace(server.Database("shop"), "postgres@", "shop@", 1))
		s.url += fmt.Sprintf("&pool_max_conns=%d", most)
	})
	s.within(3 * time.Minute)
	s.fill()
	// A superuser always gets a connection.
	admin := connect(t, s.ctx, server.URL())
	ours := func() (n int) {
		t.Helper()
		r := admin.ExecParams(s.ctx, `select count(*) from pg_stat_activity where application_name = 'upkeep'`, nil, nil, nil, nil).Read()
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		_, _ = fmt.Sscan(string(r.Rows[0][0]), &n)
		if n > most {
			t.Errorf("%d connections of ours", n)
		}
		return n
	}
	var taken []*pgconn.PgConn
	plain, _, _ := strings.Cut(s.url, "&pool")
	take := func() {
		t.Helper()
		for {
			c, err := pgconn.Connect(s.ctx, plain)
			if err != nil {
				if !strings.Contains(err.Error(), "53300") {
					t.Fatal(err)
				}
				return
			}
			taken = append(taken, c)
		}
	}
	give := func(n int) {
		for _, c := range taken[:n] {
			_ = c.Close(s.ctx)
		}
		taken = taken[n:]
	}
	take()
	if _, err := postgres.Open(s.ctx, s.url); err == nil || !strings.Contains(err.Error(), "connection slots") && !strings.Contains(err.Error(), "too many clients") {
		t.Errorf("at the start: %v", err)
	}
	give(len(taken))

	e, log := s.restlessEngine(customerSync(s.to), orderSync(s.to))
	s.run(e)
	s.quiet(e)
	// The application takes whatever we let go of, also what the server lets go of
	// only after it is seen no more.
	starved := func() bool {
		had := ours()
		if had > 0 {
			if err := admin.Exec(s.ctx, `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'upkeep'`).Close(); err != nil {
				t.Fatal(err)
			}
		}
		take()
		return had == 0 && ours() == 0
	}
	s.until("no connection to be left", starved)
	s.exec(`update users set name = 'Ada two' where id = 1; update orders set ref_no = 'R2' where id = 10`)
	s.until("the log to tell", func() bool {
		return starved() && strings.Contains(log.String(), "failed; trying again") && strings.Contains(log.String(), "53300")
	})
	give(1)
	s.until("the record by one connection", func() bool {
		ours()
		return s.remote.Text("customer", "customer-1", "entityId") == `"Ada two"`
	})
	give(len(taken))
	s.quiet(e)
	s.inSync(e, "customer", "sales_order")
	s.until("it to work again", func() bool { ours(); return strings.Contains(log.String(), "works again") })
}

func connect(t *testing.T, ctx context.Context, url string) *pgconn.PgConn {
	t.Helper()
	c, err := pgconn.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

// The standby that the server's commits wait for is gone, so they hang: no call is
// made whose claim is not committed, and when they come through, or are given up and
// tried again, nothing is lost or made twice.
func TestCommitsHang(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	s := makeShop(t, memory.Config{Class: connector.Lookup, Concurrency: 4}, func(s *shop) { s.onURL(server.URL()) })
	s.within(3 * time.Minute)
	admin, err := pgx.Connect(s.ctx, server.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = admin.Close(context.Background()) })
	set := func(names string) {
		t.Helper()
		for _, sql := range []string{"alter system set synchronous_standby_names = '" + names + "'", "select pg_reload_conf()"} {
			if _, err := admin.Exec(s.ctx, sql); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.exec(`set synchronous_commit = 'local'`) // the application does without the standby
	s.users(400)
	release := s.held()
	e, log := s.restlessEngine(customerSync(s.to))
	s.run(e)
	s.until("calls under way", func() bool { return s.remote.InFlight() > 0 })
	set("nobody")
	s.until("a commit that hangs", func() bool {
		s.exec(`update users set phone = '1', name = name || '!' where id = 400`)
		var n int
		if err := admin.QueryRow(s.ctx, `select count(*) from pg_stat_activity where application_name = 'upkeep' and wait_event = 'SyncRep'`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n > 0
	})
	claimed := map[string]bool{}
	rows, err := admin.Query(s.ctx, `select key from upkeep.groups where holder is not null`)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		claimed["customer-"+key] = true
	}
	before := len(s.remote.Requests())
	release()
	s.until("what was claimed to be sent, and all commits to hang", func() bool {
		var n int
		if err := admin.QueryRow(s.ctx, `select count(*) from pg_stat_activity where application_name = 'upkeep' and wait_event = 'SyncRep'`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n > 1 && s.remote.InFlight() == 0
	})
	s.until("a commit to be given up", func() bool { return strings.Contains(log.String(), "trying again") })
	for _, q := range s.remote.Requests()[before:] {
		if !claimed[q.ExternalID] {
			t.Errorf("%s of %s was sent, though its claim is not committed", q.Verb, q.ExternalID)
		}
	}
	set("")
	s.settle(e)
	s.quiet(e)
	s.inSync(e, "customer")
	if n := len(s.remote.Records("customer")); n != 400 {
		t.Errorf("%d records of 400 rows", n)
	}
}
