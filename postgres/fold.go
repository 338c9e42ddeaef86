package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// piece is the most groups that rows of members' tables may lead to in one Fold.
// What leads to more is looked up once, and its keys wait in the log: see
// [folding.spread].
const piece = 10_000

// entry is a row of the log as far as it is needed here; the keys stay in the
// database.
type entry struct {
	id      int64
	tbl, op string
	columns []string // nil: not known
	sync    string   // by hand, or the rest of a row
	path    *string  // the rest of a row: only this member
	cursor  string   // and only after this root key
	listed  int      // the rest of a row: how many keys of groups it lists
}

// Fold implements [store.Log]. Touches are resolved with one statement for
// each sync; see [resolve]. Those of a sync that can't be are taken out of the
// way of all others; see [held].
func (db *DB) Fold(ctx context.Context, shapes []*store.Shape, plan string, limit int) (store.Folded, error) {
	f := &folding{shapes: shapes, plan: plan, limit: limit, failed: map[string]held{}}
	for {
		err := db.tx(ctx, folds, func(tx pgx.Tx) error { return f.run(ctx, tx) })
		var of *unresolved
		if !errors.As(err, &of) || !unresolvable(err) {
			return f.done, err
		}
		level := max(f.failed[of.sync].level, f.held[of.sync]) + 1
		if level > asks {
			return f.done, err
		}
		f.failed[of.sync] = held{level: level, reason: wordless(of.err).Error()}
	}
}

// Look implements [store.Log]. It asks for the first of each in the order of an
// index, so that the index is read and not the pages of rows that are gone.
func (db *DB) Look(ctx context.Context, plan string, syncs []string) (store.Seen, error) {
	var seen store.Seen
	var same bool
	var next string // of the log: what kind of change
	err := db.queryByKey(ctx, func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{&same, &next, &seen.Passing, &seen.Due}, func() error { return nil })
		return err
	}, `
		WITH clock AS MATERIALIZED (SELECT upkeep.clock() AS now)
		SELECT plan IS NOT DISTINCT FROM $1,
			coalesce((SELECT op FROM upkeep.touch ORDER BY id LIMIT 1), ''),
			EXISTS (SELECT FROM upkeep.syncs WHERE pass <> ''),
			ARRAY(SELECT DISTINCT a.sync FROM unnest($2::text[]) AS a(sync) CROSS JOIN (VALUES (false), (true)) AS lane(backfill)
				WHERE (SELECT g.due_at FROM upkeep.groups g
						WHERE g.sync = a.sync AND g.backfill = lane.backfill AND g.due_at IS NOT NULL
						ORDER BY g.due_at LIMIT 1) <= (SELECT now FROM clock)
					AND NOT EXISTS (SELECT FROM upkeep.pauses p WHERE p.kind = 'sync' AND p.name = a.sync))
		FROM upkeep.settings`, plan, syncs)
	if err == nil && !same {
		err = store.ErrPlan
	}
	seen.Touched, seen.Released = next != "", next == "release"
	return seen, installed(err)
}

// folds begins a fold. Nobody has to wait until it is on the disk: a server that
// dies has either all of it or none, and then the rows are in the log as before.
// Whatever goes out because of it is claimed first, by a commit that is waited
// for, and that brings all before it to the disk.
var folds = pgx.TxOptions{BeginQuery: writing.BeginQuery + "; SET LOCAL synchronous_commit = off"}

// folding is one call of Fold.
type folding struct {
	shapes []*store.Shape
	plan   string
	limit  int
	held   map[string]level // as the registry has it
	failed map[string]held  // in this call
	done   store.Folded
	counts map[string]*[2]int64 // of a sync: touches, saved; also of those in done.Overlong
}

func (f *folding) run(ctx context.Context, tx pgx.Tx) error {
	f.done, f.counts = store.Folded{}, map[string]*[2]int64{}
	entries, err := f.take(ctx, tx)
	if err != nil || len(entries) == 0 {
		return err
	}
	f.done.More = len(entries) == f.limit
	entries = f.bound(entries)
	if err := f.fold(ctx, tx, entries); err != nil {
		return err
	}
	f.done.Rows = len(entries)
	return f.finish(ctx, tx, entries)
}

// bound leaves of the rows that list groups all but the first in the log, as
// many as make a piece, and takes what came after them.
func (f *folding) bound(entries []entry) []entry {
	listed, full := 0, false
	return slices.DeleteFunc(entries, func(e entry) bool {
		if e.listed == 0 {
			return false
		}
		full = full || listed > 0 && listed+e.listed > piece
		if full {
			f.done.More = true
			return true
		}
		listed += e.listed
		return false
	})
}

// take reads the head of the log, in one round trip. One process folds at a
// time, under the plan that is installed: both are settled before the snapshot
// in which the log is read, so these are statements of their own. A release
// waits until the triggers are back: a sweep before that would miss what is
// changed in between.
func (f *folding) take(ctx context.Context, tx pgx.Tx) (entries []entry, err error) {
	var mine, same bool
	batch := &pgx.Batch{}
	batch.Queue("SELECT set_config('upkeep.folding', pg_try_advisory_xact_lock($1)::text, true) = 'true'", int64(lockFold)).
		QueryRow(func(r pgx.Row) error { return r.Scan(&mine) })
	var failing []string
	batch.Queue("SELECT plan IS NOT DISTINCT FROM $1, ARRAY(SELECT sync FROM upkeep.syncs WHERE failure <> '') FROM upkeep.settings", f.plan).
		QueryRow(func(r pgx.Row) error { return r.Scan(&same, &failing) })
	batch.Queue(`
		SELECT id, coalesce(tbl, ''), op, columns, coalesce(sync, ''), more->>'path', coalesce(more->>'cursor', ''),
			coalesce((more->>'listed')::bigint, 0)
		FROM upkeep.touch t
		WHERE current_setting('upkeep.folding') = 'true'
			AND (op <> 'release' OR EXISTS (SELECT FROM upkeep.watched w WHERE w.tbl = t.tbl))
		ORDER BY id LIMIT $1`, f.limit).Query(func(rows pgx.Rows) error {
		entries, err = readEntries(rows)
		return err
	})
	if err := tx.SendBatch(ctx, batch).Close(); err != nil || !mine {
		return nil, err
	}
	if !same {
		return nil, store.ErrPlan
	}
	f.held = map[string]level{}
	for _, sync := range failing {
		f.held[sync] = knows
	}
	return entries, nil
}

// readEntries reads rows of the log. They are many and much alike, and to scan
// each value by its type took a quarter of what a fold costs this process: so
// what was read before is not read again.
func readEntries(rows pgx.Rows) (entries []entry, err error) {
	texts, lists := map[string]string{}, map[string][]string{}
	text := func(raw []byte) string {
		t, known := texts[string(raw)]
		if !known {
			t = string(raw)
			texts[t] = t
		}
		return t
	}
	for rows.Next() {
		raw, fields := rows.RawValues(), rows.FieldDescriptions()
		if fields[0].Format != pgx.BinaryFormatCode || fields[7].Format != pgx.BinaryFormatCode {
			return nil, errUndescribed
		}
		e := entry{id: int64(binary.BigEndian.Uint64(raw[0])), tbl: text(raw[1]), op: text(raw[2]), sync: text(raw[4]),
			cursor: text(raw[6]), listed: int(binary.BigEndian.Uint64(raw[7]))}
		if raw[3] != nil {
			columns, known := lists[string(raw[3])]
			if !known {
				if err := rows.Conn().TypeMap().Scan(fields[3].DataTypeOID, fields[3].Format, raw[3], &columns); err != nil {
					return nil, err
				}
				lists[string(raw[3])] = columns
			}
			e.columns = columns
		}
		if raw[5] != nil {
			path := text(raw[5])
			e.path = &path
		}
		entries = append(entries, e)
	}
	return entries, rows.Err()
}

// finish deletes the rows that were taken, and adds to the counters of status,
// whose rows other processes wait for: last, so that they wait but shortly.
func (f *folding) finish(ctx context.Context, tx pgx.Tx, entries []entry) error {
	ids := make([]int64, len(entries))
	for i, e := range entries {
		ids[i] = e.id
	}
	batch := &pgx.Batch{}
	batch.Queue("DELETE FROM upkeep.touch WHERE id = ANY($1)", ids)
	var syncs []string
	var touches, saved []int64
	var overlong []bool
	for sync, c := range f.counts {
		met := slices.Contains(f.done.Overlong, sync)
		if c[0] > 0 || met {
			syncs, touches, saved, overlong = append(syncs, sync), append(touches, c[0]), append(saved, c[1]), append(overlong, met)
		}
	}
	if len(syncs) > 0 {
		batch.Queue(`
			INSERT INTO upkeep.syncs AS s (sync, touches, saved, overlong_at)
			SELECT sync, touches, saved, CASE WHEN overlong THEN upkeep.clock() END
			FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::boolean[]) AS n(sync, touches, saved, overlong) ORDER BY 1
			ON CONFLICT (sync) DO UPDATE SET touches = s.touches + excluded.touches, saved = s.saved + excluded.saved,
				overlong_at = coalesce(excluded.overlong_at, s.overlong_at)`,
			syncs, touches, saved, overlong)
	}
	return tx.SendBatch(ctx, batch).Close()
}

// fold sorts the rows by table and by sync.
func (f *folding) fold(ctx context.Context, tx pgx.Tx, entries []entry) error {
	byTable := map[string][]entry{}
	hand := map[string][]int64{}
	for _, e := range entries {
		switch {
		case e.tbl != "":
			byTable[e.tbl] = append(byTable[e.tbl], e)
		case e.op == "reference":
			if err := f.reference(ctx, tx, e); err != nil {
				return fmt.Errorf("touch what refers to a group: %w", err)
			}
		default:
			hand[e.sync] = append(hand[e.sync], e.id)
		}
	}
	for _, s := range f.shapes {
		if err := f.sync(ctx, tx, s, byTable, hand[s.Sync]); err != nil {
			return &unresolved{s.Sync, err}
		}
	}
	return nil
}

// source is one way from rows of the log to groups of a sync.
type source struct {
	path   string
	member *store.Member // nil: all groups of the sync, or those touched by hand
	hand   bool
	listed bool // the rows have the keys of the groups
	// deleted: the root table was truncated, all its rows are gone.
	deleted bool
	unseen  bool // of the root table, which is not to be read
	cursor  string
	ids     []int64
}

// sync folds what concerns one sync with one statement, so that a group is
// raised once however many ways led to it.
func (f *folding) sync(ctx context.Context, tx pgx.Tx, s *store.Shape, byTable map[string][]entry, hand []int64) error {
	level := max(f.failed[s.Sync].level, f.held[s.Sync])
	sources, sweep := f.sources(s, byTable, level)
	if len(hand) > 0 && level == resolves {
		var err error
		if hand, err = f.respell(ctx, tx, s, hand); err != nil {
			return err
		}
	}
	switch {
	case len(hand) == 0:
	case level == asks:
		if err := f.alone(ctx, tx, s, hand); err != nil {
			return err
		}
	default:
		sources = append(sources, &source{hand: true, ids: hand})
	}
	if len(sources) > 0 {
		missing, err := f.raise(ctx, tx, s, sources)
		if err != nil {
			return err
		}
		sweep = sweep || missing
	}
	if !sweep {
		return nil
	}
	f.done.More = true
	return sweepAgain(ctx, tx, s.Sync, f.failed[s.Sync].reason)
}

// sources sorts the rows of the watched tables by the member that they concern.
func (f *folding) sources(s *store.Shape, byTable map[string][]entry, level level) (sources []*source, sweep bool) {
	s.Root.Walk(func(path string, m, _ *store.Member) {
		used := names(uses(m))
		var own []*source
		for _, e := range byTable[m.Table.String()] {
			if e.sync != "" && (e.sync != s.Sync || e.path == nil || *e.path != path) {
				continue
			}
			to := source{path: path, member: m, cursor: e.cursor, listed: e.listed > 0}
			switch {
			case e.op == "update" && len(e.columns) > 0 && !intersect(e.columns, used):
				continue
			case e.op == "sweep" || e.op == "release" || level == asks:
				sweep = true
				continue
			case e.op == "truncate":
				to.member, to.deleted = nil, m.Relation == store.Root
			case level == knows && !to.listed:
				sweep = true
				if m.Relation != store.Root {
					continue
				}
				to.unseen = true
			}
			at := slices.IndexFunc(own, func(o *source) bool { return o.member == to.member && o.cursor == to.cursor && o.listed == to.listed })
			if at < 0 {
				at = len(own)
				own = append(own, &to)
			}
			own[at].ids = append(own[at].ids, e.id)
		}
		sources = append(sources, own...)
	})
	return sources, sweep
}

func intersect(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

// wide says that a few rows may lead to any number of groups, by the relations.
func (o *source) wide() bool { return o.member != nil && o.path != "" && !o.listed }

// raise runs the resolving statement, and leaves in the log what leads to too
// many groups.
func (f *folding) raise(ctx context.Context, tx pgx.Tx, s *store.Shape, sources []*source) (missing bool, err error) {
	var raised, saved int64
	var over []bool // more than a piece
	var last, long []string
	sql, args := resolve(s, sources, nil)
	if err = tx.QueryRow(ctx, sql, args...).Scan(&raised, &saved, &missing, &over, &last, &long); err != nil {
		return false, err
	}
	f.add(s.Sync, raised, saved)
	if len(long) > 0 {
		if err := f.raiseLong(ctx, tx, s, sources, long); err != nil {
			return false, err
		}
	}
	for i, o := range sources {
		if !over[i] {
			continue
		}
		f.done.More = true
		if o.wide() {
			err = f.spread(ctx, tx, s, o)
		} else {
			err = f.goOn(ctx, tx, s, o, last[i])
		}
		if err != nil {
			return missing, err
		}
	}
	return missing, nil
}

// spread runs the statement of that name. Its keys are sorted on the disk, so that
// the server's memory is bounded for any number of them.
func (f *folding) spread(ctx context.Context, tx pgx.Tx, s *store.Shape, o *source) error {
	sql, args := spread(s, o)
	batch := &pgx.Batch{}
	batch.Queue("SET LOCAL enable_hashagg = off")
	batch.Queue(sql, args...)
	batch.Queue("SET LOCAL enable_hashagg = on")
	return tx.SendBatch(ctx, batch).Close()
}

// goOn leaves a truncated table in the log for the groups after a key.
func (f *folding) goOn(ctx context.Context, tx pgx.Tx, s *store.Shape, o *source, after string) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO upkeep.touch (at, xid, tbl, op, sync, more)
		SELECT at, xid, tbl, op, $2, jsonb_build_object('path', $3::text, 'cursor', $4::text, 'origin', `+origin+`)
		FROM upkeep.touch t WHERE id = ANY($1) ORDER BY id`, o.ids, s.Sync, o.path, after)
	return err
}

func (f *folding) add(sync string, raised, saved int64) {
	c := f.counts[sync]
	if c == nil {
		c = new([2]int64)
		f.counts[sync] = c
	}
	c[0] += raised
	c[1] += saved
	f.done.Groups += int(raised)
}
