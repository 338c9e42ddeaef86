package sqlite

import (
	"context"
	"database/sql"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Waits follows what groups wait for, the nearest first.
// It implements [store.Registry].
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

// Blocking counts who waits for groups.
// It implements [store.Registry].
func (d *DB) Blocking(ctx context.Context, ids []store.ID, limit int) (map[store.ID]store.Blocking, error) {
	found := map[store.ID]store.Blocking{}
	if len(ids) == 0 {
		return found, nil
	}
	err := d.view(ctx, "count who waits", func(tx *sql.Tx) error {
		clear(found)
		rows, err := tx.QueryContext(ctx, `WITH RECURSIVE walk(of_sync, of_key, sync, key) AS (
				SELECT DISTINCT value->>0, value->>1, value->>0, value->>1 FROM json_each(?1)
				UNION SELECT w.of_sync, w.of_key, e.sync, e.key FROM walk AS w CROSS JOIN upkeep_edges AS e
					ON e.on_sync = w.sync AND e.on_key = w.key AND e.kind = 'wait'
				LIMIT ?2)
			SELECT of_sync, of_key, sum(EXISTS (SELECT 1 FROM upkeep_edges AS e WHERE e.on_sync = of_sync AND e.on_key = of_key
				AND e.kind = 'wait' AND e.sync = walk.sync AND e.key = walk.key)), count(*)
			FROM walk WHERE (of_sync, of_key) <> (sync, key) GROUP BY 1, 2`, idsJSON(ids), limit+len(ids))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id store.ID
			var b store.Blocking
			if err := rows.Scan(&id.Sync, &id.Key, &b.Direct, &b.All); err != nil {
				return err
			}
			found[id] = b
		}
		return rows.Err()
	})
	return found, err
}

// Blockers lists parked groups that others wait for.
// It implements [store.Registry].
func (d *DB) Blockers(ctx context.Context, limit int) ([]store.Blocker, error) {
	var all []store.Blocker
	err := d.view(ctx, "read who blocks others", func(tx *sql.Tx) error {
		all = nil
		rows, err := tx.QueryContext(ctx, `SELECT g.sync, g.key, coalesce(g.reason, ''), count(*) AS n
			FROM upkeep_edges AS e CROSS JOIN upkeep_groups AS g ON g.sync = e.on_sync AND g.key = e.on_key
			WHERE e.kind = 'wait' AND g.parked GROUP BY g.sync, g.key ORDER BY n DESC, g.sync, g.key LIMIT ?1`, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var b store.Blocker
			if err := rows.Scan(&b.Sync, &b.Key, &b.Reason, &b.Direct); err != nil {
				return err
			}
			b.All = b.Direct
			all = append(all, b)
		}
		return rows.Err()
	})
	return all, err
}
