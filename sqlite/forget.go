package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// surpass is the end of a statement that notes the highest generation that a forgotten
// group had, by sync.
const surpass = ` ON CONFLICT (sync) DO UPDATE SET forgotten = max(forgotten, excluded.forgotten)`

// Forget implements [store.Forgetting]. A version of a sync that delivers every one is
// what a program appends, and is of no transaction from before.
func (d *DB) Forget(ctx context.Context, id store.ID, kept bool) (done bool, by store.ID, err error) {
	err = d.update(ctx, "forget a group", func(tx *sql.Tx) error {
		done, by = false, store.ID{}
		generation, gone := int64(0), true
		err := tx.QueryRowContext(ctx, `SELECT g.generation, (`+stateExpr+`) = 'gone' OR ?3 AND g.deleted_generation > 0 AND (`+stateExpr+`) IN ('clean', 'skipped')
			FROM upkeep_groups AS g WHERE g.sync = ?1 AND g.key = ?2`, id.Sync, id.Key, kept).Scan(&generation, &gone)
		if err != nil && !errors.Is(err, sql.ErrNoRows) || !gone {
			return err
		}
		err = tx.QueryRowContext(ctx, `SELECT sync, key FROM upkeep_edges WHERE on_sync = ?1 AND on_key = ?2 ORDER BY 1, 2 LIMIT 1`,
			id.Sync, id.Key).Scan(&by.Sync, &by.Key)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		for _, query := range []string{
			"DELETE FROM upkeep_groups WHERE sync = ?1 AND key = ?2",
			"DELETE FROM upkeep_edges WHERE sync = ?1 AND key = ?2",
			"DELETE FROM upkeep_attempts WHERE sync = ?1 AND key = ?2",
			"DELETE FROM upkeep_missed WHERE sync = ?1 AND key = ?2",
			"DELETE FROM upkeep_command_gaps WHERE sync = ?1 AND key = ?2",
			"UPDATE upkeep_interventions SET key = '', detail = 'forgotten' WHERE sync = ?1 AND key = ?2",
		} {
			r, err := tx.ExecContext(ctx, query, id.Sync, id.Key)
			if err != nil {
				return err
			}
			n, err := r.RowsAffected()
			if err != nil {
				return err
			}
			done = done || n > 0
		}
		if generation > 0 {
			_, err = tx.ExecContext(ctx, "INSERT INTO upkeep_syncs (sync, forgotten) VALUES (?1, ?2)"+surpass, id.Sync, generation)
			return err
		}
		return nil
	})
	return done, by, err
}

// ForgetGone implements [store.Forgetting]. It keeps nobody from writing unless there is
// something to forget.
func (d *DB) ForgetGone(ctx context.Context, keep time.Duration) error {
	const gone = `FROM upkeep_groups AS g WHERE g.deleted_generation > 0 AND g.remote_id IS NULL AND g.synced_at < ?1 AND (` + stateExpr + `) = 'gone'
		AND NOT EXISTS (SELECT 1 FROM upkeep_edges AS e WHERE e.on_sync = g.sync AND e.on_key = g.key) ORDER BY g.synced_at LIMIT ?2`
	const these = "(sync, key) IN (SELECT value->>0, value->>1 FROM json_each(?1))"
	before := d.now() - max(keep, store.VersionsEnd).Microseconds()
	find := func(ctx context.Context, tx *sql.Tx, limit int) ([]store.ID, error) {
		rows, err := tx.QueryContext(ctx, "SELECT g.sync, g.key "+gone, before, limit)
		if err != nil {
			return nil, err
		}
		return scanIDs(rows)
	}
	for {
		var ids []store.ID
		err := d.view(ctx, "look for groups that are gone", func(tx *sql.Tx) (err error) {
			ids, err = find(ctx, tx, 1)
			return err
		})
		if err != nil || len(ids) == 0 {
			return err
		}
		err = d.update(ctx, "forget groups that are gone", func(tx *sql.Tx) (err error) {
			if ids, err = find(ctx, tx, prunePiece); err != nil {
				return err
			}
			for _, query := range []string{
				"INSERT INTO upkeep_syncs (sync, forgotten) SELECT sync, max(generation) FROM upkeep_groups WHERE " + these + " GROUP BY sync" + surpass,
				"DELETE FROM upkeep_groups WHERE " + these,
				"DELETE FROM upkeep_edges WHERE " + these,
				"DELETE FROM upkeep_attempts WHERE " + these,
			} {
				if _, err := tx.ExecContext(ctx, query, idsJSON(ids)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || len(ids) < prunePiece {
			return err
		}
	}
}
