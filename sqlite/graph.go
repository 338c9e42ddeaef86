package sqlite

import (
	"context"
	"database/sql"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Waits follows what groups wait for, the nearest first.
func (d *DB) Waits(ctx context.Context, ids []store.ID, limit int) (map[store.ID][]store.ID, error) {
	found := map[store.ID][]store.ID{}
	if len(ids) == 0 {
		return found, nil
	}
	err := d.view(ctx, "follow what groups wait for", func(tx *sql.Tx) error {
		clear(found)
		// A recursive query takes rows in the order in which they came, so that
		// the limit cuts off the farthest.
		rows, err := tx.QueryContext(ctx, `WITH RECURSIVE walk(sync, key) AS (
				SELECT DISTINCT value->>0, value->>1 FROM json_each(?1)
				UNION SELECT e.on_sync, e.on_key FROM walk AS w CROSS JOIN upkeep_edges AS e
					ON e.sync = w.sync AND e.key = w.key AND e.kind = 'wait'
				LIMIT ?2)
			SELECT w.sync, w.key, e.on_sync, e.on_key FROM walk AS w CROSS JOIN upkeep_edges AS e
				ON e.sync = w.sync AND e.key = w.key AND e.kind = 'wait'`, idsJSON(ids), limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var from, on store.ID
			if err := rows.Scan(&from.Sync, &from.Key, &on.Sync, &on.Key); err != nil {
				return err
			}
			found[from] = append(found[from], on)
		}
		return rows.Err()
	})
	return found, err
}
