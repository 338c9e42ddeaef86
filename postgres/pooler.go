package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// errPooler: locks are of a session, and settings and prepared statements stay with
// one. Over such a pooler a lock would be held by nobody who can let it go, and what
// is set here would be set for transactions of the application.
var errPooler = errors.New("the address leads to a pooler that gives each transaction another session (pool_mode = transaction; a platform's pooled address or port), and Upkeep needs sessions of its own, for locks, settings and prepared statements: use the database's direct address, or a pooler in session mode")

// unpooled is an error if the sessions of a and b, which are both open, are not two
// of the server's that last. Nothing is set or prepared by it.
func unpooled(ctx context.Context, a, b *pgconn.PgConn) error {
	var pids []string
	for _, c := range []*pgconn.PgConn{a, b, a} {
		results, err := c.Exec(ctx, "SELECT pg_backend_pid()").ReadAll()
		if err != nil {
			return err
		}
		if len(results) == 1 && len(results[0].Rows) == 1 {
			pids = append(pids, string(results[0].Rows[0][0]))
		}
	}
	if len(pids) == 3 && (pids[0] == pids[1] || pids[0] != pids[2]) {
		return errPooler
	}
	return nil
}

// pooledForSure: what goes wrong with the look itself is left to what comes next.
func pooledForSure(err error) error {
	if errors.Is(err, errPooler) {
		return err
	}
	return nil
}

// examineAddress looks, before any session is set up, whether these are our own. A
// server that has no room for two is asked nothing.
func examineAddress(ctx context.Context, config *pgconn.Config) error {
	a, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer a.Close(ctx)
	b, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil // the one that is there will do
	}
	defer b.Close(ctx)
	return pooledForSure(unpooled(ctx, a, b))
}

// examinePool does it with a pool of the program's own, if two connections of it can
// be had.
func (db *DB) examinePool(ctx context.Context) error {
	if db.own || db.pool.Config().MaxConns < 2 {
		return nil
	}
	within, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	a, err := db.pool.Acquire(within)
	if err != nil {
		return ctx.Err() // it may be busy
	}
	defer a.Release()
	b, err := db.pool.Acquire(within)
	if err != nil {
		return ctx.Err()
	}
	defer b.Release()
	return pooledForSure(unpooled(within, a.Conn().PgConn(), b.Conn().PgConn()))
}
