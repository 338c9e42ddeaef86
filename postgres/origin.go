package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// mark is [store.Origin].Mark of upkeep.settings: the table, who wrote its row,
// and the run of the server.
const mark = `tableoid::text || ':' || xmin::text || ':' || extract(epoch FROM pg_postmaster_start_time())::text`

// Origin implements [store.Origins]. The cluster and the database tell copies
// apart, the oid of a table of ours a registry that was dumped and restored,
// and the timeline a recovery to a point in time and a failover. Where a
// server does not tell the cluster and the timeline, the rest has to do. Rows
// that were put back into the tables that are there show by who wrote them.
func (db *DB) Origin(ctx context.Context) (now store.Origin, noted string, err error) {
	err = db.pool.QueryRow(ctx, `
		SELECT (SELECT oid FROM pg_database WHERE datname = current_database())::text || ':' || 'upkeep.settings'::regclass::oid::text,
			coalesce(origin, ''), coalesce(xmin <> written_by::xid, false), `+mark+` FROM upkeep.settings`).Scan(&now.ID, &noted, &now.PutBack, &now.Mark)
	if err != nil {
		return now, "", installed(err)
	}
	var system, timeline string
	var place int64
	err = db.pool.QueryRow(ctx, `
		SELECT (SELECT system_identifier FROM pg_control_system())::text, substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8),
			(pg_current_wal_lsn() - '0/0')::bigint`).Scan(&system, &timeline, &place)
	switch code(err) {
	case "":
		if err != nil {
			return now, "", err
		}
		now.ID, now.Place = system+":"+now.ID+":"+timeline, place
	case "42501", "42883", "0A000", "55000": // no right, no such function, not supported
		now.ID = "?:" + now.ID + ":?"
	default:
		return now, "", err
	}
	return now, noted, nil
}

// forcing begins a forced sweep.
const forcing = `pass = 'forced', sweep = true, force = true, again = false, cursor = NULL, done = 0, total = 0, started_at = upkeep.clock()`

// SweepLater implements [store.Origins].
func (db *DB) SweepLater(ctx context.Context) ([]string, error) {
	rows, err := db.pool.Query(ctx, "UPDATE upkeep.syncs SET "+forcing+", sweep_at = NULL WHERE sweep_at <= upkeep.clock() RETURNING sync")
	if err != nil {
		return nil, installed(err)
	}
	syncs, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return syncs, installed(err)
}

// NoteOrigin implements [store.Origins].
func (db *DB) NoteOrigin(ctx context.Context, id string, restored bool, later map[string]time.Duration) error {
	err := db.tx(ctx, writing, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE upkeep.settings SET origin = $1, written_by = pg_current_xact_id(),
			restored_at = CASE WHEN $2 THEN upkeep.clock() ELSE restored_at END`, id, restored)
		if err != nil || !restored {
			return err
		}
		if _, err := tx.Exec(ctx, "UPDATE upkeep.syncs SET "+forcing+", sweep_at = NULL WHERE version <> ''"); err != nil {
			return err
		}
		for _, sync := range slices.Sorted(maps.Keys(later)) {
			_, err := tx.Exec(ctx, "UPDATE upkeep.syncs SET sweep_at = upkeep.clock() + $2::bigint * interval '1 microsecond' WHERE sync = $1 AND version <> ''",
				sync, later[sync].Microseconds())
			if err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, `INSERT INTO upkeep.deletes AS d (sync, since, held)
			SELECT sync, upkeep.clock(), true FROM upkeep.syncs WHERE version <> ''
			ON CONFLICT (sync) DO UPDATE SET held = true, allowed = 0, since = excluded.since`)
		return err
	})
	if err != nil {
		return fmt.Errorf("note the database's origin: %w", err)
	}
	return nil
}

// Restored implements [store.Origins].
func (db *DB) Restored(ctx context.Context) (time.Time, error) {
	var at *time.Time
	err := db.pool.QueryRow(ctx, "SELECT restored_at FROM upkeep.settings").Scan(&at)
	if err != nil || at == nil {
		return time.Time{}, installed(err)
	}
	return at.UTC(), nil
}
