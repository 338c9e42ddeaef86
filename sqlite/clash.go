package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// RetryClashes looks without the write lock first: mostly there are none.
// It implements [store.Clashes].
func (d *DB) RetryClashes(ctx context.Context, syncs []string, r store.ClashRetry) (n int64, err error) {
	const what = "retry clashes"
	err = d.view(ctx, what, func(tx *sql.Tx) error {
		ids, err := d.clashes(ctx, tx, syncs, r)
		n = int64(len(ids))
		return err
	})
	if err != nil || n == 0 {
		return 0, err
	}
	err = d.update(ctx, what, func(tx *sql.Tx) error {
		ids, err := d.clashes(ctx, tx, syncs, r)
		if n = int64(len(ids)); err != nil || n == 0 {
			return err
		}
		list := idsJSON(ids)
		_, err = tx.ExecContext(ctx, `UPDATE upkeep_groups SET parked = 0, attempts = ?3, due_at = ?2, dirty_since = ?2,
				generation = generation + (in_doubt_until IS NULL AND generation > synced_generation)
			FROM (SELECT value->>0 AS s, value->>1 AS k FROM json_each(?1)) AS j WHERE sync = j.s AND upkeep_groups.key = j.k`, list, d.now(), r.Attempts)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE upkeep_commands SET refused = '', refused_version = ''
			WHERE refused <> '' AND (sync, key) IN (SELECT value->>0, value->>1 FROM json_each(?1))`, list)
		return err
	})
	return n, err
}

// clashes chooses the groups that go again. A group's epoch is when it was claimed
// last.
func (d *DB) clashes(ctx context.Context, tx *sql.Tx, syncs []string, r store.ClashRetry) ([]store.ID, error) {
	rows, err := tx.QueryContext(ctx, `
		WITH asked AS MATERIALIZED (
			SELECT g.sync, g.key, g.parked, g.holder, g.due_at, g.epoch, g.clashes
			FROM json_each(?1) AS j CROSS JOIN upkeep_groups AS g ON g.sync = j.value
			WHERE g.clashes > 0 AND NOT EXISTS (SELECT 1 FROM upkeep_pauses WHERE kind = 'sync' AND name = g.sync))
		SELECT sync, key FROM asked
		WHERE parked AND holder IS NULL AND epoch <= ?2 - max(?4, min(?5 * ((1 << (clashes - 1)) - 1), ?6))
		ORDER BY clashes, epoch
		LIMIT (SELECT max(0, ?7 - count(*)) FROM asked
			WHERE epoch > ?2 - ?3 AND (clashes > 1 OR NOT parked) OR NOT parked AND due_at <= ?2)`,
		texts(syncs), d.now(), time.Minute.Microseconds(), r.Since.Microseconds(), r.First.Microseconds(), r.Longest.Microseconds(), r.Most)
	if err != nil {
		return nil, err
	}
	return scanIDs(rows)
}
