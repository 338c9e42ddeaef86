package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// PauseByHand pauses a remote or a sync until somebody resumes it.
// It implements [store.Pauses].
func (d *DB) PauseByHand(ctx context.Context, p store.Pause) error {
	kind, name := p.Subject()
	return d.exec(ctx, "pause "+name, `INSERT INTO upkeep_pauses AS p (kind, name, reason, since) VALUES (?1, ?2, ?3, ?4)
		ON CONFLICT (kind, name) DO UPDATE SET reason = coalesce(nullif(excluded.reason, ''), p.reason)`, kind, name, p.Reason, d.now())
}

// ResumeByHand ends a pause that a person made.
// It implements [store.Pauses].
func (d *DB) ResumeByHand(ctx context.Context, p store.Pause) (bool, error) {
	kind, name := p.Subject()
	var was bool
	err := d.update(ctx, "resume "+name, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `DELETE FROM upkeep_pauses WHERE kind = ?1 AND name = ?2`, kind, name)
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		was = n > 0
		return err
	})
	return was, err
}

// PausedByHand lists the pauses that people made.
// It implements [store.Pauses].
func (d *DB) PausedByHand(ctx context.Context) ([]store.Pause, error) {
	var all []store.Pause
	err := d.view(ctx, "read pauses", func(tx *sql.Tx) error {
		all = nil
		rows, err := tx.QueryContext(ctx, `SELECT kind, name, reason, since FROM upkeep_pauses ORDER BY kind, name`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var kind, name, reason string
			var since int64
			if err := rows.Scan(&kind, &name, &reason, &since); err != nil {
				return err
			}
			p := store.PauseOf(kind, name)
			p.Reason, p.Since = reason, time.UnixMicro(since).UTC()
			all = append(all, p)
		}
		return rows.Err()
	})
	return all, err
}
