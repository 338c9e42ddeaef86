package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// forgettable is true of a group that is gone, or with $4 of one whose row alone is, and
// of which no version of a transaction from before its end can come any more, after $3
// microseconds.
const forgettable = `coalesce(((` + stateOf + `) = 'gone' OR $4 AND deleted_generation > 0 AND (` + stateOf + `) IN ('clean', 'skipped'))
	AND (ended_xid IS NULL OR synced_at < (SELECT upkeep.clock()) - $3 * interval '1 microsecond'), false)`

// surpass is the end of a statement that notes the highest generation that a forgotten
// group had, by sync.
const surpass = ` ON CONFLICT (sync) DO UPDATE SET forgotten = greatest(s.forgotten, excluded.forgotten)`

// Forget implements [store.Forgetting].
func (db *DB) Forget(ctx context.Context, id store.ID, kept bool) (done bool, by store.ID, err error) {
	sync, key := clean(id.Sync), clean(id.Key)
	err = db.tx(ctx, byKey, func(tx pgx.Tx) error {
		done, by = false, store.ID{}
		generation, gone := int64(0), true
		err := tx.QueryRow(ctx, `SELECT generation, `+forgettable+` FROM upkeep.groups AS upkeep_groups
			WHERE sync = $1 AND key = $2 FOR UPDATE`, sync, key, store.VersionsEnd.Microseconds(), kept).Scan(&generation, &gone)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) || !gone {
			return err
		}
		err = tx.QueryRow(ctx, `SELECT sync, key FROM upkeep.groups
			WHERE waits_for <> '{}' AND waits_for @> $1 OR refs <> '{}' AND refs @> $1 ORDER BY 1, 2 LIMIT 1`,
			textOf([]store.ID{id})).Scan(&by.Sync, &by.Key)
		if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		for _, sql := range []string{
			"DELETE FROM upkeep.groups WHERE sync = $1 AND key = $2",
			"DELETE FROM upkeep.attempts WHERE sync = $1 AND key = $2",
			"DELETE FROM upkeep.missed WHERE sync = $1 AND key = $2",
			"DELETE FROM upkeep.command_gaps WHERE sync = $1 AND key = $2",
			"UPDATE upkeep.interventions SET key = '', detail = 'forgotten' WHERE sync = $1 AND key = $2",
		} {
			tag, err := tx.Exec(ctx, sql, sync, key)
			if err != nil {
				return err
			}
			done = done || tag.RowsAffected() > 0
		}
		if generation > 0 {
			_, err = tx.Exec(ctx, "INSERT INTO upkeep.syncs AS s (sync, forgotten) VALUES ($1, $2)"+surpass, sync, generation)
			return err
		}
		return nil
	})
	if err != nil {
		return false, by, fmt.Errorf("forget %s: %w", id, err)
	}
	return done, by, nil
}

// ForgetGone implements [store.Forgetting].
func (db *DB) ForgetGone(ctx context.Context, keep time.Duration) error {
	for {
		var n int64
		err := db.tx(ctx, writing, func(tx pgx.Tx) error {
			return tx.QueryRow(ctx, `
				WITH old AS MATERIALIZED (
					SELECT sync, key FROM upkeep.groups AS upkeep_groups
					WHERE deleted_generation > 0 AND remote_id = '' AND synced_at < (SELECT upkeep.clock()) - $1 * interval '1 microsecond'
						AND (`+stateOf+`) = 'gone'
						AND NOT EXISTS (SELECT FROM upkeep.groups o WHERE o.refs <> '{}' AND o.refs @> ARRAY[`+refOf("upkeep_groups")+`])
						AND NOT EXISTS (SELECT FROM upkeep.groups o WHERE o.waits_for <> '{}' AND o.waits_for @> ARRAY[`+refOf("upkeep_groups")+`])
					ORDER BY synced_at LIMIT $2 FOR UPDATE SKIP LOCKED),
				history AS (DELETE FROM upkeep.attempts a USING old WHERE a.sync = old.sync AND a.key = old.key),
				gone AS (DELETE FROM upkeep.groups g USING old WHERE g.sync = old.sync AND g.key = old.key RETURNING g.sync, g.generation),
				highest AS (INSERT INTO upkeep.syncs AS s (sync, forgotten)
					SELECT sync, max(generation) FROM gone GROUP BY sync ORDER BY sync`+surpass+`)
				SELECT count(*) FROM gone`, max(keep, store.VersionsEnd).Microseconds(), piece).Scan(&n)
		})
		if err != nil {
			return fmt.Errorf("forget groups that are gone: %w", err)
		}
		if n < piece {
			return nil
		}
	}
}
