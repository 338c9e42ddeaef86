package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// NoteIntervention implements [store.Interventions]. SQLite has no roles.
func (d *DB) NoteIntervention(ctx context.Context, i store.Intervention) error {
	return d.update(ctx, "note what is done by hand", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO upkeep_interventions (at, by, did, remote, sync, key, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)`,
			d.now(), i.By, i.Did, i.Remote, i.Sync, i.Key, i.Detail)
		return err
	})
}

// Interventions implements [store.Interventions].
func (d *DB) Interventions(ctx context.Context, sync, key string, limit int) (all []store.Intervention, err error) {
	err = d.view(ctx, "read what was done by hand", func(tx *sql.Tx) error {
		all = nil
		rows, err := tx.QueryContext(ctx, `SELECT at, by, did, remote, sync, key, detail FROM upkeep_interventions
			WHERE (?1 = '' OR sync = ?1) AND (?2 = '' OR key = ?2) ORDER BY id DESC LIMIT ?3`, sync, key, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var i store.Intervention
			var at int64
			if err := rows.Scan(&at, &i.By, &i.Did, &i.Remote, &i.Sync, &i.Key, &i.Detail); err != nil {
				return err
			}
			i.At = time.UnixMicro(at).UTC()
			all = append(all, i)
		}
		return rows.Err()
	})
	return all, err
}

// PruneInterventions implements [store.Interventions]. It keeps nobody from writing
// unless something is old.
func (d *DB) PruneInterventions(ctx context.Context) error {
	old := false
	err := d.view(ctx, "look for what was done by hand long ago", func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, `SELECT coalesce((SELECT at FROM upkeep_interventions ORDER BY id LIMIT 1) < ?1, false)`,
			d.now()-store.InterventionsKept.Microseconds()).Scan(&old)
	})
	if err != nil || !old {
		return err
	}
	return d.update(ctx, "prune what was done by hand", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM upkeep_interventions WHERE id IN (
			SELECT id FROM upkeep_interventions WHERE at < ?1 ORDER BY id LIMIT ?2)`, d.now()-store.InterventionsKept.Microseconds(), prunePiece)
		return err
	})
}
