package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Backlog counts the due groups in a sync's backfill lane.
// It implements [store.Jobs].
func (d *DB) Backlog(ctx context.Context, sync string, most int) (n int, err error) {
	err = d.view(ctx, "count the backlog of "+sync, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT 1 FROM upkeep_groups
			WHERE sync = ?1 AND backfill = 1 AND due_at <= ?2 LIMIT ?3)`, sync, d.now(), most).Scan(&n)
	})
	return n, err
}

// addPiece is how many groups go into a job with one statement.
const addPiece = 1_000

// AddJob writes a job down and makes its groups the job's.
// It implements [store.Jobs].
func (d *DB) AddJob(ctx context.Context, j store.Job, groups []store.JobGroup, lease time.Duration) (id int64, stale []store.ID, err error) {
	err = d.update(ctx, "write the job down", func(tx *sql.Tx) error {
		now := d.now()
		err := tx.QueryRowContext(ctx, `INSERT INTO upkeep_jobs (remote, remote_job, sync, record_type, action, state, rows, holder, lease_until, since)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, ?8, ?9) RETURNING id`, j.Remote, j.RemoteJob, j.Sync, j.RecordType, j.Action, j.State,
			j.Holder, now+lease.Microseconds(), now).Scan(&id)
		if err != nil {
			return err
		}
		for piece := range slices.Chunk(groups, addPiece) {
			if err := addGroups(ctx, tx, id, j.Sync, piece); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `UPDATE upkeep_groups SET holder = ?3, lease_until = NULL, due_at = NULL
			WHERE sync = ?2 AND key IN (SELECT m.key FROM upkeep_job_groups AS m WHERE m.job = ?1)`, id, j.Sync, store.JobHolder(j.RemoteJob))
		if err != nil {
			return err
		}
		if stale, err = notIn(ctx, tx, id, j.Sync, groups); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE upkeep_jobs SET rows = ?2 WHERE id = ?1`, id, len(groups)-len(stale))
		return err
	})
	return id, stale, err
}

// addGroups puts those groups into the job whose claim is still the one that
// is given.
func addGroups(ctx context.Context, tx *sql.Tx, id int64, sync string, groups []store.JobGroup) error {
	list := make([][]any, len(groups))
	for i, g := range groups {
		list[i] = []any{g.Key, g.Epoch, g.Generation, g.ExternalID, g.RemoteID, hexText(g.Digests), idsJSON(g.Refs), sentJSON(g.Sent)}
	}
	arg, err := json.Marshal(list)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO upkeep_job_groups (job, key, epoch, generation, external_id, remote_id, digests, refs, sent)
		SELECT ?1, g.key, g.epoch, j.value->>2, j.value->>3, j.value->>4, unhex(j.value->>5), j.value->>6, j.value->>7
		FROM json_each(?3) AS j CROSS JOIN upkeep_groups AS g ON g.sync = ?2 AND g.key = j.value->>0
		WHERE g.epoch = j.value->>1 AND g.holder IS NOT NULL`, id, sync, string(arg))
	return err
}

// notIn lists the groups that are not in the job.
func notIn(ctx context.Context, tx *sql.Tx, id int64, sync string, groups []store.JobGroup) ([]store.ID, error) {
	rows, err := tx.QueryContext(ctx, `SELECT key FROM upkeep_job_groups WHERE job = ?1`, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	in := make(map[string]bool, len(groups))
	for rows.Next() {
		var key string
		if err := rows.Scan(&key); err != nil {
			return nil, err
		}
		in[key] = true
	}
	var out []store.ID
	for _, g := range groups {
		if !in[g.Key] {
			out = append(out, store.ID{Sync: sync, Key: g.Key})
		}
	}
	return out, rows.Err()
}

const jobColumns = `id, remote, remote_job, sync, record_type, action, state, rows,
	(SELECT count(*) FROM upkeep_job_groups AS m WHERE m.job = upkeep_jobs.id), processed, failed, message, coalesce(holder, ''), since`

func (d *DB) scanJobs(rows *sql.Rows) ([]store.Job, error) {
	defer rows.Close()
	var all []store.Job
	for rows.Next() {
		var j store.Job
		var since int64
		if err := rows.Scan(&j.ID, &j.Remote, &j.RemoteJob, &j.Sync, &j.RecordType, &j.Action, &j.State, &j.Rows,
			&j.Left, &j.Processed, &j.Failed, &j.Message, &j.Holder, &since); err != nil {
			return nil, err
		}
		j.Since, j.Age = time.UnixMicro(since).UTC(), time.Duration(d.now()-since)*time.Microsecond
		all = append(all, j)
	}
	return all, rows.Err()
}

// free is the condition that nobody follows a job now.
const free = `remote = ?1 AND (lease_until IS NULL OR lease_until <= ?2)`

// TakeJob makes holder follow a job that nobody follows. It looks without the
// write lock first, as this is asked again and again.
// It implements [store.Jobs].
func (d *DB) TakeJob(ctx context.Context, remote, holder string, lease time.Duration) (*store.Job, error) {
	const what = "take a job over"
	some := false
	err := d.view(ctx, what, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM upkeep_jobs WHERE `+free+`)`, remote, d.now()).Scan(&some)
	})
	if err != nil || !some {
		return nil, err
	}
	var taken []store.Job
	err = d.update(ctx, what, func(tx *sql.Tx) error {
		now := d.now()
		rows, err := tx.QueryContext(ctx, `UPDATE upkeep_jobs SET holder = ?3, lease_until = ?4
			WHERE id = (SELECT f.id FROM upkeep_jobs AS f WHERE `+free+` ORDER BY f.id LIMIT 1) RETURNING `+jobColumns,
			remote, now, holder, now+lease.Microseconds())
		if err != nil {
			return err
		}
		taken, err = d.scanJobs(rows)
		return err
	})
	if err != nil || len(taken) == 0 {
		return nil, err
	}
	return &taken[0], nil
}

// KeepJob extends a job's lease and writes down how the job is.
// It implements [store.Jobs].
func (d *DB) KeepJob(ctx context.Context, j store.Job, lease time.Duration) (mine bool, err error) {
	err = d.update(ctx, "keep a job", func(tx *sql.Tx) error {
		until := sql.NullInt64{Int64: d.now() + lease.Microseconds(), Valid: lease > 0}
		r, err := tx.ExecContext(ctx, `UPDATE upkeep_jobs SET state = ?3, processed = ?4, failed = ?5, message = ?6,
			holder = CASE WHEN ?7 IS NULL THEN NULL ELSE holder END, lease_until = ?7 WHERE id = ?1 AND holder = ?2`,
			j.ID, j.Holder, j.State, j.Processed, j.Failed, j.Message, until)
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		mine = n == 1
		return err
	})
	return mine, err
}

// Jobs lists all jobs, oldest first.
// It implements [store.Jobs].
func (d *DB) Jobs(ctx context.Context) (all []store.Job, err error) {
	err = d.view(ctx, "list the jobs", func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT `+jobColumns+` FROM upkeep_jobs ORDER BY id`)
		if err != nil {
			return err
		}
		all, err = d.scanJobs(rows)
		return err
	})
	return all, err
}

// JobGroups lists groups of a job, by their names or any.
// It implements [store.Jobs].
func (d *DB) JobGroups(ctx context.Context, job int64, names store.JobNames, limit int) (groups []store.JobGroup, err error) {
	of := `?3 IS NOT NULL AND ?4 IS NOT NULL`
	if len(names.External)+len(names.Remote) > 0 {
		of = `m.key IN (
			SELECT e.key FROM upkeep_job_groups AS e WHERE e.job = ?1 AND e.external_id IN (SELECT value FROM json_each(?3)) UNION
			SELECT e.key FROM upkeep_job_groups AS e WHERE e.job = ?1 AND e.remote_id <> '' AND e.remote_id IN (SELECT value FROM json_each(?4)))`
	}
	err = d.view(ctx, "read the groups of a job", func(tx *sql.Tx) error {
		groups = nil
		rows, err := tx.QueryContext(ctx, `SELECT m.key, m.epoch, m.generation, m.external_id, m.remote_id, m.digests, m.refs, m.sent,
				coalesce((SELECT attempts FROM upkeep_groups AS g WHERE g.sync = (SELECT sync FROM upkeep_jobs WHERE id = ?1) AND g.key = m.key), 0)
			FROM upkeep_job_groups AS m WHERE m.job = ?1 AND `+of+` ORDER BY m.key LIMIT ?2`,
			job, limit, texts(names.External), texts(names.Remote))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var g store.JobGroup
			var refs, sent string
			if err := rows.Scan(&g.Key, &g.Epoch, &g.Generation, &g.ExternalID, &g.RemoteID, &g.Digests, &refs, &sent, &g.Attempts); err != nil {
				return err
			}
			if g.Refs, err = readIDs(refs); err != nil {
				return err
			}
			if g.Sent, err = readSent(sent); err != nil {
				return err
			}
			groups = append(groups, g)
		}
		return rows.Err()
	})
	return groups, err
}

// sentJSON is a [store.JobGroup.Sent] as a JSON array.
func sentJSON(sent map[store.ID]string) string {
	list := [][3]string{}
	for id, remoteID := range sent {
		list = append(list, [3]string{id.Sync, id.Key, remoteID})
	}
	b, _ := json.Marshal(list) // strings can always be encoded
	return string(b)
}

// readSent undoes sentJSON.
func readSent(s string) (map[store.ID]string, error) {
	var list [][3]string
	if err := json.Unmarshal([]byte(s), &list); err != nil {
		return nil, fmt.Errorf("stored references: %w", err)
	}
	var sent map[store.ID]string
	for _, l := range list {
		if sent == nil {
			sent = map[store.ID]string{}
		}
		sent[store.ID{Sync: l[0], Key: l[1]}] = l[2]
	}
	return sent, nil
}

// LeaveJob takes groups out of a job.
// It implements [store.Jobs].
func (d *DB) LeaveJob(ctx context.Context, job int64, keys []string) error {
	return d.exec(ctx, "take groups out of a job", `DELETE FROM upkeep_job_groups WHERE job = ?1
		AND key IN (SELECT value FROM json_each(?2))`, job, texts(keys))
}

// EndJob forgets a job that has no groups any more.
// It implements [store.Jobs].
func (d *DB) EndJob(ctx context.Context, job int64) error {
	return d.update(ctx, "end a job", func(tx *sql.Tx) error {
		var left int
		err := tx.QueryRowContext(ctx, `SELECT count(*) FROM upkeep_job_groups WHERE job = ?1`, job).Scan(&left)
		if err == nil && left > 0 {
			err = fmt.Errorf("%d groups are still in job %d", left, job)
		}
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM upkeep_jobs WHERE id = ?1`, job)
		return err
	})
}
