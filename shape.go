package upkeep

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// resolve turns what was declared into what the database must know, with the
// names, keys and types of its own catalogue. It returns every problem.
func resolve(ctx context.Context, catalog store.Catalog, d *definition) (*store.Shape, error) {
	r := &resolver{ctx: ctx, catalog: catalog, sync: d.Name}
	root := r.member("", store.Root, d.From, nil)
	if d.From.Where != "" || d.From.Order != "" {
		r.fail("%s: the root table takes no where or order; use when", d.From.Table)
	}
	if d.described != nil && len(r.errs) == 0 {
		unfit, _ := d.described.misfits(root)
		for _, what := range unfit {
			r.fail("%s", what)
		}
	}
	return &store.Shape{Sync: d.Name, ByHand: d.ByHand, Every: d.Deliver == Every, Root: root, MemberLimit: d.MemberLimit}, errors.Join(r.errs...)
}

type resolver struct {
	ctx     context.Context
	catalog store.Catalog
	sync    string
	errs    []error
}

func (r *resolver) fail(format string, args ...any) {
	r.errs = append(r.errs, fmt.Errorf("sync %q: "+format, append([]any{r.sync}, args...)...))
}

func (r *resolver) member(name string, kind store.Relation, rel *Relation, parent *store.TableInfo) *store.Member {
	m := &store.Member{Name: name, Relation: kind, Where: rel.Where, Order: rel.Order, OnlyAggregates: rel.OnlyAggregates}
	info, err := r.catalog.Table(r.ctx, tableName(rel.Table))
	if err != nil {
		r.fail("%w", err)
		return m
	}
	m.Table = info.Table
	if info.PartOf != (store.Table{}) {
		r.fail("table %s is a partition of %s: a row that moves to another partition would count as deleted; name %s instead", info.Table, info.PartOf, info.PartOf)
	}
	if len(info.Key) == 0 {
		r.fail("table %s has no primary key, so its rows can't be told apart; add one", info.Table)
	}
	m.Key = r.columns(info, info.Key)
	m.Columns = r.columns(info, rel.Columns)
	if kind != store.Root {
		r.link(m, rel, info, parent)
	}
	if rel.Where != "" || rel.Order != "" {
		if kind == store.BelongsTo {
			r.fail("relation %q: a belongs_to takes no where or order", name)
		}
		names, err := r.catalog.Fragment(r.ctx, info.Table, rel.Where, rel.Order)
		if err != nil {
			r.fail("relation %q: %w", name, err)
		}
		m.Fragment = r.columns(info, names)
	}
	for _, a := range rel.Aggregates {
		m.Aggregates = append(m.Aggregates, r.aggregate(name, kind, info, a))
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
				r.fail("%q names two things in %s; give the relation another name", n, info.Table)
			}
			seen[n] = true
			m.Members = append(m.Members, r.member(n, b.kind, b.rels[n], info))
		}
	}
	return m
}

func (r *resolver) aggregate(name string, kind store.Relation, info *store.TableInfo, a Aggregate) store.Aggregate {
	out := store.Aggregate{Name: a.Name, Func: a.Func}
	if kind != store.HasMany {
		r.fail("relation %q: only a has_many can be counted or summed", name)
	}
	switch a.Func {
	case "count":
	case "sum":
		if cs := r.columns(info, []string{a.Column}); len(cs) == 1 {
			out.Column = cs[0]
			if k := cs[0].Kind; k != store.Int && k != store.Decimal {
				r.fail("relation %q: column %s of %s is a %s and can't be summed exactly", name, a.Column, info.Table, k)
			}
		}
	default:
		r.fail("relation %q: %q is not an aggregate; use count or sum", name, a.Func)
	}
	return out
}

// link finds the columns that tie a member to its parent.
func (r *resolver) link(m *store.Member, rel *Relation, info, parent *store.TableInfo) {
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
		if len(candidates) != 1 {
			r.fail("relation %q: there are %d foreign keys from %s to %s; say which columns with via", m.Name, len(candidates), child.Table, target.Table)
			return
		}
		via, to = candidates[0].Columns, candidates[0].To
	}
	if len(to) == 0 {
		to = target.Key
	}
	if len(via) != len(to) {
		r.fail("relation %q: %d columns (%s) can't point at %d (%s)", m.Name, len(via), strings.Join(via, ", "), len(to), strings.Join(to, ", "))
		return
	}
	m.Via, m.To = r.columns(child, via), r.columns(target, to)
}

// columns looks names up, without doubles, and reports those that are not there.
func (r *resolver) columns(info *store.TableInfo, names []string) []store.Column {
	var out []store.Column
	for _, n := range names {
		c, ok := info.Column(n)
		if !ok {
			r.fail("table %s has no column %q; it has %s", info.Table, n, columnNames(info))
			continue
		}
		if !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	return out
}

func columnNames(info *store.TableInfo) string {
	names := make([]string, len(info.Columns))
	for i, c := range info.Columns {
		names[i] = c.Name
	}
	return strings.Join(names, ", ")
}

// tableName splits "schema.table".
func tableName(s string) store.Table {
	if schema, name, ok := strings.Cut(s, "."); ok {
		return store.Table{Schema: schema, Name: name}
	}
	return store.Table{Name: s}
}
