package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// defaultMemberLimit is for a shape that does not say.
const defaultMemberLimit = 10_000

// Load implements [store.Loader]: one query for each member, in one snapshot, and
// one round trip for all members of the same depth.
func (db *DB) Load(ctx context.Context, shape *store.Shape, keys []string) (found map[string]store.Composite, rest []string, err error) {
	found, rest, err = store.InPortions(shape, keys,
		func(keys []string, most int64) (store.Portion, error) { return db.load(ctx, shape, keys, most) },
		func(key string, failed error) (store.Composite, bool, error) {
			return db.unloadable(ctx, shape, key, failed)
		})
	if err != nil {
		return nil, nil, fmt.Errorf("load %q: %w", shape.Sync, err)
	}
	return found, rest, nil
}

// unloadable is what there is of one key whose rows can't be read as their values
// are. A key that is not a value of its column's type names no row; whether it is
// one can't be told where a domain's check raises an error of its own.
func (db *DB) unloadable(ctx context.Context, shape *store.Shape, key string, failed error) (c store.Composite, there bool, err error) {
	if errors.Is(failed, errRootKeys) {
		fits, err := db.canonical(ctx, shape, []string{key})
		if err != nil && !ofRow(err) {
			return c, false, err
		}
		if _, fit := fits[key]; !fit && err == nil {
			return c, false, nil
		}
	}
	return store.Composite{Row: store.Row{}, Err: store.Unloadable(wordless(failed))}, true, nil
}

// snapshot begins a transaction that reads. Rows that a policy hides are an
// error in it, since they would look like rows that are not there. Each statement
// keeps one plan: to make one for each load took as long as the load itself. What
// is read as text is written as in every session, see [forms].
var snapshot = []string{unmoved, `SELECT set_config('row_security', 'off', true),
	set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true), set_config('plan_cache_mode', 'force_generic_plan', true),
	set_config('datestyle', 'ISO, YMD', true), set_config('timezone', 'UTC', true), set_config('intervalstyle', 'postgres', true),
	set_config('extra_float_digits', '1', true), set_config('bytea_output', 'hex', true), set_config('idle_in_transaction_session_timeout', '` + standstill + `', true)`}

// errRootKeys marks a failure of the query for the root rows.
var errRootKeys = errors.New("look up root rows")

func (db *DB) load(ctx context.Context, shape *store.Shape, keys []string, most int64) (p store.Portion, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	l := &loading{limit: shape.MemberLimit, most: most, stop: stop}
	if l.limit <= 0 {
		l.limit = defaultMemberLimit
	}
	err = db.converse(ctx, snapshot, func(c *conversation) error {
		if err := l.root(shape.Root, keys); err != nil {
			return err
		}
		return l.run(ctx, c)
	})
	switch {
	case l.held > l.most:
		return store.Portion{Heavy: true}, nil
	case err != nil && ofRow(err):
		return store.Portion{Failed: err}, nil
	case err != nil:
		return p, err
	}
	p = store.Portion{Found: make(map[string]store.Composite, len(l.composites)), Bytes: l.held}
	for _, c := range l.composites {
		p.Found[c.key] = store.Composite{Row: c.row, Key: c.own, Err: c.err}
	}
	return p, nil
}

// loading is one reading of some keys.
type loading struct {
	queries    []*query // that are to be sent next
	limit      int
	composites []*composite
	most, held int64  // bytes of rows, about
	stop       func() // ends the reading, and its connection
}

var errHeavy = errors.New("the rows take more memory than they may")

// weigh takes a row into account. Over what it may hold the reading ends: the
// server has no other way to be told that the rows to come are not wanted.
func (l *loading) weigh(raw [][]byte) error {
	n := 0
	for _, v := range raw {
		n += len(v)
	}
	if l.held += store.Weight(len(raw), n); l.held > l.most {
		l.stop()
		return errHeavy
	}
	return nil
}

// composite is what is being put together.
type composite struct {
	key string
	own string // the row's own key, if it is another spelling
	row store.Row
	err error
}

// node is one loaded row in one composite, while its members are loaded.
type node struct {
	composite *composite
	row       store.Row
	links     []*string // values of the links that its members need, as text
}

// fail makes the composite unusable; the first reason stays.
func (c *composite) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// rootStatement reads the rows of the keys in the arrays $1, $2, ..., and of each
// its own key as the last of the links.
func rootStatement(m *store.Member) (*selection, string) {
	s := newSelection(m)
	own := make([]string, len(m.Key))
	for i, c := range m.Key {
		own[i] = valueText(quoteColumn(m, c), c)
	}
	s.links, s.linkSQL = append(s.links, store.Column{}), append(s.linkSQL, "("+joinKey(own)+")::text")
	return s, "SELECT " + number(s.own) + s.list() + " FROM " + unnest(s.own, m.Key) + " JOIN " +
		quoteTable(m.Table) + " ON " + joinOn(s.own, m, m.Key)
}

func (l *loading) root(m *store.Member, keys []string) error {
	s, sql := rootStatement(m)
	columns := make([][]string, len(m.Key))
	var asked []string
	for _, key := range keys {
		parts, err := store.SplitKey(key, len(m.Key))
		if err != nil {
			return err
		}
		asked = append(asked, key)
		for i, p := range parts {
			columns[i] = append(columns[i], clean(p))
		}
	}
	args := make([]any, len(columns))
	for i := range columns {
		args[i] = columns[i]
	}
	var nodes []*node
	q := l.query(s, sql, args, func(n int64, row store.Row, links []*string, err error) {
		c := &composite{key: asked[n-1], row: row}
		if err != nil {
			c.fail(err)
		}
		l.composites = append(l.composites, c)
		if own := *links[len(links)-1]; own != clean(c.key) {
			c.own = own
			return
		}
		nodes = append(nodes, &node{c, row, links})
	})
	q.named = func(err error) error { return fmt.Errorf("%w: %w", errRootKeys, err) }
	q.then(m, func() { l.members(m, s, nodes, func(err error) error { return err }) })
	return nil
}

// members asks for the members of m of the nodes, which are rows of m. named says
// where an error arose.
func (l *loading) members(m *store.Member, s *selection, nodes []*node, named func(error) error) {
	for _, child := range m.Members {
		l.member(child, s.linksOf(child), nodes, func(err error) error { return named(fmt.Errorf("member %q: %w", child.Name, err)) })
	}
}

// group is the parents that one set of link values leads to, and their rows.
type group struct {
	parents []*node
}

func (l *loading) member(m *store.Member, links []int, nodes []*node, named func(error) error) {
	groups, args := groupByLinks(links, nodes)
	for _, n := range nodes {
		switch m.Relation {
		case store.HasMany:
			if !m.OnlyAggregates {
				n.row[m.Name] = []store.Row{}
			}
			for _, a := range m.Aggregates {
				n.row[a.Name] = noRows(a)
			}
		default:
			n.row[m.Name] = nil
		}
	}
	if len(groups) == 0 {
		return
	}
	if len(m.Aggregates) > 0 {
		l.aggregates(m, groups, args).named = named
	}
	if !m.OnlyAggregates {
		l.rows(m, groups, args, named)
	}
}

// groupByLinks finds the distinct link values, as arrays for unnest. A row
// with a NULL in its link has no members.
func groupByLinks(links []int, nodes []*node) ([]*group, []any) {
	byValue := map[string]*group{}
	var groups []*group
	columns := make([][]string, len(links))
	var id strings.Builder
next:
	for _, n := range nodes {
		id.Reset()
		for _, at := range links {
			if n.links[at] == nil {
				continue next
			}
			fmt.Fprintf(&id, "%d:%s", len(*n.links[at]), *n.links[at])
		}
		g := byValue[id.String()]
		if g == nil {
			g = &group{}
			byValue[id.String()] = g
			groups = append(groups, g)
			for i, at := range links {
				columns[i] = append(columns[i], *n.links[at])
			}
		}
		g.parents = append(g.parents, n)
	}
	args := make([]any, len(columns))
	for i := range columns {
		args[i] = columns[i]
	}
	return groups, args
}

// rowsStatement reads the rows of a member. For each parent the database reads
// at most one row more than the limit, so that neither side needs memory for more.
func rowsStatement(m *store.Member, limit int) (*selection, string) {
	s := newSelection(m)
	where, order := fragmentClauses(m.Where, m.Order)
	limit++
	if m.Relation != store.HasMany {
		// With an order the first is the one that is meant. Without, a second
		// one is an error: nobody said which to take.
		limit = 2
		if m.Order != "" {
			limit = 1
		}
	}
	from := across(m)
	var b strings.Builder
	b.WriteString("SELECT " + number(s.own) + s.outer() + " FROM " + unnest(s.own, from))
	b.WriteString(" CROSS JOIN LATERAL (SELECT " + strings.TrimPrefix(s.list(), ", ") + " FROM " + quoteTable(m.Table))
	b.WriteString(" WHERE " + joinOn(s.own, m, upward(m)))
	if where != "" {
		b.WriteString(" AND " + where)
	}
	b.WriteString(" ORDER BY " + orderBy(m, order))
	fmt.Fprintf(&b, " LIMIT %d) %sc", limit, s.own)
	return s, b.String()
}

// rows asks for the rows of a member.
func (l *loading) rows(m *store.Member, groups []*group, args []any, named func(error) error) {
	s, sql := rowsStatement(m, l.limit)
	counts := map[*composite]int{}
	var nodes []*node
	q := l.query(s, sql, args, func(n int64, row store.Row, links []*string, err error) {
		for i, parent := range groups[n-1].parents {
			own := row
			if i > 0 && len(m.Members) > 0 {
				own = copyRow(row)
			}
			if l.attach(m, parent, own, err, counts) && len(m.Members) > 0 {
				nodes = append(nodes, &node{parent.composite, own, links})
			}
		}
	})
	q.named = named
	q.then(m, func() { l.members(m, s, nodes, named) })
}

// attach hangs a row on its parent, unless its composite has too many.
func (l *loading) attach(m *store.Member, parent *node, row store.Row, err error, counts map[*composite]int) bool {
	c := parent.composite
	if err != nil {
		c.fail(fmt.Errorf("%s: %w", m.Name, err))
	}
	if m.Relation != store.HasMany {
		if parent.row[m.Name] != nil {
			c.fail(m.Several())
			return false
		}
		parent.row[m.Name] = row
		return true
	}
	counts[c]++
	if counts[c] > l.limit {
		c.fail(fmt.Errorf("%s has more than %d rows; raise the member limit, or load less of it with a where or an aggregate", m.Name, l.limit))
		return false
	}
	parent.row[m.Name] = append(parent.row[m.Name].([]store.Row), row)
	return true
}

func copyRow(row store.Row) store.Row {
	c := make(store.Row, len(row))
	for k, v := range row {
		c[k] = v
	}
	return c
}

// aggregatesStatement computes the aggregates of a member with one GROUP BY.
func aggregatesStatement(m *store.Member) (*selection, string) {
	where, _ := fragmentClauses(m.Where, "")
	from := across(m)
	s := &selection{own: store.Own(m)}
	for _, a := range m.Aggregates {
		if a.Func == "count" {
			s.add(store.Column{Name: a.Name, Kind: store.Int}, "count(*)")
			continue
		}
		s.add(store.Column{Name: a.Name, Kind: store.Decimal},
			"coalesce(sum("+quoteColumn(m, a.Column)+")::numeric, 0)::text")
	}
	sql := "SELECT " + number(s.own) + s.list() + " FROM " + unnest(s.own, from) + " JOIN " +
		quoteTable(m.Table) + " ON " + joinOn(s.own, m, upward(m))
	if where != "" {
		sql += " WHERE " + where
	}
	return s, sql + " GROUP BY " + number(s.own)
}

func (l *loading) aggregates(m *store.Member, groups []*group, args []any) *query {
	s, sql := aggregatesStatement(m)
	return l.query(s, sql, args, func(n int64, row store.Row, _ []*string, err error) {
		for _, parent := range groups[n-1].parents {
			if err != nil {
				parent.composite.fail(fmt.Errorf("%s: %w", m.Name, err))
			}
			for name, v := range row {
				parent.row[name] = v
			}
		}
	})
}
