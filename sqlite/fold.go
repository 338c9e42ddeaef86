package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// foldPiece is the most groups that one fold raises: it bounds the write
// transaction that the application may have to wait for.
const foldPiece = 5_000

// errFolded: another fold was faster.
var errFolded = errors.New("folded by another process")

// foldCursor is how far a fold came that did not fit in one piece. The rows
// stay in the log until it is over.
type foldCursor struct {
	Plan  string // of the shapes that the jobs were made from
	Upto  int64  // last log row of the batch
	Job   int    // the job to go on with
	After string // the last key of it that was raised
	Begun bool   // the touches by hand, and of root rows, are raised
}

// batch is one piece of a fold.
type batch struct {
	seq    int64 // of the fold before: nobody else may have folded since
	cursor foldCursor
	rows   []logRow
	hits   *hits
	next   *foldCursor // nil: all of it is in hits
	unfit  []store.ID
	failed unresolved
	piece  bool // goes on with a fold that did not fit: newer rows were not looked at
}

// Fold reads and resolves in a snapshot of its own; only raising the groups
// and deleting the rows need the write lock.
// It implements [store.Log].
func (d *DB) Fold(ctx context.Context, shapes []*store.Shape, plan string, limit int) (store.Folded, error) {
	const what = "fold the touch log"
	select { // two folds at once would only do the same work twice
	case d.folds <- struct{}{}:
		defer func() { <-d.folds }()
	case <-ctx.Done():
		return store.Folded{}, explain(what, ctx.Err())
	}
	var b *batch
	err := d.view(ctx, what, func(tx *sql.Tx) (err error) {
		b, err = readBatch(ctx, tx, shapes, plan, limit, d.piece)
		return err
	})
	if err != nil || len(b.rows) == 0 {
		return store.Folded{}, err
	}
	var f store.Folded
	err = d.update(ctx, what, func(tx *sql.Tx) (err error) {
		f, err = d.writeBatch(ctx, tx, b, plan)
		return err
	})
	if errors.Is(err, errFolded) {
		return store.Folded{More: true}, nil
	}
	if err != nil {
		return store.Folded{}, err
	}
	f.More = f.More || b.piece || len(b.failed) > 0 || len(b.rows) >= limit
	return f, nil
}

// Look implements [store.Log] with probes of indexes.
func (d *DB) Look(ctx context.Context, plan string, syncs []string) (store.Seen, error) {
	const what = "look for work"
	var seen store.Seen
	err := d.view(ctx, what, func(tx *sql.Tx) error {
		seen = store.Seen{}
		if _, err := checkPlan(ctx, tx, plan, &foldCursor{}); err != nil {
			return err
		}
		err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM upkeep_touch), EXISTS (SELECT 1 FROM upkeep_syncs WHERE phase <> ''),
			(SELECT schema_version FROM pragma_schema_version)`).Scan(&seen.Touched, &seen.Passing, &seen.Schema)
		if err != nil {
			return err
		}
		names, err := json.Marshal(syncs)
		if err != nil {
			return err
		}
		rows, err := tx.QueryContext(ctx, `SELECT j.value FROM json_each(?1) AS j
			WHERE (EXISTS (SELECT 1 FROM upkeep_groups WHERE sync = j.value AND backfill = 0 AND due_at <= ?2)
				OR EXISTS (SELECT 1 FROM upkeep_groups WHERE sync = j.value AND backfill = 1 AND due_at <= ?2))
				AND NOT EXISTS (SELECT 1 FROM upkeep_pauses WHERE kind = 'sync' AND name = j.value)`, string(names), d.now())
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var sync string
			if err := rows.Scan(&sync); err != nil {
				return err
			}
			seen.Due = append(seen.Due, sync)
		}
		return rows.Err()
	})
	return seen, err
}

// readBatch takes the oldest rows of the log and finds their groups.
func readBatch(ctx context.Context, tx *sql.Tx, shapes []*store.Shape, plan string, limit, piece int) (*batch, error) {
	b := &batch{failed: unresolved{}}
	seq, err := checkPlan(ctx, tx, plan, &b.cursor)
	if err != nil {
		return nil, err
	}
	b.seq, b.piece = seq, b.cursor.Upto > 0
	if b.rows, err = readLog(ctx, tx, limit, b.cursor.Upto); err != nil || len(b.rows) == 0 {
		return b, err
	}
	b.cursor.Upto = b.rows[len(b.rows)-1].id
	b.cursor.Plan = plan
	first := !b.cursor.Begun
	if first { // later pieces don't come to touches by hand
		if b.unfit, err = respell(ctx, tx, shapes, b.rows, b.failed); err != nil {
			return b, err
		}
	}
	jobs, direct := planJobs(shapes, b.rows)
	b.hits = newHits(b.rows)
	if first {
		b.hits.merge(direct)
	}
	for i := b.cursor.Job; i < len(jobs); i++ {
		after := ""
		if i == b.cursor.Job {
			after = b.cursor.After
		}
		room := piece - len(b.hits.list)
		last, full, err := jobs[i].run(ctx, tx, b.hits, after, room)
		if err := b.failed.leave(jobs[i].sync, err); err != nil {
			return nil, err
		}
		if full {
			b.next = &foldCursor{Plan: plan, Upto: b.cursor.Upto, Job: i, After: last, Begun: true}
			break
		}
	}
	return b, nil
}

// checkPlan compares the plan, and reads the count of folds and the cursor.
func checkPlan(ctx context.Context, tx *sql.Tx, plan string, c *foldCursor) (seq int64, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT name, value FROM upkeep_settings WHERE name IN ('plan', 'folds', 'fold_cursor')`)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	installed := ""
	for rows.Next() {
		var name string
		var value any
		if err := rows.Scan(&name, &value); err != nil {
			return 0, err
		}
		switch v := value.(type) {
		case int64:
			seq = v
		case string:
			if name == "plan" {
				installed = v
			} else if err := json.Unmarshal([]byte(v), c); err != nil {
				return 0, err
			}
		}
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	if installed != plan {
		return 0, store.ErrPlan
	}
	if c.Plan != plan { // begun under another configuration: from the start
		*c = foldCursor{}
	}
	return seq, nil
}

// writeBatch raises the groups and, if that was all, deletes the rows.
func (d *DB) writeBatch(ctx context.Context, tx *sql.Tx, b *batch, plan string) (store.Folded, error) {
	f := store.Folded{Unfit: b.unfit}
	var c foldCursor
	seq, err := checkPlan(ctx, tx, plan, &c)
	if err != nil {
		return f, err
	}
	if seq != b.seq {
		return f, errFolded
	}
	if f.Groups, err = d.raise(ctx, tx, b.hits); err != nil {
		return f, err
	}
	if err := b.failed.sweepAgain(ctx, tx); err != nil {
		return f, err
	}
	cursor := []byte("{}")
	if b.next != nil {
		f.More = true
		if cursor, err = json.Marshal(b.next); err != nil {
			return f, err
		}
	} else {
		// No row below the last one can have come since: ids only grow while
		// there are rows, and nobody else folded.
		if _, err := tx.ExecContext(ctx, `DELETE FROM upkeep_touch WHERE id <= ?1`, b.cursor.Upto); err != nil {
			return f, err
		}
		f.Rows = len(b.rows)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO upkeep_settings (name, value) VALUES ('folds', ?1), ('fold_cursor', ?2)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`, seq+1, string(cursor))
	return f, err
}

// raiseSQL raises the groups of a list. A group that is not there is made if
// its entry says so. What a touch does to when the group is due:
// a group that is held stays with its holder; one that is parked, waiting or
// clean is due now; one that is dirty already keeps its turn, or its backoff. What
// was parked, or is woken by what it waited for, is late from now on; what waited
// and was touched may wait on, and keeps its age.
const raiseSQL = `INSERT INTO upkeep_groups (sync, key, generation, forced_generation, deleted_generation, due_at, backfill,
		cause, touched_at, dirty_since)
	SELECT value->>0, value->>1, 1, value->>2, value->>3, ?2, ?3, value->>5, ?2, ?2 FROM json_each(?1)
	WHERE value->>4 OR EXISTS (SELECT 1 FROM upkeep_groups AS g WHERE g.sync = value->>0 AND g.key = value->>1)
	ON CONFLICT (sync, key) DO UPDATE SET
		generation = generation + 1,
		forced_generation = CASE WHEN excluded.forced_generation THEN generation + 1 ELSE forced_generation END,
		skip = CASE WHEN NOT excluded.forced_generation THEN skip END,
		deleted_generation = CASE excluded.deleted_generation WHEN 1 THEN generation + 1 WHEN -1 THEN -1 ELSE deleted_generation END,
		due_at = CASE WHEN holder IS NOT NULL THEN due_at
			WHEN parked OR waiting OR generation = synced_generation THEN excluded.due_at
			ELSE due_at END,
		backfill = CASE WHEN holder IS NULL AND NOT parked AND NOT waiting AND generation = synced_generation THEN excluded.backfill
			ELSE min(backfill, excluded.backfill) END,
		attempts = CASE WHEN holder IS NULL AND (parked OR waiting) THEN 0 ELSE attempts END,
		reason = CASE WHEN holder IS NULL AND (parked OR waiting) THEN NULL ELSE reason END,
		parked = CASE WHEN holder IS NULL THEN 0 ELSE parked END,
		waiting = CASE WHEN holder IS NULL THEN 0 ELSE waiting END,
		cause = excluded.cause,
		touched_at = excluded.touched_at,
		dirty_since = CASE WHEN generation = synced_generation OR parked OR waiting AND excluded.cause->>'op' = 'reference'
			THEN excluded.dirty_since ELSE dirty_since END`

// raise raises the generations of all hits and counts.
func (d *DB) raise(ctx context.Context, tx *sql.Tx, h *hits) (int, error) {
	if len(h.list) == 0 {
		return 0, nil
	}
	list := make([][]any, len(h.list))
	touches := map[string]int64{}
	for i, x := range h.list {
		list[i] = []any{x.id.Sync, x.id.Key, flag(x.force), int(x.fate), flag(x.create), h.cause(x)}
		touches[x.id.Sync] += x.touches
	}
	arg, err := json.Marshal(list)
	if err != nil {
		return 0, err
	}
	saved, err := alreadyDirty(ctx, tx, string(arg))
	if err != nil {
		return 0, err
	}
	for _, x := range h.list {
		saved[x.id.Sync] += x.touches - 1
	}
	r, err := tx.ExecContext(ctx, raiseSQL, string(arg), d.now(), 0)
	if err != nil {
		return 0, err
	}
	n, err := r.RowsAffected()
	if err != nil {
		return 0, err
	}
	if err := unwait(ctx, tx, string(arg)); err != nil {
		return 0, err
	}
	return int(n), count(ctx, tx, touches, nil, saved)
}

// alreadyDirty counts the groups of a list that are dirty, by sync.
func alreadyDirty(ctx context.Context, tx *sql.Tx, list string) (map[string]int64, error) {
	rows, err := tx.QueryContext(ctx, `SELECT g.sync, count(*) FROM json_each(?1) AS j CROSS JOIN upkeep_groups AS g
		ON g.sync = j.value->>0 AND g.key = j.value->>1 WHERE g.generation > g.synced_generation GROUP BY 1`, list)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	n := map[string]int64{}
	for rows.Next() {
		var sync string
		var c int64
		if err := rows.Scan(&sync, &c); err != nil {
			return nil, err
		}
		n[sync] = c
	}
	return n, rows.Err()
}

// unwait forgets what the groups of a list that wait no more waited for.
func unwait(ctx context.Context, tx *sql.Tx, list string) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM upkeep_edges WHERE (on_sync, on_key, kind, sync, key) IN (
		SELECT e.on_sync, e.on_key, e.kind, e.sync, e.key FROM json_each(?1) AS j
		CROSS JOIN upkeep_groups AS g ON g.sync = j.value->>0 AND g.key = j.value->>1
		CROSS JOIN upkeep_edges AS e ON e.sync = g.sync AND e.key = g.key AND e.kind = 'wait'
		WHERE NOT g.waiting)`, list)
	return err
}

// count adds to the counters of syncs.
func count(ctx context.Context, tx *sql.Tx, touches, calls, saved map[string]int64) error {
	list := map[string][3]int64{}
	for i, m := range []map[string]int64{touches, calls, saved} {
		for sync, n := range m {
			c := list[sync]
			c[i] = n
			list[sync] = c
		}
	}
	if len(list) == 0 {
		return nil
	}
	arg, err := json.Marshal(list)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO upkeep_syncs (sync, touches, calls, saved)
		SELECT key, value->>0, value->>1, value->>2 FROM json_each(?1) WHERE true
		ON CONFLICT (sync) DO UPDATE SET touches = touches + excluded.touches, calls = calls + excluded.calls,
			saved = saved + excluded.saved`, string(arg))
	return err
}

// flag is a boolean in SQL.
func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// causeJSON encodes a cause for the registry.
func causeJSON(c store.Cause) string {
	b, _ := json.Marshal(c) // strings and a time can always be encoded
	return string(b)
}

// time is when a log row was written.
func (r *logRow) time() time.Time { return timeAt(r.at) }
