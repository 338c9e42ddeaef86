package postgres

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/upkeep-sync/upkeep/internal/store"
)

const (
	// lockTimeout is how long a statement on an application's table may wait for
	// its lock. While it waits, all writers of the table wait behind it.
	lockTimeout = 200 * time.Millisecond

	lockPatience = time.Second // waits that are shorter are not told
	lockAgain    = time.Minute // between two words on one wait
)

// contended are the tables of which a transaction needs locks.
type contended struct {
	tables []string // quoted; their partitions and children, too
	ours   bool     // all tables of the schema upkeep
	// dropping needs the table for itself; what makes a trigger lets others read,
	// and lock rows.
	dropping bool
}

// lockWait is a wait for a lock, which is told when it takes long.
type lockWait struct{ began, told time.Time }

func newLockWait() *lockWait { return &lockWait{began: time.Now()} }

// due says whether the wait is to be told now.
func (w *lockWait) due() bool {
	now := time.Now()
	if now.Sub(w.began) < lockPatience || !w.told.IsZero() && now.Sub(w.told) < lockAgain {
		return false
	}
	w.told = now
	return true
}

// tellTables says who keeps a transaction from its locks, if that takes long. It
// is asked after a try, so transactions that are younger than that are innocent.
func (w *lockWait) tellTables(ctx context.Context, c *pgxpool.Conn, of contended) error {
	if !w.due() {
		return nil
	}
	rows, err := c.Query(ctx, `
		WITH RECURSIVE tree(oid) AS (
			SELECT to_regclass(t)::oid FROM unnest($1::text[]) t
			UNION
			SELECT oid FROM pg_catalog.pg_class WHERE $2 AND relkind IN ('r', 'p') AND relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'upkeep')
			UNION
			SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tree ON i.inhparent = tree.oid)
		SELECT n.nspname || '.' || r.relname, `+lockHolder+`
		FROM pg_catalog.pg_locks l JOIN tree ON tree.oid = l.relation
		JOIN pg_catalog.pg_class r ON r.oid = l.relation JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace `+lockHolders+`
			AND l.locktype = 'relation' AND ($3 OR l.mode NOT IN ('AccessShareLock', 'RowShareLock'))
			AND coalesce(a.xact_start, x.prepared, '-infinity') < clock_timestamp() - $4 * interval '1 microsecond'
		ORDER BY coalesce(a.xact_start, x.prepared), 1`,
		of.tables, of.ours, of.dropping, lockTimeout.Microseconds())
	if err != nil {
		return err
	}
	on, holders, err := collectHolders(rows)
	if err != nil {
		return err
	}
	if on == "" && len(of.tables) == 1 {
		on = of.tables[0]
	}
	if on == "" {
		on = "of the schema upkeep"
	}
	store.WaitsForLock(ctx, store.LockWait{On: "table " + on, For: time.Since(w.began), Try: lockTimeout, Holders: holders})
	return nil
}

// tellMigration says, until it is stopped, whom the statements of a migration wait
// for, which are another's to run. It looks from a connection beside theirs, which
// it has for a moment only.
func (db *DB) tellMigration(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var ended sync.WaitGroup
	ended.Go(func() {
		for wait := newLockWait(); ; {
			select {
			case <-ctx.Done():
				return
			case <-time.After(lockPatience):
			}
			if err := wait.tellMigrating(ctx, db.pool); err != nil {
				return // what keeps it from looking keeps no migration from going on
			}
		}
	})
	return func() { cancel(); ended.Wait() }
}

// tellMigrating says who keeps a process of ours from a table of the registry,
// and does not migrate it.
func (w *lockWait) tellMigrating(ctx context.Context, c querier) error {
	rows, err := c.Query(ctx, `
		SELECT n.nspname || '.' || r.relname, `+lockHolder+`
		FROM pg_catalog.pg_locks waits JOIN pg_catalog.pg_locks l ON l.locktype = 'relation' AND l.relation = waits.relation
			AND coalesce(l.pid, 0) = ANY (pg_catalog.pg_blocking_pids(waits.pid))
		JOIN pg_catalog.pg_class r ON r.oid = l.relation JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
			AND n.nspname = 'upkeep' `+lockHolders+`
			AND waits.locktype = 'relation' AND NOT waits.granted
			AND NOT EXISTS (SELECT FROM pg_catalog.pg_locks t WHERE t.pid = l.pid AND t.locktype = 'advisory' AND t.objsubid = 1
				AND t.classid::bigint << 32 | t.objid::bigint = $1)
		ORDER BY coalesce(a.xact_start, x.prepared), 1`, int64(lockMigrate))
	if err != nil {
		return err
	}
	on, holders, err := collectHolders(rows)
	if err == nil && len(holders) > 0 && w.due() {
		store.WaitsForLock(ctx, store.LockWait{On: "table " + on, For: time.Since(w.began), Holders: holders})
	}
	return err
}

// tellTurn says which process has the advisory lock, if that takes long.
func (w *lockWait) tellTurn(ctx context.Context, c *pgxpool.Conn, key int64) error {
	if !w.due() {
		return nil
	}
	rows, err := c.Query(ctx, `SELECT '', `+lockHolder+` FROM pg_catalog.pg_locks l `+lockHolders+`
		AND l.locktype = 'advisory' AND l.objsubid = 1 AND l.classid::bigint << 32 | l.objid::bigint = $1`, key)
	if err != nil {
		return err
	}
	_, holders, err := collectHolders(rows)
	if err != nil {
		return err
	}
	for i := range holders { // it is at work, and may wait itself: its own log says for whom
		holders[i].End = ""
	}
	store.WaitsForLock(ctx, store.LockWait{On: "the schema upkeep, which one process changes at a time", For: time.Since(w.began), Holders: holders})
	return nil
}

// lockHolder are columns about who has a lock, and lockHolders what they come
// from. The locks of a prepared transaction are no process's; the one on its own
// number tells which it is.
const (
	lockHolder = `coalesce(l.pid, 0), coalesce(x.gid, ''), coalesce(a.usename, x.owner, '')::text,
		coalesce(nullif(a.application_name, ''), nullif(a.backend_type, 'client backend'), ''), coalesce(a.state, ''), coalesce(a.xact_start, x.prepared)`
	lockHolders = `LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
		LEFT JOIN pg_catalog.pg_locks o ON l.pid IS NULL AND o.locktype = 'transactionid' AND o.granted AND o.virtualtransaction = l.virtualtransaction
		LEFT JOIN pg_catalog.pg_prepared_xacts x ON x.transaction = o.transactionid
		WHERE l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
			AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())`
)

// collectHolders reads what holds the first row's table.
func collectHolders(rows pgx.Rows) (on string, holders []store.LockHolder, err error) {
	const most = 3
	seen := map[string]bool{}
	var table string
	var h store.LockHolder
	var since *time.Time
	_, err = pgx.ForEachRow(rows, []any{&table, &h.Process, &h.GID, &h.Role, &h.Name, &h.State, &since}, func() error {
		if on == "" {
			on = table
		}
		one := h
		who := fmt.Sprint(one.Process, one.GID)
		if table != on || seen[who] || len(holders) == most {
			return nil
		}
		seen[who] = true
		one.End = endOf(one)
		if since != nil {
			one.Since = since.UTC()
		}
		holders = append(holders, one)
		return nil
	})
	return on, holders, err
}

// endOf is the statement that ends a holder's transaction.
func endOf(h store.LockHolder) string {
	if h.GID != "" {
		return "COMMIT PREPARED " + literal(h.GID) + ", or ROLLBACK PREPARED " + literal(h.GID)
	}
	return fmt.Sprintf("SELECT pg_terminate_backend(%d)", h.Process)
}
