package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Sync reads what is stored of a sync.
// It implements [store.Registry].
func (d *DB) Sync(ctx context.Context, sync string) (store.SyncState, error) {
	var s store.SyncState
	err := d.view(ctx, "read sync "+sync, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, `SELECT version, phase <> '', done, total, iif(phase <> '', upkeep_syncs.failure, '') FROM upkeep_syncs WHERE sync = ?1`, sync).
			Scan(&s.Version, &s.Backfill.Running, &s.Backfill.Done, &s.Backfill.Total, &s.Backfill.Failure)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil || !s.Backfill.Running {
			return err
		}
		return tx.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT 1 FROM upkeep_groups
			WHERE sync = ?1 AND backfill = 1 AND due_at <= ?2 LIMIT 10000)`, sync, d.now()).Scan(&s.Backlog)
	})
	return s, err
}

// RootKeys implements [store.Registry].
func (d *DB) RootKeys(ctx context.Context) (keys map[string]store.RootKey, err error) {
	err = d.view(ctx, "read by what groups are known", func(tx *sql.Tx) error {
		keys = map[string]store.RootKey{}
		return eachNoted(ctx, tx, `SELECT sync, upkeep_syncs.root_key FROM upkeep_syncs WHERE upkeep_syncs.root_key IS NOT NULL`, func(sync string, text []byte) error {
			var key store.RootKey
			err := json.Unmarshal(text, &key)
			keys[sync] = key
			return err
		})
	})
	return keys, err
}

// Labels implements [store.Registry].
func (d *DB) Labels(ctx context.Context) (all map[string]store.Labels, err error) {
	err = d.view(ctx, "read what labels were called", func(tx *sql.Tx) error {
		all = map[string]store.Labels{}
		return eachNoted(ctx, tx, `SELECT sync, upkeep_syncs.labels FROM upkeep_syncs WHERE upkeep_syncs.labels IS NOT NULL`, func(sync string, text []byte) error {
			var labels store.Labels
			err := json.Unmarshal(text, &labels)
			all[sync] = labels
			return err
		})
	})
	return all, err
}

// NoteLabels implements [store.Registry].
func (d *DB) NoteLabels(ctx context.Context, sync string, labels store.Labels) error {
	text, err := json.Marshal(labels)
	if err != nil {
		return err
	}
	return d.update(ctx, "note what labels are called", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO upkeep_syncs (sync, labels) VALUES (?1, ?2)
			ON CONFLICT (sync) DO UPDATE SET labels = excluded.labels`, sync, string(text))
		return err
	})
}

// eachNoted calls f for each sync with what is noted of it.
func eachNoted(ctx context.Context, tx *sql.Tx, query string, f func(sync string, text []byte) error) error {
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var sync string
		var text []byte
		if err := rows.Scan(&sync, &text); err != nil {
			return err
		}
		if err := f(sync, text); err != nil {
			return err
		}
	}
	return rows.Err()
}

// StartBackfill begins to pass over the root table from its first row. A sweep
// that is under way is not weakened by a mere backfill.
// It implements [store.Registry].
func (d *DB) StartBackfill(ctx context.Context, sync, version string, sweep, force bool) error {
	return d.exec(ctx, "start the backfill of "+sync, `INSERT INTO upkeep_syncs (sync, version, phase, run, sweep, force)
		VALUES (?1, ?2, CASE WHEN ?4 THEN 'forced' ELSE 'rows' END, 1, ?3, ?4) ON CONFLICT (sync) DO UPDATE SET version = excluded.version,
			phase = CASE WHEN excluded.force OR force AND phase <> '' THEN 'forced' ELSE 'rows' END, cursor = '',
			run = run + 1, sweep = max(excluded.sweep, CASE WHEN phase <> '' THEN sweep ELSE 0 END),
			force = max(excluded.force, CASE WHEN phase <> '' THEN force ELSE 0 END), done = 0, total = 0`, sync, version, flag(sweep), flag(force))
}

// Stumble notes why a pass does not go on.
// It implements [store.Registry].
func (d *DB) Stumble(ctx context.Context, sync, reason string) error {
	return d.exec(ctx, "note why the backfill of "+sync+" does not go on",
		`UPDATE upkeep_syncs SET failure = ?2 WHERE sync = ?1 AND phase <> '' AND failure <> ?2`, sync, reason)
}

// passing is where a backfill is: at the root rows ("rows") and, in a sweep,
// then at the groups ("groups"). One that forces every record passes over all
// groups first ("forced"): a row that is deleted and made again behind the back
// of the rows' phase would have a group that nothing forces. The rows' phase
// forces those that are new since.
type passing struct {
	phase, cursor string
	run, total    int64
	sweep, force  bool
	keys          []string // found in this step
	next          string   // the cursor after it
	end           bool     // of the phase
}

// Backfill passes over the next rows. It reads without the write lock and
// raises what it read if nobody else made the same step.
// It implements [store.Registry].
func (d *DB) Backfill(ctx context.Context, shape *store.Shape, limit int) (bool, error) {
	what := "backfill " + shape.Sync
	var p passing
	err := d.view(ctx, what, func(tx *sql.Tx) error {
		p = passing{}
		var failed bool
		err := tx.QueryRowContext(ctx, `SELECT phase, cursor, run, total, sweep, force, upkeep_syncs.failure <> '' FROM upkeep_syncs WHERE sync = ?1`, shape.Sync).
			Scan(&p.phase, &p.cursor, &p.run, &p.total, &p.sweep, &p.force, &failed)
		if errors.Is(err, sql.ErrNoRows) || err == nil && p.phase == "" {
			p.phase = ""
			return nil
		}
		if err == nil && failed {
			err = probe(ctx, tx, shape)
		}
		if err != nil {
			return err
		}
		if p.phase == "rows" && !shape.ByHand {
			return p.readRows(ctx, tx, shape, limit)
		}
		return p.readGroups(ctx, tx, shape, limit)
	})
	if err != nil || p.phase == "" {
		return false, err
	}
	more := true
	err = d.update(ctx, what, func(tx *sql.Tx) error {
		done, err := d.pass(ctx, tx, shape, &p)
		more = !done
		return err
	})
	return more, err
}

// readRows reads the next keys of the root table, in the order of its
// primary key. The cursor holds the values as SQL literals.
func (p *passing) readRows(ctx context.Context, tx *sql.Tx, shape *store.Shape, limit int) error {
	var cols, order, quoted []string
	for _, c := range shape.Root.Key {
		col := "r." + ident(c.Name)
		cols, order = append(cols, col), append(order, col)
		quoted = append(quoted, "quote("+col+")")
	}
	where, args := "1", []any{limit} // not true: a column of that name would be meant
	if p.cursor != "" {
		values, err := literals(p.cursor)
		if err != nil {
			return fmt.Errorf("stored position: %w", err)
		}
		marks := make([]string, len(values))
		for i, v := range values {
			args = append(args, v)
			marks[i] = fmt.Sprintf("?%d", i+2)
		}
		where = "(" + strings.Join(cols, ", ") + ") > (" + strings.Join(marks, ", ") + ")"
	} else if p.total == 0 {
		info := &store.TableInfo{Table: shape.Root.Table}
		if err := readRows(ctx, tx, info); err != nil {
			return err
		}
		p.total = info.Rows
	}
	for _, col := range cols {
		where += " AND " + col + " IS NOT NULL"
	}
	rows, err := tx.QueryContext(ctx, `SELECT `+keyExpr("r", shape.Root.Key)+`, `+strings.Join(quoted, ` || ',' || `)+
		` FROM main.`+ident(shape.Root.Table.Name)+` AS r WHERE `+where+` ORDER BY `+strings.Join(order, ", ")+` LIMIT ?1`, args...)
	if err != nil {
		return err
	}
	return p.scan(rows, limit)
}

// readGroups reads the next groups of the registry: a sweep also raises those
// whose root row is gone. Of a sync that is fed by hand there are no others.
func (p *passing) readGroups(ctx context.Context, tx *sql.Tx, shape *store.Shape, limit int) error {
	if p.phase == "rows" {
		p.phase = "groups"
	}
	rows, err := tx.QueryContext(ctx, `SELECT key, key FROM upkeep_groups WHERE sync = ?1 AND key > ?2 ORDER BY key LIMIT ?3`,
		shape.Sync, p.cursor, limit)
	if err != nil {
		return err
	}
	if err := p.scan(rows, limit); err != nil || shape.ByHand || p.phase == "forced" {
		return err
	}
	found, err := rowsThere(ctx, tx, shape, p.keys)
	if err != nil {
		return err
	}
	var gone []string
	for _, k := range p.keys {
		if !found[k] {
			gone = append(gone, k)
		}
	}
	p.keys = gone
	return nil
}

// rowsThere tells of which keys the root row is there.
func rowsThere(ctx context.Context, tx *sql.Tx, shape *store.Shape, keys []string) (map[string]bool, error) {
	list, err := keyTuples(shape.Root.Key, keys)
	if err != nil {
		return nil, err
	}
	there, err := strs(ctx, tx, `SELECT `+keyExpr("r", shape.Root.Key)+` FROM json_each(?1) AS j CROSS JOIN main.`+
		ident(shape.Root.Table.Name)+` AS r ON `+match("r", shape.Root.Key, "j.value"), list)
	found := map[string]bool{}
	for _, k := range there {
		found[k] = true
	}
	return found, err
}

// cameBack tells which rows are there whose delete was folded last: no trigger
// saw them come back.
func cameBack(ctx context.Context, tx *sql.Tx, shape *store.Shape, keys []string) (map[string]bool, error) {
	if shape.ByHand {
		return nil, nil
	}
	list, err := json.Marshal(keys)
	if err != nil {
		return nil, err
	}
	deleted, err := strs(ctx, tx, `SELECT g.key FROM json_each(?2) AS j CROSS JOIN upkeep_groups AS g ON g.sync = ?1 AND g.key = j.value
		WHERE g.deleted_generation > 0`, shape.Sync, string(list))
	if err != nil || len(deleted) == 0 {
		return nil, err
	}
	return rowsThere(ctx, tx, shape, deleted)
}

// scan reads key and cursor of each row.
func (p *passing) scan(rows *sql.Rows, limit int) error {
	defer rows.Close()
	n := 0
	for rows.Next() {
		var key string
		if err := rows.Scan(&key, &p.next); err != nil {
			return err
		}
		p.keys = append(p.keys, key)
		n++
	}
	p.end = n < limit
	return rows.Err()
}

// pass raises what was read and moves the cursor. done says that all is over.
func (d *DB) pass(ctx context.Context, tx *sql.Tx, shape *store.Shape, p *passing) (done bool, err error) {
	phase, cursor := p.phase, p.next
	anew := false // the progress
	if p.end {
		switch {
		case p.phase == "forced" && !shape.ByHand:
			phase, cursor, anew = "rows", "", true
		case p.phase == "rows" && p.sweep && !shape.ByHand:
			phase, cursor = "groups", ""
		default:
			phase, cursor, done = "", "", true
		}
	}
	passed := 0
	if p.phase != "groups" || shape.ByHand {
		passed = len(p.keys)
	}
	r, err := tx.ExecContext(ctx, `UPDATE upkeep_syncs SET phase = ?3, cursor = ?4, run = run + 1,
			failure = '', done = CASE WHEN ?7 THEN 0 ELSE done + ?5 END, total = max(?6, done + ?5)
		WHERE sync = ?1 AND run = ?2`, shape.Sync, p.run, phase, cursor, passed, p.total, anew)
	if err != nil {
		return false, err
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 { // somebody else made this step
		return false, err
	}
	if p.sweep {
		return done, d.sweep(ctx, tx, shape, p)
	}
	return done, d.makeGroups(ctx, tx, shape, p.keys)
}

// sweep raises groups in the backfill lane.
func (d *DB) sweep(ctx context.Context, tx *sql.Tx, shape *store.Shape, p *passing) error {
	op := "sweep"
	if p.force {
		op = "resync"
	}
	cause := causeJSON(store.Cause{Op: op, At: time.UnixMicro(d.now()).UTC()})
	back, err := cameBack(ctx, tx, shape, p.keys)
	if err != nil {
		return err
	}
	unforced, err := p.unforced(ctx, tx, shape)
	if err != nil {
		return err
	}
	list := make([][]any, len(p.keys))
	for i, key := range p.keys {
		list[i] = []any{shape.Sync, key, flag(p.force && !unforced[key]), -flag(back[key]), 1, cause}
	}
	arg, err := json.Marshal(list)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, raiseSQL, string(arg), d.now(), 1); err != nil {
		return err
	}
	return unwait(ctx, tx, string(arg))
}

// unforced tells which of the groups are not to be forced: in the rows' phase
// those that the forced phase has passed over, else those that may be left.
func (p *passing) unforced(ctx context.Context, tx *sql.Tx, shape *store.Shape) (map[string]bool, error) {
	is := map[string]bool{}
	which := "g.forced_generation > 0"
	switch {
	case !p.force, p.phase != "rows" && !shape.LeaveGone:
		return is, nil
	case p.phase != "rows":
		which = `g.deleted_generation > 0 AND g.remote_id IS NULL AND g.in_doubt_until IS NULL
			AND g.forced_generation <= g.synced_generation`
		if p.phase == "forced" { // later it may be held since this sweep has raised it
			which += " AND g.holder IS NULL"
		}
	}
	keys, err := strs(ctx, tx, `SELECT g.key FROM json_each(?2) AS j CROSS JOIN upkeep_groups AS g ON g.sync = ?1 AND g.key = j.value
		WHERE `+which, shape.Sync, texts(p.keys))
	for _, k := range keys {
		is[k] = true
	}
	return is, err
}

// makeGroups makes the groups that are not there yet, in the backfill lane.
func (d *DB) makeGroups(ctx context.Context, tx *sql.Tx, shape *store.Shape, keys []string) error {
	if shape.ByHand || len(keys) == 0 {
		return nil
	}
	cause := causeJSON(store.Cause{Op: "backfill", At: time.UnixMicro(d.now()).UTC()})
	_, err := tx.ExecContext(ctx, `INSERT INTO upkeep_groups (sync, key, generation, due_at, backfill, cause, touched_at, dirty_since)
		SELECT ?1, value, 1, ?3, 1, ?4, ?3, ?3 FROM json_each(?2) WHERE true ON CONFLICT DO NOTHING`, shape.Sync, texts(keys), d.now(), cause)
	return err
}

// keyTuples is the JSON of the values of keys, for match.
func keyTuples(key []store.Column, keys []string) (string, error) {
	list := make([][]string, 0, len(keys))
	for _, k := range keys {
		parts, err := store.SplitKey(k, len(key))
		if err != nil {
			return "", err
		}
		list = append(list, parts)
	}
	b, err := json.Marshal(list)
	return string(b), err
}
