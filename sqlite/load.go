package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// loading is one row on its way into a composite.
type loading struct {
	top *composite
	row store.Row
	raw map[string]any // what SQLite gave, to find its members by
}

// composite is a root row and what is wrong with it.
type composite struct {
	row store.Row
	own string // the row's own key, if it is another spelling
	err error
}

// fail keeps the first thing that is wrong.
func (c *composite) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// Load reads composites in one snapshot, with one query for each member.
// It implements [store.Loader].
func (d *DB) Load(ctx context.Context, shape *store.Shape, keys []string) (found map[string]store.Composite, rest []string, err error) {
	return store.InPortions(shape, keys,
		func(keys []string, most int64) (store.Portion, error) { return d.load(ctx, shape, keys, most) },
		func(_ string, failed error) (store.Composite, bool, error) {
			return store.Composite{Row: store.Row{}, Err: store.Unloadable(failed)}, true, nil
		})
}

func (d *DB) load(ctx context.Context, shape *store.Shape, keys []string, most int64) (p store.Portion, err error) {
	err = d.view(ctx, "load "+shape.Sync, func(tx *sql.Tx) error {
		l := &loader{ctx: ctx, tx: tx, limit: shape.MemberLimit, most: most}
		tops, all, err := l.roots(shape.Root, keys)
		if err == nil {
			err = l.members(shape.Root, all)
		}
		p = store.Portion{Found: map[string]store.Composite{}, Bytes: l.held}
		switch {
		case errors.Is(err, errHeavy):
			p.Heavy = true
			return nil
		case errors.As(err, new(*valueError)):
			p.Failed = err
			return nil
		}
		for key, c := range tops {
			p.Found[key] = store.Composite{Row: c.row, Key: c.own, Err: c.err}
		}
		return err
	})
	return p, err
}

var errHeavy = errors.New("the rows take more memory than they may")

// loader reads the members of one shape.
type loader struct {
	ctx        context.Context
	tx         *sql.Tx
	limit      int
	most, held int64 // bytes of rows, about; zero: any number may be held
}

// weigh takes a row into account.
func (l *loader) weigh(values []any) error {
	n := 0
	for _, v := range values {
		switch v := v.(type) {
		case string:
			n += len(v)
		case []byte:
			n += len(v)
		}
	}
	if l.held += store.Weight(len(values), n); l.most > 0 && l.held > l.most {
		return errHeavy
	}
	return nil
}

// roots reads the root rows of the keys.
func (l *loader) roots(m *store.Member, keys []string) (map[string]*composite, []*loading, error) {
	list, err := keyTuples(m.Key, keys)
	if err != nil {
		return nil, nil, err
	}
	tops := map[string]*composite{}
	var all []*loading
	r := readerOf(m, false)
	err = l.query(m, r, list, "", func(place int, values []any) error {
		if tops[keys[place]] != nil {
			return nil // the key was asked for twice
		}
		top := &composite{}
		row := r.row(m, values, top)
		top.row = row.row
		tops[keys[place]] = top
		if top.own = otherKey(row.raw, m.Key, keys[place]); top.own != "" {
			return nil
		}
		all = append(all, row)
		return l.weigh(values)
	})
	return tops, all, err
}

// members loads everything below parents.
func (l *loader) members(m *store.Member, parents []*loading) error {
	for _, child := range m.Members {
		rows, err := l.member(child, parents)
		if err != nil {
			return fmt.Errorf("%s: %w", child.Name, err)
		}
		if err := l.members(child, rows); err != nil {
			return err
		}
	}
	return nil
}

// member loads one relation of all parents.
func (l *loader) member(m *store.Member, parents []*loading) ([]*loading, error) {
	// Parents with the same reference share one place in the list.
	var tuples [][]any
	places := map[string]int{}
	of := [][]*loading{}
	for _, p := range parents {
		prepare(m, p)
		t, _, ok := tuple(p.raw, parentSide(m))
		if !ok {
			continue
		}
		t = jsonTuple(t)
		b, err := json.Marshal(t)
		if err != nil {
			return nil, err
		}
		at, there := places[string(b)]
		if !there {
			at = len(tuples)
			places[string(b)] = at
			tuples, of = append(tuples, t), append(of, nil)
		}
		of[at] = append(of[at], p)
	}
	if len(tuples) == 0 {
		return nil, nil
	}
	list, err := json.Marshal(tuples)
	if err != nil {
		return nil, err
	}
	if m.OnlyAggregates && !summing(m) {
		return nil, l.counts(m, string(list), of)
	}
	var all []*loading
	r := readerOf(m, true)
	n := make([]int, len(tuples))
	err = l.query(m, r, string(list), m.Order, func(place int, values []any) error {
		n[place]++
		for _, p := range of[place] {
			if row := l.hang(m, r, p, values, n[place]); row != nil {
				all = append(all, row)
				if err := l.weigh(values); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return all, err
}

// prepare gives a parent the value of a relation without rows.
func prepare(m *store.Member, p *loading) {
	switch {
	case m.OnlyAggregates:
	case m.Relation == store.HasMany:
		p.row[m.Name] = []store.Row{}
	default:
		p.row[m.Name] = nil
	}
	for _, a := range m.Aggregates {
		if a.Func == "count" {
			p.row[a.Name] = int64(0)
		} else {
			p.row[a.Name] = decimal.Zero
		}
	}
}

// hang puts the n-th row of a relation on its parent; nil if it has no place.
func (l *loader) hang(m *store.Member, r *reader, p *loading, values []any, n int) *loading {
	r.aggregate(m, p, values)
	if m.OnlyAggregates {
		return nil
	}
	limit := 1
	if m.Relation == store.HasMany {
		limit = l.limit
	}
	if n > limit && limit > 0 {
		if m.Relation == store.HasMany {
			p.top.fail(fmt.Errorf("%s: more than %d rows of table %s in one composite", m.Name, limit, m.Table.Name))
		} else if m.Order == "" { // with one, the first is the one that is meant
			p.top.fail(m.Several())
		}
		return nil
	}
	row := r.row(m, values, p.top)
	if m.Relation == store.HasMany {
		p.row[m.Name] = append(p.row[m.Name].([]store.Row), row.row)
	} else {
		p.row[m.Name] = row.row
	}
	return row
}

// summing reports whether a member has an aggregate that needs its rows: sums
// are added here, because SQLite's own are floating-point.
func summing(m *store.Member) bool {
	for _, a := range m.Aggregates {
		if a.Func != "count" {
			return true
		}
	}
	return false
}

// counts counts the rows of a relation in the database.
func (l *loader) counts(m *store.Member, list string, of [][]*loading) error {
	statement := `SELECT ` + place(m) + `, count(*) ` + from(m) + ` GROUP BY 1`
	rows, err := l.tx.QueryContext(l.ctx, statement, list)
	if err != nil {
		return l.failed(statement, err)
	}
	defer rows.Close()
	for rows.Next() {
		var place int
		var n int64
		if err := rows.Scan(&place, &n); err != nil {
			return err
		}
		for _, p := range of[place] {
			for _, a := range m.Aggregates {
				p.row[a.Name] = n
			}
		}
	}
	return l.failed(statement, rows.Err())
}
