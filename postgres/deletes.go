package postgres

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// SpendDeletes implements [store.Deletes].
func (db *DB) SpendDeletes(ctx context.Context, sync string, want, most int) (g store.Grant, err error) {
	err = db.tx(ctx, writing, func(tx pgx.Tx) error {
		var used, allowed int64
		var held, over bool
		err := tx.QueryRow(ctx, `
			INSERT INTO upkeep.deletes AS d (sync, since) VALUES ($1, upkeep.clock())
			ON CONFLICT (sync) DO UPDATE SET sync = excluded.sync
			RETURNING used, allowed, held, since < upkeep.clock() - $2::bigint * interval '1 microsecond'`,
			sync, store.DeletePeriod.Microseconds()).Scan(&used, &allowed, &held, &over)
		if err != nil {
			return err
		}
		if over = over && !held; over {
			used = 0
		}
		free := min(allowed, int64(want))
		rest := int64(want) - free
		granted := int(free)
		before := held
		if rest > 0 && !held {
			var records int64
			if most <= 0 && used+rest > store.FewDeletes {
				if err := tx.QueryRow(ctx, "SELECT count(*) FROM upkeep.groups WHERE sync = $1 AND remote_id <> ''", sync).Scan(&records); err != nil {
					return err
				}
			}
			// What went already was a record when the hour began.
			some := max(0, min(rest, store.DeleteLimit(most, records+used)-used))
			granted, used, held = granted+int(some), used+some, some < rest
		}
		var restored *time.Time
		err = tx.QueryRow(ctx, `
			UPDATE upkeep.deletes SET used = $2, allowed = $3, held = $4,
			since = CASE WHEN $5 THEN upkeep.clock() ELSE since END WHERE sync = $1
			RETURNING (SELECT restored_at FROM upkeep.settings)`, sync, used, allowed-free, held, over || held && !before).Scan(&restored)
		g = store.Grant{Deletes: granted}
		if restored != nil {
			g.Restored = restored.UTC()
		}
		return err
	})
	if err != nil {
		return store.Grant{}, fmt.Errorf("spend deletes: %w", err)
	}
	return g, nil
}

// ReturnDeletes implements [store.Deletes].
func (db *DB) ReturnDeletes(ctx context.Context, sync string, n int, granted store.Grant) error {
	err := db.tx(ctx, writing, func(tx pgx.Tx) error {
		// The lock waits for a NoteOrigin under way, and for this one it waits.
		var restored *time.Time
		err := tx.QueryRow(ctx, "SELECT restored_at FROM upkeep.settings FOR SHARE").Scan(&restored)
		if err != nil || granted.Restored.IsZero() != (restored == nil) || restored != nil && !restored.Equal(granted.Restored) {
			return err
		}
		if _, err := tx.Exec(ctx, "UPDATE upkeep.deletes SET allowed = allowed + $2 WHERE sync = $1", sync, n); err != nil {
			return err
		}
		_, err = freeDeletes(ctx, tx, []string{sync}, n)
		return err
	})
	if err != nil {
		return fmt.Errorf("return deletes: %w", err)
	}
	return nil
}

// AllowDeletes implements [store.Deletes].
func (db *DB) AllowDeletes(ctx context.Context, sync string, n int) (freed int64, err error) {
	err = db.tx(ctx, writing, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO upkeep.deletes AS d (sync, since, allowed) VALUES ($1, upkeep.clock(), $2)
			ON CONFLICT (sync) DO UPDATE SET allowed = excluded.allowed`, clean(sync), n)
		if err != nil {
			return err
		}
		if freed, err = freeDeletes(ctx, tx, []string{clean(sync)}, n); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			UPDATE upkeep.deletes SET held = false, used = 0, since = upkeep.clock() WHERE sync = $1
			AND NOT EXISTS (SELECT 1 FROM upkeep.groups WHERE sync = $1 AND parked AND reason = $2)`, clean(sync), store.DeleteHeld)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("allow deletes: %w", err)
	}
	return freed, nil
}

// FreeDeletes implements [store.Deletes].
func (db *DB) FreeDeletes(ctx context.Context, syncs []string) (freed int64, err error) {
	err = db.tx(ctx, writing, func(tx pgx.Tx) error {
		// The lock waits for an AllowDeletes that began before the groups were
		// parked and has not seen them; held is then what it left.
		rows, err := tx.Query(ctx, "SELECT sync, held FROM upkeep.deletes WHERE sync = ANY ($1) ORDER BY sync FOR SHARE", syncs)
		if err != nil {
			return err
		}
		var free []string
		var sync string
		var held bool
		if _, err = pgx.ForEachRow(rows, []any{&sync, &held}, func() error {
			if !held {
				free = append(free, sync)
			}
			return nil
		}); err != nil || len(free) == 0 {
			return err
		}
		freed, err = freeDeletes(ctx, tx, free, math.MaxInt)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("free deletes: %w", err)
	}
	return freed, nil
}

func freeDeletes(ctx context.Context, tx pgx.Tx, syncs []string, most int) (int64, error) {
	tag, err := tx.Exec(ctx, `
		WITH held AS MATERIALIZED (
			SELECT sync, key FROM upkeep.groups WHERE sync = ANY ($1) AND parked AND reason = $2
			ORDER BY sync, key LIMIT $3 FOR UPDATE)
		UPDATE upkeep.groups g SET parked = false, attempts = 0, reason = '', due_at = (SELECT upkeep.clock()), dirty_since = (SELECT upkeep.clock())
		FROM held h WHERE g.sync = h.sync AND g.key = h.key`, syncs, store.DeleteHeld, most)
	return tag.RowsAffected(), err
}

// HeldDeletes implements [store.Deletes].
func (db *DB) HeldDeletes(ctx context.Context) ([]store.HeldDeletes, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT d.sync, held.groups, held.later, d.since
		FROM upkeep.deletes d CROSS JOIN LATERAL (
			SELECT count(*) AS groups, count(*) FILTER (WHERE EXISTS (
				SELECT FROM upkeep.commands c WHERE c.sync = g.sync AND c.key = g.key OFFSET 1)) AS later
			FROM upkeep.groups g WHERE g.sync = d.sync AND g.parked AND g.reason = $1) held
		WHERE d.held ORDER BY d.sync`, store.DeleteHeld)
	if err != nil {
		return nil, installed(err)
	}
	all, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (store.HeldDeletes, error) {
		var h store.HeldDeletes
		var since time.Time
		err := r.Scan(&h.Sync, &h.Held, &h.Later, &since)
		h.Since = since.UTC()
		return h, err
	})
	return all, installed(err)
}
