package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// SpendDeletes implements [store.Deletes].
func (d *DB) SpendDeletes(ctx context.Context, sync string, want, most int) (g store.Grant, err error) {
	err = d.update(ctx, "spend deletes", func(tx *sql.Tx) error {
		now := d.now()
		var used, allowed, since int64
		var held bool
		_, err := tx.ExecContext(ctx, `INSERT INTO upkeep_deletes (sync, since) VALUES (?1, ?2) ON CONFLICT (sync) DO NOTHING`, sync, now)
		if err != nil {
			return err
		}
		err = tx.QueryRowContext(ctx, `SELECT used, allowed, held, since FROM upkeep_deletes WHERE sync = ?1`, sync).Scan(&used, &allowed, &held, &since)
		if err != nil {
			return err
		}
		if !held && since < now-store.DeletePeriod.Microseconds() {
			used, since = 0, now
		}
		free := min(allowed, int64(want))
		rest := int64(want) - free
		granted := int(free)
		before := held
		if rest > 0 && !held {
			var records int64
			if most <= 0 && used+rest > store.FewDeletes {
				if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM upkeep_groups WHERE sync = ?1 AND remote_id IS NOT NULL`, sync).Scan(&records); err != nil {
					return err
				}
			}
			// What went already was a record when the hour began.
			some := max(0, min(rest, store.DeleteLimit(most, records+used)-used))
			granted, used, held = granted+int(some), used+some, some < rest
		}
		if held && !before {
			since = now
		}
		_, err = tx.ExecContext(ctx, `UPDATE upkeep_deletes SET used = ?2, allowed = ?3, held = ?4, since = ?5 WHERE sync = ?1`,
			sync, used, allowed-free, held, since)
		if err != nil {
			return err
		}
		g.Deletes = granted
		g.Restored, err = restored(ctx, tx)
		return err
	})
	return g, err
}

// freeSome makes up to ?4 groups of a sync due that are parked for the reason ?2.
const freeSome = `UPDATE upkeep_groups SET parked = 0, attempts = 0, reason = NULL, due_at = ?3, dirty_since = ?3
	WHERE (sync, key) IN (SELECT sync, key FROM upkeep_groups WHERE sync = ?1 AND parked AND reason = ?2 AND holder IS NULL ORDER BY key LIMIT ?4)`

// ReturnDeletes implements [store.Deletes].
func (d *DB) ReturnDeletes(ctx context.Context, sync string, n int, granted store.Grant) error {
	return d.update(ctx, "return deletes", func(tx *sql.Tx) error {
		if now, err := restored(ctx, tx); err != nil || !now.Equal(granted.Restored) {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE upkeep_deletes SET allowed = allowed + ?2 WHERE sync = ?1`, sync, n); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, freeSome, sync, store.DeleteHeld, d.now(), n)
		return err
	})
}

// AllowDeletes implements [store.Deletes].
func (d *DB) AllowDeletes(ctx context.Context, sync string, n int) (freed int64, err error) {
	err = d.update(ctx, "allow deletes", func(tx *sql.Tx) error {
		now := d.now()
		_, err := tx.ExecContext(ctx, `INSERT INTO upkeep_deletes (sync, since, allowed) VALUES (?1, ?2, ?3)
			ON CONFLICT (sync) DO UPDATE SET allowed = excluded.allowed`, sync, now, n)
		if err != nil {
			return err
		}
		r, err := tx.ExecContext(ctx, freeSome, sync, store.DeleteHeld, now, n)
		if err != nil {
			return err
		}
		if freed, err = r.RowsAffected(); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE upkeep_deletes SET held = 0, used = 0, since = ?3 WHERE sync = ?1
			AND NOT EXISTS (SELECT 1 FROM upkeep_groups WHERE sync = ?1 AND parked AND reason = ?2)`, sync, store.DeleteHeld, now)
		return err
	})
	return freed, err
}

// FreeDeletes implements [store.Deletes].
func (d *DB) FreeDeletes(ctx context.Context, syncs []string) (freed int64, err error) {
	err = d.update(ctx, "free deletes", func(tx *sql.Tx) error {
		freed = 0
		for _, sync := range syncs {
			r, err := tx.ExecContext(ctx, `UPDATE upkeep_groups SET parked = 0, attempts = 0, reason = NULL, due_at = ?3, dirty_since = ?3
				WHERE sync = ?1 AND parked AND reason = ?2 AND holder IS NULL
				AND EXISTS (SELECT 1 FROM upkeep_deletes d WHERE d.sync = ?1 AND NOT d.held)`, sync, store.DeleteHeld, d.now())
			if err != nil {
				return err
			}
			n, err := r.RowsAffected()
			if err != nil {
				return err
			}
			freed += n
		}
		return nil
	})
	return freed, err
}

// HeldDeletes implements [store.Deletes].
func (d *DB) HeldDeletes(ctx context.Context) (all []store.HeldDeletes, err error) {
	err = d.view(ctx, "read held deletes", func(tx *sql.Tx) error {
		all = nil
		rows, err := tx.QueryContext(ctx, `
			SELECT d.sync, count(g.sync), count(CASE WHEN EXISTS (
				SELECT 1 FROM upkeep_commands c WHERE c.sync = g.sync AND c.key = g.key LIMIT 1 OFFSET 1) THEN 1 END), d.since
			FROM upkeep_deletes d LEFT JOIN upkeep_groups g ON g.sync = d.sync AND g.parked AND g.reason = ?1
			WHERE d.held GROUP BY d.sync, d.since ORDER BY d.sync`, store.DeleteHeld)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var h store.HeldDeletes
			var since int64
			if err := rows.Scan(&h.Sync, &h.Held, &h.Later, &since); err != nil {
				return err
			}
			h.Since = time.UnixMicro(since).UTC()
			all = append(all, h)
		}
		return rows.Err()
	})
	return all, err
}
