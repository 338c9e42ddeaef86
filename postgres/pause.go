package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// PauseByHand implements [store.Pauses].
func (db *DB) PauseByHand(ctx context.Context, p store.Pause) error {
	kind, name := p.Subject()
	_, err := db.pool.Exec(ctx, `INSERT INTO upkeep.pauses AS p (kind, name, reason, since) VALUES ($1, $2, $3, upkeep.clock())
		ON CONFLICT (kind, name) DO UPDATE SET reason = coalesce(nullif(excluded.reason, ''), p.reason)`, kind, clean(name), clean(p.Reason))
	return installed(err)
}

// ResumeByHand implements [store.Pauses].
func (db *DB) ResumeByHand(ctx context.Context, p store.Pause) (bool, error) {
	kind, name := p.Subject()
	tag, err := db.pool.Exec(ctx, "DELETE FROM upkeep.pauses WHERE kind = $1 AND name = $2", kind, clean(name))
	return tag.RowsAffected() > 0, installed(err)
}

// PausedByHand implements [store.Pauses].
func (db *DB) PausedByHand(ctx context.Context) ([]store.Pause, error) {
	rows, err := db.pool.Query(ctx, "SELECT kind, name, reason, since FROM upkeep.pauses ORDER BY kind, name")
	if err != nil {
		return nil, installed(err)
	}
	all, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (store.Pause, error) {
		var kind, name string
		var read store.Pause
		err := r.Scan(&kind, &name, &read.Reason, &read.Since)
		p := store.PauseOf(kind, name)
		p.Reason, p.Since = read.Reason, read.Since.UTC()
		return p, err
	})
	return all, installed(err)
}
