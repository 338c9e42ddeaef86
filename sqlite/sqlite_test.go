package sqlite_test

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/upkeep-sync/upkeep/internal/store"
	"github.com/upkeep-sync/upkeep/internal/storetest"
	"github.com/upkeep-sync/upkeep/sqlite"
)

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, target)
}

// clock is a clock that stands until it is moved.
type clock struct{ us atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.us.Store(time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC).UnixMicro())
	return c
}

func (c *clock) now() time.Time          { return time.UnixMicro(c.us.Load()) }
func (c *clock) advance(d time.Duration) { c.us.Add(d.Microseconds()) }

// application opens a connection pool as the application has it.
func application(t *testing.T, file string, params ...string) *sql.DB {
	t.Helper()
	params = append(params, "_pragma=busy_timeout(10000)", "_pragma=foreign_keys(1)")
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: file}).EscapedPath()+"?"+strings.Join(params, "&"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	db.SetMaxOpenConns(2)
	if err := db.Ping(); err != nil {
		t.Fatal(err)
	}
	return db
}

// open opens the store on a file.
func open(t *testing.T, file string, c *clock) *sqlite.DB {
	t.Helper()
	d, err := sqlite.Open(file, sqlite.Config{Clock: c.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// target makes an empty database for the suite.
func target(t *testing.T) *storetest.Target {
	file := filepath.Join(t.TempDir(), "shop.db")
	app := application(t, file)
	c := newClock()
	const piece = 1000
	again := func(t *testing.T) store.Store {
		d := open(t, file, c)
		d.SetPiece(piece)
		return d
	}
	return &storetest.Target{
		Store: again(t),
		Again: again,
		Piece: piece, Reserved: true,
		Exec: func(q string) error {
			_, err := app.Exec(q)
			return err
		},
		Begin: func(t *testing.T) storetest.Tx {
			tx, err := app.Begin()
			if err != nil {
				t.Fatal(err)
			}
			return transaction{tx}
		},
		Advance: c.advance,
		Objects: func(t *testing.T) []string {
			return list(t, app, `SELECT type || ' ' || name FROM sqlite_schema ORDER BY 1`)
		},
		DropTrigger: func(t *testing.T, table string) {
			names := list(t, app, `SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = '`+table+`' AND name GLOB 'upkeep_*_update'`)
			if len(names) != 1 {
				t.Fatalf("update triggers of %s: %v", table, names)
			}
			if _, err := app.Exec(`DROP TRIGGER "` + names[0] + `"`); err != nil {
				t.Fatal(err)
			}
		},
		Row: func(n int) string {
			return fmt.Sprintf(`(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < %d) SELECT n FROM c)`, n)
		},
	}
}

type transaction struct{ tx *sql.Tx }

func (t transaction) Exec(q string) error {
	_, err := t.tx.Exec(q)
	return err
}
func (t transaction) Commit() error   { return t.tx.Commit() }
func (t transaction) Rollback() error { return t.tx.Rollback() }
func (t transaction) Handle() any     { return t.tx }

// list is the first column of a query.
func list(t *testing.T, db *sql.DB, query string) []string {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// A registry that is only being installed is not installed yet: its migrations
// are made one after the other.
func TestHalfInstalled(t *testing.T) {
	file := filepath.Join(t.TempDir(), "half.db")
	app, db := application(t, file), open(t, file, newClock())
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := app.Exec("ALTER TABLE upkeep_syncs DROP COLUMN failure; ALTER TABLE upkeep_slots DROP COLUMN oldest_call; ALTER TABLE upkeep_slots DROP COLUMN calls; ALTER TABLE upkeep_groups DROP COLUMN settled_generation"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Sync(t.Context(), "s"); !errors.Is(err, store.ErrNotInstalled) {
		t.Errorf("Sync: %v", err)
	}
	if _, err := db.Counts(t.Context()); !errors.Is(err, store.ErrNotInstalled) {
		t.Errorf("Counts: %v", err)
	}
	if _, err := db.Group(t.Context(), store.ID{Sync: "s", Key: "1"}); !errors.Is(err, store.ErrNotInstalled) {
		t.Errorf("Group: %v", err)
	}
	if _, err := db.Health(t.Context(), "ns"); !errors.Is(err, store.ErrNotInstalled) {
		t.Errorf("Health: %v", err)
	}
}

// An older program refuses what a newer one has made of the registry.
func TestOlderThanTheRegistry(t *testing.T) {
	file := filepath.Join(t.TempDir(), "newer.db")
	app, db := application(t, file), open(t, file, newClock())
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := app.Exec("INSERT INTO upkeep_migrations (version_id, is_applied) VALUES (9999, 1)"); err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(t.Context()); err == nil || !strings.Contains(err.Error(), "a newer Upkeep made the registry what it is (its tables have version 9999,") {
		t.Errorf("migrate: %v", err)
	}
}

// What keeps one kind of history from being pruned keeps none of the others.
func TestPruneGoesOnAfterAFailure(t *testing.T) {
	for _, refused := range []string{"upkeep_attempts", "upkeep_command_gaps", "upkeep_commands", "upkeep_missed"} {
		file := filepath.Join(t.TempDir(), refused+".db")
		app, db := application(t, file), open(t, file, newClock())
		if err := db.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := app.Exec(`INSERT INTO upkeep_groups (sync, key) VALUES ('s', '1');
			INSERT INTO upkeep_attempts (sync, key, at, epoch, action, outcome, status, message, fields, took) VALUES ('s', '1', 1, 1, 'update', 'ok', 200, '', '[]', 1);
			INSERT INTO upkeep_command_gaps (sync, key, at, reason) VALUES ('s', '1', 1, 'old');
			INSERT INTO upkeep_commands (sync, key, at, payload) VALUES ('s', '1', 1, '{}');
			INSERT INTO upkeep_missed (sync, key, at, fields, columns) VALUES ('s', '1', 1, '[]', '[]');
			CREATE TRIGGER refuse BEFORE DELETE ON ` + refused + ` BEGIN SELECT raise(abort, 'not this one'); END`); err != nil {
			t.Fatal(err)
		}
		if err := db.Prune(t.Context(), time.Hour); err == nil || strings.Count(err.Error(), "not this one") != 1 {
			t.Errorf("%s: %v", refused, err)
		}
		for _, table := range []string{"upkeep_attempts", "upkeep_command_gaps", "upkeep_commands", "upkeep_missed"} {
			var left bool
			if err := app.QueryRow("SELECT EXISTS (SELECT 1 FROM " + table + " WHERE at = 1)").Scan(&left); err != nil || left != (table == refused) {
				t.Errorf("%s is refused, and of %s is left: %v, %v", refused, table, left, err)
			}
		}
	}
}
