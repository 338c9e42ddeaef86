package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Preview implements [store.Capture].
func (db *DB) Preview(ctx context.Context, shapes []*store.Shape) ([]store.TriggerChange, error) {
	var all []store.TriggerChange
	err := pgx.BeginTxFunc(ctx, db.pool, reading, func(tx pgx.Tx) error {
		var there bool
		if err := tx.QueryRow(ctx, "SELECT to_regnamespace('upkeep') IS NOT NULL").Scan(&there); err != nil {
			return err
		}
		keep := []string{"commit_commands"}
		for _, w := range watches(shapes) {
			keep = append(keep, w.functionName())
			changes, err := previewTable(ctx, tx, w, there)
			if err != nil {
				return fmt.Errorf("triggers of %s: %w", w.name(), err)
			}
			all = append(all, changes...)
		}
		for _, s := range shapes {
			if !s.Every {
				continue
			}
			known, same, err := function(ctx, tx, composeName(s.Sync), composeBody(s))
			switch {
			case err != nil:
				return fmt.Errorf("function that reads %s: %w", s.Sync, err)
			case !known:
				all = append(all, store.TriggerChange{Table: s.Root.Table, Trigger: composeName(s.Sync), Action: "create"})
			case !same:
				all = append(all, store.TriggerChange{Table: s.Root.Table, Trigger: composeName(s.Sync), Action: "replace"})
			}
		}
		if !there {
			return nil
		}
		found, err := ourTriggers(ctx, tx)
		for _, p := range found {
			if !slices.Contains(keep, p.function) {
				all = append(all, store.TriggerChange{Table: p.on, Trigger: p.name, Action: "drop"})
			}
		}
		return err
	})
	return all, err
}

func previewTable(ctx context.Context, tx pgx.Tx, w *watch, there bool) ([]store.TriggerChange, error) {
	var all []store.TriggerChange
	faults, err := inspectTable(ctx, tx, w)
	if err != nil {
		return nil, err
	}
	for _, f := range faults {
		all = append(all, store.TriggerChange{Table: f.relation, Trigger: f.trigger, Action: f.action})
	}
	if len(all) > 0 || !there {
		return all, nil
	}
	_, same, err := function(ctx, tx, w.functionName(), w.body())
	if err == nil && !same {
		all = append(all, store.TriggerChange{Table: w.table, Trigger: w.functionName(), Action: "replace"})
	}
	return all, err
}
