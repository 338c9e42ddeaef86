package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// givenKeys begins a conversation as [byKey] does a transaction. In a batch a
// statement is a single command.
var givenKeys = []string{isolated, `SELECT set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true), set_config('enable_hashjoin', 'off', true),
	set_config('enable_mergejoin', 'off', true), set_config('plan_cache_mode', 'force_generic_plan', true),
	set_config('idle_in_transaction_session_timeout', '` + standstill + `', true)`}

// conversation is a transaction in batches: its BEGIN goes out with its first
// statements, its COMMIT with its last ones. A round trip costs the server and
// us more than a small statement does.
type conversation struct {
	*pgxpool.Conn
	opening []string // nil: it has begun
}

// converse runs f in a conversation that begins with opening, and that f ends with
// last. Once it has begun, f may also run statements of their own.
func (db *DB) converse(ctx context.Context, opening []string, f func(*conversation) error) error {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	c := &conversation{Conn: conn, opening: opening}
	err = f(c)
	if pg := conn.Conn().PgConn(); err != nil && !pg.IsClosed() && pg.TxStatus() != 'I' {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_, _ = conn.Exec(end, "ROLLBACK") // if it fails the pool gives the connection up
	}
	return err
}

// batch is an empty one, but for the beginning of the transaction.
func (c *conversation) batch() *pgx.Batch {
	b := &pgx.Batch{}
	for _, sql := range c.opening {
		b.Queue(sql)
	}
	c.opening = nil
	return b
}

// send runs a batch, and its callbacks.
func (c *conversation) send(ctx context.Context, b *pgx.Batch) error {
	return c.SendBatch(ctx, b).Close()
}

// last is send for the last batch: the transaction is committed with it. A
// callback of it that fails comes too late to prevent that.
func (c *conversation) last(ctx context.Context, b *pgx.Batch) error {
	b.Queue("COMMIT")
	return c.send(ctx, b)
}

// queryByKey runs one query as a transaction by givenKeys, in a single round
// trip.
func (db *DB) queryByKey(ctx context.Context, scan func(pgx.Rows) error, sql string, args ...any) error {
	return db.converse(ctx, givenKeys, func(c *conversation) error {
		b := c.batch()
		b.Queue(sql, args...).Query(scan)
		return c.last(ctx, b)
	})
}

// runner is a transaction or a conversation that has begun.
type runner interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}
