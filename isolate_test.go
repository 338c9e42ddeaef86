package upkeep_test

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// asWorker makes all processes that are opened from now on work as a role that
// owns the tables and nothing else.
func (s *shop) asWorker() {
	s.exec(`do $$ declare w text := 'worker_' || current_database(); t text; begin
		execute format('create role %I', w);
		execute format('grant create on database %I to %I', current_database(), w);
		execute format('grant create on schema public to %I', w);
		for t in select tablename from pg_tables where schemaname = 'public' loop
			execute format('alter table %I owner to %I', t, w);
		end loop;
		execute format('alter database %I set role = %I', current_database(), w);
	end $$`)
}

// onWorker grants or revokes something of the role.
func (s *shop) onWorker(sql string) {
	s.exec(`do $$ begin execute format('` + sql + `', 'worker_' || current_database()); end $$`)
}

// What keeps the changes of one sync from being resolved keeps no other sync's:
// it is held and said to be, and comes to itself when it is mended.
func TestOneSyncThatCannotBeResolved(t *testing.T) {
	t.Parallel()
	const (
		start   = `set session_replication_role = replica;` // a foreign key is checked with the owner's rights
		changes = `update orders set ref_no = 'while held' where id = 90; delete from orders where id = 91;
			insert into orders (id, user_id, state) values (92, 1, 'placed'); insert into line_items values (900, 90, 'sku', 1, 1);
			update users set name = 'goes on' where id = 1;`
		away, back = `alter table orders rename to away;`, `alter table away rename to orders;`
	)
	for name, test := range map[string]struct {
		open          func(*shop)
		worker        bool
		breaks, mends func(*shop)
	}{
		"a right on its table": {(*shop).onPostgres, true,
			func(s *shop) {
				s.exec(start)
				s.onWorker(`revoke select on orders from %I`)
				s.exec("begin;" + changes + "commit")
			},
			func(s *shop) { s.onWorker(`grant select on orders to %I`) }},
		"row-level security": {(*shop).onPostgres, true,
			func(s *shop) {
				s.exec(start)
				s.onWorker(`alter table orders enable row level security, force row level security --%I`)
				s.exec("begin;" + changes + "commit")
			},
			func(s *shop) { s.onWorker(`alter table orders disable row level security --%I`) }},
		"a table that is away": {(*shop).onPostgres, false,
			func(s *shop) { s.exec("begin;" + changes + away + "commit") },
			func(s *shop) { s.exec(back) }},
		"a table that is away, SQLite": {(*shop).onSQLite, false,
			func(s *shop) { s.exec("begin;" + changes + away + "commit") },
			func(s *shop) { s.exec(back) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := makeShop(t, memory.Config{}, test.open)
			s.within(3 * time.Minute)
			if test.worker {
				s.asWorker()
			}
			s.fill()
			s.exec(`insert into orders (id, user_id, state) values (90, 1, 'placed'), (91, 1, 'placed')`)
			log := new(safeBuffer)
			e, err := upkeep.New(upkeep.Config{Database: s.open(), Logger: slog.New(slog.NewTextHandler(log, nil)), Clock: new(restless),
				Syncs: []upkeep.AnySync{plainCustomer(s.to), orderSync(s.to)}})
			if err != nil {
				t.Fatal(err)
			}
			s.run(e)
			s.quiet(e)
			test.breaks(s)
			s.until("the other sync to go on", func() bool { return s.remote.Text("customer", "customer-1", "entityId") == `"goes on"` })
			var held string
			s.until("the sync to be said to be held", func() bool {
				st, err := e.Status(s.ctx)
				if err != nil {
					t.Fatal(err)
				}
				held = st.Syncs[1].Backfill.Failure
				return held != "" && strings.Contains(log.String(), "the sync is held until it works, the others go on")
			})
			found, err := e.Condition(s.ctx)
			if err != nil || !strings.Contains(findingsOf(found, "sales_order"), held) {
				t.Errorf("condition: %+v, %v; want one with %q", found, err, held)
			}
			if f := findingsOf(found, "customer"); strings.Contains(f, "held") {
				t.Errorf("the other sync: %s", f)
			}
			s.exec(`update users set name = 'still goes on' where id = 1`)
			s.until("the other sync to go on", func() bool { return s.remote.Text("customer", "customer-1", "entityId") == `"still goes on"` })
			test.mends(s)
			s.quiet(e)
			s.inSync(e, "customer", "sales_order")
			s.field("salesOrder", "sales_order-90", "otherRefNum", `"while held"`)
			if _, there := s.remote.Record("salesOrder", "sales_order-91"); there {
				t.Error("the record of a row that was deleted while its sync was held is there")
			}
			if st, err := e.Status(s.ctx); err != nil || st.Syncs[1].Backfill.Failure != "" {
				t.Errorf("still held: %+v, %v", st, err)
			}
		})
	}
}

// plainCustomer is a sync of users alone.
func plainCustomer(to *upkeep.Remote) upkeep.AnySync {
	type user struct {
		ID   int64  `db:"id,key"`
		Name string `db:"name"`
	}
	return upkeep.Sync[user]{Name: "customer", Table: "users", To: to, Record: "customer",
		Translate: func(u user) (upkeep.Fields, error) { return upkeep.Fields{"entityId": u.Name}, nil }}
}

func findingsOf(found []upkeep.Finding, subject string) string {
	var all []string
	for _, f := range found {
		if f.Subject == subject {
			all = append(all, f.Message)
		}
	}
	return strings.Join(all, "\n")
}

// A pass that fails, since its table is gone, keeps no other sync's from going on.
func TestOnePassThatFails(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		s.exec(`create table aa (id integer primary key, name text)`)
		s.exec(`insert into aa values (1, 'one')`)
		type row struct {
			ID   int64  `db:"id,key"`
			Name string `db:"name"`
		}
		first := upkeep.Sync[row]{Name: "aa", Table: "aa", To: s.to, Record: "aa",
			Translate: func(r row) (upkeep.Fields, error) { return upkeep.Fields{"name": r.Name}, nil }}
		e := s.engine(first, plainCustomer(s.to))
		s.run(e)
		s.quiet(e)
		s.exec(`drop table aa`)
		s.remote.Forget()
		for _, sync := range []string{"aa", "customer"} {
			if err := e.Resync(s.ctx, upkeep.Resync{Sync: sync, Force: true}); err != nil {
				t.Fatal(err)
			}
		}
		s.until("the other sync to be sent again", func() bool { return s.remote.Calls(memory.Update) >= 2 })
		s.until("its pass to end, and the other to be said to fail", func() bool {
			st, err := e.Status(s.ctx)
			return err == nil && st.Syncs[0].Backfill.Failure != "" && !st.Syncs[1].Backfill.Running
		})
	})
}

// A row that can have no group, since its key is too long for an index or is
// refused where it is read, holds no other, not even of its own sync.
func TestOneKeyThatFails(t *testing.T) {
	t.Parallel()
	const refuses = `create or replace function fine(v text) returns boolean language plpgsql as $$ begin %s; end $$;`
	accepts := fmt.Sprintf(refuses, "return true")
	for name, test := range map[string]struct{ declared, key, breaks, mends string }{
		"too long":              {"text", incompressible(2691), "", "delete from v where length(id) > 100"},
		"refused by its domain": {"odd", "bad", fmt.Sprintf(refuses, "return v <> 'bad'"), accepts},
		"a domain that raises":  {"odd", "bad", fmt.Sprintf(refuses, "if v = 'bad' then raise 'no idea'; end if; return true"), accepts},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := makeShop(t, memory.Config{}, (*shop).onPostgres)
			s.within(3 * time.Minute)
			s.fill()
			s.exec(accepts + `create domain odd as text check (fine(value));
				create table v (id ` + test.declared + ` primary key, name text not null); insert into v values ('1', 'a'), ('2', 'a')`)
			log := new(safeBuffer)
			t.Cleanup(func() { t.Log(log) })
			e, err := upkeep.New(upkeep.Config{Database: s.open(), Clock: new(restless), Logger: slog.New(slog.NewTextHandler(log, nil)), Syncs: []upkeep.AnySync{plainCustomer(s.to), keySyncs(s.to, false)[0]}})
			if err != nil {
				t.Fatal(err)
			}
			s.run(e)
			s.quiet(e)
			s.exec(`begin; update users set name = 'goes on' where id = 1; update v set name = 'b'; insert into v values ('` + test.key + `', 'a');` + test.breaks + `commit`)
			s.until("the other sync to go on", func() bool { return s.remote.Text("customer", "customer-1", "entityId") == `"goes on"` })
			s.until("the rows that are there to go on", func() bool { return s.remote.Text("v", "v-1", "name") == `"b"` })
			if name == "too long" {
				s.until("the row to be told of", func() bool {
					found, err := e.Condition(s.ctx)
					return err == nil && strings.Contains(findingsOf(found, "v"), "have no record")
				})
				if err := e.Register(s.ctx, nil, "v", test.key+"x"); !errors.Is(err, upkeep.ErrKey) {
					t.Errorf("a key that no index takes was registered: %v", err)
				}
			}
			s.exec(`update users set name = 'still goes on' where id = 1`)
			s.until("the other sync to go on", func() bool { return s.remote.Text("customer", "customer-1", "entityId") == `"still goes on"` })
			s.exec(test.mends)
			if name != "too long" { // the group may be parked by now, alone
				if _, err := e.Retry(s.ctx, "v", ""); err != nil {
					t.Error(err)
				}
			}
			s.quiet(e)
			s.inSync(e, "customer", "v")
			s.field("v", "v-1", "name", `"b"`)
			if strings.Contains(log.String(), "is held") {
				t.Error("one key held its whole sync")
			}
		})
	}
}

// A reference to a key whose domain raises an error of its own is a reference to no
// key, and keeps no record of the same claim from being sent.
func TestOneReferenceThatFails(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.within(3 * time.Minute)
	s.exec(`create function fine(v text) returns boolean language plpgsql as $$ begin if v = 'bad' then raise 'no idea'; end if; return true; end $$;
		create domain odd as text check (fine(value));
		create table v (id odd primary key, name text not null); insert into v values ('1', 'a');
		create table w (id integer primary key, v text not null); insert into w values (1, '1'), (2, 'bad'), (3, '1')`)
	refers := upkeep.Mapping{Name: "w", To: s.to, Record: "w", RefersTo: []string{"v"}, From: &upkeep.Relation{Table: "w", Columns: []string{"v"}},
		Translate: func(r upkeep.Row) (upkeep.Fields, error) { return upkeep.Fields{"v": upkeep.Ref("v", r["v"])}, nil }}
	e := s.engine(keySyncs(s.to, false)[0], refers)
	s.run(e)
	x := s.state(e, "w", "2", upkeep.Parked)
	if !strings.Contains(x.Group.Reason, `"bad" can be no key of public.v`) {
		t.Errorf("the reason is %q", x.Group.Reason)
	}
	s.state(e, "w", "1", upkeep.Clean)
	s.state(e, "w", "3", upkeep.Clean)
}

// Rows whose keys the table's own index takes and the registry's don't, beside a
// long name of the sync, are told of, and hold no other row in the backfill or
// after it.
func TestRowsWhoseKeysAreTooLong(t *testing.T) {
	t.Parallel()
	for _, deliver := range []upkeep.Delivery{"", upkeep.Every} {
		t.Run(cmp.Or(string(deliver), "state"), func(t *testing.T) {
			t.Parallel()
			s := makeShop(t, memory.Config{}, (*shop).onPostgres)
			s.within(3 * time.Minute)
			s.exec(`create table v (id text primary key, name text not null); insert into v values ('1', 'a'), ('` + incompressible(2684) + `', 'a'), ('zz', 'a')`)
			name := strings.Repeat("v", 61)
			log := new(safeBuffer)
			e, err := upkeep.New(upkeep.Config{Database: s.open(), Clock: new(restless), Logger: slog.New(slog.NewTextHandler(log, nil)),
				Syncs: []upkeep.AnySync{upkeep.Mapping{Name: name, To: s.to, Record: "v", Deliver: deliver, From: &upkeep.Relation{Table: "v", Columns: []string{"name"}},
					Translate: func(r upkeep.Row) (upkeep.Fields, error) { return upkeep.Fields{"name": r["name"]}, nil }}}})
			if err != nil {
				t.Fatal(err)
			}
			told := func() string {
				found, err := e.Condition(s.ctx)
				if err != nil {
					t.Fatal(err)
				}
				return findingsOf(found, name)
			}
			s.run(e)
			s.quiet(e)
			s.field("v", name+"-1", "name", `"a"`)
			s.field("v", name+"-zz", "name", `"a"`)
			if f := told(); !strings.Contains(f, "rows of its table v have no record") || strings.Contains(f, "held") {
				t.Errorf("after the backfill doctor says %q", f)
			}
			s.exec(`update v set name = 'b'; insert into v values ('` + incompressible(2685) + `', 'b'), ('2', 'b')`)
			s.quiet(e)
			for _, key := range []string{"1", "zz", "2"} {
				s.field("v", name+"-"+key, "name", `"b"`)
			}
			if n := strings.Count(log.String(), "rows of its table v have no record"); n != 1 {
				t.Errorf("the log tells of them %d times, want 1:\n%s", n, log)
			}
			s.exec(`delete from v where length(id) > 100; update v set name = 'c'`)
			if err := e.Resync(s.ctx, upkeep.Resync{Sync: name}); err != nil {
				t.Fatal(err)
			}
			s.quiet(e)
			s.field("v", name+"-1", "name", `"c"`)
			if f := told(); strings.Contains(f, "have no record") {
				t.Errorf("when they are gone and all was looked at, doctor says %q", f)
			}
		})
	}
}

// In the ordered lane keys are noted while the application writes, which must
// never fail for it: a version under such a key is a gap.
func TestLongKeyInTheOrderedLane(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.exec(`create table v (id text primary key, name text not null)`)
	e := s.engine(upkeep.Mapping{Name: "v", To: s.to, Record: "v", Deliver: upkeep.Every, From: &upkeep.Relation{Table: "v", Columns: []string{"name"}},
		Translate: func(r upkeep.Row) (upkeep.Fields, error) { return upkeep.Fields{"name": r["name"]}, nil }})
	s.run(e)
	s.quiet(e)
	s.exec(`insert into v values ('%s', 'a')`, incompressible(2691))
	st, err := e.Status(s.ctx)
	if err != nil || st.Syncs[0].Gaps == 0 {
		t.Errorf("no gap: %+v, %v", st, err)
	}
}

// incompressible is a text that PostgreSQL can't make shorter.
func incompressible(n int) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[r.IntN(len(letters))]
	}
	return string(b)
}
