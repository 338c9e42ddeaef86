package config

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/internal/mapping"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// tree is a relation as the catalogue has it.
type tree struct {
	*relation
	table   *mapping.Table
	found   bool // its table is there
	via, to []string
	members []*tree
}

// resolver looks relations up in a catalogue.
type resolver struct {
	*reader
	ctx     context.Context
	catalog store.Catalog
	tables  map[string]*store.TableInfo // nil: looked for and not there
}

// find is a table of the catalogue; nil when there is none, which is reported
// where it is named.
func (r *resolver) find(name string, at place) *store.TableInfo {
	info, known := r.tables[name]
	if known && info != nil {
		return info
	}
	t := store.ParseTable(name)
	info, err := r.catalog.Table(r.ctx, t)
	switch {
	case errors.Is(err, store.ErrView):
		r.fail(at, fmt.Sprintf("%q is a view, and a view has no changes that could be seen", name), "name the tables that it reads, the one with a row for each record first, and the others as its relations")
		info = nil
	case errors.Is(err, store.ErrNoTable):
		help := r.nearTables(t)
		if t, ok := store.Undotted(r.ctx, r.catalog, name); ok {
			help = fmt.Sprintf("a table with a dot in its name stands in double quotes, inside YAML's own: '%s'", t)
		}
		r.fail(at, fmt.Sprintf("there is no table %q", name), help)
		info = nil
	case err != nil:
		r.fail(at, err.Error(), "")
		info = nil
	case info.PartOf != store.Table{}:
		r.fail(at, fmt.Sprintf("table %s is a partition of %s: a row that moves to another partition would count as deleted", info.Table, info.PartOf),
			fmt.Sprintf("name %s, and say which of its rows are meant with when, or for a relation with where", info.PartOf))
	case len(info.Key) == 0:
		r.fail(at, fmt.Sprintf("table %s has no primary key, so its rows can't be told apart", info.Table), "add a primary key")
	}
	r.tables[name] = info
	return info
}

// nearTables suggests a table. One of the same name that a name without a schema
// does not find is in a schema that is not in the search path.
func (r *resolver) nearTables(t store.Table) string {
	all, err := r.catalog.Tables(r.ctx)
	if err != nil {
		return ""
	}
	var names, elsewhere []string
	for _, have := range all {
		if t.Schema == "" && have.Name == t.Name {
			elsewhere = append(elsewhere, have.String())
		}
		if t.Schema == "" {
			names = append(names, store.Table{Name: have.Name}.String())
		} else {
			names = append(names, have.String())
		}
	}
	if len(elsewhere) > 0 {
		return fmt.Sprintf("write it with its schema, which is not in the role's search_path: %s", strings.Join(elsewhere, " or "))
	}
	return mapping.Suggest(t.String(), names)
}

// resolve looks up a relation and those below it. What is wrong with them is
// reported, and the tree is returned all the same, so that what the expressions
// read of the other tables is examined too.
func (r *resolver) resolve(rel *relation, parent *tree) *tree {
	t := &tree{relation: rel, via: rel.via, to: rel.to}
	info := &store.TableInfo{}
	if rel.table != "" { // else that is told
		info = r.find(rel.table, rel.tableAt)
		t.found = info != nil
	}
	if !t.found {
		info = &store.TableInfo{Table: store.ParseTable(rel.table)}
	}
	t.table = &mapping.Table{Name: rel.name, Relation: rel.kind, Info: info, Members: map[string]*mapping.Table{},
		Unknown: !t.found || rel.unknown, Lost: rel.lost}
	if parent != nil {
		r.tie(t, parent)
	}
	if t.found {
		r.checkFragments(rel, info)
	}
	for _, m := range rel.members {
		if _, column := info.Column(m.name); column {
			r.fail(m.at, fmt.Sprintf("%q is a column of %s already", m.name, info.Name), "give the relation another name")
		}
		below := r.resolve(m, t)
		t.members = append(t.members, below)
		t.table.Members[m.name] = below.table
	}
	return t
}

// tie is link of a relation as far as it and its parent are known.
func (r *resolver) tie(t, parent *tree) {
	child, target := t, parent
	if t.kind == store.BelongsTo {
		child, target = parent, t
	}
	switch {
	case t.unsure: // nobody knows what ties it
	case child.found && target.found:
		r.link(t, t.table.Info, parent.table.Info)
	case child.found && t.via != nil:
		r.present(child.table.Info, t.via, t.viaAt)
	case target.found && t.to != nil:
		r.present(target.table.Info, t.to, t.toAt)
	}
}

func (r *resolver) checkFragments(rel *relation, info *store.TableInfo) {
	if rel.where != nil {
		if _, err := r.catalog.Fragment(r.ctx, info.Table, rel.where.text, ""); err != nil {
			r.fail(rel.where.at, fmt.Sprintf("where: %v", err), fmt.Sprintf("it is an SQL condition over the columns of %s alone", info.Name))
		}
	}
	if rel.order != nil {
		if _, err := r.catalog.Fragment(r.ctx, info.Table, "", rel.order.text); err != nil {
			r.fail(rel.order.at, fmt.Sprintf("order: %v", err), fmt.Sprintf("it is an SQL ORDER BY list over the columns of %s alone", info.Name))
		}
	}
}

// link finds the columns that tie a relation to its parent: via is on the side
// that has the foreign key, to on the other.
func (r *resolver) link(t *tree, info, parent *store.TableInfo) {
	child, target := info, parent
	if t.kind == store.BelongsTo {
		child, target = parent, info
	}
	if len(t.via) == 0 {
		if !r.foreignKey(t, child, target) {
			return
		}
	} else if !r.present(child, t.via, t.viaAt) {
		return
	}
	if len(t.to) > 0 && t.relation.to != nil && !r.present(target, t.to, t.toAt) {
		return
	}
	if len(t.to) == 0 {
		t.to = target.Key
		for _, fk := range child.ForeignKeys {
			if fk.Table == target.Table && slices.Equal(fk.Columns, t.via) && len(fk.To) > 0 {
				t.to = fk.To
			}
		}
	}
	at := t.at
	if t.viaAt.line > 0 {
		at = t.viaAt
	}
	if len(t.via) != len(t.to) {
		r.fail(at, fmt.Sprintf("%s of %s can't point at %s of %s: the numbers of columns differ", list(t.via), child.Name, list(t.to), target.Name),
			"name as many columns in via as in to")
		return
	}
	for _, side := range []struct {
		info    *store.TableInfo
		columns []string
	}{{child, t.via}, {target, t.to}} {
		for _, name := range side.columns {
			if c, _ := side.info.Column(name); c.Virtual {
				r.fail(at, store.NoLink(side.info.Table, name), store.NoLinkFix)
				return
			}
		}
	}
	if right := child.Misordered(t.via, target.Table, t.to); right != nil {
		r.fail(at, fmt.Sprintf("%s of %s would point at %s of %s, and the declared foreign key says another order", list(t.via), child.Name, list(t.to), target.Name),
			"write via: "+viaText(right))
		return
	}
	for i, name := range t.via {
		a, _ := child.Column(name)
		b, _ := target.Column(t.to[i])
		if a.Kind != b.Kind && !(numeral(a.Kind) && numeral(b.Kind)) {
			r.fail(at, fmt.Sprintf("%s.%s is %s and can't point at %s.%s, which is %s", child.Name, name, a.Kind, target.Name, t.to[i], b.Kind),
				"name the columns that belong together with via and to")
			return
		}
	}
}

func numeral(k store.Kind) bool { return k == store.Int || k == store.Decimal }

func list(names []string) string { return strings.Join(names, ", ") }

// foreignKey takes the one foreign key between two tables.
func (r *resolver) foreignKey(t *tree, child, target *store.TableInfo) bool {
	var found []store.ForeignKey
	for _, fk := range child.ForeignKeys {
		if fk.Table == target.Table && (len(t.to) == 0 || slices.Equal(fk.To, t.to)) {
			found = append(found, fk)
		}
	}
	if len(found) == 1 {
		t.via = found[0].Columns
		if len(t.to) == 0 {
			t.to = found[0].To
		}
		return true
	}
	if len(found) == 0 {
		r.fail(t.at, fmt.Sprintf("no foreign key of %s points at %s", child.Name, target.Name),
			fmt.Sprintf("name the columns of %s that do: via: column", child.Name))
		return false
	}
	var candidates []string
	for _, fk := range found {
		candidates = append(candidates, "via: "+viaText(fk.Columns))
	}
	r.fail(t.at, fmt.Sprintf("%d foreign keys of %s point at %s", len(found), child.Name, target.Name),
		"say which: "+strings.Join(candidates, " or "))
	return false
}

func viaText(columns []string) string {
	if len(columns) == 1 {
		return columns[0]
	}
	return "[" + list(columns) + "]"
}

func (r *resolver) present(info *store.TableInfo, names []string, at place) bool {
	ok := true
	for _, n := range names {
		if _, have := info.Column(n); !have {
			var all []string
			for _, c := range info.Columns {
				all = append(all, c.Name)
			}
			r.fail(at, fmt.Sprintf("table %s has no column %q", info.Name, n), mapping.Suggest(n, all))
			ok = false
		}
	}
	return ok
}

// declaration is what of a tree the expressions read.
func (t *tree) declaration() *upkeep.Relation {
	out := &upkeep.Relation{
		Table: t.table.Info.Table.String(), Via: t.via, To: t.to,
		Columns: t.table.Columns(), OnlyAggregates: t.table.OnlyAggregates(),
	}
	if t.where != nil {
		out.Where = t.where.text
	}
	if t.order != nil && !out.OnlyAggregates {
		out.Order = t.order.text
	}
	for _, a := range t.table.Aggregates() {
		out.Aggregates = append(out.Aggregates, upkeep.Aggregate{Name: a.Name, Func: a.Func, Column: a.Column.Name})
	}
	for _, m := range t.members {
		if !m.table.Used() {
			continue
		}
		into := &out.HasMany
		switch m.kind {
		case store.BelongsTo:
			into = &out.BelongsTo
		case store.HasOne:
			into = &out.HasOne
		}
		if *into == nil {
			*into = map[string]*upkeep.Relation{}
		}
		(*into)[m.name] = m.declaration()
	}
	return out
}
