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

// Blocking implements [store.Registry].
func (db *DB) Blocking(ctx context.Context, ids []store.ID, limit int) (map[store.ID]store.Blocking, error) {
	found := map[store.ID]store.Blocking{}
	if len(ids) == 0 {
		return found, nil
	}
	syncs, keys := splitIDs(ids)
	err := db.queryByKey(ctx, func(rows pgx.Rows) error {
		clear(found)
		var id store.ID
		var b store.Blocking
		_, err := pgx.ForEachRow(rows, []any{&id.Sync, &id.Key, &b.Direct, &b.All}, func() error {
			found[id] = b
			return nil
		})
		return err
	}, `WITH RECURSIVE start AS (
			SELECT DISTINCT a.sync COLLATE "C" AS sync, a.key COLLATE "C" AS key FROM unnest($1::text[], $2::text[]) AS a(sync, key)),
		walk(of_sync, of_key, sync, key) AS (
			SELECT sync, key, sync, key FROM start
			UNION
			SELECT w.of_sync, w.of_key, g.sync, g.key FROM walk w JOIN upkeep.groups g
				ON g.waits_for <> '{}' AND g.waits_for @> ARRAY[`+refOf("w")+`]),
		near AS MATERIALIZED (SELECT * FROM walk LIMIT $3 + cardinality($1::text[]))
		SELECT n.of_sync, n.of_key, count(*) FILTER (WHERE g.waits_for @> ARRAY[n.ref]), count(*)
		FROM (SELECT near.*, `+refOf("start")+` AS ref FROM near JOIN start ON start.sync = of_sync AND start.key = of_key) n
		JOIN upkeep.groups g USING (sync, key)
		WHERE (n.of_sync, n.of_key) <> (n.sync, n.key)
		GROUP BY 1, 2`, syncs, keys, limit)
	return found, installed(err)
}

// refOf is the text of an id ([textOf]) whose columns are row's.
func refOf(row string) string {
	return `replace(replace(` + row + `.sync, '%', '%25'), '/', '%2F') || '/' || ` + row + `.key`
}

// Blockers implements [store.Registry].
func (db *DB) Blockers(ctx context.Context, limit int) ([]store.Blocker, error) {
	rows, err := db.pool.Query(ctx, `
		WITH direct AS (
			SELECT ref, count(*)::int AS n FROM upkeep.groups g CROSS JOIN unnest(g.waits_for) AS ref
			WHERE g.waits_for <> '{}' GROUP BY ref)
		SELECT g.sync, g.key, g.reason, d.n
		FROM direct d CROSS JOIN LATERAL (SELECT `+unescaped+`) AS i JOIN upkeep.groups g ON g.sync = i.sync AND g.key = i.key
		WHERE g.parked ORDER BY d.n DESC, g.sync, g.key LIMIT $1`, limit)
	if err != nil {
		return nil, installed(err)
	}
	blockers, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (store.Blocker, error) {
		var b store.Blocker
		err := r.Scan(&b.Sync, &b.Key, &b.Reason, &b.Direct)
		b.All = b.Direct
		return b, err
	})
	return blockers, installed(err)
}
