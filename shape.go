package upkeep

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/spelling"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// resolve turns what was declared into what the database must know, with the
// names, keys and types of its own catalogue. It returns every problem, each an
// [unfit]. The shape is what could be found all the same; it is whole if nothing
// is wrong but that fields of a struct don't take what their columns hold.
func resolve(ctx context.Context, catalog store.Catalog, d *definition) (shape *store.Shape, whole bool, err error) {
	r := &resolver{ctx: ctx, catalog: catalog, sync: d.Name, tags: d.described != nil}
	root := r.member("", "", store.Root, d.From, nil)
	shape = &store.Shape{Sync: d.Name, ByHand: d.ByHand, Every: d.Deliver == Every, Root: root, MemberLimit: d.MemberLimit}
	if len(r.errs) == 0 {
		r.examine(shape)
	}
	whole = len(r.errs) == 0
	if d.described != nil {
		misfits, _ := d.described.misfits(root)
		for _, u := range misfits {
			r.fail(u.fix, "%w", u.err)
		}
	}
	return shape, whole, errors.Join(r.errs...)
}

type resolver struct {
	ctx     context.Context
	catalog store.Catalog
	sync    string
	tags    bool // it was declared by the tags of a struct
	errs    []error
}

// fail notes a problem, and what to do about it.
func (r *resolver) fail(fix, format string, args ...any) {
	r.failAt("", fix, format, args...)
}

// failAt is fail that names the table that is to blame.
func (r *resolver) failAt(table, fix, format string, args ...any) {
	r.errs = append(r.errs, &unfit{fmt.Errorf("sync %q: "+format, append([]any{r.sync}, args...)...), fix, table})
}

// examine lets the database compile what would load the shape.
func (r *resolver) examine(s *store.Shape) {
	found, err := r.catalog.Examine(r.ctx, s)
	if err != nil {
		r.fail("", "examine the statements that load it: %w", err)
	}
	for _, f := range found {
		r.failAt(f.Table, f.Fix, "%s%s", of(f.Subject), f.Message)
	}
}

// of says which relation is meant; nothing of the root table.
func of(path string) string {
	if path == "" {
		return ""
	}
	return fmt.Sprintf("relation %q: ", path)
}

func (r *resolver) member(name, path string, kind store.Relation, rel *Relation, parent *store.TableInfo) *store.Member {
	m := &store.Member{Name: name, Relation: kind, Where: rel.Where, Order: rel.Order, OnlyAggregates: rel.OnlyAggregates}
	info, err := r.catalog.Table(r.ctx, store.ParseTable(rel.Table))
	if err != nil {
		fix := ""
		if t, ok := store.Undotted(r.ctx, r.catalog, rel.Table); ok && errors.Is(err, store.ErrNoTable) {
			fix = fmt.Sprintf("a table with a dot in its name stands in double quotes: `%s`", t)
		}
		named := ""
		if errors.Is(err, store.ErrNoTable) {
			named = store.ParseTable(rel.Table).String()
			if fix == "" && !errors.Is(err, store.ErrView) {
				fix = r.nearTable(rel.Table)
			}
		}
		r.failAt(named, fix, "%s%w", of(path), err)
		return m
	}
	m.Table = info.Table
	if info.PartOf != (store.Table{}) {
		r.failAt(info.Table.String(), fmt.Sprintf("name %s instead", info.PartOf), "table %s is a partition of %s: a row that moves to another partition would count as deleted", info.Table, info.PartOf)
	}
	if len(info.Key) == 0 {
		r.failAt(info.Table.String(), "add one", "table %s has no primary key, so its rows can't be told apart", info.Table)
	}
	m.Key = r.columns(path, info, info.Key)
	m.Columns = r.columns(path, info, rel.Columns)
	if kind != store.Root {
		r.link(path, m, rel, info, parent)
	}
	if rel.Where != "" || rel.Order != "" {
		names, err := r.catalog.Fragment(r.ctx, info.Table, rel.Where, rel.Order)
		if err != nil {
			fix := ""
			if errors.Is(err, store.ErrNoColumn) {
				fix = fmt.Sprintf("where and order take columns of %s alone; it has %s", info.Table, strings.Join(columnNames(info), ", "))
			}
			r.fail(fix, "relation %q: %w", path, err)
		}
		m.Fragment = r.columns(path, info, names)
	}
	for _, a := range rel.Aggregates {
		m.Aggregates = append(m.Aggregates, r.aggregate(path, info, a))
	}
	below := []struct {
		kind store.Relation
		rels map[string]*Relation
	}{{store.BelongsTo, rel.BelongsTo}, {store.HasOne, rel.HasOne}, {store.HasMany, rel.HasMany}}
	seen := map[string]bool{}
	for _, b := range below {
		for _, n := range slices.Sorted(maps.Keys(b.rels)) {
			_, column := info.Column(n)
			if seen[n] || (column && slices.Contains(rel.Columns, n)) {
				r.fail("give the relation another name", "%q names two things in %s", n, info.Table)
			}
			seen[n] = true
			below := n
			if path != "" {
				below = path + "." + n
			}
			m.Members = append(m.Members, r.member(n, below, b.kind, b.rels[n], info))
		}
	}
	return m
}

func (r *resolver) aggregate(path string, info *store.TableInfo, a Aggregate) store.Aggregate {
	out := store.Aggregate{Name: a.Name, Func: a.Func}
	if a.Func == "sum" {
		if cs := r.columns(path, info, []string{a.Column}); len(cs) == 1 {
			out.Column = cs[0]
			if k := cs[0].Kind; k != store.Int && k != store.Decimal {
				r.fail("", "relation %q: column %s of %s is a %s and can't be summed exactly", path, a.Column, info.Table, k)
			}
		}
	}
	return out
}

// link finds the columns that tie a member to its parent.
func (r *resolver) link(path string, m *store.Member, rel *Relation, info, parent *store.TableInfo) {
	child, target := info, parent // child has the foreign key
	if m.Relation == store.BelongsTo {
		child, target = parent, info
	}
	via, to := rel.Via, rel.To
	if len(via) == 0 {
		var candidates []store.ForeignKey
		for _, fk := range child.ForeignKeys {
			if fk.Table == target.Table {
				candidates = append(candidates, fk)
			}
		}
		if len(candidates) == 0 {
			r.fail("say which columns with via", "relation %q: no foreign key of %s points at %s", path, child.Table, target.Table)
			return
		}
		if len(candidates) > 1 {
			r.fail("say which columns with via", "relation %q: there are %d foreign keys from %s to %s", path, len(candidates), child.Table, target.Table)
			return
		}
		via, to = candidates[0].Columns, candidates[0].To
	}
	if len(to) == 0 {
		to = target.Key
	}
	problems := len(r.errs)
	m.Via, m.To = r.columns(path, child, via), r.columns(path, target, to)
	r.untied(path, child, m.Via)
	r.untied(path, target, m.To)
	missing := len(r.errs) > problems
	right := make([]string, len(to)) // what a foreign key of as many columns looks like
	for i := range right {
		right[i] = fmt.Sprintf("column_%d", i+1)
	}
	switch order := child.Misordered(via, target.Table, to); {
	case len(to) == 0: // no key there: it is told
	case len(via) != len(to):
		r.fail(fmt.Sprintf("write a column of %s for each, in that order: %s", child.Table, r.written(m, rel, right)),
			"relation %q: the foreign key %s of %s has %d, and points at %s of %s, which has %d", path,
			strings.Join(via, "+"), child.Table, len(via), strings.Join(to, "+"), target.Table, len(to))
	case missing:
	case len(m.Via) != len(via) || len(m.To) != len(to):
		r.fail("name each column once", "relation %q: %s or %s names a column twice", path, strings.Join(via, "+"), strings.Join(to, "+"))
	case order != nil:
		r.fail("write "+r.written(m, rel, order),
			"relation %q: %s of %s would point at %s of %s, and the declared foreign key says another order", path,
			strings.Join(via, "+"), child.Table, strings.Join(to, "+"), target.Table)
	}
}

// untied refuses columns whose changes no trigger sees: who a row belonged to
// before would not be known.
func (r *resolver) untied(path string, info *store.TableInfo, columns []store.Column) {
	for _, c := range columns {
		if c.Virtual {
			r.failAt(info.Table.String(), store.NoLinkFix, "relation %q: %s", path, store.NoLink(info.Table, c.Name))
		}
	}
}

// written is a relation as it would be written with other columns.
func (r *resolver) written(m *store.Member, rel *Relation, via []string) string {
	if !r.tags {
		return fmt.Sprintf("Via: %q", via)
	}
	kind := m.Relation.String()
	if rel.OnlyAggregates && len(rel.Aggregates) > 0 {
		kind = rel.Aggregates[0].Func
	}
	return fmt.Sprintf("%s:%q", kind, rel.Table+"."+strings.Join(via, "+"))
}

// columns looks names up, without doubles, and reports those that are not there.
func (r *resolver) columns(path string, info *store.TableInfo, names []string) []store.Column {
	var out []store.Column
	for _, n := range names {
		c, ok := info.Column(n)
		if !ok {
			all := columnNames(info)
			fix := "correct the name, or add the column"
			if near := spelling.Nearest(n, all); near != "" {
				fix = "did you mean " + near + "?"
			}
			r.fail(fix, "%stable %s has no column %q; it has %s", of(path), info.Table, n, strings.Join(all, ", "))
			continue
		}
		if !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	return out
}

func columnNames(info *store.TableInfo) []string {
	all := make([]string, len(info.Columns))
	for i, c := range info.Columns {
		all[i] = c.Name
	}
	return all
}

// nearTable says what to do about a table that is not there.
func (r *resolver) nearTable(written string) string {
	tables, err := r.catalog.Tables(r.ctx)
	if err == nil { // else the name of none can be told
		var names []string
		for _, t := range tables {
			names = append(names, t.Name)
		}
		if near := spelling.Nearest(store.ParseTable(written).Name, names); near != "" {
			return "did you mean " + near + "?"
		}
	}
	return "correct the name, make the table, or let the role see it"
}
