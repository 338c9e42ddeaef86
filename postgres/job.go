package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Backlog implements [store.Jobs].
func (db *DB) Backlog(ctx context.Context, sync string, most int) (n int, err error) {
	err = db.pool.QueryRow(ctx, `SELECT count(*) FROM (SELECT FROM upkeep.groups
		WHERE sync = $1 AND backfill AND due_at <= (SELECT upkeep.clock()) LIMIT $2) g`, clean(sync), most).Scan(&n)
	return n, installed(err)
}

// addPiece is how many groups go into a job with one statement.
const addPiece = 1_000

// AddJob implements [store.Jobs]. The groups are locked in the order of their
// keys, as everywhere.
func (db *DB) AddJob(ctx context.Context, j store.Job, groups []store.JobGroup, lease time.Duration) (id int64, stale []store.ID, err error) {
	groups = slices.Clone(groups)
	slices.SortFunc(groups, func(a, b store.JobGroup) int { return cmp.Compare(a.Key, b.Key) })
	err = db.tx(ctx, byKey, func(tx pgx.Tx) error {
		stale = nil
		err := tx.QueryRow(ctx, `
			INSERT INTO upkeep.jobs (remote, remote_job, sync, record_type, action, state, rows, holder, lease_until, since)
			SELECT $1, $2, $3, $4, $5, $6, 0, $7, now + $8 * interval '1 microsecond', now FROM upkeep.clock() AS now
			RETURNING id`, clean(j.Remote), clean(j.RemoteJob), clean(j.Sync), clean(j.RecordType), j.Action, j.State,
			clean(j.Holder), lease.Microseconds()).Scan(&id)
		if err != nil {
			return err
		}
		for piece := range slices.Chunk(groups, addPiece) {
			added, err := addGroups(ctx, tx, id, j, piece)
			if err != nil {
				return err
			}
			for _, g := range piece {
				if _, in := slices.BinarySearch(added, clean(g.Key)); !in {
					stale = append(stale, store.ID{Sync: j.Sync, Key: g.Key})
				}
			}
		}
		_, err = tx.Exec(ctx, "UPDATE upkeep.jobs SET rows = $2 WHERE id = $1", id, len(groups)-len(stale))
		return err
	})
	if err != nil {
		return 0, nil, fmt.Errorf("write the job down: %w", err)
	}
	return id, stale, nil
}

// addGroups makes groups the job's, and returns the keys of those, sorted.
func addGroups(ctx context.Context, tx pgx.Tx, id int64, j store.Job, groups []store.JobGroup) ([]string, error) {
	n := len(groups)
	keys, epochs, generations := make([]string, n), make([]int64, n), make([]int64, n)
	externals, remotes, digests, refs, sent := make([]string, n), make([]string, n), make([][]byte, n), make([]string, n), make([]string, n)
	for i, g := range groups {
		list, err := json.Marshal(textOf(g.Refs))
		if err != nil {
			return nil, err
		}
		as, err := json.Marshal(sentText(g.Sent))
		if err != nil {
			return nil, err
		}
		keys[i], epochs[i], generations[i], externals[i] = clean(g.Key), g.Epoch, g.Generation, clean(g.ExternalID)
		remotes[i], digests[i], refs[i], sent[i] = clean(g.RemoteID), g.Digests, string(list), string(as)
	}
	rows, err := tx.Query(ctx, `
		WITH given AS MATERIALIZED (
			SELECT * FROM unnest($3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::bytea[], $9::text[], $10::text[])
				AS r(key, epoch, generation, external_id, remote_id, digests, refs, sent)),
		locked AS MATERIALIZED (
			SELECT r.* FROM given r JOIN upkeep.groups g ON g.sync = $2 AND g.key = r.key
			WHERE g.epoch = r.epoch AND g.holder IS NOT NULL
			ORDER BY g.key FOR UPDATE OF g),
		held AS (
			UPDATE upkeep.groups g SET holder = $11, lease_until = NULL, due_at = NULL
			FROM locked r WHERE g.sync = $2 AND g.key = r.key
			RETURNING r.*)
		INSERT INTO upkeep.job_groups (job, key, epoch, generation, external_id, remote_id, digests, refs, sent)
		SELECT $1, key, epoch, generation, external_id, remote_id, digests, refs, sent FROM held
		RETURNING key`, id, clean(j.Sync), keys, epochs, generations, externals, remotes, digests, refs, sent, store.JobHolder(clean(j.RemoteJob)))
	if err != nil {
		return nil, err
	}
	added, err := pgx.CollectRows(rows, pgx.RowTo[string])
	slices.Sort(added)
	return added, err
}

const jobColumns = `j.id, j.remote, j.remote_job, j.sync, j.record_type, j.action, j.state, j.rows,
	(SELECT count(*) FROM upkeep.job_groups g WHERE g.job = j.id), j.processed, j.failed, j.message,
	coalesce(j.holder, ''), j.since, (extract(epoch FROM upkeep.clock() - j.since) * 1000000)::bigint`

func scanJob(row pgx.CollectableRow) (store.Job, error) {
	var j store.Job
	var age int64
	err := row.Scan(&j.ID, &j.Remote, &j.RemoteJob, &j.Sync, &j.RecordType, &j.Action, &j.State, &j.Rows,
		&j.Left, &j.Processed, &j.Failed, &j.Message, &j.Holder, &j.Since, &age)
	j.Since, j.Age = j.Since.UTC(), time.Duration(age)*time.Microsecond
	return j, err
}

// TakeJob implements [store.Jobs].
func (db *DB) TakeJob(ctx context.Context, remote, holder string, lease time.Duration) (*store.Job, error) {
	rows, err := db.pool.Query(ctx, `
		UPDATE upkeep.jobs j SET holder = $2, lease_until = upkeep.clock() + $3 * interval '1 microsecond'
		WHERE j.id = (SELECT f.id FROM upkeep.jobs f
			WHERE f.remote = $1 AND (f.lease_until IS NULL OR f.lease_until <= (SELECT upkeep.clock()))
			ORDER BY f.id LIMIT 1 FOR UPDATE SKIP LOCKED)
		RETURNING `+jobColumns, clean(remote), clean(holder), lease.Microseconds())
	if err != nil {
		return nil, installed(err)
	}
	j, err := pgx.CollectExactlyOneRow(rows, scanJob)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("take a job over: %w", installed(err))
	}
	return &j, nil
}

// KeepJob implements [store.Jobs].
func (db *DB) KeepJob(ctx context.Context, j store.Job, lease time.Duration) (bool, error) {
	tag, err := db.pool.Exec(ctx, `
		UPDATE upkeep.jobs SET state = $3, processed = $4, failed = $5, message = $6,
			holder = CASE WHEN $7 > 0 THEN holder END,
			lease_until = CASE WHEN $7 > 0 THEN upkeep.clock() + $7 * interval '1 microsecond' END
		WHERE id = $1 AND holder = $2`, j.ID, clean(j.Holder), j.State, j.Processed, j.Failed, clean(j.Message), lease.Microseconds())
	return tag.RowsAffected() == 1, installed(err)
}

// Jobs implements [store.Jobs].
func (db *DB) Jobs(ctx context.Context) ([]store.Job, error) {
	rows, err := db.pool.Query(ctx, "SELECT "+jobColumns+" FROM upkeep.jobs j ORDER BY j.id")
	if err != nil {
		return nil, installed(err)
	}
	all, err := pgx.CollectRows(rows, scanJob)
	return all, installed(err)
}

// JobGroups implements [store.Jobs].
func (db *DB) JobGroups(ctx context.Context, job int64, names store.JobNames, limit int) ([]store.JobGroup, error) {
	of := "$3::text[] IS NULL AND $4::text[] IS NULL"
	if len(names.External)+len(names.Remote) > 0 {
		of = "(m.external_id = ANY ($3::text[]) OR m.remote_id <> '' AND m.remote_id = ANY ($4::text[]))"
	}
	var groups []store.JobGroup
	err := db.again(ctx, func() error {
		return db.queryByKey(ctx, func(rows pgx.Rows) (err error) {
			groups, err = pgx.CollectRows(rows, scanJobGroup)
			return err
		}, `SELECT m.key, m.epoch, m.generation, m.external_id, m.remote_id, m.digests, m.refs, m.sent, coalesce(g.attempts, 0)
			FROM upkeep.job_groups m JOIN upkeep.jobs j ON j.id = m.job
			LEFT JOIN upkeep.groups g ON g.sync = j.sync AND g.key = m.key
			WHERE m.job = $1 AND `+of+` ORDER BY m.key LIMIT $2`, job, limit, names.External, names.Remote)
	})
	return groups, installed(err)
}

func scanJobGroup(row pgx.CollectableRow) (store.JobGroup, error) {
	var g store.JobGroup
	var refs, sent string
	if err := row.Scan(&g.Key, &g.Epoch, &g.Generation, &g.ExternalID, &g.RemoteID, &g.Digests, &refs, &sent, &g.Attempts); err != nil {
		return g, err
	}
	var texts []string
	if err := json.Unmarshal([]byte(refs), &texts); err != nil {
		return g, err
	}
	g.Refs = idsOf(texts)
	var as map[string]string
	err := json.Unmarshal([]byte(sent), &as)
	g.Sent = sentOf(as)
	return g, err
}

// sentText has the ids of [store.JobGroup.Sent] as refs has them.
func sentText(sent map[store.ID]string) map[string]string {
	as := map[string]string{}
	for id, remoteID := range sent {
		as[textOf([]store.ID{id})[0]] = clean(remoteID)
	}
	return as
}

// sentOf undoes sentText.
func sentOf(as map[string]string) map[store.ID]string {
	if len(as) == 0 {
		return nil
	}
	sent := make(map[store.ID]string, len(as))
	for text, remoteID := range as {
		sent[idsOf([]string{text})[0]] = remoteID
	}
	return sent
}

// LeaveJob implements [store.Jobs].
func (db *DB) LeaveJob(ctx context.Context, job int64, keys []string) error {
	cleaned := make([]string, len(keys))
	for i, k := range keys {
		cleaned[i] = clean(k)
	}
	return db.tx(ctx, byKey, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM upkeep.job_groups WHERE job = $1 AND key = ANY ($2::text[])`, job, cleaned)
		return err
	})
}

// EndJob implements [store.Jobs].
func (db *DB) EndJob(ctx context.Context, job int64) error {
	_, err := db.pool.Exec(ctx, "DELETE FROM upkeep.jobs WHERE id = $1", job)
	return installed(err)
}
