package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Sync implements [store.Registry].
func (db *DB) Sync(ctx context.Context, sync string) (store.SyncState, error) {
	var s store.SyncState
	var overlong *time.Time
	err := db.pool.QueryRow(ctx, `SELECT version, pass <> '', done, total, CASE WHEN pass <> '' THEN upkeep_syncs.failure ELSE '' END, upkeep_syncs.overlong_at, CASE WHEN pass = '' THEN 0 ELSE
			(SELECT count(*) FROM (SELECT FROM upkeep.groups
				WHERE sync = $1 AND backfill AND due_at <= (SELECT upkeep.clock()) LIMIT 10000) g) END
		FROM upkeep.syncs AS upkeep_syncs WHERE sync = $1`, clean(sync)).
		Scan(&s.Version, &s.Backfill.Running, &s.Backfill.Done, &s.Backfill.Total, &s.Backfill.Failure, &overlong, &s.Backlog)
	s.Overlong = timeOf(overlong)
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	return s, installed(err)
}

// RootKeys implements [store.Registry].
func (db *DB) RootKeys(ctx context.Context) (map[string]store.RootKey, error) {
	rows, err := db.pool.Query(ctx, `SELECT sync, root_key FROM upkeep.syncs AS upkeep_syncs WHERE upkeep_syncs.root_key IS NOT NULL`)
	if err != nil {
		return nil, installed(err)
	}
	keys := map[string]store.RootKey{}
	var sync string
	var key store.RootKey
	_, err = pgx.ForEachRow(rows, []any{&sync, &key}, func() error {
		keys[sync], key = key, store.RootKey{}
		return nil
	})
	return keys, installed(err)
}

// Labels implements [store.Registry].
func (db *DB) Labels(ctx context.Context) (map[string]store.Labels, error) {
	rows, err := db.pool.Query(ctx, `SELECT sync, labels FROM upkeep.syncs AS upkeep_syncs WHERE upkeep_syncs.labels IS NOT NULL`)
	if err != nil {
		return nil, installed(err)
	}
	all := map[string]store.Labels{}
	var sync string
	var labels store.Labels
	_, err = pgx.ForEachRow(rows, []any{&sync, &labels}, func() error {
		all[sync], labels = labels, nil
		return nil
	})
	return all, installed(err)
}

// NoteLabels implements [store.Registry].
func (db *DB) NoteLabels(ctx context.Context, sync string, labels store.Labels) error {
	return installed(db.again(ctx, func() error { // workers write of the sync, too
		_, err := db.pool.Exec(ctx, `INSERT INTO upkeep.syncs (sync, labels) VALUES ($1, $2)
			ON CONFLICT (sync) DO UPDATE SET labels = excluded.labels`, clean(sync), labels)
		return err
	}))
}

// StartBackfill implements [store.Registry].
func (db *DB) StartBackfill(ctx context.Context, sync, version string, sweep, force bool) error {
	// It may lose against what workers write of the sync at this moment.
	return installed(db.again(ctx, func() error {
		_, err := db.pool.Exec(ctx, `
			INSERT INTO upkeep.syncs AS s (sync, version, pass, sweep, force, started_at)
			VALUES ($1, $2, CASE WHEN $4 THEN 'forced' ELSE 'root' END, $3, $4, upkeep.clock())
			ON CONFLICT (sync) DO UPDATE SET version = excluded.version,
				-- A sweep that is under way is not weakened by a mere backfill.
				pass = CASE WHEN excluded.force OR s.force AND s.pass <> '' THEN 'forced' ELSE 'root' END,
				sweep = excluded.sweep OR s.sweep AND s.pass <> '', force = excluded.force OR s.force AND s.pass <> '',
				again = false, cursor = NULL, done = 0, total = 0, started_at = excluded.started_at`,
			clean(sync), clean(version), sweep, force)
		return err
	}))
}

// passing is the state of a sync's pass: over the root rows ("root") and, of a
// sweep, then over the groups ("groups"). One that forces every record passes
// over all groups first ("forced"): a row that is deleted and made again behind
// the back of the root pass would have a group that nothing forces. The root
// pass forces those that are new since.
type passing struct {
	pass, cursor        string
	sweep, force, again bool
	done                int64
}

// Backfill implements [store.Registry]. Processes pass over a sync one after the
// other. Its row is locked last: who records results has groups locked, and then
// counts in that row, and who asks for a sweep meanwhile would stand between them.
func (db *DB) Backfill(ctx context.Context, shape *store.Shape, limit int) (more bool, err error) {
	err = db.tx(ctx, writing, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", "upkeep backfill of "+shape.Sync); err != nil {
			return err
		}
		var p passing
		var failed bool
		var was string
		err := tx.QueryRow(ctx, `SELECT pass, coalesce(cursor, ''), sweep, force, again, done, failure <> '', `+place+`
			FROM upkeep.syncs WHERE sync = $1`, shape.Sync).Scan(&p.pass, &p.cursor, &p.sweep, &p.force, &p.again, &p.done, &failed, &was)
		if errors.Is(err, pgx.ErrNoRows) || err == nil && p.pass == "" {
			more = false
			return nil
		}
		if err != nil {
			return err
		}
		if failed {
			if err := probe(ctx, tx, shape); err != nil {
				return err
			}
		}
		begins, overlong := p.pass == "root" && p.cursor == "", false
		if p.pass == "root" {
			if overlong, err = p.root(ctx, tx, shape, limit); err == nil && p.pass != "root" && shape.Every {
				err = p.orphans(ctx, tx, shape)
			}
		} else {
			err = p.groups(ctx, tx, shape, limit)
		}
		if err != nil {
			return err
		}
		more = p.pass != ""
		wrote, err := tx.Exec(ctx, `UPDATE upkeep.syncs SET pass = $2, cursor = nullif($3, ''), sweep = $4, force = $5, again = $6,
			failure = '', done = $7, started_at = CASE WHEN $8 THEN upkeep.clock() ELSE started_at END,
			total = greatest(total, $7, $9),
			overlong_at = CASE WHEN $10 THEN upkeep.clock() WHEN $11 THEN NULL ELSE overlong_at END
			WHERE sync = $1 AND `+place+` = $12`,
			shape.Sync, p.pass, p.cursor, p.sweep, p.force, p.again, p.done, p.done == 0, estimate(ctx, tx, shape.Root.Table), overlong, begins, was)
		if err == nil && wrote.RowsAffected() == 0 {
			err = errAskedAnew
		}
		return err
	})
	if errors.Is(err, errAskedAnew) {
		return true, nil // nothing was done: it begins with what was asked for
	}
	if err != nil {
		return false, fmt.Errorf("backfill %q: %w", shape.Sync, err)
	}
	return more, nil
}

// place is how far the passes over a sync are, and what for.
const place = `concat_ws(' ', pass, coalesce(cursor, ''), sweep, force, again, started_at)`

// errAskedAnew undoes a piece during which another pass was asked for.
var errAskedAnew = errors.New("another pass was asked for")

// estimate is how many rows the database believes the root table to have.
func estimate(ctx context.Context, tx pgx.Tx, t store.Table) (n int64) {
	_ = tx.QueryRow(ctx, rowEstimate, quoteTable(t)).Scan(&n)
	return n
}

// root passes over the next root rows in the order of their key. overlong: some
// of them can have no group; see [taken].
func (p *passing) root(ctx context.Context, tx pgx.Tx, shape *store.Shape, limit int) (overlong bool, err error) {
	if shape.ByHand {
		// Its groups are made by hand only: there are none to be made.
		return false, p.next(shape)
	}
	key := shape.Root.Key
	columns, cursor, order, parts := make([]string, len(key)), make([]string, len(key)), make([]string, len(key)), make([]string, len(key))
	args := []any{shape.Sync, limit}
	var at []string
	if p.cursor != "" {
		if at, err = store.SplitKey(p.cursor, len(key)); err != nil {
			return false, err
		}
	}
	for i, c := range key {
		columns[i] = "t0." + quote(c.Name)
		parts[i] = placeText(columns[i], c)
		order[i] = columns[i]
		if at != nil {
			cursor[i] = fmt.Sprintf("$%d::text::%s", i+3, castType(c))
			args = append(args, at[i])
		}
	}
	where := ""
	if at != nil {
		where = " WHERE (" + strings.Join(columns, ", ") + ") > (" + strings.Join(cursor, ", ") + ")"
	}
	fits, force, back := short(shape, "page.key"), "0", "0"
	conflict := " ON CONFLICT (sync, key) DO NOTHING"
	if p.sweep {
		// The row is there: a delete that was seen is over, even if no trigger
		// saw it come back. [raising] looks whether it is still the same delete.
		conflict, back = raising, `coalesce((SELECT -1 - g.deleted_generation FROM upkeep.groups g
				WHERE g.sync = $1 AND g.key = page.key AND g.deleted_generation > 0), 0)`
		if p.force {
			force = `CASE WHEN EXISTS (SELECT FROM upkeep.groups g
				WHERE g.sync = $1 AND g.key = page.key AND g.forced_generation > 0) THEN 0 ELSE 1 END`
		}
	}
	statement := func(chosen string) string {
		return `WITH clock AS MATERIALIZED (SELECT upkeep.clock() AS now),
		page AS MATERIALIZED (
			SELECT (` + keyText("", key) + `) COLLATE "C" AS key, ` + joinKey(parts) + ` AS position,
				row_number() OVER (ORDER BY ` + strings.Join(order, ", ") + `) AS n
			FROM ` + quoteTable(shape.Root.Table) + ` t0` + where + `
			ORDER BY ` + strings.Join(order, ", ") + ` LIMIT $2),
		raised AS (` + raisingInto + `
			SELECT $1, page.key, ` + force + `, ` + back + `, now, true, ` + causeOf(p.op(), "now") + `, now, now
			FROM page, clock WHERE ` + chosen + ` ORDER BY page.key` + conflict + `)
		SELECT count(*), coalesce(max(position) FILTER (WHERE n = (SELECT max(n) FROM page)), ''),
			ARRAY(SELECT key FROM page WHERE NOT (` + fits + `) AND ` + grouped("page.key") + ` IS NULL) FROM page`
	}
	var n int64
	var last string
	var long []string
	if err := tx.QueryRow(ctx, statement(fits+" OR "+grouped("page.key")), args...).Scan(&n, &last, &long); err != nil {
		return false, err
	}
	if len(long) > 0 {
		fit, others, err := taken(ctx, tx, shape.Sync, long)
		if err != nil {
			return false, err
		}
		overlong = len(others) > 0
		if len(fit) > 0 {
			if _, err := tx.Exec(ctx, statement(fmt.Sprintf("page.key = ANY($%d)", len(args)+1)), append(args, fit)...); err != nil {
				return false, err
			}
		}
	}
	p.done += n
	if n < int64(limit) {
		return overlong, p.next(shape)
	}
	p.cursor = last
	return overlong, nil
}

// orphans makes groups of what has versions to be delivered and no row any more,
// if nothing in the log will: its touches were answered by this pass.
func (p *passing) orphans(ctx context.Context, tx pgx.Tx, shape *store.Shape) error {
	_, err := tx.Exec(ctx, `WITH clock AS MATERIALIZED (SELECT upkeep.clock() AS now)
		`+raisingInto+`
		SELECT $1, c.key, 0, 0, now, true, `+causeOf(p.op(), "now")+`, now, now
		FROM (SELECT c.key FROM upkeep.commands c WHERE c.sync = $1
			AND NOT EXISTS (SELECT FROM upkeep.groups g WHERE g.sync = $1 AND g.key = c.key) GROUP BY c.key) c, clock
		ORDER BY c.key ON CONFLICT (sync, key) DO NOTHING`, shape.Sync)
	return err
}

// op is what the groups' cause says.
func (p *passing) op() string {
	if p.sweep {
		return "'sweep'"
	}
	return "'backfill'"
}

// next goes on to the following pass.
func (p *passing) next(shape *store.Shape) error {
	p.cursor = ""
	switch {
	case p.pass == "forced":
		p.pass, p.done = "root", 0
		return nil
	case p.sweep && p.pass == "root":
		p.pass = "groups"
		return nil
	}
	p.pass = ""
	if p.again {
		*p = passing{pass: "root", sweep: true}
	}
	return nil
}

// groups raises, in a sweep, the groups that no root row led to: those that
// were not touched since the sweep began. The forced pass raises all.
func (p *passing) groups(ctx context.Context, tx pgx.Tx, shape *store.Shape, limit int) error {
	force := "0"
	switch {
	case p.force && shape.LeaveGone:
		force = `CASE WHEN page.nothing THEN 0 ELSE 1 END`
	case p.force:
		force = "1"
	}
	var n int64
	var last string
	err := tx.QueryRow(ctx, `WITH clock AS MATERIALIZED (SELECT upkeep.clock() AS now),
		page AS MATERIALIZED (
			SELECT g.key, $4 OR g.touched_at IS NULL OR g.touched_at < s.started_at AS missed,
				-- After the forced pass it may be held since that one raised it.
				g.deleted_generation > 0 AND g.remote_id = '' AND g.in_doubt_until IS NULL AND (g.holder IS NULL OR NOT $4)
					AND g.forced_generation <= g.synced_generation AS nothing
			FROM upkeep.groups g JOIN upkeep.syncs s USING (sync)
			WHERE g.sync = $1 AND (g.key > $2 OR $2 = '') ORDER BY g.key LIMIT $3),
		raised AS (`+raisingInto+`
			SELECT $1, page.key, `+force+`, 0, now, true, `+causeOf("'sweep'", "now")+`, now, now
			FROM page, clock WHERE page.missed ORDER BY page.key`+raising+`)
		SELECT count(*), coalesce(max(key), '') FROM page`, shape.Sync, p.cursor, limit, p.pass == "forced").Scan(&n, &last)
	if err != nil {
		return err
	}
	if p.pass == "forced" {
		p.done += n
	}
	if n < int64(limit) {
		return p.next(shape)
	}
	p.cursor = last
	return nil
}
