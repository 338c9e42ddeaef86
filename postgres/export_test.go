package postgres

import "github.com/jackc/pgx/v5/pgxpool"

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
