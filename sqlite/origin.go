package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Origin implements [store.Origins]: a file that was put in the place of
// another one is another file to the operating system. A backup that was copied
// into the file that is there can't be told. Of a file that is replaced while we
// have it open nothing is told any more, and nothing sent: [store.ErrReplaced].
func (d *DB) Origin(ctx context.Context) (now store.Origin, noted string, err error) {
	now.ID = fileID(d.file)
	if now.ID != d.opened && now.ID != "" && d.opened != "" {
		return now, "", fmt.Errorf("%w: %s", store.ErrReplaced, d.name)
	}
	err = d.view(ctx, "read the origin", func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, `SELECT coalesce((SELECT value FROM upkeep_settings WHERE name = 'origin'), '')`).Scan(&noted)
	})
	return now, noted, err
}

// forcing begins a forced sweep.
const forcing = `phase = 'forced', cursor = '', run = run + 1, sweep = 1, force = 1, done = 0, total = 0`

// SweepLater implements [store.Origins].
func (d *DB) SweepLater(ctx context.Context) (syncs []string, err error) {
	err = d.update(ctx, "begin the sweeps whose time has come", func(tx *sql.Tx) error {
		syncs, err = strs(ctx, tx, "UPDATE upkeep_syncs SET "+forcing+", sweep_at = NULL WHERE sweep_at <= ?1 RETURNING sync", d.now())
		return err
	})
	return syncs, err
}

// NoteOrigin implements [store.Origins].
func (d *DB) NoteOrigin(ctx context.Context, id string, restored bool, later map[string]time.Duration) error {
	return d.update(ctx, "note the origin", func(tx *sql.Tx) error {
		const note = `INSERT INTO upkeep_settings (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value`
		if _, err := tx.ExecContext(ctx, note, "origin", id); err != nil || !restored {
			return err
		}
		now := d.now()
		if _, err := tx.ExecContext(ctx, note, "restored_at", now); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "UPDATE upkeep_syncs SET "+forcing+", sweep_at = NULL WHERE version <> ''")
		if err != nil {
			return err
		}
		for sync, after := range later {
			_, err := tx.ExecContext(ctx, `UPDATE upkeep_syncs SET sweep_at = ?2 WHERE sync = ?1 AND version <> ''`, sync, now+after.Microseconds())
			if err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO upkeep_deletes (sync, since, held)
			SELECT sync, ?1, 1 FROM upkeep_syncs WHERE version <> ''
			ON CONFLICT (sync) DO UPDATE SET held = 1, allowed = 0, since = excluded.since`, now)
		return err
	})
}

// Restored implements [store.Origins].
func (d *DB) Restored(ctx context.Context) (at time.Time, err error) {
	err = d.view(ctx, "read the origin", func(tx *sql.Tx) error {
		at, err = restored(ctx, tx)
		return err
	})
	return at, err
}

func restored(ctx context.Context, tx *sql.Tx) (at time.Time, err error) {
	var us sql.NullInt64
	err = tx.QueryRowContext(ctx, `SELECT (SELECT value FROM upkeep_settings WHERE name = 'restored_at')`).Scan(&us)
	if us.Valid {
		at = time.UnixMicro(us.Int64).UTC()
	}
	return at, err
}
