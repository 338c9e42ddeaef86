package upkeep_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/internal/pgtest"
	"github.com/upkeep-sync/upkeep/internal/store"
	"github.com/upkeep-sync/upkeep/postgres"
	"github.com/upkeep-sync/upkeep/sqlite"
)

// backedUp is a database of which a backup can be made and put in its place.
type backedUp struct {
	open    func() (upkeep.Database, error)
	exec    func(sql string) error
	backup  func() error
	restore func() error
	remotes string                            // the table
	putBack func(schemas string) (sql string) // only of rows into the tables that are there
}

func sqliteBackup(t *testing.T) *backedUp {
	dir := t.TempDir()
	path, copied := filepath.Join(dir, "shop.db"), filepath.Join(dir, "copy.db")
	b := &backedUp{remotes: "upkeep_remotes", open: func() (upkeep.Database, error) { return sqlite.Open(path, sqlite.Config{}) }}
	b.exec = func(text string) error {
		db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)")
		if err != nil {
			return err
		}
		defer db.Close()
		_, err = db.ExecContext(t.Context(), text)
		return err
	}
	b.backup = func() error { return b.exec("VACUUM INTO '" + copied + "'") }
	b.restore = func() error {
		// What the file that goes had not taken in yet is none of the copy's.
		for _, of := range []string{"-wal", "-shm"} {
			if err := os.Remove(path + of); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return os.Rename(copied, path)
	}
	return b
}

func postgresBackup(t *testing.T) *backedUp {
	url := pgtest.New(t)
	at := strings.LastIndexByte(url, '/')
	name, _, _ := strings.Cut(url[at+1:], "?")
	run := func(url, text string) error {
		c, err := pgx.Connect(t.Context(), url)
		if err != nil {
			return err
		}
		defer c.Close(context.Background())
		_, err = c.Exec(t.Context(), text)
		return err
	}
	other := strings.Replace(url, name, name+"_copy", 1)
	b := &backedUp{remotes: "upkeep.remotes"}
	b.open = func() (upkeep.Database, error) { return postgres.Open(t.Context(), url) }
	b.exec = func(text string) error { return run(url, text) }
	b.backup = func() error {
		t.Cleanup(func() {
			c, err := pgx.Connect(context.Background(), strings.Replace(other, name+"_copy", "postgres", 1))
			if err == nil {
				_, err = c.Exec(context.Background(), "DROP DATABASE "+name+"_copy WITH (FORCE)")
				_ = c.Close(context.Background())
			}
			if err != nil {
				t.Error(err)
			}
		})
		return run(strings.Replace(url, name, "postgres", 1), "CREATE DATABASE "+name+"_copy TEMPLATE "+name)
	}
	b.restore = func() error { url = other; return nil }
	return b
}

// postgresInPlace puts all rows back into the tables that are there, as COPY
// does: the database is the same.
func postgresInPlace(t *testing.T) *backedUp {
	url := pgtest.New(t)
	run := func(text string) error {
		c, err := pgx.Connect(t.Context(), url)
		if err != nil {
			return err
		}
		defer c.Close(context.Background())
		_, err = c.Exec(t.Context(), text)
		return err
	}
	// The registry last: the triggers write into its log.
	each := func(schemas, do string) string {
		return `DO $$ DECLARE r record; BEGIN
			FOR r IN SELECT n.nspname s, c.relname t FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
				WHERE c.relkind = 'r' AND n.nspname IN (` + schemas + `) ORDER BY n.nspname
			LOOP ` + do + ` END LOOP; END $$;`
	}
	b := &backedUp{remotes: "upkeep.remotes", exec: run}
	b.open = func() (upkeep.Database, error) { return postgres.Open(t.Context(), url) }
	b.backup = func() error {
		return run("CREATE SCHEMA saved; " + each("'public', 'upkeep'", "EXECUTE format('CREATE TABLE saved.%I AS TABLE %I.%I', r.s || r.t, r.s, r.t);"))
	}
	b.putBack = func(schemas string) string {
		return each(schemas, "EXECUTE format('DELETE FROM %I.%I', r.s, r.t); EXECUTE format('INSERT INTO %I.%I OVERRIDING SYSTEM VALUE TABLE saved.%I', r.s, r.t, r.s || r.t);")
	}
	b.restore = func() error { return run(b.putBack("'public', 'upkeep'")) }
	return b
}

// A registry that is restored from a backup makes no duplicates and no
// deletes: what it has forgotten is looked for, and a person is asked.
func TestRestoredRegistry(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(*testing.T) *backedUp{"sqlite": sqliteBackup, "postgres": postgresBackup, "postgres in place": postgresInPlace} {
		for word, class := range map[string]connector.Class{"upsert": connector.Upsert, "lookup": connector.Lookup} {
			t.Run(name+" "+word, func(t *testing.T) {
				t.Parallel()
				restored(t, make(t), class)
			})
		}
	}
}

func restored(t *testing.T, db *backedUp, class connector.Class) {
	s := &shop{t: t, ctx: t.Context(), remote: memory.New(memory.Config{Class: class}), app: db.exec}
	s.to = &upkeep.Remote{Name: "erp", Connection: s.remote.Connect()}
	s.open = func() upkeep.Database {
		d, err := db.open()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	// during runs an engine while f runs, and waits until all is at rest.
	during := func(f func(e *upkeep.Engine)) {
		d := s.open()
		e, err := upkeep.New(upkeep.Config{Database: d, Syncs: []upkeep.AnySync{customerSync(s.to)}})
		if err != nil {
			t.Fatal(err)
		}
		stop := s.run(e)
		f(e)
		s.quiet(e)
		stop()
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	nothing := func(*upkeep.Engine) {}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	s.exec("%s", shopSchema)
	s.users(10)
	during(nothing)
	must(db.backup())
	s.exec(`insert into users (id, name) values (11, 'lost'), (12, 'lost too'), (13, 'comes and goes'); update users set name = 'newer' where id = 1; delete from users where id = 2`)
	s.exec(`delete from users where id = 5`)
	during(nothing)
	s.field("customer", "customer-1", "entityId", `"newer"`)
	s.exec(`insert into users (id, name) values (5, 'made again')`)
	during(nothing)
	must(db.restore())
	s.exec(`insert into users (id, name) values (11, 'found'); delete from users where id in (4, 5)`)
	s.remote.Forget()
	paused := func() {
		t.Helper()
		d := s.open()
		e, err := upkeep.New(upkeep.Config{Database: d, Syncs: []upkeep.AnySync{customerSync(s.to)}})
		must(err)
		findings, err := e.Check(s.ctx)
		must(err)
		if said := fmt.Sprint(findings); !strings.Contains(said, "no upkeep run has looked at it since") {
			t.Errorf("before a worker looks check says %s", said)
		}
		s.remote.Forget() // that it was asked
		stop := s.run(e)
		s.until("the sweep", func() bool {
			x, err := e.Explain(s.ctx, "customer", "4")
			must(err)
			state, err := d.Sync(s.ctx, "customer")
			must(err)
			n, err := d.Pending(s.ctx, 1)
			must(err)
			return x.Group.ForcedGeneration > 0 && !state.Backfill.Running && n == 0
		})
		h, err := d.Health(s.ctx, "erp")
		must(err)
		if h.PausedFor <= 0 || s.remote.Calls(memory.Any) > 0 {
			t.Errorf("a request of before the restore may still arrive: paused for %s, %d calls", h.PausedFor, s.remote.Calls(memory.Any))
		}
		findings, err = e.Doctor(s.ctx)
		must(err)
		if said := fmt.Sprint(findings); !strings.Contains(said, "nothing is sent for another") || strings.Contains(said, "asked for a pause") || strings.Contains(said, "has looked at it since") {
			t.Errorf("of the pause doctor says %s", said)
		}
		// After the sweep a row comes and goes, whose record is forgotten.
		s.exec("insert into users (id, name) values (13, 'again')")
		s.until("the group", func() bool {
			x, err := e.Explain(s.ctx, "customer", "13")
			return err == nil && x.Group != nil
		})
		s.exec("delete from users where id = 13")
		s.until("the delete", func() bool {
			x, err := e.Explain(s.ctx, "customer", "13")
			must(err)
			return x.Group.DeleteSeen
		})
		stop()
		must(d.Close())
	}
	paused()
	s.exec("delete from %s", db.remotes) // as if that time were over
	during(nothing)
	s.field("customer", "customer-1", "entityId", `"user 1"`)
	s.field("customer", "customer-2", "entityId", `"user 2"`)
	s.field("customer", "customer-11", "entityId", `"found"`)
	s.field("customer", "customer-12", "entityId", `"lost too"`)
	s.field("customer", "customer-13", "entityId", `"comes and goes"`)
	if dup := s.remote.Duplicates(); len(dup) > 0 || s.remote.Calls(memory.Delete) > 0 {
		t.Errorf("duplicates %v, %d deletes", dup, s.remote.Calls(memory.Delete))
	}
	// Deletes wait for a person, once.
	s.exec(`delete from users where id = 3`)
	during(func(e *upkeep.Engine) {
		x := s.state(e, "customer", "3", store.Parked)
		if x.Group.Reason != store.DeleteHeld {
			t.Errorf("reason %q", x.Group.Reason)
		}
		findings, err := e.Doctor(s.ctx)
		if err != nil || !strings.Contains(fmt.Sprint(findings), "restored, copied or failed over") {
			t.Errorf("%v, %v", findings, err)
		}
		n, err := e.AllowDeletes(s.ctx, "customer", 4)
		if err != nil || n != 4 {
			t.Errorf("%d, %v", n, err)
		}
	})
	// The next start finds nothing new.
	s.remote.Forget()
	during(nothing)
	if n := s.remote.Calls(memory.Any); n > 0 {
		t.Errorf("%d calls after all was done", n)
	}
	if n := len(s.remote.Records("customer")); n != 9 {
		t.Errorf("%d records, want 1 to 12 without 3, 4 and 5, and not 13", n)
	}
}

// The rows of the registry are put back under a running engine, and a row
// changes at once whose record they have forgotten: nothing is claimed before
// it is known, and the record is not made again.
func TestRegistryPutBackAtWork(t *testing.T) {
	t.Parallel()
	b := postgresInPlace(t)
	s := &shop{t: t, ctx: t.Context(), remote: memory.New(memory.Config{Class: connector.Lookup}), app: b.exec}
	s.to = &upkeep.Remote{Name: "erp", Connection: s.remote.Connect()}
	run := func(f func(e *upkeep.Engine)) {
		d, err := b.open()
		if err != nil {
			t.Fatal(err)
		}
		e, err := upkeep.New(upkeep.Config{Database: d, Syncs: []upkeep.AnySync{customerSync(s.to)}})
		if err != nil {
			t.Fatal(err)
		}
		stop := s.run(e)
		f(e)
		stop()
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	s.exec("%s", shopSchema)
	s.users(3)
	run(func(e *upkeep.Engine) {
		s.quiet(e)
		if err := b.backup(); err != nil {
			t.Fatal(err)
		}
		s.exec("insert into users (id, name) values (11, 'new')")
		s.quiet(e)
		s.exec("%s", "begin; "+b.putBack("'upkeep'")+"update users set name = 'newer' where id = 11; commit")
		s.until("that it is noticed", func() bool { at, err := e.Restored(s.ctx); return err == nil && !at.IsZero() })
	})
	s.exec("delete from upkeep.remotes") // as if the pause were over
	run(s.quiet)
	s.field("customer", "customer-11", "entityId", `"newer"`)
	if dup := s.remote.Duplicates(); len(dup) > 0 {
		t.Errorf("duplicates %v", dup)
	}
}

// unswept is a database whose sweeps wait.
type unswept struct {
	upkeep.Database
	until chan struct{}
}

func (d *unswept) Backfill(ctx context.Context, shape *store.Shape, limit int) (bool, error) {
	select {
	case <-d.until:
		return d.Database.Backfill(ctx, shape, limit)
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// A remote that can't look anything up gets nothing made again of what the
// registry has forgotten, whatever comes first: a change, or the sweep.
func TestRestoredRegistryOfABlindRemote(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(*testing.T) *backedUp{"sqlite": sqliteBackup, "postgres": postgresBackup} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			restoredBlind(t, make(t))
		})
	}
}

func restoredBlind(t *testing.T, db *backedUp) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s := &shop{t: t, ctx: ctx, remote: memory.New(memory.Config{Class: connector.Blind}), app: db.exec}
	s.to = &upkeep.Remote{Name: "erp", Connection: s.remote.Connect()}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	// during runs an engine while f runs; the sweeps wait for until.
	during := func(until chan struct{}, f func(e *upkeep.Engine, d upkeep.Database)) {
		t.Helper()
		d, err := db.open()
		must(err)
		e, err := upkeep.New(upkeep.Config{Database: &unswept{d, until}, Syncs: []upkeep.AnySync{customerSync(s.to)}})
		must(err)
		stop := s.run(e)
		f(e, d)
		stop()
		must(d.Close())
	}
	now := make(chan struct{})
	close(now)
	atRest := func(e *upkeep.Engine, _ upkeep.Database) { s.quiet(e) }

	s.exec("%s", shopSchema)
	s.users(10)
	during(now, atRest)
	must(db.backup())
	s.exec(`insert into users (id, name) values (11, 'lost'); delete from users where id in (2, 5)`)
	during(now, atRest)
	s.exec(`insert into users (id, name) values (5, 'under another id')`)
	during(now, atRest)
	must(db.restore())
	s.exec(`insert into users (id, name) values (11, 'found'); delete from users where id = 5`)
	s.remote.Forget()
	later := make(chan struct{})
	during(later, func(e *upkeep.Engine, d upkeep.Database) {
		s.until("the pause", func() bool {
			h, err := d.Health(s.ctx, "erp")
			must(err)
			return h.PausedFor > 0
		})
	})
	s.exec("delete from %s", db.remotes) // as if that time were over
	during(later, func(e *upkeep.Engine, _ upkeep.Database) {
		s.until("a change that waits for the sweep", func() bool {
			x, err := e.Explain(s.ctx, "customer", "11")
			must(err)
			return x.Group != nil && strings.Contains(x.Group.Reason, "until all was swept") || s.remote.Calls(memory.Create) > 0
		})
		close(later)
		untold := func(keys ...string) {
			for _, key := range keys {
				if x := s.state(e, "customer", key, store.Parked); !strings.Contains(x.Group.Reason, "--not-there") {
					t.Errorf("%s is parked: %s", key, x.Group.Reason)
				}
			}
		}
		untold("2", "11") // gone, and there, since
		s.quiet(e)
		if n, err := e.AllowDeletes(s.ctx, "customer", 1); n != 1 {
			t.Errorf("%d deletes were held: %v", n, err)
		}
		s.until("the delete", func() bool { return s.remote.Calls(memory.Delete) == 1 })
		s.quiet(e)
		untold("5")                                               // it is there since under another id
		s.exec(`insert into users (id, name) values (20, 'new')`) // nobody has seen that before
		s.state(e, "customer", "20", upkeep.Clean)
	})
	if n, dup := s.remote.Calls(memory.Create), s.remote.Duplicates(); n != 1 || len(dup) > 0 {
		t.Errorf("%d creates, duplicates %v; only customer 20 is new", n, dup)
	}
}

// overtaken is a database where, once armed, a look at its origin that began
// first ends last.
type overtaken struct {
	upkeep.Database
	write func()
	armed atomic.Bool
	looks atomic.Int64
	later chan struct{} // closed when a look that began later is over
	once  sync.Once
	fails sync.Once
}

func (d *overtaken) Origin(ctx context.Context) (now store.Origin, noted string, err error) {
	now, noted, err = d.Database.Origin(ctx)
	if !d.armed.Load() {
		return now, noted, err
	}
	if d.looks.Add(1) == 1 {
		d.write()
		select {
		case <-d.later:
		case <-time.After(time.Second): // it waits for this one
		}
		return now, noted, err
	}
	d.once.Do(func() { time.AfterFunc(100*time.Millisecond, func() { close(d.later) }) })
	return now, noted, err
}

// Look fails once when armed, so that the next claims look at the origin.
func (d *overtaken) Look(ctx context.Context, plan string, syncs []string) (seen store.Seen, err error) {
	if d.armed.Load() {
		d.fails.Do(func() { err = errors.New("the database was away for a moment") })
	}
	if err != nil {
		return seen, err
	}
	return d.Database.Look(ctx, plan, syncs)
}

// Two looks at once at where the registry comes from are no restore, in whatever
// order they end.
func TestLooksAtTheOriginDoNotOvertake(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.within(3 * time.Minute)
	s.users(3)
	other := customerSync(&upkeep.Remote{Name: "other", Connection: memory.New(memory.Config{}).Connect()})
	other.Name = "other"
	d := &overtaken{Database: s.open(), later: make(chan struct{})}
	d.write = func() { s.exec(`insert into users (id, name) values (5, 'meanwhile')`) }
	e, err := upkeep.New(upkeep.Config{Database: d, Syncs: []upkeep.AnySync{customerSync(s.to), other}})
	if err != nil {
		t.Fatal(err)
	}
	s.run(e)
	s.quiet(e)
	d.armed.Store(true)
	s.until("the looks", func() bool {
		s.exec(`update users set name = name || '.' where id = 1`)
		return d.looks.Load() > 1
	})
	s.until("the change to be sent", func() bool { // after a restore it would not be for long
		if at, err := e.Restored(s.ctx); err != nil || !at.IsZero() {
			t.Fatalf("two looks at once are taken for a restore, at %v, %v", at, err)
		}
		return strings.HasSuffix(s.remote.Text("customer", "customer-1", "entityId"), `."`)
	})
	s.quiet(e)
	s.inSync(e, "customer")
}

// A file that is put in the place of the database's while a process has that
// open: the process ends, and sends nothing of what it has open. The next one
// finds a restored registry, whatever a failover of a server may lose.
func TestFileReplacedAtWork(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	b := sqliteBackup(t)
	s := &shop{t: t, ctx: ctx, remote: memory.New(memory.Config{}), app: b.exec}
	s.to = &upkeep.Remote{Name: "erp", Connection: s.remote.Connect()}
	open := func() (*moving, *upkeep.Engine) {
		d, err := b.open()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.(*sqlite.DB).Close() }) // it may be closed
		m := &moving{Database: d}
		e, err := upkeep.New(upkeep.Config{Database: m, Syncs: []upkeep.AnySync{customerSync(s.to)}, LosslessFailover: true})
		if err != nil {
			t.Fatal(err)
		}
		return m, e
	}
	s.exec("%s", shopSchema)
	s.users(3)
	m, e := open()
	ended := make(chan error, 1)
	go func() { ended <- e.Run(s.ctx) }()
	s.until("that it runs", func() bool {
		st, err := e.Status(s.ctx)
		return err == nil && len(st.Syncs) > 0 && st.Syncs[0].Clean == 3
	})
	for _, step := range []func() error{b.backup, b.restore} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	calls := func() int { return s.remote.Calls(memory.Create) + s.remote.Calls(memory.Update) }
	before := calls()
	m.moved.Store(true) // as it is found ten seconds later
	if err := <-ended; !errors.Is(err, upkeep.ErrReplaced) || !strings.Contains(err.Error(), "shop.db") {
		t.Errorf("it ended: %v; the file was replaced", err)
	}
	if n := calls() - before; n > 0 {
		t.Errorf("%d calls for a file that is not there any more", n)
	}
	if err := m.Database.(*sqlite.DB).Close(); err != nil {
		t.Fatal(err)
	}
	for _, left := range []string{"-wal", "-shm"} { // of the file that is gone
		if err := os.Remove(strings.TrimPrefix(m.Name(), "sqlite:") + left); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	_, e = open()
	stop := s.run(e)
	s.until("a registry that was restored", func() bool { at, err := e.Restored(s.ctx); return err == nil && !at.IsZero() })
	stop()
}

// moving is a database that may be another one, as a claim may find.
type moving struct {
	upkeep.Database
	moved atomic.Bool
}

func (m *moving) Claim(ctx context.Context, req store.ClaimRequest) ([]store.Claim, error) {
	if m.moved.Load() {
		return nil, store.ErrMoved
	}
	return m.Database.Claim(ctx, req)
}
