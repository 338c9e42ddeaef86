// Package sqlite keeps Upkeep's touch log and registry in a SQLite database:
// the application's own file, beside the tables that it watches.
//
// # For programs
//
//   - [Open] opens a file that is there.
//   - The [DB] that it makes is upkeep.Config's Database.
//   - [DB.Close] closes it, when Engine.Run has returned; [DB.Name] is for logs.
//
// # For the engine
//
// All other methods of DB implement an interface of Upkeep's own, which their
// comments name ("implements store..."). They are exported since the engine is
// in another package. No program needs them, and they may change at any time:
// what they do for people are methods of upkeep.Engine.
//
// # Beside the application
//
// SQLite has one writer at a time. Upkeep's own write transactions are
// short, but the application must wait for them as for any other writer: its
// connections need a busy_timeout. A column that a trigger of Upkeep names
// can be renamed (SQLite rewrites the trigger), but SQLite refuses to drop it
// while the trigger is there.
//
// The package brings the driver modernc.org/sqlite, whose name is "sqlite". A
// package that gives another driver that name, such as github.com/glebarez/sqlite,
// can't be in the same program: database/sql panics at the start.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Config is what a [DB] is given from outside.
type Config struct {
	// Clock tells the time. Nil: the real one.
	Clock func() time.Time
}

// DB is one SQLite database file with Upkeep's registry, for upkeep.Config. It
// is safe for concurrent use. Of its methods, [DB.Close] and [DB.Name] are for
// programs; the others are the engine's.
type DB struct {
	name   string // for people
	file   string
	opened string // fileID of what we have open
	uri    string
	clock  func() time.Time
	write  *sql.DB       // one connection, immediate transactions
	read   *sql.DB       // a few, read-only
	folds  chan struct{} // holds the right to fold
	piece  int           // the most groups that one fold raises: foldPiece, but for tests
}

var _ store.Store = (*DB)(nil)

// busyWait is how long SQLite itself waits for another writer before the
// store looks at its context and waits again.
const busyWait = 500 * time.Millisecond

// readers is how many connections read at once.
const readers = 4

// Open opens an existing database file: "shop.db", "sqlite:shop.db" or a
// "file:" URI. The file is switched to write-ahead logging, which is a
// property of the file and stays. The error says if there is no such file:
// a source that does not exist has no table to keep up with.
func Open(path string, cfg Config) (*DB, error) {
	uri, file, err := address(path)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(file); err != nil {
		return nil, fmt.Errorf("open sqlite database: %w (create it first: the application owns the file)", err)
	}
	d := &DB{name: "sqlite:" + file, file: file, uri: uri, clock: cfg.Clock, folds: make(chan struct{}, 1), piece: foldPiece}
	if d.clock == nil {
		d.clock = time.Now
	}
	if d.write, err = d.pool(1, "_txlock=immediate", "_pragma=journal_mode(wal)", "_pragma=synchronous(full)"); err != nil {
		return nil, err
	}
	if d.read, err = d.pool(readers, "_pragma=query_only(1)", "_dqs=0"); err != nil {
		return nil, errors.Join(err, d.write.Close())
	}
	if err := d.ready(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	d.opened = fileID(file)
	return d, nil
}

// address makes a URI of what a person writes, and the plain file name.
func address(path string) (uri, file string, err error) {
	path = strings.TrimPrefix(path, "sqlite:")
	if path == "" || strings.Contains(path, ":memory:") || strings.Contains(path, "mode=memory") {
		return "", "", errors.New("a SQLite source must be a file: a database in memory can't be shared with the application")
	}
	if !strings.HasPrefix(path, "file:") {
		u := url.URL{Path: path}
		escaped := strings.NewReplacer("?", "%3f", "#", "%23").Replace(u.EscapedPath())
		return "file:" + escaped + "?mode=rw", path, nil
	}
	u, err := url.Parse(path)
	if err != nil {
		return "", "", errors.New("the SQLite file: URI is not valid")
	}
	if file = u.Path; file == "" {
		if file, err = url.PathUnescape(u.Opaque); err != nil {
			return "", "", errors.New("the SQLite file: URI is not valid")
		}
	}
	if u.RawQuery == "" {
		path += "?mode=rw"
	}
	return path, file, nil
}

// pool opens a pool of connections with the given parameters.
func (d *DB) pool(conns int, params ...string) (*sql.DB, error) {
	params = append(params, fmt.Sprintf("_pragma=busy_timeout(%d)", busyWait.Milliseconds()))
	db, err := sql.Open("sqlite", d.uri+"&"+strings.Join(params, "&"))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", d.name, err)
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// ready looks whether the file is a database that can be written.
func (d *DB) ready() error {
	var mode string
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err := retryBusy(ctx, func() error {
		return d.write.QueryRowContext(ctx, `PRAGMA journal_mode`).Scan(&mode)
	})
	if err != nil {
		return fmt.Errorf("open %s: %w", d.name, err)
	}
	if mode != "wal" {
		return fmt.Errorf("open %s: SQLite can't use write-ahead logging here (journal mode is %q); the file must be on a local disk", d.name, mode)
	}
	return nil
}

// Name is "sqlite:" and the file.
func (d *DB) Name() string { return d.name }

// Close closes all connections.
func (d *DB) Close() error { return errors.Join(d.write.Close(), d.read.Close()) }

// now is the database's clock in microseconds.
func (d *DB) now() int64 { return d.clock().UnixMicro() }

// update runs f in a write transaction, again if the database was busy. f
// must be able to run more than once.
func (d *DB) update(ctx context.Context, what string, f func(tx *sql.Tx) error) error {
	err := retryBusy(ctx, func() error {
		tx, err := d.write.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		if err := f(tx); err != nil {
			return errors.Join(err, tx.Rollback())
		}
		return tx.Commit()
	})
	return explain(what, err)
}

// view runs f in a read-only transaction: one snapshot.
func (d *DB) view(ctx context.Context, what string, f func(tx *sql.Tx) error) error {
	err := retryBusy(ctx, func() error {
		tx, err := d.read.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		return errors.Join(f(tx), tx.Rollback())
	})
	return explain(what, err)
}

// retryBusy runs f until it does not fail because of another writer, or ctx
// ends.
func retryBusy(ctx context.Context, f func() error) error {
	pause := time.Millisecond
	for {
		err := f()
		if err == nil {
			return nil
		}
		if !isBusy(err) {
			if end := ctx.Err(); end != nil && !errors.Is(err, end) {
				return fmt.Errorf("%w: %w", end, err) // SQLite only says "interrupted"
			}
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(pause):
			pause = min(2*pause, 50*time.Millisecond)
		}
	}
}

// isBusy reports whether another connection's lock was in the way.
func isBusy(err error) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	code := e.Code() & 0xff
	return code == sqlite3.SQLITE_BUSY || code == sqlite3.SQLITE_LOCKED
}

// explain adds what was done to an error, and names a missing registry.
func explain(what string, err error) error {
	if err == nil {
		return nil
	}
	// A column of ours that is missing is one that is only being installed.
	if s := err.Error(); strings.Contains(s, "no such table: upkeep_") || strings.Contains(s, "no such table: main.upkeep_") ||
		strings.Contains(s, "no such column: g.") || strings.Contains(s, "no such column: upkeep_syncs.") || strings.Contains(s, "no such column: upkeep_slots.") {
		return fmt.Errorf("%s: %w (%v)", what, store.ErrNotInstalled, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// ident quotes an identifier.
func ident(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// literal quotes a text value, for triggers (which take no parameters).
func literal(s string) string { return `'` + strings.ReplaceAll(s, `'`, `''`) + `'` }

// timeAt is the time of stored microseconds; NULL is the zero time.
func timeAt(us sql.NullInt64) time.Time {
	if !us.Valid {
		return time.Time{}
	}
	return time.UnixMicro(us.Int64).UTC()
}
