package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// NoteMissed implements [store.Audits].
func (db *DB) NoteMissed(ctx context.Context, found []store.Missed) error {
	return db.tx(ctx, writing, func(tx pgx.Tx) error {
		for _, m := range found {
			_, err := tx.Exec(ctx, `INSERT INTO upkeep.missed (sync, key, at, fields, columns) VALUES ($1, $2, upkeep.clock(), $3, $4)`,
				m.Sync, m.Key, append([]string{}, m.Fields...), append([]string{}, m.Columns...))
			if err != nil {
				return fmt.Errorf("note a missed change: %w", err)
			}
		}
		return nil
	})
}

// Missed implements [store.Audits].
func (db *DB) Missed(ctx context.Context, limit int) ([]store.Missed, error) {
	rows, err := db.pool.Query(ctx, "SELECT sync, key, at, fields, columns FROM upkeep.missed ORDER BY id DESC LIMIT $1", limit)
	if err != nil {
		return nil, installed(err)
	}
	found, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (store.Missed, error) {
		var m store.Missed
		err := r.Scan(&m.Sync, &m.Key, &m.At, &m.Fields, &m.Columns)
		m.At = m.At.UTC()
		return m, err
	})
	return found, installed(err)
}

func (db *DB) pruneMissed(ctx context.Context, keep time.Duration) error {
	_, err := db.pool.Exec(ctx, "DELETE FROM upkeep.missed WHERE at < (SELECT upkeep.clock()) - $1 * interval '1 microsecond'", keep.Microseconds())
	if err != nil {
		return fmt.Errorf("prune missed changes: %w", installed(err))
	}
	return nil
}
