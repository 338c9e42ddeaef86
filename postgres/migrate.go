package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"github.com/pressly/goose/v3/lock"

	"github.com/upkeep-sync/upkeep/internal/migration"
)

//go:embed migrations/*.sql
var migrations embed.FS

// The keys of our advisory locks: "upkeep" in ASCII, and a number.
const (
	lockMigrate = 0x75706b656570<<8 + iota
	lockInstall
	lockFold
)

// Migrate brings the schema upkeep up to date. Several processes may call it
// at once.
// It implements [store.Store].
func (db *DB) Migrate(ctx context.Context) error {
	if err := db.examinePool(ctx); err != nil {
		return err
	}
	if err := db.writable(ctx); err != nil {
		return err
	}
	if err := db.createSchema(ctx); err != nil {
		return fmt.Errorf("create schema upkeep: %w", err)
	}
	steps, err := migration.Read(migrations, "migrations", bounded)
	if err != nil {
		return err
	}
	versions, err := database.NewStore(database.DialectPostgres, "upkeep.migrations")
	if err != nil {
		return err
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(lockMigrate), lock.WithLockTimeout(1, 300))
	if err != nil {
		return err
	}
	conn := stdlib.OpenDBFromPool(db.pool)
	provider, err := goose.NewProvider("", conn, nil, goose.WithGoMigrations(steps...), goose.WithStore(versions),
		goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return errors.Join(fmt.Errorf("read migrations: %w", err), conn.Close())
	}
	stop := db.tellMigration(ctx)
	if _, err = provider.Up(ctx); err == nil {
		err = migration.Newest(provider.GetVersions(ctx))
	}
	if err != nil {
		err = fmt.Errorf("migrate schema upkeep: %w", err)
	}
	stop()
	return errors.Join(err, provider.Close())
}

// createSchema makes the schema, which has to be there before the table of
// versions. CREATE SCHEMA IF NOT EXISTS alone fails when two run at once.
func (db *DB) createSchema(ctx context.Context) error {
	return db.alone(ctx, lockMigrate, func(c *pgxpool.Conn) error {
		var there bool
		err := c.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'upkeep')").Scan(&there)
		if err != nil || there {
			return err
		}
		_, err = c.Exec(ctx, "CREATE SCHEMA upkeep")
		return err
	})
}

// Secret is the random key of this registry's digests.
// It implements [store.Store].
func (db *DB) Secret(ctx context.Context) ([]byte, error) {
	var secret []byte
	err := db.pool.QueryRow(ctx, "SELECT secret FROM upkeep.settings").Scan(&secret)
	return secret, installed(err)
}
