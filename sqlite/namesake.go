package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Namesakes implements [store.Registry]. The condition on the external id is
// that of the index; one that is made of the sync and the key leads to the key.
func (d *DB) Namesakes(ctx context.Context, sync string, among []string, externalIDs map[string]string) (map[string]store.Namesake, error) {
	found := map[string]store.Namesake{}
	given, err := json.Marshal(externalIDs)
	if err != nil || len(externalIDs) == 0 {
		return found, err
	}
	syncs, err := json.Marshal(among)
	if err != nil {
		return nil, err
	}
	err = d.view(ctx, "look for namesakes", func(tx *sql.Tx) error {
		clear(found)
		rows, err := tx.QueryContext(ctx, `
			SELECT j.key, g.sync, g.key, coalesce(g.remote_id, ''), g.external_id,
				g.generation > g.synced_generation OR g.in_doubt_until IS NOT NULL, g.parked
			FROM json_each(?3) AS j CROSS JOIN json_each(?2) AS s CROSS JOIN upkeep_groups AS g ON g.sync = s.value AND g.external_id = j.value
			WHERE g.external_id IS NOT NULL AND g.external_id <> g.sync || '-' || g.key
				AND (g.key <> j.key OR g.sync <> ?1) AND (g.remote_id IS NOT NULL OR g.in_doubt_until IS NOT NULL)
			UNION ALL
			SELECT j.key, g.sync, g.key, coalesce(g.remote_id, ''), g.external_id,
				g.generation > g.synced_generation OR g.in_doubt_until IS NOT NULL, g.parked
			FROM json_each(?3) AS j CROSS JOIN json_each(?2) AS s CROSS JOIN upkeep_groups AS g
				ON g.sync = s.value AND g.key = substr(j.value, length(s.value) + 2) AND g.external_id = j.value
			WHERE (g.key <> j.key OR g.sync <> ?1) AND (g.remote_id IS NOT NULL OR g.in_doubt_until IS NOT NULL)
			ORDER BY 1, 2 DESC, 3 DESC`, sync, string(syncs), string(given))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var key string
			var n store.Namesake
			if err := rows.Scan(&key, &n.Sync, &n.Key, &n.RemoteID, &n.ExternalID, &n.Behind, &n.Parked); err != nil {
				return err
			}
			found[key] = n
		}
		return rows.Err()
	})
	return found, err
}
