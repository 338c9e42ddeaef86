package sqlite

import (
	"context"
	"database/sql"
	"maps"
	"slices"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Preview says what Install would do to triggers.
// It implements [store.Capture].
func (d *DB) Preview(ctx context.Context, shapes []*store.Shape) ([]store.TriggerChange, error) {
	var all []store.TriggerChange
	err := d.view(ctx, "compare triggers", func(tx *sql.Tx) error {
		all = nil
		add := func(name string, t trigger, action string) {
			all = append(all, store.TriggerChange{Table: store.Table{Schema: "main", Name: t.table}, Trigger: name, Action: action, Gap: action == "create"})
		}
		want, lacking, err := wanted(ctx, tx, shapes)
		if err == nil {
			err = unwatched(lacking)
		}
		if err != nil {
			return err
		}
		have, err := triggers(ctx, tx)
		if err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(want)) {
			switch have[name].sql {
			case "":
				add(name, want[name], "create")
			case want[name].sql:
			default:
				add(name, want[name], "replace")
			}
		}
		for _, name := range slices.Sorted(maps.Keys(have)) {
			if want[name].sql == "" {
				add(name, have[name], "drop")
			}
		}
		return nil
	})
	return all, err
}
