package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// NotePlan implements [store.Notes].
func (d *DB) NotePlan(ctx context.Context, n store.PlanNote) error {
	syncs, err := json.Marshal(n.Syncs)
	if err != nil {
		return err
	}
	return d.update(ctx, "note the plan", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO upkeep_plans (at, plan, holder, syncs) SELECT ?1, ?2, ?3, ?4
			WHERE ?2 IS NOT (SELECT plan FROM upkeep_plans ORDER BY id DESC LIMIT 1)`, d.now(), n.Plan, n.Holder, string(syncs))
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM upkeep_plans WHERE id <= (SELECT id FROM upkeep_plans ORDER BY id DESC LIMIT 1 OFFSET ?1)`, store.PlansKept)
		return err
	})
}

// Plans implements [store.Notes].
func (d *DB) Plans(ctx context.Context) (all []store.PlanNote, err error) {
	err = d.view(ctx, "read the notes of plans", func(tx *sql.Tx) error {
		all = nil
		rows, err := tx.QueryContext(ctx, `SELECT at, plan, holder, syncs FROM upkeep_plans ORDER BY id DESC`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var n store.PlanNote
			var at int64
			var syncs []byte
			if err := rows.Scan(&at, &n.Plan, &n.Holder, &syncs); err != nil {
				return err
			}
			if err := json.Unmarshal(syncs, &n.Syncs); err != nil {
				return err
			}
			n.At = time.UnixMicro(at).UTC()
			all = append(all, n)
		}
		return rows.Err()
	})
	return all, err
}

// NoteFailure implements [store.Notes]. SQLite's messages quote names, and no
// values.
func (d *DB) NoteFailure(ctx context.Context, stage, holder string, failed error) error {
	return d.update(ctx, "note a failure", func(tx *sql.Tx) error {
		now := d.now()
		if _, err := tx.ExecContext(ctx, `DELETE FROM upkeep_failures WHERE at < ?1`, now-(24*time.Hour).Microseconds()); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO upkeep_failures (stage, holder, since, at, reason) VALUES (?1, ?2, ?3, ?3, ?4)
			ON CONFLICT (stage, holder) DO UPDATE SET at = excluded.at, reason = excluded.reason`, stage, holder, now, failed.Error())
		return err
	})
}

// NoteWell implements [store.Notes].
func (d *DB) NoteWell(ctx context.Context, stage, holder string) error {
	return d.exec(ctx, "note that it works again", `DELETE FROM upkeep_failures WHERE stage = ?1 AND holder = ?2`, stage, holder)
}

// Failures implements [store.Notes].
func (d *DB) Failures(ctx context.Context, within time.Duration) (all []store.Failure, err error) {
	err = d.view(ctx, "read the notes of failures", func(tx *sql.Tx) error {
		all = nil
		rows, err := tx.QueryContext(ctx, `SELECT stage, holder, since, at, reason FROM upkeep_failures WHERE at > ?1 ORDER BY stage, holder`,
			d.now()-within.Microseconds())
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var f store.Failure
			var since, at int64
			if err := rows.Scan(&f.Stage, &f.Holder, &since, &at, &f.Reason); err != nil {
				return err
			}
			f.Since, f.At = time.UnixMicro(since).UTC(), time.UnixMicro(at).UTC()
			all = append(all, f)
		}
		return rows.Err()
	})
	return all, err
}
