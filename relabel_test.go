package upkeep_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// A label of an enum that gets another name changes rows that nobody wrote: a
// process at work looks at them again, once. A label that is added changes none.
func TestRenamedLabelsAreSwept(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.within(3 * time.Minute)
	s.exec(`create type mood as enum ('good', 'bad'); create type step as enum ('new', 'done');
		create table visits (id integer primary key, step step not null, moods mood[], other step);
		insert into visits values (1, 'new', '{good,bad}', 'done'), (2, 'done', '{bad}', 'done')`)
	visit := func(name string, columns ...string) upkeep.Mapping {
		return upkeep.Mapping{Name: name, From: &upkeep.Relation{Table: "visits", Columns: columns}, To: s.to, Record: name,
			Translate: func(r upkeep.Row) (upkeep.Fields, error) { return upkeep.Fields(r), nil }}
	}
	log, clock := new(safeBuffer), new(hurried)
	e, err := upkeep.New(upkeep.Config{Database: s.open(), Clock: clock, Logger: slog.New(slog.NewTextHandler(log, nil)),
		Syncs: []upkeep.AnySync{visit("visit", "step"), visit("mood", "moods"), visit("key", "id")}})
	if err != nil {
		t.Fatal(err)
	}
	s.run(e)
	s.quiet(e)
	const renamed = "labels of an enum have other names now"
	s.exec(`alter type step add value 'waiting' before 'done'`)
	s.exec(`alter type step rename value 'done' to 'over'`)
	s.untilHurried(clock, "the log to tell", func() bool { return strings.Contains(log.String(), renamed) })
	s.untilHurried(clock, "the record", func() bool { return s.remote.Text("visit", "visit-2", "step") == `"over"` })
	if want := `columns="[public.visits.step: \"done\", now \"over\"]" syncs=[visit]`; !strings.Contains(log.String(), want) {
		t.Errorf("the log lacks %s: %s", want, log)
	}
	s.exec(`alter type mood rename value 'bad' to 'worse'`)
	s.untilHurried(clock, "the log to tell of an array", func() bool { return strings.Contains(log.String(), "syncs=[mood]") })
	s.untilHurried(clock, "the record of an array", func() bool { return s.remote.Text("mood", "mood-1", "moods") == `"{good,worse}"` })
	if n := strings.Count(log.String(), renamed); n != 2 {
		t.Errorf("it is told %d times: %s", n, log)
	}
}

// So it does when the migration releases another table too, or gives it another
// type: who puts the triggers back learns the labels with all the rest. A sweep
// that could not be begun then is begun later.
func TestRenamedLabelsBesideARelease(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.within(3 * time.Minute)
	s.exec(`create type step as enum ('new', 'done'); create table visits (id integer primary key, step step not null);
		insert into visits values (1, 'new'), (2, 'done'); insert into users (id, name) values (1, 'Ada')`)
	visit := upkeep.Mapping{Name: "visit", From: &upkeep.Relation{Table: "visits", Columns: []string{"step"}}, To: s.to, Record: "visit",
		Translate: func(r upkeep.Row) (upkeep.Fields, error) { return upkeep.Fields(r), nil }}
	log, clock := new(safeBuffer), new(hurried)
	e, err := upkeep.New(upkeep.Config{Database: s.open(), Clock: clock, Audit: -1, Logger: slog.New(slog.NewTextHandler(log, nil)),
		Syncs: []upkeep.AnySync{visit, customerSync(s.to)}})
	if err != nil {
		t.Fatal(err)
	}
	s.run(e)
	s.quiet(e)
	step := func(is string) {
		t.Helper()
		s.untilHurried(clock, "the record", func() bool { return s.remote.Text("visit", "visit-2", "step") == `"`+is+`"` })
	}
	s.exec(`begin; alter type step rename value 'done' to 'over'; select upkeep.release('users');
		alter table users alter column name type varchar(100); update users set name = 'unseen' where id = 1; commit`)
	s.untilHurried(clock, "the released table", func() bool { return s.remote.Text("customer", "customer-1", "entityId") == `"unseen"` })
	step("over")
	s.quiet(e)

	s.exec(`create function refuse() returns trigger language plpgsql as $$ begin raise 'no sweep now'; end $$;
		create trigger refuse before update on upkeep.syncs for each row when (new.sync = 'visit') execute function refuse()`)
	s.exec(`begin; alter type step rename value 'over' to 'past'; select upkeep.release('users');
		alter table users alter column name type varchar(90); commit`)
	s.untilHurried(clock, "the sweep to fail", func() bool { return strings.Contains(log.String(), "no sweep now") })
	s.exec(`drop trigger refuse on upkeep.syncs`)
	step("past")
}

// fromFile is a mapping that knows with which labels it compares, as one of a file.
type fromFile struct {
	upkeep.Mapping
	compares string
	called   *atomic.Value // the label, by now
	unread   *atomic.Bool  // the first look fails
}

func (fromFile) Misfits(context.Context, store.Catalog) error { return nil }

func (f fromFile) Outdated(_ context.Context, _ store.Catalog, labels []string) (outdated, err error) {
	if f.unread.CompareAndSwap(true, false) {
		return nil, errors.New("the tables can't be read")
	}
	if slices.Contains(labels, f.compares) && f.called.Load() != f.compares {
		return errors.New("upkeep.yaml:7:11"), nil
	}
	return nil, nil
}

// A when that compares with a label that has another name now is false for rows that
// nobody has changed: their records stay, until the label is called so again.
func TestRenamedLabelDeletesNothing(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.within(3 * time.Minute)
	s.exec(`create type step as enum ('new', 'done'); create table visits (id integer primary key, step step not null);
		insert into visits values (1, 'new'), (2, 'done')`)
	var called atomic.Value // how the enum's second label is called
	called.Store("done")
	var unread atomic.Bool
	unread.Store(true)
	visit := fromFile{compares: "done", called: &called, unread: &unread, Mapping: upkeep.Mapping{Name: "visit",
		From: &upkeep.Relation{Table: "visits", Columns: []string{"step"}}, To: s.to, Record: "visit",
		When: func(r upkeep.Row) (bool, error) { return r["step"] == "done", nil }, WhenFalse: upkeep.Ending{Action: upkeep.Delete},
		Translate: func(r upkeep.Row) (upkeep.Fields, error) { return upkeep.Fields(r), nil }}}
	log, clock := new(safeBuffer), new(hurried)
	e, err := upkeep.New(upkeep.Config{Database: s.open(), Clock: clock, Audit: -1, Logger: slog.New(slog.NewTextHandler(log, nil)), Syncs: []upkeep.AnySync{visit}})
	if err != nil {
		t.Fatal(err)
	}
	s.run(e)
	s.quiet(e)
	s.exec(`alter type step rename value 'done' to 'over'`)
	called.Store("over")
	s.untilHurried(clock, "the sync to be held", func() bool {
		return strings.Contains(log.String(), "the sync is held") && strings.Contains(log.String(), "upkeep.yaml:7:11")
	})
	s.exec(`insert into visits values (3, 'over')`)
	s.untilHurried(clock, "status to say so", func() bool {
		st, err := e.Status(s.ctx)
		return err == nil && strings.Contains(st.Syncs[0].Held, "a label of an enum has another name now")
	})
	if _, err := e.Audit(s.ctx, "", nil); err != nil {
		t.Error(err)
	}
	if n := len(s.remote.Records("visit")); n != 1 {
		t.Errorf("%d records of rows that nobody changed, want 1", n)
	}
	called.Store("done")
	s.exec(`alter type step rename value 'over' to 'done'`)
	s.untilHurried(clock, "the sync to go on", func() bool { return len(s.remote.Records("visit")) == 2 })
}

// A row that changes between the renaming and the process's next look at the tables is
// not taken for one that does not pass, and what it holds is known at once.
func TestRenamedLabelIsNotRead(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.within(time.Minute)
	s.exec(`create type step as enum ('new', 'done'); create table visits (id integer primary key, step step not null, steps step[] not null default '{}', n integer);
		insert into visits values (1, 'new'), (2, 'done'), (3, 'done')`)
	var called atomic.Value
	called.Store("done")
	visit := fromFile{compares: "done", called: &called, unread: new(atomic.Bool), Mapping: upkeep.Mapping{Name: "visit",
		From: &upkeep.Relation{Table: "visits", Columns: []string{"step", "n"}}, To: s.to, Record: "visit",
		When: func(r upkeep.Row) (bool, error) { return r["step"] == "done", nil }, WhenFalse: upkeep.Ending{Action: upkeep.Delete},
		Translate: func(r upkeep.Row) (upkeep.Fields, error) { return upkeep.Fields(r), nil }}}
	plain := upkeep.Mapping{Name: "plain", From: &upkeep.Relation{Table: "visits", Columns: []string{"step", "steps"}}, To: s.to, Record: "plain",
		Translate: func(r upkeep.Row) (upkeep.Fields, error) { return upkeep.Fields(r), nil }}
	log := new(safeBuffer)
	e, err := upkeep.New(upkeep.Config{Database: s.open(), Audit: -1, Logger: slog.New(slog.NewTextHandler(log, nil)), Syncs: []upkeep.AnySync{visit, plain}})
	if err != nil {
		t.Fatal(err)
	}
	s.run(e)
	s.quiet(e)
	called.Store("over")
	s.exec(`alter type step rename value 'done' to 'over'; update visits set n = 1; update visits set steps = '{over}' where id = 1`)
	s.until("the sync to be held", func() bool { return strings.Contains(log.String(), "the sync is held") })
	s.until("the other to go on", func() bool {
		return s.remote.Text("plain", "plain-2", "step") == `"over"` && strings.Contains(s.remote.Text("plain", "plain-1", "steps"), "over")
	})
	if n := len(s.remote.Records("visit")); n != 2 {
		t.Errorf("%d records of two rows that nobody has changed", n)
	}
	s.exec(`alter type step add value 'late'`)
	s.exec(`update visits set step = 'late' where id = 1`)
	s.until("a label that was added", func() bool { return s.remote.Text("plain", "plain-1", "step") == `"late"` })
}

// What labels were called outlives the process: one that starts again with the old
// configuration is held, also when another one has gone by the new name meanwhile, and
// whoever looks sees why. What was renamed while nobody was at work is swept.
func TestRenamedLabelOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.within(time.Minute)
	s.exec(`create type step as enum ('new', 'done'); create table visits (id integer primary key, step step not null, n integer);
		insert into visits values (1, 'new'), (2, 'done'), (3, 'done')`)
	var called atomic.Value
	called.Store("done")
	process := func(compares string) (*upkeep.Engine, *safeBuffer) {
		t.Helper()
		visit := fromFile{compares: compares, called: &called, unread: new(atomic.Bool), Mapping: upkeep.Mapping{Name: "visit",
			From: &upkeep.Relation{Table: "visits", Columns: []string{"step", "n"}}, To: s.to, Record: "visit", Version: compares,
			When: func(r upkeep.Row) (bool, error) { return r["step"] == compares, nil }, WhenFalse: upkeep.Ending{Action: upkeep.Delete},
			Translate: func(r upkeep.Row) (upkeep.Fields, error) { return upkeep.Fields(r), nil }}}
		plain := upkeep.Mapping{Name: "plain", From: &upkeep.Relation{Table: "visits", Columns: []string{"step"}}, To: s.to, Record: "plain",
			Translate: func(r upkeep.Row) (upkeep.Fields, error) { return upkeep.Fields(r), nil }}
		log := new(safeBuffer)
		e, err := upkeep.New(upkeep.Config{Database: s.open(), Audit: -1, Logger: slog.New(slog.NewTextHandler(log, nil)), Syncs: []upkeep.AnySync{visit, plain}})
		if err != nil {
			t.Fatal(err)
		}
		return e, log
	}
	held := func(e *upkeep.Engine) {
		t.Helper()
		s.until("the sync to be held", func() bool {
			st, err := upkeep.Stored(s.ctx, s.open())
			return err == nil && slices.ContainsFunc(st.Failures, func(f upkeep.Failure) bool {
				return f.Stage == "load" && strings.Contains(f.Reason, `visit is held: a label of an enum has another name now (public.visits.step: "done", now "over")`)
			})
		})
		s.exec(`update visits set n = coalesce(n, 0) + 1`)
		s.until("a group to wait", func() bool {
			st, err := e.Status(s.ctx)
			return err == nil && strings.Contains(st.Syncs[0].Held, "a label of an enum has another name now")
		})
		if n := len(s.remote.Records("visit")); n != 2 {
			t.Errorf("%d records of two rows that nobody has changed", n)
		}
	}
	first, _ := process("done")
	stop := s.run(first)
	s.quiet(first)
	stop()
	called.Store("over")
	s.exec(`alter type step rename value 'done' to 'over'`)

	again, log := process("done")
	stop = s.run(again)
	held(again)
	s.until("the other to be swept", func() bool { return s.remote.Text("plain", "plain-2", "step") == `"over"` })
	stop()
	if n := strings.Count(log.String(), "labels of an enum have other names now"); n != 1 {
		t.Errorf("the sweep is told %d times: %s", n, log)
	}

	mended, _ := process("over")
	stop = s.run(mended)
	s.until("the new name", func() bool { return s.remote.Text("visit", "visit-2", "step") == `"over"` })
	s.quiet(mended)
	stop()

	again, _ = process("done")
	stop = s.run(again)
	held(again)
	called.Store("done")
	s.exec(`alter type step rename value 'over' to 'done'`)
	s.exec(`insert into visits values (4, 'done')`) // the other has it looked at, by a label that it does not know
	s.until("it to go on", func() bool { return s.remote.Text("visit", "visit-4", "step") == `"done"` })
	stop()
	s.until("nothing to be amiss", func() bool {
		st, err := upkeep.Stored(s.ctx, s.open())
		return err == nil && len(st.Failures) == 0
	})
}
