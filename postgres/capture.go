package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Install implements [store.Capture]. Functions come before the triggers that
// call them, and each table is a short transaction of its own. The plan comes
// first: from then on no process with another plan folds, so that none throws
// away touches of tables it does not know.
func (db *DB) Install(ctx context.Context, shapes []*store.Shape, plan, replaces string) error {
	err := db.alone(ctx, lockInstall, func(c *pgxpool.Conn) error {
		if err := setPlan(ctx, c, plan, replaces); err != nil {
			return fmt.Errorf("store the plan: %w", err)
		}
		if err := createComposers(ctx, c, shapes); err != nil {
			return err
		}
		wanted := watches(shapes)
		for _, w := range wanted {
			if err := createFunction(ctx, c, w); err != nil {
				return fmt.Errorf("create the trigger function of %s: %w", w.name(), err)
			}
		}
		var failed []error // one table that can't have its triggers keeps no other from having them
		for _, w := range wanted {
			if err := installTable(ctx, c, w); err != nil {
				failed = append(failed, fmt.Errorf("install triggers on %s: %w", w.name(), err))
			}
		}
		if len(failed) > 0 {
			return errors.Join(failed...)
		}
		if err := tidyCommands(ctx, c, shapes); err != nil {
			return fmt.Errorf("tidy the ordered lane: %w", err)
		}
		for _, s := range shapes {
			if _, err := c.Exec(ctx, `INSERT INTO upkeep.syncs AS s (sync, root_key) VALUES ($1, $2)
				ON CONFLICT (sync) DO UPDATE SET root_key = excluded.root_key WHERE s.root_key IS DISTINCT FROM excluded.root_key`,
				clean(s.Sync), s.RootKey()); err != nil {
				return fmt.Errorf("note the key of %s: %w", s.Root.Table, err)
			}
		}
		return dropOthers(ctx, c, wanted)
	})
	return installed(err)
}

// alone runs f on a connection that holds a session's advisory lock. It asks
// for the lock again and again: another process may have it for as long as an
// application's transaction goes on, and a statement that waits would end by the
// role's lock_timeout, and keep a snapshot meanwhile.
func (db *DB) alone(ctx context.Context, key int64, f func(*pgxpool.Conn) error) error {
	c, err := db.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer c.Release()
	// Nor may it be kept by a process that is stopped: see [standstill]. Between two
	// tries for a table's lock there are some seconds. Before PostgreSQL 14 the server
	// can't end a session for that.
	var idle *string
	if err := c.QueryRow(ctx, "SELECT current_setting('idle_session_timeout', true)").Scan(&idle); err != nil {
		return err
	}
	got := false
	defer func() { // also when ctx has ended; a connection that can't unlock is not reused
		unlock, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if _, err := c.Exec(unlock, "SELECT CASE WHEN $3 THEN pg_advisory_unlock($2) END, "+idleSession, idle, key, got); err != nil {
			_ = c.Conn().Close(unlock)
		}
	}()
	limit := idle
	if limit != nil {
		limit = new("30s")
	}
	wait := newLockWait()
	for pause := 10 * time.Millisecond; ; pause = min(pause*2, time.Second) {
		if err := c.QueryRow(ctx, "SELECT pg_try_advisory_lock($2), "+idleSession, limit, key).Scan(&got, nil); err != nil {
			return err
		}
		if got {
			return f(c)
		}
		if err := wait.tellTurn(ctx, c, key); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// idleSession sets for how long a session may say nothing; NULL: it can't be set.
const idleSession = "CASE WHEN $1::text IS NOT NULL THEN set_config('idle_session_timeout', $1, false) END"

func setPlan(ctx context.Context, c *pgxpool.Conn, plan, replaces string) error {
	return pgx.BeginTxFunc(ctx, c, plain, func(tx pgx.Tx) error {
		var installed string
		err := tx.QueryRow(ctx, "SELECT coalesce(plan, '') FROM upkeep.settings").Scan(&installed)
		if err != nil || installed == plan {
			return err
		}
		if replaces != "" && installed != replaces {
			return store.ErrPlan
		}
		// Waits for a fold under way; the next one sees the new plan.
		if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = 0"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(lockFold)); err != nil {
			return err
		}
		// The same for claims under way, whose plan is that of their snapshot: one
		// that stood still for long could else take a group after the sweep that
		// follows. What comes later waits for its lock first, and sees the new plan.
		if _, err := tx.Exec(ctx, "LOCK TABLE upkeep.groups IN EXCLUSIVE MODE"); err != nil {
			return err
		}
		// That the row was put back from a backup must not be covered up.
		_, err = tx.Exec(ctx, `UPDATE upkeep.settings SET plan = $1,
			written_by = CASE WHEN xmin = written_by::xid THEN pg_current_xact_id() ELSE written_by END`, plan)
		return err
	})
}

func createFunction(ctx context.Context, c *pgxpool.Conn, w *watch) error {
	if w.ordered != nil {
		return createCommandFunction(ctx, c, w)
	}
	var there bool
	err := c.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_catalog.pg_proc
		WHERE pronamespace = 'upkeep'::pg_catalog.regnamespace AND proname = $1 AND prosrc = $2 AND prosecdef
		AND (proconfig IS NULL) = $3)`, w.functionName(), w.body(), w.settings() == "").Scan(&there)
	if err != nil || there {
		return err
	}
	return pgx.BeginTxFunc(ctx, c, plain, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, w.createFunction()); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "REVOKE ALL ON FUNCTION "+w.function()+"() FROM PUBLIC")
		return err
	})
}

// installTable makes the triggers of one table right, in one transaction. If
// they were in place once and are not now, changes may have gone unseen: a row
// in the log asks for a sweep, which sees everything up to this commit.
func installTable(ctx context.Context, c *pgxpool.Conn, w *watch) error {
	needs := &contended{tables: []string{quoteTable(w.table)}}
	return briefly(ctx, c, needs, func(tx pgx.Tx) error {
		faults, err := inspectTable(ctx, tx, w)
		if err != nil {
			return err
		}
		gap := false
		for _, f := range faults {
			needs.dropping = needs.dropping || f.action == "replace"
			if err := f.mend(ctx, tx); err != nil {
				return err
			}
			if f.young && f.gap {
				unwritten, err := f.unwritten(ctx, tx)
				if err != nil {
					return err
				}
				f.gap = !unwritten
			}
			gap = gap || f.gap
		}
		if err := allowPartitions(ctx, tx, w); err != nil {
			return err
		}
		if w.ordered != nil {
			return noteCommandGap(ctx, tx, w, gap)
		}
		_, err = tx.Exec(ctx, `
			WITH known AS (INSERT INTO upkeep.watched (tbl) VALUES ($1) ON CONFLICT DO NOTHING RETURNING tbl)
			INSERT INTO upkeep.touch (tbl, op)
			SELECT $1, 'sweep' WHERE $2 AND NOT EXISTS (SELECT FROM known)`, w.name(), gap)
		return err
	})
}

// allowPartitions lets the owners of a partitioned table and of its partitions
// make, and attach, others: the server puts the row triggers on these in the name
// of who does that, who must have the right to execute their function. A trigger
// that fires needs no such right.
func allowPartitions(ctx context.Context, tx pgx.Tx, w *watch) error {
	rows, err := tx.Query(ctx, `SELECT DISTINCT pg_catalog.pg_get_userbyid(c.relowner)
		FROM pg_catalog.pg_partition_tree(to_regclass($1)) p JOIN pg_catalog.pg_class c ON c.oid = p.relid
		WHERE c.relkind = 'p' AND NOT pg_catalog.has_function_privilege(c.relowner, $2::text, 'EXECUTE')`,
		quoteTable(w.table), w.function()+"()")
	if err != nil {
		return err
	}
	owners, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, owner := range owners {
		if _, err := tx.Exec(ctx, "GRANT EXECUTE ON FUNCTION "+w.function()+"() TO "+quote(owner)); err != nil {
			return err
		}
	}
	return nil
}

// briefly runs f, which locks what it needs, in a transaction that waits only
// shortly for locks, with growing pauses between the tries, until ctx ends. A wait
// that takes long is told: see [store.TellLockWaits].
func briefly(ctx context.Context, c *pgxpool.Conn, needs *contended, f func(pgx.Tx) error) error {
	pause, wait := 50*time.Millisecond, newLockWait()
	for {
		err := pgx.BeginTxFunc(ctx, c, plain, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL lock_timeout = '%dms'", lockTimeout.Milliseconds())); err != nil {
				return err
			}
			return f(tx)
		})
		if err == nil || (code(err) != "55P03" && !lost(err)) {
			return err
		}
		if code(err) == "55P03" {
			if err := wait.tellTables(ctx, c, *needs); err != nil && ctx.Err() == nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("the table is in use by long transactions: %w", err), ctx.Err())
		case <-time.After(pause):
			pause = min(pause*2, 5*time.Second)
		}
	}
}

// dropOthers removes our triggers and functions that no shape needs.
func dropOthers(ctx context.Context, c *pgxpool.Conn, wanted []*watch) error {
	keep := []string{"commit_commands"}
	for _, w := range wanted {
		keep = append(keep, w.functionName())
	}
	found, err := ourTriggers(ctx, c)
	if err != nil {
		return err
	}
	for _, f := range found {
		if slices.Contains(keep, f.function) {
			continue
		}
		err := briefly(ctx, c, &contended{tables: []string{f.table}, dropping: true}, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "DROP TRIGGER IF EXISTS "+quote(f.name)+" ON "+f.table)
			return err
		})
		if err != nil && code(err) != "42P01" {
			return fmt.Errorf("drop a trigger of %s that is not needed any more: %w", f.table, err)
		}
	}
	rows, err := c.Query(ctx, `SELECT proname FROM pg_catalog.pg_proc
		WHERE pronamespace = 'upkeep'::pg_catalog.regnamespace AND prorettype = 'trigger'::pg_catalog.regtype
		AND NOT proname = ANY (coalesce($1::text[], '{}'))`, keep)
	if err != nil {
		return err
	}
	functions, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, f := range functions {
		if _, err := c.Exec(ctx, "DROP FUNCTION "+quote("upkeep", f)+"()"); err != nil {
			return fmt.Errorf("drop a trigger function that is not needed any more: %w", err)
		}
	}
	var tables []string
	for _, w := range wanted {
		tables = append(tables, w.mark())
	}
	_, err = c.Exec(ctx, "DELETE FROM upkeep.watched WHERE NOT tbl = ANY (coalesce($1::text[], '{}'))", tables)
	return err
}

// placed is one of our triggers on a table.
type placed struct {
	name, table, function string
	on                    store.Table
}

// querier is a connection or a transaction.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// ourTriggers lists all triggers that call a function of ours, clones on
// partitions left out.
func ourTriggers(ctx context.Context, c querier) ([]placed, error) {
	rows, err := c.Query(ctx, `SELECT g.tgname, n.nspname, r.relname, p.proname
		FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_proc p ON p.oid = g.tgfoid
		JOIN pg_catalog.pg_class r ON r.oid = g.tgrelid JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
		WHERE p.pronamespace = 'upkeep'::pg_catalog.regnamespace AND g.tgparentid = 0
		ORDER BY g.tgrelid, g.tgname`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (placed, error) {
		var p placed
		var schema, table string
		err := row.Scan(&p.name, &schema, &table, &p.function)
		p.table, p.on = quote(schema, table), store.Table{Schema: schema, Name: table}
		return p, err
	})
}

// Uninstall drops our triggers table by table, then the schema.
// It implements [store.Store].
func (db *DB) Uninstall(ctx context.Context) error {
	return db.alone(ctx, lockInstall, func(c *pgxpool.Conn) error {
		var there bool
		err := c.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'upkeep')").Scan(&there)
		if err != nil || !there {
			return err
		}
		if err := dropOthers(ctx, c, nil); err != nil && !strings.Contains(err.Error(), "upkeep.watched") {
			return err
		}
		return briefly(ctx, c, &contended{ours: true, dropping: true}, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "DROP SCHEMA upkeep CASCADE")
			return err
		})
	})
}
