package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// NotePlan implements [store.Notes].
func (db *DB) NotePlan(ctx context.Context, n store.PlanNote) error {
	err := db.tx(ctx, writing, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO upkeep.plans (at, plan, holder, syncs) SELECT upkeep.clock(), $1, $2, $3
			WHERE $1 IS DISTINCT FROM (SELECT plan FROM upkeep.plans ORDER BY id DESC LIMIT 1)`, n.Plan, clean(n.Holder), n.Syncs); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "DELETE FROM upkeep.plans WHERE id <= (SELECT id FROM upkeep.plans ORDER BY id DESC OFFSET $1 LIMIT 1)", store.PlansKept)
		return err
	})
	if err != nil {
		return fmt.Errorf("note the plan: %w", err)
	}
	return nil
}

// Plans implements [store.Notes].
func (db *DB) Plans(ctx context.Context) ([]store.PlanNote, error) {
	rows, err := db.pool.Query(ctx, "SELECT at, plan, holder, syncs FROM upkeep.plans ORDER BY id DESC")
	if err != nil {
		return nil, installed(err)
	}
	all, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (store.PlanNote, error) {
		var n store.PlanNote
		err := r.Scan(&n.At, &n.Plan, &n.Holder, &n.Syncs)
		n.At = n.At.UTC()
		return n, err
	})
	return all, installed(err)
}

// NoteFailure implements [store.Notes].
func (db *DB) NoteFailure(ctx context.Context, stage, holder string, failed error) error {
	_, err := db.pool.Exec(ctx, `
		WITH old AS (DELETE FROM upkeep.failures WHERE at < (SELECT upkeep.clock()) - interval '1 day' AND holder <> $2)
		INSERT INTO upkeep.failures AS f (stage, holder, since, at, reason)
		SELECT $1, $2, now, now, $3 FROM upkeep.clock() AS now
		ON CONFLICT (stage, holder) DO UPDATE SET at = excluded.at, reason = excluded.reason`, clean(stage), clean(holder), clean(wordless(failed).Error()))
	return installed(err)
}

// NoteWell implements [store.Notes].
func (db *DB) NoteWell(ctx context.Context, stage, holder string) error {
	_, err := db.pool.Exec(ctx, "DELETE FROM upkeep.failures WHERE stage = $1 AND holder = $2", clean(stage), clean(holder))
	return installed(err)
}

// Failures implements [store.Notes].
func (db *DB) Failures(ctx context.Context, within time.Duration) ([]store.Failure, error) {
	rows, err := db.pool.Query(ctx, `SELECT stage, holder, since, at, reason FROM upkeep.failures
		WHERE at > (SELECT upkeep.clock()) - $1 * interval '1 microsecond' ORDER BY stage COLLATE "C", holder COLLATE "C"`, within.Microseconds())
	if err != nil {
		return nil, installed(err)
	}
	all, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (store.Failure, error) {
		var f store.Failure
		err := r.Scan(&f.Stage, &f.Holder, &f.Since, &f.At, &f.Reason)
		f.Since, f.At = f.Since.UTC(), f.At.UTC()
		return f, err
	})
	return all, installed(err)
}
