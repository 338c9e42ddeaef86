package upkeep_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
	remotes string // the table
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
	b.restore = func() error { return os.Rename(copied, path) }
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

// A registry that is restored from a backup makes no duplicates and no
// deletes: what it has forgotten is looked for, and a person is asked.
func TestRestoredRegistry(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(*testing.T) *backedUp{"sqlite": sqliteBackup, "postgres": postgresBackup} {
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
	s.exec(`insert into users (id, name) values (11, 'lost'), (12, 'lost too'); update users set name = 'newer' where id = 1; delete from users where id = 2`)
	during(nothing)
	s.field("customer", "customer-1", "entityId", `"newer"`)
	must(db.restore())
	s.exec(`insert into users (id, name) values (11, 'found'); delete from users where id = 4`)
	s.remote.Forget()
	paused := func() {
		t.Helper()
		d := s.open()
		e, err := upkeep.New(upkeep.Config{Database: d, Syncs: []upkeep.AnySync{customerSync(s.to)}})
		must(err)
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
		n, err := e.AllowDeletes(s.ctx, "customer", 2)
		if err != nil || n != 2 {
			t.Errorf("%d, %v", n, err)
		}
	})
	// The next start finds nothing new.
	s.remote.Forget()
	during(nothing)
	if n := s.remote.Calls(memory.Any); n > 0 {
		t.Errorf("%d calls after all was done", n)
	}
	if n := len(s.remote.Records("customer")); n != 10 {
		t.Errorf("%d records, want 1 to 12 without 3 and 4", n)
	}
}
