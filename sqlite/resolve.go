package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// hit is a group that log rows lead to.
type hit struct {
	id            store.ID
	create, force bool
	fate          fate
	touches       int64 // log rows that lead here
	row           int   // the last of them, as an index; -1: none
}

// fate is what became of the group's root row last, as far as is known.
type fate int

const (
	same     fate = 0
	deleted  fate = 1
	inserted fate = -1
)

// hits are the groups of one piece, each once, in the order found.
type hits struct {
	rows   []logRow
	list   []*hit
	at     map[store.ID]*hit
	causes map[int]string
	keys   map[string][]store.Column // of tables, for causes
}

func newHits(rows []logRow) *hits {
	return &hits{rows: rows, at: map[store.ID]*hit{}, causes: map[int]string{}, keys: map[string][]store.Column{}}
}

func (h *hits) add(x hit) {
	old := h.at[x.id]
	if old == nil {
		old = &hit{id: x.id, row: -1}
		h.at[x.id] = old
		h.list = append(h.list, old)
	}
	old.create = old.create || x.create
	old.force = old.force || x.force
	if x.fate != same { // log rows come in their order: the last one says
		old.fate = x.fate
	}
	old.touches += x.touches
	old.row = max(old.row, x.row)
}

func (h *hits) merge(o *hits) {
	for _, x := range o.list {
		h.add(*x)
	}
	for t, k := range o.keys {
		h.keys[t] = k
	}
}

// cause is the JSON of why a group was hit.
func (h *hits) cause(x *hit) string {
	if s, ok := h.causes[x.row]; ok {
		return s
	}
	r := &h.rows[x.row]
	c := store.Cause{Table: r.table, Op: r.op, Columns: slices.Clone(r.changed), At: r.time()}
	slices.Sort(c.Columns)
	if r.table == "" {
		c.Key = r.id2.Key
	}
	values := r.new
	if values == nil {
		values = r.old
	}
	if t, _, ok := tuple(values, h.keys[r.table]); ok && len(t) > 0 {
		c.Key, _ = keyOf(t) // a key that has no text form is left out
	}
	h.causes[x.row] = causeJSON(c)
	return h.causes[x.row]
}

// job resolves many log rows with one statement, in key order, so that it
// can be continued after a key.
type job struct {
	sync   string // empty: the statement answers with it
	query  string // ?1 list, ?2 after, ?3 limit; answers sync, key, last row, touches
	create bool
	tuples [][]any
	seen   map[string]int // tuple to its place
	rows   []int          // by tuple: the last log row
	counts []int64        // by tuple: how many log rows
}

// add adds a tuple that log row i holds.
func (j *job) add(t []any, i int) {
	b, _ := json.Marshal(jsonTuple(t)) // strings and numbers can always be encoded
	at, ok := j.seen[string(b)]
	if !ok {
		at = len(j.tuples)
		j.seen[string(b)] = at
		j.tuples, j.rows, j.counts = append(j.tuples, t), append(j.rows, i), append(j.counts, 0)
	}
	if j.counts[at] == 0 || j.rows[at] != i { // old and new of one row count once
		j.counts[at]++
	}
	j.rows[at] = i
}

// list is the JSON of the tuples: [[values...], row, count].
func (j *job) list() (string, error) {
	out := make([][]any, len(j.tuples))
	for i, t := range j.tuples {
		out[i] = []any{jsonTuple(t), j.rows[i], j.counts[i]}
	}
	b, err := json.Marshal(out)
	return string(b), err
}

// run adds up to room groups, with keys after the given one. full says that
// there may be more, after last.
func (j *job) run(ctx context.Context, tx *sql.Tx, h *hits, after string, room int) (last string, full bool, err error) {
	if room <= 0 {
		return after, true, nil
	}
	list, err := j.list()
	if err != nil {
		return "", false, err
	}
	rows, err := tx.QueryContext(ctx, j.query, list, after, room)
	if err != nil {
		return "", false, fmt.Errorf("sync %s: %w", j.sync, err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		x := hit{create: j.create}
		if err := rows.Scan(&x.id.Sync, &x.id.Key, &last, &x.row, &x.touches); err != nil {
			return "", false, err
		}
		h.add(x)
		n++
	}
	return last, n == room, rows.Err()
}

// unpacked reads a job's list once, not again for every row that it leads to.
const unpacked = `SELECT value->0 AS v, value->>1 AS r, value->>2 AS n FROM json_each(?1) LIMIT -1`

// upward is the statement that goes from logged values up to the root: the
// first step compares with what was logged, the others with rows as they are.
// CROSS JOIN keeps SQLite from going the other way. What stands without a table
// must be called as no column of the user's is.
func upward(s *store.Shape, way []*store.Member) string {
	var b strings.Builder
	last := len(way) - 1
	fmt.Fprintf(&b, `FROM (%s) AS j CROSS JOIN main.%s AS t%d ON %s`, unpacked,
		ident(way[last-1].Table.Name), last-1, match(fmt.Sprintf("t%d", last-1), parentSide(way[last]), "j.v"))
	for i := last - 1; i > 0; i-- {
		own, up := ownSide(way[i]), parentSide(way[i])
		var on []string
		for k := range own {
			on = append(on, fmt.Sprintf(`t%d.%s = t%d.%s`, i-1, ident(up[k].Name), i, ident(own[k].Name)))
		}
		fmt.Fprintf(&b, ` CROSS JOIN main.%s AS t%d ON %s`, ident(way[i-1].Table.Name), i-1, strings.Join(on, " AND "))
	}
	// A column of the same name would be meant before it.
	return fmt.Sprintf(`SELECT %[1]s, %[2]s AS %[4]skey, %[2]s, max(j.r), sum(j.n) %[3]s WHERE %[4]skey IS NOT NULL AND (%[4]skey > ?2 OR ?2 = '') GROUP BY %[4]skey ORDER BY %[4]skey LIMIT ?3`,
		literal(s.Sync), keyExpr("t0", s.Root.Key), b.String(), store.Own(way...))
}
