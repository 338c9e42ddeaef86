package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// unescaped are the columns of an id that stands as text in ref ([textOf]).
const unescaped = `replace(replace(split_part(ref, '/', 1), '%2F', '/'), '%25', '%') COLLATE "C" AS sync,
	substr(ref, strpos(ref, '/') + 1) COLLATE "C" AS key`

// Waits implements [store.Registry]. A recursive query takes rows in the order
// in which they came, so that the limit cuts off the farthest.
func (db *DB) Waits(ctx context.Context, ids []store.ID, limit int) (map[store.ID][]store.ID, error) {
	found := map[store.ID][]store.ID{}
	if len(ids) == 0 {
		return found, nil
	}
	syncs, keys := splitIDs(ids)
	err := db.queryByKey(ctx, func(rows pgx.Rows) error {
		clear(found)
		var id store.ID
		var refs []string
		_, err := pgx.ForEachRow(rows, []any{&id.Sync, &id.Key, &refs}, func() error {
			found[id] = idsOf(refs)
			return nil
		})
		return err
	}, `WITH RECURSIVE walk(sync, key) AS (
			SELECT DISTINCT a.sync COLLATE "C", a.key COLLATE "C" FROM unnest($1::text[], $2::text[]) AS a(sync, key)
			UNION
			SELECT next.* FROM walk w
			JOIN upkeep.groups g ON g.sync = w.sync AND g.key = w.key
			CROSS JOIN unnest(g.waits_for) AS ref CROSS JOIN LATERAL (SELECT `+unescaped+`) AS next),
		near AS MATERIALIZED (SELECT * FROM walk LIMIT $3)
		SELECT g.sync, g.key, g.waits_for FROM near JOIN upkeep.groups g USING (sync, key) WHERE g.waits_for <> '{}'`, syncs, keys, limit)
	return found, installed(err)
}
