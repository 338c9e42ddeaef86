package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Claiming is the statement of a claim, to be explained.
const Claiming = claiming

// The advisory locks that a process holds while it migrates and installs.
const (
	LockMigrate = lockMigrate
	LockInstall = lockInstall
)

// Dial is how [Open] dials.
var Dial = dialer().DialContext

// Pool is a database's own.
func Pool(db *DB) *pgxpool.Pool { return db.pool }

// ReadBases reads from which columns others are computed.
func ReadBases(ctx context.Context, db *DB, table string, computed ...string) (bases map[string][]string, err error) {
	err = pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
		var oid uint32
		if err := tx.QueryRow(ctx, `SELECT $1::text::regclass::oid`, table).Scan(&oid); err != nil {
			return err
		}
		bases, err = readBases(ctx, tx, oid, computed)
		return err
	})
	return bases, err
}
