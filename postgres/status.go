package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// stateOf is a group's state, derived from its columns.
const stateOf = `CASE
	WHEN holder IS NOT NULL THEN 'claimed'
	WHEN parked THEN 'parked'
	WHEN waits_for <> '{}' THEN 'waiting'
	WHEN in_doubt_until IS NOT NULL THEN 'in doubt'
	WHEN generation > synced_generation THEN 'dirty'
	WHEN remote_id = '' THEN 'gone'
	WHEN upkeep_groups.skipped THEN 'skipped'
	ELSE 'clean' END`

const groupColumns = `sync, key, ` + stateOf + ` AS state, generation, synced_generation, forced_generation, upkeep_groups.settled_generation, epoch,
	coalesce(holder, ''), lease_until, in_doubt_until, due_at, touched_at, synced_at, remote_id, external_id, digests,
	attempts, reason, waits_for, refs, coalesce(to_json(cause), '{}'), backfill, deleted_generation > 0,
	upkeep_groups.skip, upkeep_groups.skipped`

func scanGroup(row pgx.CollectableRow) (store.Group, error) {
	var g store.Group
	var lease, doubt, due, touched, synced *time.Time
	var waitsFor, refs []string
	var cause []byte
	err := row.Scan(&g.Sync, &g.Key, &g.State, &g.Generation, &g.SyncedGeneration, &g.ForcedGeneration, &g.SettledGeneration, &g.Epoch,
		&g.Holder, &lease, &doubt, &due, &touched, &synced, &g.RemoteID, &g.ExternalID, &g.Digests,
		&g.Attempts, &g.Reason, &waitsFor, &refs, &cause, &g.Backfill, &g.DeleteSeen, &g.Skip, &g.Skipped)
	if err != nil {
		return g, err
	}
	g.LeaseUntil, g.InDoubtUntil, g.DueAt = timeOf(lease), timeOf(doubt), timeOf(due)
	g.TouchedAt, g.SyncedAt = timeOf(touched), timeOf(synced)
	g.WaitsFor, g.Refs = idsOf(waitsFor), idsOf(refs)
	if err := json.Unmarshal(cause, &g.Cause); err != nil {
		return g, fmt.Errorf("read the cause of %s: %w", g.ID, err)
	}
	g.Cause.At = g.Cause.At.UTC()
	return g, nil
}

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// Group implements [store.Registry].
func (db *DB) Group(ctx context.Context, id store.ID) (*store.Group, error) {
	rows, err := db.pool.Query(ctx, "SELECT "+groupColumns+" FROM upkeep.groups AS upkeep_groups WHERE sync = $1 AND key = $2",
		clean(id.Sync), clean(id.Key))
	if err != nil {
		return nil, installed(err)
	}
	found, err := pgx.CollectRows(rows, scanGroup)
	if err != nil {
		return nil, installed(err)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%w: %s", store.ErrNoGroup, id)
	}
	return &found[0], nil
}

// Groups implements [store.Registry]. With an empty sync the order is by key,
// then by sync, and after is a key.
func (db *DB) Groups(ctx context.Context, sync string, state store.State, after store.ID, limit int) ([]store.Group, error) {
	// A sync that is given has a statement of its own: the order of the
	// primary key then is the order of the answer.
	where, order := "sync = $1 AND ($3 = '' OR key > $3)", "key"
	args := []any{clean(sync), string(state), clean(after.Key), limit}
	if sync == "" {
		where, order = "$1 = '' AND (key, sync) > ($3, $5)", "key, sync"
		args = append(args, clean(after.Sync))
	}
	rows, err := db.pool.Query(ctx, "SELECT "+groupColumns+" FROM upkeep.groups AS upkeep_groups WHERE "+where+
		" AND ($2 = '' OR "+stateOf+" = $2) ORDER BY "+order+" LIMIT $4", args...)
	if err != nil {
		return nil, installed(err)
	}
	groups, err := pgx.CollectRows(rows, scanGroup)
	return groups, installed(err)
}

// Blocked implements [store.Registry].
func (db *DB) Blocked(ctx context.Context, id store.ID, limit int) ([]store.ID, error) {
	rows, err := db.pool.Query(ctx, `SELECT sync, key FROM upkeep.groups
		WHERE waits_for <> '{}' AND waits_for @> $1 ORDER BY sync, key LIMIT $2`, textOf([]store.ID{id}), limit)
	if err != nil {
		return nil, installed(err)
	}
	ids, err := collectIDs(rows)
	return ids, installed(err)
}

// Records implements [store.Registry].
func (db *DB) Records(ctx context.Context, ids []store.ID) (map[store.ID]store.RecordState, error) {
	syncs, keys := splitIDs(ids)
	found := map[store.ID]store.RecordState{}
	err := db.queryByKey(ctx, func(rows pgx.Rows) error {
		var id store.ID
		var r store.RecordState
		_, err := pgx.ForEachRow(rows, []any{&id.Sync, &id.Key, &r.RemoteID, &r.ExternalID, &r.Behind, &r.Parked}, func() error {
			found[id] = r
			return nil
		})
		return err
	}, `SELECT DISTINCT g.sync, g.key, g.remote_id, g.external_id, g.generation > g.synced_generation, g.parked
		FROM unnest($1::text[], $2::text[]) AS a(sync, key) JOIN upkeep.groups g USING (sync, key)`, syncs, keys)
	return found, installed(err)
}

// Attempts implements [store.Registry].
func (db *DB) Attempts(ctx context.Context, id store.ID, limit int) ([]store.Attempt, error) {
	rows, err := db.pool.Query(ctx, `SELECT at, epoch, action, outcome, status, message, fields, took_us
		FROM upkeep.attempts WHERE sync = $1 AND key = $2 ORDER BY id DESC LIMIT $3`, clean(id.Sync), clean(id.Key), limit)
	if err != nil {
		return nil, installed(err)
	}
	attempts, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (store.Attempt, error) {
		var a store.Attempt
		var us int64
		err := r.Scan(&a.At, &a.Epoch, &a.Action, &a.Outcome, &a.Status, &a.Message, &a.Fields, &us)
		a.At, a.Took = a.At.UTC(), time.Duration(us)*time.Microsecond
		if len(a.Fields) == 0 {
			a.Fields = nil
		}
		return a, err
	})
	return attempts, installed(err)
}

// Counts implements [store.Registry].
func (db *DB) Counts(ctx context.Context) ([]store.Counts, error) {
	rows, err := db.pool.Query(ctx, `
		WITH g AS (
			SELECT sync, `+stateOf+` AS state,
				CASE WHEN generation > synced_generation AND NOT parked THEN dirty_since END AS dirty_since, reason, waits_for <> '{}' AS waits
			FROM upkeep.groups AS upkeep_groups),
		n AS (
			SELECT sync, count(*) AS groups,
				count(*) FILTER (WHERE state = 'clean') AS clean, count(*) FILTER (WHERE state = 'dirty') AS dirty,
				count(*) FILTER (WHERE state = 'claimed') AS claimed, count(*) FILTER (WHERE state = 'in doubt') AS in_doubt,
				count(*) FILTER (WHERE state = 'waiting') AS waiting, count(*) FILTER (WHERE state = 'parked') AS parked,
				count(*) FILTER (WHERE state = 'gone') AS gone, count(*) FILTER (WHERE state = 'skipped') AS skipped,
				count(*) FILTER (WHERE state = 'parked' AND starts_with(reason, $2)) AS unseen,
				min(dirty_since) FILTER (WHERE NOT waits) AS oldest, min(dirty_since) FILTER (WHERE waits) AS waits,
				max(substr(reason, length($1) + 1)) FILTER (WHERE state IN ('dirty', 'claimed') AND starts_with(reason, $1)) AS held
			FROM g GROUP BY sync),
		waiting AS (SELECT sync, count(*) AS commands, min(at) AS oldest_command FROM upkeep.commands GROUP BY sync),
		missing AS (SELECT sync, count(*) AS gaps FROM upkeep.command_gaps GROUP BY sync)
		SELECT sync, coalesce(groups, 0), coalesce(clean, 0), coalesce(dirty, 0), coalesce(claimed, 0),
			coalesce(in_doubt, 0), coalesce(waiting, 0), coalesce(parked, 0), coalesce(gone, 0), coalesce(skipped, 0), coalesce(unseen, 0),
			coalesce(touches, 0), coalesce(calls, 0), coalesce(saved, 0),
			CASE WHEN oldest IS NULL THEN 0 ELSE greatest((extract(epoch FROM upkeep.clock() - oldest) * 1000000)::bigint, 1) END,
			coalesce(pass <> '', false), coalesce(done, 0), coalesce(total, 0), coalesce(CASE WHEN pass <> '' THEN upkeep_syncs.failure END, ''), coalesce(commands, 0),
			CASE WHEN oldest_command IS NULL THEN 0 ELSE greatest((extract(epoch FROM upkeep.clock() - oldest_command) * 1000000)::bigint, 1) END,
			coalesce(gaps, 0),
			CASE WHEN waits IS NULL THEN 0 ELSE greatest((extract(epoch FROM upkeep.clock() - waits) * 1000000)::bigint, 1) END, coalesce(held, ''), upkeep_syncs.overlong_at
		FROM n FULL JOIN upkeep.syncs AS upkeep_syncs USING (sync) LEFT JOIN waiting USING (sync) LEFT JOIN missing USING (sync) ORDER BY sync`, store.LoadFailed, store.DeletionUnseen)
	if err != nil {
		return nil, installed(err)
	}
	counts, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (store.Counts, error) {
		var c store.Counts
		var us, commandUS, waitsUS int64
		var overlong *time.Time
		err := r.Scan(&c.Sync, &c.Groups, &c.Clean, &c.Dirty, &c.Claimed, &c.InDoubt, &c.Waiting, &c.Parked, &c.Gone, &c.Skipped, &c.Unseen,
			&c.Touches, &c.Calls, &c.Saved, &us, &c.Backfill.Running, &c.Backfill.Done, &c.Backfill.Total, &c.Backfill.Failure,
			&c.Commands, &commandUS, &c.Gaps, &waitsUS, &c.Held, &overlong)
		c.Overlong = timeOf(overlong)
		c.OldestCommand = time.Duration(commandUS) * time.Microsecond
		c.OldestWaiting = time.Duration(waitsUS) * time.Microsecond
		c.Oldest = time.Duration(us) * time.Microsecond
		return c, err
	})
	return counts, installed(err)
}

// Moves implements [store.Registry].
func (db *DB) Moves(ctx context.Context) (int64, error) {
	var n int64
	err := db.pool.QueryRow(ctx, "SELECT coalesce(sum(touches + calls + saved + done), 0)::bigint FROM upkeep.syncs").Scan(&n)
	return n, installed(err)
}

// Pending implements [store.Registry].
func (db *DB) Pending(ctx context.Context, limit int) (int, error) {
	var n int
	err := db.pool.QueryRow(ctx, "SELECT count(*) FROM (SELECT FROM upkeep.touch LIMIT $1) t", limit).Scan(&n)
	return n, installed(err)
}

// OldestTouch implements [store.Registry].
func (db *DB) OldestTouch(ctx context.Context, limit int) (time.Duration, error) {
	var us int64
	err := db.pool.QueryRow(ctx, `SELECT coalesce(greatest((extract(epoch FROM upkeep.clock() - min(t.at)) * 1000000)::bigint, 1), 0)
		FROM (SELECT at FROM upkeep.touch LIMIT $1) t HAVING count(*) > 0 UNION ALL SELECT 0 LIMIT 1`, limit).Scan(&us)
	return time.Duration(us) * time.Microsecond, installed(err)
}

// Prune implements [store.Registry]. What can't be pruned of one kind keeps
// nothing of the others.
func (db *DB) Prune(ctx context.Context, keep time.Duration) error {
	return errors.Join(db.pruneAttempts(ctx, keep), db.pruneGaps(ctx, keep), db.pruneCommands(ctx, keep), db.pruneMissed(ctx, keep))
}

func (db *DB) pruneAttempts(ctx context.Context, keep time.Duration) error {
	for {
		tag, err := db.pool.Exec(ctx, `
			DELETE FROM upkeep.attempts WHERE ctid = ANY (ARRAY(
				SELECT ctid FROM upkeep.attempts WHERE at < (SELECT upkeep.clock()) - $1 * interval '1 microsecond'
				ORDER BY at LIMIT $2))`, keep.Microseconds(), piece)
		if err != nil {
			return fmt.Errorf("prune attempts: %w", installed(err))
		}
		if tag.RowsAffected() < piece {
			return nil
		}
	}
}

// Retry implements [store.Registry]. What was parked is late from now on, and not
// since it was parked; what waited waits on, most likely, and keeps its age. What
// was refused is another write from now on, for remotes that keep their answers,
// but not while an earlier request may have been applied.
func (db *DB) Retry(ctx context.Context, sync, key string) (int64, error) {
	var n int64
	err := db.tx(ctx, writing, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			WITH held AS MATERIALIZED (
				SELECT sync, key FROM upkeep.groups AS upkeep_groups
				WHERE (parked OR waits_for <> '{}' OR upkeep_groups.skip IS NOT NULL) AND ($1 = '' OR sync = $1) AND ($2 = '' OR key = $2)
				ORDER BY sync, key FOR UPDATE)
			UPDATE upkeep.groups g SET parked = false, waits_for = '{}', attempts = 0, reason = '', skip = NULL,
				generation = generation + (parked AND in_doubt_until IS NULL AND generation > synced_generation)::int,
				due_at = (SELECT upkeep.clock()), dirty_since = coalesce(CASE WHEN NOT g.parked THEN g.dirty_since END, upkeep.clock())
			FROM held h WHERE g.sync = h.sync AND g.key = h.key`, clean(sync), clean(key))
		if err != nil {
			return err
		}
		n = tag.RowsAffected()
		_, err = tx.Exec(ctx, `UPDATE upkeep.commands SET refused = '', refused_version = ''
			WHERE refused <> '' AND ($1 = '' OR sync = $1) AND ($2 = '' OR key = $2)`, clean(sync), clean(key))
		return err
	})
	return n, err
}

// Skip implements [store.Registry].
func (db *DB) Skip(ctx context.Context, id store.ID, what []byte, note string) (done bool, err error) {
	err = db.tx(ctx, byKey, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE upkeep.groups g SET parked = false, waits_for = '{}', attempts = 0, reason = '', skip = $3,
				due_at = now, dirty_since = now, in_doubt_until = NULL,
				forced_generation = CASE WHEN in_doubt_until IS NOT NULL THEN generation ELSE forced_generation END,
				settled_generation = CASE WHEN in_doubt_until IS NOT NULL AND (forced_generation <= synced_generation OR forced_generation = settled_generation)
					THEN generation ELSE settled_generation END
			FROM (SELECT upkeep.clock() AS now) c
			WHERE sync = $1 AND key = $2 AND parked AND remote_id <> '' AND (in_doubt_until IS NULL OR in_doubt_until <= now)`,
			clean(id.Sync), clean(id.Key), what)
		if err != nil {
			return err
		}
		if done = tag.RowsAffected() > 0; !done {
			return nil
		}
		return noteSkip(ctx, tx, id, note)
	})
	return done, installed(err)
}

// Settle implements [store.Registry].
func (db *DB) Settle(ctx context.Context, id store.ID, remoteID string) (done bool, other string, err error) {
	err = db.tx(ctx, writing, func(tx pgx.Tx) error {
		done = false
		err := tx.QueryRow(ctx, `SELECT coalesce((SELECT key FROM upkeep.groups
			WHERE sync = $1 AND remote_id = $2 AND remote_id <> '' LIMIT 1), '')`, clean(id.Sync), clean(remoteID)).Scan(&other)
		if err != nil || other != "" {
			return err
		}
		tag, err := tx.Exec(ctx, `
			UPDATE upkeep.groups g SET parked = false, waits_for = '{}', attempts = 0, reason = '',
				due_at = (SELECT upkeep.clock()), dirty_since = upkeep.clock(),
				remote_id = $3, digests = NULL, generation = generation + 1,
				forced_generation = CASE WHEN $3 = '' THEN 0 ELSE generation + 1 END,
				external_id = CASE WHEN $3 = '' THEN '' ELSE external_id END,
				in_doubt_until = NULL
			WHERE sync = $1 AND key = $2 AND parked AND remote_id = ''
				AND ($3 <> '' OR in_doubt_until IS NULL OR in_doubt_until <= (SELECT upkeep.clock()))`,
			clean(id.Sync), clean(id.Key), clean(remoteID))
		if err != nil {
			return err
		}
		if done = tag.RowsAffected() > 0; !done {
			return nil
		}
		_, err = tx.Exec(ctx, `UPDATE upkeep.commands SET refused = '', refused_version = ''
			WHERE refused <> '' AND sync = $1 AND key = $2`, clean(id.Sync), clean(id.Key))
		return err
	})
	return done, other, err
}
