package upkeep_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// A migration that releases a table has its triggers put back at once, and not
// when the capture is next inspected.
func TestReleaseIsNoticed(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.fill()
	log := new(safeBuffer)
	e, err := upkeep.New(upkeep.Config{Database: s.open(), Syncs: []upkeep.AnySync{customerSync(s.to)}, Clock: withoutNets{}, Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	s.run(e)
	s.quiet(e)
	told := func() bool {
		return strings.Contains(log.String(), "released a table; its triggers are put back\" tables=[public.users]")
	}
	// The inspection with which a process begins may be the one that finds the
	// first release; there is no second.
	for _, length := range []string{"100", "200"} {
		if told() {
			break
		}
		s.exec(`begin; select upkeep.release('users'); alter table users alter column name type varchar(` + length + `); update users set name = 'unseen' where id = 1; commit`)
		s.until("the change that no trigger saw", func() bool {
			r, there := s.remote.Record("customer", "customer-1")
			return there && string(r.Fields["entityId"]) == `"unseen"`
		})
		s.exec(`update users set name = 'seen' where id = 1`)
		s.quiet(e)
		s.inSync(e, "customer")
	}
	if !told() {
		t.Errorf("the log names no table: %s", log)
	}
	// Another process was quicker.
	s.exec(`insert into upkeep.touch (tbl, op) values ('public.users', 'release')`)
	s.until("the second release to be told", func() bool { return strings.Contains(log.String(), "are back already") })
	if strings.Contains(log.String(), "=[]") {
		t.Errorf("the log has a list of nothing: %s", log)
	}
}

// migrating is a database in which something happens while the capture is installed
// anew, which is not over before some looks for work were made.
type migrating struct {
	store.Store
	happens func()
	looks   atomic.Int64
}

func (d *migrating) Look(ctx context.Context, plan string, syncs []string) (store.Seen, error) {
	defer d.looks.Add(1)
	return d.Store.Look(ctx, plan, syncs)
}

func (d *migrating) Install(ctx context.Context, shapes []*store.Shape, plan, replaces string) error {
	if err := d.Store.Install(ctx, shapes, plan, replaces); err != nil || replaces == "" {
		return err
	}
	d.happens()
	enough, late := d.looks.Load()+8, time.After(5*time.Second)
	for look := time.NewTicker(10 * time.Millisecond); d.looks.Load() < enough; {
		select {
		case <-look.C:
		case <-late:
			return nil
		}
	}
	return nil
}

// One table is migrated after the other: while the triggers of the first are put
// back, the second becomes something else. That is no other configuration.
func TestReleasesOneAfterTheOther(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.within(3 * time.Minute)
	s.fill()
	migrate := func(table, column string, length int) {
		s.exec(fmt.Sprintf(`begin; select upkeep.release('%[1]s'); alter table %[1]s alter column %[2]s type varchar(%[3]d); commit`, table, column, length))
	}
	db := &migrating{Store: s.open()}
	var once sync.Once
	db.happens = func() { once.Do(func() { migrate("orders", "ref_no", 200) }) }
	e, err := upkeep.New(upkeep.Config{Database: db, Syncs: []upkeep.AnySync{customerSync(s.to), orderSync(s.to)}, Clock: withoutNets{}, Logger: slog.New(slog.NewTextHandler(testWriter{t}, nil))})
	if err != nil {
		t.Fatal(err)
	}
	s.run(e)
	s.quiet(e)
	migrate("users", "name", 100)
	s.exec(`update users set name = 'after'; update orders set ref_no = 'after'`)
	s.until("the changes after both", func() bool {
		user, _ := s.remote.Record("customer", "customer-1")
		return string(user.Fields["entityId"]) == `"after"`
	})
	s.quiet(e)
	s.inSync(e, "customer", "sales_order")
}

// gated is a database whose looks for work wait while a test does something, and
// don't tell of a release.
type gated struct {
	unheard
	gate  *sync.RWMutex
	looks *atomic.Int64
}

func (d gated) Look(ctx context.Context, plan string, syncs []string) (store.Seen, error) {
	d.gate.RLock()
	defer d.gate.RUnlock()
	defer d.looks.Add(1)
	return d.unheard.Look(ctx, plan, syncs)
}

// A column gets another type, and its old one back before a process has seen the
// first: what that process learns is what it knew, and yet not what is installed. That
// is no other configuration.
func TestMigrationsThatUndoEachOther(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.within(3 * time.Minute)
	s.fill()
	migrate := func(length int) {
		s.exec(fmt.Sprintf(`begin; select upkeep.release('users'); alter table users alter column name type varchar(%d); commit`, length))
	}
	s.exec(`alter table users alter column name type varchar(302)`)
	db := gated{unheard{s.open()}, new(sync.RWMutex), new(atomic.Int64)}
	syncs := []upkeep.AnySync{customerSync(s.to), orderSync(s.to)}
	e, err := upkeep.New(upkeep.Config{Database: db, Syncs: syncs, Clock: withoutNets{}, Logger: slog.New(slog.NewTextHandler(testWriter{t}, nil))})
	if err != nil {
		t.Fatal(err)
	}
	s.run(e)
	s.quiet(e)
	quick := s.engine(syncs...)
	install := func() {
		if err := quick.Install(s.ctx); err != nil {
			t.Fatal(err)
		}
	}
	db.gate.Lock()
	migrate(300)
	install()
	migrate(302)
	seen := db.looks.Load()
	db.gate.Unlock()
	s.until("the other one to look a few times", func() bool { return db.looks.Load() > seen+8 })
	install()
	s.exec(`update users set name = 'after'`)
	s.until("the change", func() bool { return s.remote.Text("customer", "customer-1", "entityId") == `"after"` })
	s.quiet(e)
	s.inSync(e, "customer", "sales_order")
}

// unheard is a database whose looks for work don't tell of a release, so that the
// inspection is the first to find it.
type unheard struct{ store.Store }

func (d unheard) Look(ctx context.Context, plan string, syncs []string) (store.Seen, error) {
	seen, err := d.Store.Look(ctx, plan, syncs)
	seen.Released = false
	return seen, err
}

// A release that an inspection comes upon is none of anybody's doing against us:
// the triggers are put back, what nobody saw arrives, and nobody is alarmed.
func TestReleaseThatAnInspectionFinds(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.within(3 * time.Minute)
	s.fill()
	log, db := new(safeBuffer), &sweeps{Store: unheard{s.open()}}
	e, err := upkeep.New(upkeep.Config{Database: db, Syncs: []upkeep.AnySync{customerSync(s.to)}, Clock: new(restless), Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	s.run(e)
	s.quiet(e)
	before := db.n.Load()
	s.exec(`begin; select upkeep.release('users'); update users set name = 'unseen' where id = 1; commit`)
	s.until("the change that no trigger saw", func() bool { return s.remote.Text("customer", "customer-1", "entityId") == `"unseen"` })
	if !strings.Contains(log.String(), "released a table; its triggers are put back\" tables=[public.users]") {
		t.Errorf("the log does not tell of it: %s", log)
	}
	if strings.Contains(log.String(), "capture was altered") || strings.Contains(log.String(), "partitions are new") {
		t.Errorf("a release counts as something else: %s", log)
	}
	if n := db.n.Load() - before; n != 0 {
		t.Errorf("the engine asked for %d sweeps besides that of the release", n)
	}
}

// retypings are ways to give a watched column another type, on each database.
var retypings = map[string]struct {
	open   func(*shop)
	retype string
}{
	"released": {(*shop).onPostgres, `begin; select upkeep.release('users'); alter table users alter column name type varchar(100); commit`},
	"altered":  {(*shop).onPostgres, `alter table users alter column name drop not null`},
	"rebuilt": {(*shop).onSQLite, `begin; create table users2 (id integer primary key, name varchar(100) not null, email text, phone text, customer_id integer references customers(id));
		insert into users2 select * from users; drop table users; alter table users2 rename to users; commit`},
}

// A column has another type under a running process. One with the same
// configuration that starts then finds nothing else than it would install, or is
// the first to know; either way the one that runs goes on.
func TestRetypedUnderARunningProcess(t *testing.T) {
	t.Parallel()
	for name, test := range retypings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := makeShop(t, memory.Config{}, test.open)
			s.within(3 * time.Minute)
			s.fill()
			own := new(safeBuffer)
			e, err := upkeep.New(upkeep.Config{Database: s.open(), Syncs: []upkeep.AnySync{customerSync(s.to)}, Clock: withoutNets{}, Logger: slog.New(slog.NewTextHandler(own, nil))})
			if err != nil {
				t.Fatal(err)
			}
			s.run(e)
			s.quiet(e)
			s.exec(test.retype)
			s.quiet(e)
			log := new(safeBuffer)
			other, err := upkeep.New(upkeep.Config{Database: s.open(), Syncs: []upkeep.AnySync{customerSync(s.to)}, Logger: slog.New(slog.NewTextHandler(log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			if err := other.Install(s.ctx); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(log.String(), "another than the one that was installed") {
				t.Errorf("nothing differs, and it says: %s", log)
			}
			s.exec(`update users set name = 'sent by the first' where id = 1`)
			s.quiet(e)
			s.inSync(e, "customer")
			s.field("customer", "customer-1", "entityId", `"sent by the first"`)
			s.until("the log to name the column", func() bool {
				return strings.Contains(own.String(), "users.name: ") && strings.Contains(own.String(), " not null, now ")
			})
			if strings.Contains(log.String(), "syncs=") && !strings.Contains(log.String(), "syncs=[customer]") {
				t.Errorf("the log of the one that starts names no sync: %s", log)
			}
		})
	}
}

// Whether a type has changed too or not: another configuration is another one.
func TestAnotherConfigurationStopsTheOldOne(t *testing.T) {
	t.Parallel()
	for name, test := range retypings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := makeShop(t, memory.Config{}, test.open)
			s.fill()
			e := s.engine(customerSync(s.to))
			ended := make(chan error, 1)
			go func() { ended <- e.Run(s.ctx) }()
			s.until("the old one to run", func() bool { return s.remote.Calls(memory.Any) > 0 })
			s.quiet(e)
			s.exec(test.retype)
			s.run(s.engine(customerSync(s.to), orderSync(s.to)))
			if err := <-ended; !errors.Is(err, upkeep.ErrPlan) {
				t.Errorf("the old one ended with %v, want ErrPlan", err)
			}
		})
	}
}

// A function can't be compared, so Version is raised with it. What is loaded is
// the same; what is made of it is not. The old process must not answer for the
// sweep that the new one asks for.
func TestNewVersionStopsTheOldOne(t *testing.T) {
	onEach(t, func(t *testing.T, shop func(memory.Config) *shop) {
		s := shop(memory.Config{})
		s.fill()
		e := s.engine(customerSync(s.to))
		ended := make(chan error, 1)
		go func() { ended <- e.Run(s.ctx) }()
		s.until("the old one to run", func() bool { return s.remote.Calls(memory.Any) > 0 })
		s.quiet(e)
		capitals := customerSync(s.to)
		capitals.Version = "2: names in capitals"
		capitals.Translate = func(u User) (upkeep.Fields, error) {
			return upkeep.Fields{"entityId": strings.ToUpper(u.Name)}, nil
		}
		other := s.engine(capitals)
		if err := other.Install(s.ctx); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			if !errors.Is(err, upkeep.ErrPlan) {
				t.Errorf("the old one ended with %v, want ErrPlan", err)
			}
		case <-time.After(time.Minute):
			t.Fatal("the old one goes on")
		}
		s.run(other)
		s.quiet(other)
		for _, r := range s.remote.Records("customer") {
			if name := string(r.Fields["entityId"]); name != strings.ToUpper(name) {
				t.Errorf("%s was left as %s", r.ExternalID, name)
			}
		}
	})
}

// outrun is a database whose first answer that a pass is under way comes when
// another configuration has been installed meanwhile.
type outrun struct {
	store.Store
	install func()
	once    atomic.Bool
	late    atomic.Int64 // steps of the pass after that
}

func (d *outrun) Sync(ctx context.Context, sync string) (store.SyncState, error) {
	state, err := d.Store.Sync(ctx, sync)
	if err == nil && state.Backfill.Running && d.once.CompareAndSwap(false, true) {
		d.install()
	}
	return state, err
}

func (d *outrun) Backfill(ctx context.Context, shape *store.Shape, limit int) (bool, error) {
	if d.once.Load() {
		d.late.Add(1)
	}
	return d.Store.Backfill(ctx, shape, limit)
}

// Nor does it take a part in the pass: its root table may be another one, whose
// end would be taken for the end of the new one's.
func TestPassOfAnotherConfiguration(t *testing.T) {
	onEach(t, func(t *testing.T, shop func(memory.Config) *shop) {
		s := shop(memory.Config{})
		s.within(3 * time.Minute)
		s.fill()
		type segment struct {
			Name string `db:"segment"`
		}
		other := s.engine(upkeep.Sync[segment]{
			Name: "customer", Table: "customers", To: s.to, Record: "customer",
			Translate: func(c segment) (upkeep.Fields, error) { return upkeep.Fields{"entityId": c.Name}, nil },
		})
		db := &outrun{Store: s.open()}
		db.install = func() {
			if err := other.Install(s.ctx); err != nil {
				t.Error(err)
			}
		}
		e, err := upkeep.New(upkeep.Config{Database: db, Syncs: []upkeep.AnySync{customerSync(s.to)}})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Run(s.ctx); !errors.Is(err, upkeep.ErrPlan) {
			t.Errorf("the old one ended with %v, want ErrPlan", err)
		}
		if n := db.late.Load(); n > 0 {
			t.Errorf("the old one took %d steps of the new one's pass", n)
		}
	})
}

// Whoever asks for a sweep with a declaration that is not installed does not make
// it count as installed: its own sweep is still to come.
func TestResyncOfAnotherConfiguration(t *testing.T) {
	onEach(t, func(t *testing.T, shop func(memory.Config) *shop) {
		s := shop(memory.Config{})
		s.within(3 * time.Minute)
		s.fill()
		ctx, stop := context.WithCancel(s.ctx)
		e := s.engine(customerSync(s.to))
		ended := make(chan error, 1)
		go func() { ended <- e.Run(ctx) }()
		s.until("the old one to run", func() bool { return s.remote.Calls(memory.Any) > 0 })
		s.quiet(e)
		capitals := customerSync(s.to)
		capitals.Version = "2: names in capitals"
		capitals.Translate = func(u User) (upkeep.Fields, error) {
			return upkeep.Fields{"entityId": strings.ToUpper(u.Name)}, nil
		}
		other := s.engine(capitals)
		if err := other.Resync(s.ctx, upkeep.Resync{}); err != nil {
			t.Fatal(err)
		}
		s.quiet(e)
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		s.run(other)
		s.until("the new one's sweep", func() bool { return s.remote.Text("customer", "customer-1", "entityId") == `"ADA"` })
	})
}

// On SQLite a new unique index lets a REPLACE take rows away that the triggers
// don't know of. It is noticed with the next look for work, and not when the
// capture is next inspected; who was taken away before that is parked.
func TestNewUniqueIndexIsNoticed(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.Config{})
	s.within(3 * time.Minute)
	s.fill()
	e, err := upkeep.New(upkeep.Config{Database: s.open(), Syncs: []upkeep.AnySync{customerSync(s.to)}, Clock: withoutNets{}})
	if err != nil {
		t.Fatal(err)
	}
	s.run(e)
	s.quiet(e)
	s.exec(`begin; create unique index users_email on users(email); insert or replace into users (id, name, email) values (3, 'Eve', 'ada@example.com'); commit`)
	s.state(e, "customer", "1", upkeep.Parked)
	s.exec(`insert or replace into users (id, name, email) values (4, 'Dan', 'ada@example.com')`)
	s.state(e, "customer", "3", upkeep.Gone)
}
