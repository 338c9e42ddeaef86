package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
)

const (
	oldHorizon = 1_000_000 // transactions that a slot may keep vacuum behind
	manyDead   = 200_000   // dead rows of a table of ours that is vacuumed in time
)

// Vitals implements [store.Registry].
func (db *DB) Vitals(ctx context.Context, long time.Duration) (*store.Vitals, error) {
	v := &store.Vitals{Findings: clearFindings(db.pool.Config().ConnConfig)}
	err := pgx.BeginTxFunc(ctx, db.pool, reading, func(tx pgx.Tx) error {
		var us int64
		err := tx.QueryRow(ctx, `SELECT clock_timestamp(), pg_total_relation_size('upkeep.touch'),
			-- Not the first by id: what is left of a row that fans out is put at the end.
			coalesce((SELECT greatest((extract(epoch FROM upkeep.clock() - min(at)) * 1e6)::bigint, 1) FROM upkeep.touch HAVING count(*) > 0), 0)`).
			Scan(&v.Now, &v.LogBytes, &us)
		if err != nil {
			return err
		}
		v.Now, v.OldestTouch = v.Now.UTC(), time.Duration(us)*time.Microsecond
		for _, look := range []func(context.Context, pgx.Tx, time.Duration) ([]store.Finding, error){
			oldTransactions, oldPrepared, oldSlots, vacuumState, volatile,
		} {
			found, err := look(ctx, tx, long)
			if err != nil {
				return err
			}
			v.Findings = append(v.Findings, found...)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("examine the database: %w", installed(err))
	}
	return v, nil
}

// findings makes a finding of each row: subject, message, fix.
func findings(ctx context.Context, tx pgx.Tx, sql string, args ...any) ([]store.Finding, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (store.Finding, error) {
		f := store.Finding{Severity: store.Warning}
		err := r.Scan(&f.Subject, &f.Message, &f.Fix)
		return f, err
	})
}

// oldTransactions keep vacuum from the touch log, and what they touched is not
// seen before they commit. Those of other roles show only to a role that may
// read all statistics.
func oldTransactions(ctx context.Context, tx pgx.Tx, long time.Duration) ([]store.Finding, error) {
	return findings(ctx, tx, `
		SELECT 'process ' || pid || coalesce(' of ' || usename, '') || coalesce(' (' || nullif(application_name, '') || ')', ''),
			'a transaction is open for ' || to_char(clock_timestamp() - xact_start, 'FMHH24"h"MI"m"SS"s"') || ', ' || coalesce(state, 'in an unknown state')
				|| ': what it changed is not seen yet, and vacuum can''t clean up behind it',
			'end it: SELECT pg_terminate_backend(' || pid || ')'
		FROM pg_stat_activity
		WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
			AND xact_start < clock_timestamp() - $1 * interval '1 microsecond'
		ORDER BY xact_start LIMIT 3`, long.Microseconds())
}

// volatile are commits of ours that a crash of the server takes back. It can
// only be so over a pool of the program's own: see [durable].
func volatile(ctx context.Context, tx pgx.Tx, _ time.Duration) ([]store.Finding, error) {
	return findings(ctx, tx, `
		SELECT 'synchronous_commit', 'it is off for '||quote_ident(current_user)||': a crash of the server may take back what was noted of requests that went out, unnoticed',
			'ALTER ROLE '||quote_ident(current_user)||' SET synchronous_commit = on'
		WHERE current_setting('synchronous_commit') = 'off'`)
}

// oldPrepared are transactions that were prepared and forgotten.
func oldPrepared(ctx context.Context, tx pgx.Tx, long time.Duration) ([]store.Finding, error) {
	return findings(ctx, tx, `
		SELECT 'prepared transaction ' || gid,
			'prepared at ' || to_char(prepared AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' by ' || owner
				|| ' and not ended: what it changed is not seen yet, it keeps its locks, and vacuum can''t clean up behind it',
			format('end it: COMMIT PREPARED %L, or ROLLBACK PREPARED %L', gid, gid)
		FROM pg_prepared_xacts
		WHERE database = current_database() AND prepared < clock_timestamp() - $1 * interval '1 microsecond'
		ORDER BY prepared LIMIT 3`, long.Microseconds())
}

// oldSlots keep vacuum behind, as an old transaction does.
func oldSlots(ctx context.Context, tx pgx.Tx, _ time.Duration) ([]store.Finding, error) {
	return findings(ctx, tx, `
		SELECT 'replication slot ' || slot_name,
			'it keeps vacuum ' || age(xmin) || ' transactions behind',
			format('bring its reader back, or drop it: SELECT pg_drop_replication_slot(%L)', slot_name)
		FROM pg_replication_slots WHERE age(xmin) > $1::int ORDER BY age(xmin) DESC LIMIT 3`, oldHorizon)
}

// vacuumState looks whether our tables are cleaned up.
func vacuumState(ctx context.Context, tx pgx.Tx, _ time.Duration) ([]store.Finding, error) {
	return findings(ctx, tx, `
		SELECT 'autovacuum', 'autovacuum is off: the touch log will grow and slow down', 'ALTER SYSTEM SET autovacuum = on, and reload'
		WHERE current_setting('autovacuum') = 'off'
		UNION ALL
		SELECT 'upkeep.' || relname, 'autovacuum is off for this table', format('ALTER TABLE upkeep.%I RESET (autovacuum_enabled)', relname)
		FROM pg_class WHERE relnamespace = 'upkeep'::regnamespace AND 'autovacuum_enabled=false' = ANY (reloptions)
		UNION ALL
		SELECT 'upkeep.' || relname, n_dead_tup || ' dead rows beside ' || n_live_tup || ' live ones; last vacuum '
				|| coalesce(to_char(greatest(last_vacuum, last_autovacuum) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), 'never'),
			format('see that no old transaction is in the way, then: VACUUM upkeep.%I', relname)
		FROM pg_stat_all_tables WHERE schemaname = 'upkeep' AND n_dead_tup > $1 + n_live_tup`, manyDead)
}
