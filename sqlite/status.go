package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// stateExpr is the state of a group g in SQL.
const stateExpr = `CASE WHEN g.holder IS NOT NULL THEN 'claimed' WHEN g.parked THEN 'parked' WHEN g.waiting THEN 'waiting'
	WHEN g.in_doubt_until IS NOT NULL THEN 'in doubt' WHEN g.generation > g.synced_generation THEN 'dirty'
	WHEN g.remote_id IS NULL THEN 'gone' WHEN g.skipped THEN 'skipped' ELSE 'clean' END`

// groupColumns are what scanGroup reads of a group g.
const groupColumns = `g.sync, g.key, ` + stateExpr + `, g.generation, g.synced_generation, g.forced_generation, g.settled_generation, g.epoch,
	coalesce(g.holder, ''), g.lease_until, g.in_doubt_until, g.due_at, g.touched_at, g.synced_at, coalesce(g.remote_id, ''),
	coalesce(g.external_id, ''), g.digests, g.attempts, coalesce(g.reason, ''), coalesce(g.refs, ''), coalesce(g.cause, '{}'),
	g.backfill, g.deleted_generation > 0, g.skip, g.skipped,
	CASE WHEN g.waiting THEN (SELECT json_group_array(json_array(e.on_sync, e.on_key)) FROM upkeep_edges AS e
		WHERE e.sync = g.sync AND e.key = g.key AND e.kind = 'wait') ELSE '' END`

func scanGroup(rows *sql.Rows) (store.Group, error) {
	var g store.Group
	var lease, doubt, due, touched, synced sql.NullInt64
	var refs, cause, waits string
	err := rows.Scan(&g.Sync, &g.Key, &g.State, &g.Generation, &g.SyncedGeneration, &g.ForcedGeneration, &g.SettledGeneration, &g.Epoch, &g.Holder,
		&lease, &doubt, &due, &touched, &synced, &g.RemoteID, &g.ExternalID, &g.Digests, &g.Attempts, &g.Reason, &refs, &cause,
		&g.Backfill, &g.DeleteSeen, &g.Skip, &g.Skipped, &waits)
	if err != nil {
		return g, err
	}
	g.LeaseUntil, g.InDoubtUntil, g.DueAt = timeAt(lease), timeAt(doubt), timeAt(due)
	g.TouchedAt, g.SyncedAt = timeAt(touched), timeAt(synced)
	if err := json.Unmarshal([]byte(cause), &g.Cause); err != nil {
		return g, fmt.Errorf("group %s: stored cause: %w", g.ID, err)
	}
	if g.Refs, err = readIDs(refs); err != nil {
		return g, err
	}
	g.WaitsFor, err = readIDs(waits)
	return g, err
}

// queryGroups reads groups by the rest of a query.
func (d *DB) queryGroups(ctx context.Context, rest string, args ...any) ([]store.Group, error) {
	var all []store.Group
	err := d.view(ctx, "read groups", func(tx *sql.Tx) error {
		all = nil
		rows, err := tx.QueryContext(ctx, `SELECT `+groupColumns+` FROM upkeep_groups AS g `+rest, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			g, err := scanGroup(rows)
			if err != nil {
				return err
			}
			all = append(all, g)
		}
		return rows.Err()
	})
	return all, err
}

// Group returns one group.
// It implements [store.Registry].
func (d *DB) Group(ctx context.Context, id store.ID) (*store.Group, error) {
	all, err := d.queryGroups(ctx, `WHERE g.sync = ?1 AND g.key = ?2`, id.Sync, id.Key)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: %s", store.ErrNoGroup, id)
	}
	return &all[0], nil
}

// Groups lists groups by key.
// It implements [store.Registry].
func (d *DB) Groups(ctx context.Context, sync string, state store.State, after store.ID, limit int) ([]store.Group, error) {
	where, order := `WHERE g.sync = ?1 AND (g.key > ?2 OR ?2 = '')`, `ORDER BY g.key`
	if sync == "" {
		where, order = `WHERE ?1 = '' AND (g.key, g.sync) > (?2, ?5)`, `ORDER BY g.key, g.sync`
	}
	return d.queryGroups(ctx, where+` AND (?3 = '' OR `+stateExpr+` = ?3) `+order+` LIMIT ?4`,
		sync, after.Key, string(state), limit, after.Sync)
}

// Blocked lists who waits for the group.
// It implements [store.Registry].
func (d *DB) Blocked(ctx context.Context, id store.ID, limit int) ([]store.ID, error) {
	var ids []store.ID
	err := d.view(ctx, "read who waits", func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT sync, key FROM upkeep_edges WHERE on_sync = ?1 AND on_key = ?2 AND kind = 'wait'
			ORDER BY sync, key LIMIT ?3`, id.Sync, id.Key, limit)
		if err != nil {
			return err
		}
		ids, err = scanIDs(rows)
		return err
	})
	return ids, err
}

// Attempts is the history of a group, newest first.
// It implements [store.Registry].
func (d *DB) Attempts(ctx context.Context, id store.ID, limit int) ([]store.Attempt, error) {
	var all []store.Attempt
	err := d.view(ctx, "read attempts", func(tx *sql.Tx) error {
		all = nil
		rows, err := tx.QueryContext(ctx, `SELECT at, epoch, action, outcome, status, message, fields, took FROM upkeep_attempts
			WHERE sync = ?1 AND key = ?2 ORDER BY id DESC LIMIT ?3`, id.Sync, id.Key, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var a store.Attempt
			var at, took int64
			var fields string
			if err := rows.Scan(&at, &a.Epoch, &a.Action, &a.Outcome, &a.Status, &a.Message, &fields, &took); err != nil {
				return err
			}
			if err := json.Unmarshal([]byte(fields), &a.Fields); err != nil {
				return err
			}
			a.At, a.Took = time.UnixMicro(at).UTC(), time.Duration(took)*time.Microsecond
			all = append(all, a)
		}
		return rows.Err()
	})
	return all, err
}

// Counts is a line per sync, by name.
// It implements [store.Registry].
func (d *DB) Counts(ctx context.Context) ([]store.Counts, error) {
	var all []store.Counts
	err := d.view(ctx, "count groups", func(tx *sql.Tx) error {
		all = nil
		rows, err := tx.QueryContext(ctx, `WITH n AS (SELECT sync, count(*) AS n,
				sum(s = 'clean') AS clean, sum(s = 'dirty') AS dirty, sum(s = 'claimed') AS claimed, sum(s = 'in doubt') AS doubt,
				sum(s = 'waiting') AS waiting, sum(s = 'parked') AS parked, sum(s = 'gone') AS gone, sum(s = 'skipped') AS skipped,
				sum(s = 'parked' AND substr(reason, 1, length(?2)) = ?2) AS unseen,
				min(CASE WHEN NOT waiting_still THEN since END) AS since, min(CASE WHEN waiting_still THEN since END) AS waits,
				max(CASE WHEN s IN ('dirty', 'claimed') AND substr(reason, 1, length(?1)) = ?1 THEN substr(reason, length(?1) + 1) END) AS held
			FROM (SELECT g.sync, `+stateExpr+` AS s, CASE WHEN g.generation > g.synced_generation AND NOT g.parked THEN g.dirty_since END AS since, g.reason, g.waiting AS waiting_still
				FROM upkeep_groups AS g) GROUP BY sync)
			SELECT coalesce(n.sync, upkeep_syncs.sync), coalesce(n, 0), coalesce(clean, 0), coalesce(dirty, 0), coalesce(claimed, 0),
				coalesce(doubt, 0), coalesce(waiting, 0), coalesce(parked, 0), coalesce(gone, 0), coalesce(skipped, 0), coalesce(unseen, 0), since, coalesce(touches, 0),
				coalesce(calls, 0), coalesce(saved, 0), coalesce(phase, '') <> '', coalesce(done, 0), coalesce(total, 0), iif(coalesce(phase, '') <> '', upkeep_syncs.failure, ''),
				(SELECT count(*) FROM upkeep_commands AS c WHERE c.sync = coalesce(n.sync, upkeep_syncs.sync)),
				(SELECT min(at) FROM upkeep_commands AS c WHERE c.sync = coalesce(n.sync, upkeep_syncs.sync)),
				(SELECT count(*) FROM upkeep_command_gaps AS c WHERE c.sync = coalesce(n.sync, upkeep_syncs.sync)), waits, coalesce(held, '')
			FROM n FULL JOIN upkeep_syncs ON upkeep_syncs.sync = n.sync ORDER BY 1`, store.LoadFailed, store.DeletionUnseen)
		if err != nil {
			return err
		}
		defer rows.Close()
		now := d.now()
		for rows.Next() {
			var c store.Counts
			var since, command, waits sql.NullInt64
			if err := rows.Scan(&c.Sync, &c.Groups, &c.Clean, &c.Dirty, &c.Claimed, &c.InDoubt, &c.Waiting, &c.Parked, &c.Gone, &c.Skipped, &c.Unseen, &since,
				&c.Touches, &c.Calls, &c.Saved, &c.Backfill.Running, &c.Backfill.Done, &c.Backfill.Total, &c.Backfill.Failure,
				&c.Commands, &command, &c.Gaps, &waits, &c.Held); err != nil {
				return err
			}
			if command.Valid {
				c.OldestCommand = max(time.Duration(now-command.Int64)*time.Microsecond, time.Microsecond)
			}
			if waits.Valid {
				c.OldestWaiting = max(time.Duration(now-waits.Int64)*time.Microsecond, time.Microsecond)
			}
			if since.Valid {
				c.Oldest = max(time.Duration(now-since.Int64)*time.Microsecond, time.Microsecond)
			}
			all = append(all, c)
		}
		return rows.Err()
	})
	return all, err
}

// Moves is a number that differs when something was done.
// It implements [store.Registry].
func (d *DB) Moves(ctx context.Context) (int64, error) {
	var n int64
	err := d.view(ctx, "look whether something was done", func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, `SELECT coalesce(sum(touches + calls + saved + done), 0) FROM upkeep_syncs`).Scan(&n)
	})
	return n, err
}

// Pending is how many rows the touch log has, at most limit.
// It implements [store.Registry].
func (d *DB) Pending(ctx context.Context, limit int) (int, error) {
	var n int
	err := d.view(ctx, "count the touch log", func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT 1 FROM upkeep_touch WHERE op NOT IN ('replacing', 'nothing') LIMIT ?1)`, limit).Scan(&n)
	})
	return n, err
}

// OldestTouch is the age of the oldest row of the touch log, in which they are
// in the order of their time.
// It implements [store.Registry].
func (d *DB) OldestTouch(ctx context.Context, _ int) (age time.Duration, err error) {
	err = d.view(ctx, "look at the touch log", func(tx *sql.Tx) error {
		age, err = d.oldestTouch(ctx, tx)
		return err
	})
	return age, err
}

func (d *DB) oldestTouch(ctx context.Context, tx *sql.Tx) (time.Duration, error) {
	var at int64
	err := tx.QueryRowContext(ctx, `SELECT at FROM upkeep_touch WHERE op NOT IN ('replacing', 'nothing') ORDER BY id LIMIT 1`).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return max(time.Duration(d.now()-at)*time.Microsecond, time.Microsecond), err
}

// prunePiece is how much history one transaction of Prune deletes.
const prunePiece = 1000

// Prune deletes history older than keep. What keeps one kind of it keeps none of
// the others.
// It implements [store.Registry].
func (d *DB) Prune(ctx context.Context, keep time.Duration) error {
	before := d.now() - keep.Microseconds()
	return errors.Join(d.pruneAttempts(ctx, before), d.pruneGaps(ctx, before), d.pruneCommands(ctx, before), d.pruneMissed(ctx, before))
}

func (d *DB) pruneAttempts(ctx context.Context, before int64) error {
	for {
		var n int64
		err := d.update(ctx, "prune history", func(tx *sql.Tx) error {
			r, err := tx.ExecContext(ctx, `DELETE FROM upkeep_attempts WHERE id IN (
				SELECT id FROM upkeep_attempts WHERE at < ?1 ORDER BY at LIMIT ?2)`, before, prunePiece)
			if err != nil {
				return err
			}
			n, err = r.RowsAffected()
			return err
		})
		if err != nil || n < prunePiece {
			return err
		}
	}
}

// Retry makes parked and waiting groups due at once, in bounded pieces. They
// are dirty: what was refused was never recorded as synced.
// It implements [store.Registry].
func (d *DB) Retry(ctx context.Context, sync, key string) (int64, error) {
	var total int64
	where := `(?1 = '' OR sync = ?1) AND (?2 = '' OR key = ?2)`
	if sync != "" && key != "" {
		where = `sync = ?1 AND key = ?2`
	} else if sync != "" {
		where = `sync = ?1 AND ?2 = ''`
	}
	for {
		var n int64
		err := d.update(ctx, "retry groups", func(tx *sql.Tx) error {
			rows, err := tx.QueryContext(ctx, `SELECT sync, key FROM upkeep_groups AS g WHERE `+where+` AND (parked OR waiting OR g.skip IS NOT NULL) AND holder IS NULL
				LIMIT ?3`, sync, key, foldPiece)
			if err != nil {
				return err
			}
			ids, err := scanIDs(rows)
			if err != nil {
				return err
			}
			n = int64(len(ids))
			if n == 0 {
				return nil
			}
			list := idsJSON(ids)
			_, err = tx.ExecContext(ctx, `UPDATE upkeep_groups SET parked = 0, waiting = 0, attempts = 0, reason = NULL, skip = NULL, due_at = ?2,
				generation = generation + (parked AND in_doubt_until IS NULL AND generation > synced_generation),
				dirty_since = CASE WHEN parked OR dirty_since IS NULL THEN ?2 ELSE dirty_since END
				FROM (SELECT value->>0 AS s, value->>1 AS k FROM json_each(?1)) AS j WHERE sync = j.s AND upkeep_groups.key = j.k`, list, d.now())
			if err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, `UPDATE upkeep_commands SET refused = '', refused_version = ''
				WHERE refused <> '' AND (sync, key) IN (SELECT value->>0, value->>1 FROM json_each(?1))`, list)
			if err != nil {
				return err
			}
			return unwait(ctx, tx, list)
		})
		if err != nil {
			return total, err
		}
		if total += n; n < foldPiece {
			return total, nil
		}
	}
}

// Skip implements [store.Registry].
func (d *DB) Skip(ctx context.Context, id store.ID, what []byte, note string) (done bool, err error) {
	err = d.update(ctx, "skip what is refused", func(tx *sql.Tx) error {
		now := d.now()
		r, err := tx.ExecContext(ctx, `
			UPDATE upkeep_groups SET parked = 0, waiting = 0, attempts = 0, reason = NULL, skip = ?3,
				due_at = ?4, dirty_since = ?4, in_doubt_until = NULL,
				forced_generation = CASE WHEN in_doubt_until IS NOT NULL THEN generation ELSE forced_generation END,
				settled_generation = CASE WHEN in_doubt_until IS NOT NULL AND (forced_generation <= synced_generation OR forced_generation = settled_generation)
					THEN generation ELSE settled_generation END
			WHERE sync = ?1 AND key = ?2 AND parked AND remote_id IS NOT NULL AND (in_doubt_until IS NULL OR in_doubt_until <= ?4)`,
			id.Sync, id.Key, what, now)
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		if done = n > 0; err != nil || !done {
			return err
		}
		if err := noteSkip(ctx, tx, id, now, note); err != nil {
			return err
		}
		return unwait(ctx, tx, idsJSON([]store.ID{id}))
	})
	return done, err
}

// Settle implements [store.Registry].
func (d *DB) Settle(ctx context.Context, id store.ID, remoteID string) (done bool, other string, err error) {
	err = d.update(ctx, "settle a group", func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, `SELECT coalesce((SELECT key FROM upkeep_groups
			WHERE sync = ?1 AND remote_id = nullif(?2, '') LIMIT 1), '')`, id.Sync, remoteID).Scan(&other)
		if err != nil || other != "" {
			return err
		}
		r, err := tx.ExecContext(ctx, `
			UPDATE upkeep_groups SET parked = 0, waiting = 0, attempts = 0, reason = NULL,
				due_at = ?4, dirty_since = ?4,
				remote_id = nullif(?3, ''), digests = NULL, generation = generation + 1,
				forced_generation = CASE WHEN ?3 = '' THEN 0 ELSE generation + 1 END,
				external_id = CASE WHEN ?3 <> '' THEN external_id END,
				in_doubt_until = NULL
			WHERE sync = ?1 AND key = ?2 AND parked AND remote_id IS NULL
				AND (?3 <> '' OR in_doubt_until IS NULL OR in_doubt_until <= ?4)`,
			id.Sync, id.Key, remoteID, d.now())
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		if done = n > 0; err != nil || !done {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE upkeep_commands SET refused = '', refused_version = ''
			WHERE refused <> '' AND sync = ?1 AND key = ?2`, id.Sync, id.Key)
		if err != nil {
			return err
		}
		return unwait(ctx, tx, idsJSON([]store.ID{id}))
	})
	return done, other, err
}
