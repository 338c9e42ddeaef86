package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Namesakes implements [store.Registry]. The condition on the external id is
// that of the index; one that is made of the sync and the key leads to the key.
func (db *DB) Namesakes(ctx context.Context, sync string, among []string, externalIDs map[string]string) (map[string]store.Namesake, error) {
	keys, names := make([]string, 0, len(externalIDs)), make([]string, 0, len(externalIDs))
	for key, name := range externalIDs {
		keys, names = append(keys, clean(key)), append(names, clean(name))
	}
	found := map[string]store.Namesake{}
	err := db.queryByKey(ctx, func(rows pgx.Rows) error {
		var key string
		var n store.Namesake
		_, err := pgx.ForEachRow(rows, []any{&key, &n.Sync, &n.Key, &n.RemoteID, &n.ExternalID, &n.Behind, &n.Parked}, func() error {
			found[key] = n
			return nil
		})
		return err
	}, `WITH given AS MATERIALIZED (SELECT * FROM unnest($3::text[], $4::text[]) AS a(key, external_id))
		SELECT DISTINCT ON (f.given_key) f.given_key, f.sync, f.key, f.remote_id, f.external_id,
			f.generation > f.synced_generation OR f.in_doubt_until IS NOT NULL, f.parked
		FROM (
			SELECT a.key AS given_key, g.* FROM given a JOIN upkeep.groups g ON g.external_id = a.external_id
			WHERE g.sync = ANY ($2::text[]) AND g.external_id <> '' AND g.external_id COLLATE "C" <> g.sync || '-' || g.key
			UNION ALL
			SELECT a.key, g.* FROM given a CROSS JOIN unnest($2::text[]) AS s(sync) JOIN upkeep.groups g
				ON g.sync = s.sync AND g.key = substr(a.external_id, length(s.sync) + 2) AND g.external_id = a.external_id) f
		WHERE (f.key <> f.given_key OR f.sync <> $1) AND (f.remote_id <> '' OR f.in_doubt_until IS NOT NULL)
		ORDER BY f.given_key, f.sync, f.key`, clean(sync), among, keys, names)
	return found, installed(err)
}
