package postgres

import (
	"context"
	"fmt"

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
