package postgres

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
)

var mostClashes = strconv.Itoa(store.ClashesMost)

// RetryClashes implements [store.Clashes]. A group's epoch is when it was claimed
// last.
func (db *DB) RetryClashes(ctx context.Context, syncs []string, r store.ClashRetry) (n int64, err error) {
	err = db.tx(ctx, writing, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			WITH clock AS MATERIALIZED (SELECT now, (extract(epoch FROM now) * 1000000)::bigint AS us FROM (SELECT upkeep.clock() AS now) c),
			asked AS MATERIALIZED (
				SELECT g.* FROM upkeep.groups g WHERE g.sync = ANY ($1) AND g.clashes > 0
					AND NOT EXISTS (SELECT FROM upkeep.pauses p WHERE p.kind = 'sync' AND p.name = g.sync)),
			busy AS (
				SELECT count(*) AS n FROM asked, clock
				WHERE epoch > us - $2::bigint AND (clashes > 1 OR NOT parked) OR NOT parked AND due_at <= now),
			chosen AS MATERIALIZED (
				SELECT a.sync, a.key FROM asked a, clock
				WHERE a.parked AND a.epoch <= us - greatest($3::bigint, least($4::bigint * ((1 << (a.clashes - 1)) - 1), $5::bigint))
				ORDER BY a.clashes, a.epoch LIMIT (SELECT greatest(0, $6::bigint - n) FROM busy))
			SELECT g.sync, g.key FROM upkeep.groups g JOIN chosen USING (sync, key)
			WHERE g.parked AND g.clashes > 0 ORDER BY g.sync, g.key FOR UPDATE OF g SKIP LOCKED`,
			syncs, time.Minute.Microseconds(), r.Since.Microseconds(), r.First.Microseconds(), r.Longest.Microseconds(), r.Most)
		if err != nil {
			return err
		}
		ids, err := pgx.CollectRows(rows, pgx.RowToStructByPos[store.ID])
		if n = int64(len(ids)); err != nil || n == 0 {
			return err
		}
		syncs, keys := splitIDs(ids)
		_, err = tx.Exec(ctx, `
			UPDATE upkeep.groups g SET parked = false, attempts = $3,
				generation = generation + (in_doubt_until IS NULL AND generation > synced_generation)::int,
				due_at = (SELECT upkeep.clock()), dirty_since = (SELECT upkeep.clock())
			FROM unnest($1::text[], $2::text[]) AS a(sync, key) WHERE g.sync = a.sync AND g.key = a.key`, syncs, keys, r.Attempts)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE upkeep.commands c SET refused = '', refused_version = ''
			FROM unnest($1::text[], $2::text[]) AS a(sync, key) WHERE c.refused <> '' AND c.sync = a.sync AND c.key = a.key`, syncs, keys)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("retry clashes: %w", installed(err))
	}
	return n, nil
}
