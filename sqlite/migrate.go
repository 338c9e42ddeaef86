package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"

	"github.com/upkeep-sync/upkeep/internal/migration"
	"github.com/upkeep-sync/upkeep/internal/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// versions is the table of the migrations that have run.
const versions = "upkeep_migrations"

// ownTables are all tables of Upkeep, for Uninstall.
var ownTables = [...]string{"upkeep_touch", "upkeep_groups", "upkeep_edges", "upkeep_attempts", "upkeep_syncs",
	"upkeep_settings", "upkeep_remotes", "upkeep_quotas", "upkeep_slots", "upkeep_pauses", "upkeep_deletes", "upkeep_missed",
	"upkeep_plans", "upkeep_failures", "upkeep_interventions", "upkeep_commands", "upkeep_command_number", "upkeep_command_gaps", "upkeep_job_groups", "upkeep_jobs", "upkeep_lock", versions}

// Migrate brings Upkeep's own tables up to date.
// It implements [store.Store].
func (d *DB) Migrate(ctx context.Context) error {
	if err := d.migrate(ctx); err != nil {
		return fmt.Errorf("migrate %s: %w", d.name, err)
	}
	return d.update(ctx, "make the registry's secret", func(tx *sql.Tx) error {
		secret := make([]byte, 32)
		if _, err := rand.Read(secret); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO upkeep_settings (name, value) VALUES ('secret', ?1) ON CONFLICT DO NOTHING`, secret)
		return err
	})
}

func (d *DB) migrate(ctx context.Context) (err error) {
	// goose holds one connection while it runs and may ask for another.
	db, err := d.pool(2, "_txlock=immediate")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	lock := &migrationLock{db: db, holder: rand.Text()}
	if err := lock.take(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.release(context.WithoutCancel(ctx))) }()

	steps, err := migration.Read(migrations, "migrations", "")
	if err != nil {
		return err
	}
	inner, err := database.NewStore(database.DialectSQLite3, versions)
	if err != nil {
		return err
	}
	p, err := goose.NewProvider("", db, nil, goose.WithGoMigrations(steps...), goose.WithStore(versionTable{inner}), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	return retryBusy(ctx, func() error {
		if _, err := p.Up(ctx); err != nil {
			return err
		}
		return migration.Newest(p.GetVersions(ctx))
	})
}

// versionTable makes goose's table without AUTOINCREMENT: the sqlite_sequence
// that comes with it could never be removed.
type versionTable struct{ database.Store }

func (versionTable) CreateVersionTable(ctx context.Context, db database.DBTxConn) error {
	_, err := db.ExecContext(ctx, `CREATE TABLE `+versions+` (
		id INTEGER PRIMARY KEY, version_id INTEGER NOT NULL, is_applied INTEGER NOT NULL,
		tstamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP)`)
	return err
}

// migrationLock lets one process migrate at a time. It goes by the real
// clock: it is about processes, not about the registry.
type migrationLock struct {
	db     *sql.DB
	holder string
}

// lockFor is how long a process that died while migrating keeps others out.
const lockFor = 30 * time.Second

func (l *migrationLock) take(ctx context.Context) error {
	for {
		var got bool
		err := retryBusy(ctx, func() (err error) {
			got, err = l.try(ctx)
			return err
		})
		if err != nil || got {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("another process is migrating: %w", ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (l *migrationLock) try(ctx context.Context) (bool, error) {
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	now := time.Now()
	if _, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS upkeep_lock (one INTEGER PRIMARY KEY CHECK (one = 1), holder TEXT NOT NULL, until INTEGER NOT NULL)`); err != nil {
		return false, err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM upkeep_lock WHERE until < ?1`, now.UnixMicro()); err != nil {
		return false, err
	}
	r, err := tx.ExecContext(ctx, `INSERT INTO upkeep_lock (one, holder, until) VALUES (1, ?1, ?2) ON CONFLICT DO NOTHING`,
		l.holder, now.Add(lockFor).UnixMicro())
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	if err != nil {
		return false, err
	}
	return n == 1, tx.Commit()
}

func (l *migrationLock) release(ctx context.Context) error {
	return retryBusy(ctx, func() error {
		_, err := l.db.ExecContext(ctx, `DELETE FROM upkeep_lock WHERE holder = ?1`, l.holder)
		return err
	})
}

// Secret is the key of this registry's digests.
// It implements [store.Store].
func (d *DB) Secret(ctx context.Context) ([]byte, error) {
	var secret []byte
	err := d.view(ctx, "read the registry's secret", func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, `SELECT value FROM upkeep_settings WHERE name = 'secret'`).Scan(&secret)
		if errors.Is(err, sql.ErrNoRows) {
			return store.ErrNotInstalled
		}
		return err
	})
	return secret, err
}

// Uninstall drops all triggers and tables of Upkeep. The file stays in
// write-ahead logging.
// It implements [store.Store].
func (d *DB) Uninstall(ctx context.Context) error {
	return d.update(ctx, "uninstall from "+d.name, func(tx *sql.Tx) error {
		installed, err := triggers(ctx, tx)
		if err != nil {
			return err
		}
		for name := range installed {
			if _, err := tx.ExecContext(ctx, `DROP TRIGGER `+ident(name)); err != nil {
				return err
			}
		}
		for _, table := range ownTables {
			if _, err := tx.ExecContext(ctx, `DROP TABLE IF EXISTS `+ident(table)); err != nil {
				return err
			}
		}
		return nil
	})
}
