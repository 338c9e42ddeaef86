package sqlite

import (
	"context"
	"database/sql"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// wakeNow is how many waiting groups one Record wakes itself; a fold wakes
// the others, in pieces.
const wakeNow = 1000

// wake wakes the groups that wait for nothing any more: those that just began
// to wait for what is there already, and those that waited for what has come.
func (w *writing) wake(ctx context.Context, tx *sql.Tx) error {
	if len(w.waits) > 0 {
		list := make([]store.ID, 0, len(w.waits))
		for _, e := range w.waits {
			list = append(list, store.ID{Sync: e[2], Key: e[3]})
		}
		if err := wakeList(ctx, tx, list, w.now); err != nil {
			return err
		}
	}
	if err := wakeNamed(ctx, tx, w.wakes, w.now); err != nil || len(w.changed) == 0 {
		return err
	}
	arrived := idsJSON(w.changed)
	rows, err := tx.QueryContext(ctx, `SELECT e.sync, e.key FROM json_each(?1) AS j CROSS JOIN upkeep_edges AS e
		ON e.on_sync = j.value->>0 AND e.on_key = j.value->>1 AND e.kind = 'wait' LIMIT ?2`, arrived, wakeNow)
	if err != nil {
		return err
	}
	waiting, err := scanIDs(rows)
	if err != nil {
		return err
	}
	if err := wakeList(ctx, tx, waiting, w.now); err != nil {
		return err
	}
	// Whoever refers to a record under another id, and the rest of a long
	// queue, are touched by the fold.
	_, err = tx.ExecContext(ctx, `INSERT INTO upkeep_touch (op, sync, key, at)
		SELECT 'reference', j.value->>0, j.value->>1, ?2 FROM json_each(?1) AS j
		WHERE EXISTS (SELECT 1 FROM upkeep_edges AS e WHERE e.on_sync = j.value->>0 AND e.on_key = j.value->>1
			AND (e.kind = 'ref' OR ?3))`, arrived, w.now, len(waiting) == wakeNow)
	return err
}

// wakeList makes those of the groups due that wait for nothing that is not
// there. They are late from now on, and not since they began to wait.
func wakeList(ctx context.Context, tx *sql.Tx, ids []store.ID, now int64) error {
	if len(ids) == 0 {
		return nil
	}
	list := idsJSON(ids)
	_, err := tx.ExecContext(ctx, `UPDATE upkeep_groups SET waiting = 0, parked = 0, due_at = ?2, dirty_since = ?2, attempts = 0, reason = NULL
		FROM (SELECT DISTINCT value->>0 AS s, value->>1 AS k FROM json_each(?1)) AS j
		WHERE sync = j.s AND upkeep_groups.key = j.k AND waiting AND holder IS NULL AND NOT EXISTS (
			SELECT 1 FROM upkeep_edges AS e LEFT JOIN upkeep_groups AS p ON p.sync = e.on_sync AND p.key = e.on_key
			WHERE e.sync = j.s AND e.key = j.k AND e.kind = 'wait' AND p.remote_id IS NULL)`, list, now)
	if err != nil {
		return err
	}
	return unwait(ctx, tx, list)
}

// wakeNamed makes those of the groups due that wait and are not parked.
func wakeNamed(ctx context.Context, tx *sql.Tx, ids []store.ID, now int64) error {
	if len(ids) == 0 {
		return nil
	}
	list := idsJSON(ids)
	_, err := tx.ExecContext(ctx, `UPDATE upkeep_groups SET waiting = 0, due_at = ?2
		FROM (SELECT DISTINCT value->>0 AS s, value->>1 AS k FROM json_each(?1)) AS j
		WHERE sync = j.s AND upkeep_groups.key = j.k AND waiting AND NOT parked AND holder IS NULL`, list, now)
	if err != nil {
		return err
	}
	return unwait(ctx, tx, list)
}

// scanIDs reads rows of sync and key, and closes them.
func scanIDs(rows *sql.Rows) ([]store.ID, error) {
	defer rows.Close()
	var ids []store.ID
	for rows.Next() {
		var id store.ID
		if err := rows.Scan(&id.Sync, &id.Key); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// Records returns what is known of the records of those groups that are in
// the registry.
// It implements [store.Registry].
func (d *DB) Records(ctx context.Context, ids []store.ID) (map[store.ID]store.RecordState, error) {
	found := map[store.ID]store.RecordState{}
	if len(ids) == 0 {
		return found, nil
	}
	err := d.view(ctx, "read records", func(tx *sql.Tx) error {
		clear(found)
		rows, err := tx.QueryContext(ctx, `SELECT g.sync, g.key, coalesce(g.remote_id, ''), coalesce(g.external_id, ''), g.generation > g.synced_generation, g.parked
			FROM json_each(?1) AS j CROSS JOIN upkeep_groups AS g ON g.sync = j.value->>0 AND g.key = j.value->>1`, idsJSON(ids))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id store.ID
			var r store.RecordState
			if err := rows.Scan(&id.Sync, &id.Key, &r.RemoteID, &r.ExternalID, &r.Behind, &r.Parked); err != nil {
				return err
			}
			found[id] = r
		}
		return rows.Err()
	})
	return found, err
}
