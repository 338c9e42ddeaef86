package property

import (
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/internal/store"
)

type column struct{ name, kind string } // integer or text

// table is one table of a random schema. Its links are columns that hold the
// key of another one.
type table struct {
	name        string
	key, data   []column
	links       []link
	partitioned bool
}

type link struct {
	columns []column
	to      int
	unique  bool
	action  string // of a declared foreign key; empty: not declared
}

// relation is a node of the tree that makes a composite.
type relation struct {
	kind       store.Relation
	table      int
	via, to    []string
	columns    []string
	where      *condition
	descending bool
	count      bool
	sum        string // a column
	members    []*relation
}

// condition is "column is not null" or "column > 1".
type condition struct {
	column  string
	greater bool
}

type schema struct {
	postgres bool
	tables   []*table
	root     *relation
}

// odd are names that have to be quoted, each in its own way.
var odd = []string{"order", `say "it"`, "two words", "Ünïcödé", "CamelCase", "100% sure", `back\slash`, "it's", "_", "a.b", "$1", "select", "naïve", "x;y", "new", "old", "id", "key", strings.Repeat("n", 60)}

func drawSchema(t *rapid.T, postgres bool) *schema {
	s := &schema{postgres: postgres}
	names := rapid.Permutation(odd).Draw(t, "names")
	n := rapid.IntRange(1, 4).Draw(t, "tables")
	for i := range n {
		tb := &table{name: fmt.Sprintf("%.40s %d", strings.ReplaceAll(names[i], ".", ""), i), partitioned: postgres && rapid.IntRange(0, 4).Draw(t, "partitioned") == 0}
		for k := range 1 + rapid.IntRange(0, 3).Draw(t, "key columns")/3 {
			tb.key = append(tb.key, column{fmt.Sprintf("%.50s", names[(i+k)%len(names)]), rapid.SampledFrom([]string{"integer", "text"}).Draw(t, "kind")})
		}
		for d := range rapid.IntRange(1, 3).Draw(t, "data columns") {
			tb.data = append(tb.data, column{fmt.Sprintf("%.30s d%d", names[(i+d+5)%len(names)], d), rapid.SampledFrom([]string{"integer", "text"}).Draw(t, "kind")})
		}
		s.tables = append(s.tables, tb)
	}
	s.root = s.drawRelation(t, store.Root, 0, 0)
	return s
}

func (s *schema) drawRelation(t *rapid.T, kind store.Relation, at, depth int) *relation {
	tb := s.tables[at]
	r := &relation{kind: kind, table: at}
	for _, c := range tb.data {
		if rapid.IntRange(0, 3).Draw(t, "read") > 0 {
			r.columns = append(r.columns, c.name)
		}
	}
	if kind == store.HasMany || kind == store.HasOne {
		if rapid.IntRange(0, 2).Draw(t, "where") == 0 {
			c := rapid.SampledFrom(tb.data).Draw(t, "where column")
			r.where = &condition{c.name, c.kind == "integer" && rapid.Bool().Draw(t, "greater")}
		}
	}
	if kind == store.HasMany {
		r.descending = len(tb.key) == 1 && tb.key[0].kind == "integer" && rapid.Bool().Draw(t, "descending")
		r.count = rapid.Bool().Draw(t, "count")
		for _, c := range tb.data {
			if c.kind == "integer" && rapid.Bool().Draw(t, "sum") {
				r.sum = c.name
			}
		}
	}
	if depth == 2 {
		return r
	}
	for range rapid.IntRange(max(0, 1-depth), 2).Draw(t, "relations") {
		to := rapid.IntRange(0, len(s.tables)-1).Draw(t, "related table")
		kind := rapid.SampledFrom([]store.Relation{store.BelongsTo, store.HasOne, store.HasMany}).Draw(t, "relation")
		l := s.drawLink(t, kind, at, to)
		m := s.drawRelation(t, kind, to, depth+1)
		for i, c := range l.columns {
			m.via = append(m.via, c.name)
			m.to = append(m.to, s.tables[l.to].key[i].name)
		}
		r.members = append(r.members, m)
	}
	return r
}

// drawLink adds the columns that tie two tables.
func (s *schema) drawLink(t *rapid.T, kind store.Relation, parent, child int) link {
	holder, target := s.tables[child], parent
	if kind == store.BelongsTo {
		holder, target = s.tables[parent], child
	}
	l := link{to: target, unique: kind == store.HasOne && !holder.partitioned && rapid.Bool().Draw(t, "unique")}
	if rapid.IntRange(0, 4).Draw(t, "declared") == 0 {
		l.action = rapid.SampledFrom([]string{"on delete cascade on update cascade", "on delete set null on update cascade", "on delete cascade deferrable initially deferred"}).Draw(t, "action")
	}
	for i, c := range s.tables[target].key {
		l.columns = append(l.columns, column{fmt.Sprintf("of %.30s %d %d", s.tables[target].name, len(holder.links), i), c.kind})
	}
	holder.links = append(holder.links, l)
	return l
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func quoted(cs []column) string {
	var names []string
	for _, c := range cs {
		names = append(names, quote(c.name))
	}
	return strings.Join(names, ", ")
}

// columns are all of a table, the key first.
func (tb *table) columns() []column {
	all := slices.Concat(tb.key, tb.data)
	for _, l := range tb.links {
		all = append(all, l.columns...)
	}
	return all
}

// create makes the tables.
func (s *schema) create() []string {
	var out, keys []string
	for i, tb := range s.tables {
		var parts []string
		for _, c := range tb.columns() {
			kind := c.kind
			if slices.Contains(tb.key, c) {
				kind += " not null"
			}
			parts = append(parts, quote(c.name)+" "+kind)
		}
		parts = append(parts, "primary key ("+quoted(tb.key)+")")
		for j, l := range tb.links {
			if l.unique {
				parts = append(parts, "unique ("+quoted(l.columns)+")")
			}
			if l.action == "" {
				continue
			}
			fk := "foreign key (" + quoted(l.columns) + ") references " + quote(s.tables[l.to].name) + " (" + quoted(s.tables[l.to].key) + ") " + l.action
			if s.postgres {
				keys = append(keys, fmt.Sprintf("alter table %s add constraint fk_%d_%d %s", quote(tb.name), i, j, fk))
			} else {
				parts = append(parts, fk)
			}
		}
		sql := "create table " + quote(tb.name) + " (" + strings.Join(parts, ", ") + ")"
		if tb.partitioned {
			out = append(out, sql+" partition by hash ("+quote(tb.key[0].name)+")")
			for p := range 2 {
				out = append(out, fmt.Sprintf("create table %s partition of %s for values with (modulus 2, remainder %d)", quote(fmt.Sprintf("part %d %d", i, p)), quote(tb.name), p))
			}
			continue
		}
		out = append(out, sql)
	}
	return append(out, keys...)
}

// declaration is the sync over the schema.
func (s *schema) declaration(prefix string, to *upkeep.Remote) upkeep.Mapping {
	return upkeep.Mapping{
		Name: "all", To: to, Record: "r", From: s.relation(s.root, prefix),
		Translate: func(upkeep.Row) (upkeep.Fields, error) { return nil, nil },
	}
}

func (s *schema) relation(r *relation, prefix string) *upkeep.Relation {
	tb := s.tables[r.table]
	d := &upkeep.Relation{Table: prefix + tb.name, Via: r.via, To: r.to, Columns: r.columns}
	if r.where != nil {
		d.Where = quote(r.where.column) + map[bool]string{true: " > 1", false: " is not null"}[r.where.greater]
	}
	switch {
	case r.descending:
		d.Order = quote(tb.key[0].name) + " desc"
	case r.kind == store.HasOne: // of several rows it is the first
		d.Order = quoted(tb.key)
	}
	if r.count {
		d.Aggregates = append(d.Aggregates, upkeep.Aggregate{Name: "count", Func: "count"})
	}
	if r.sum != "" {
		d.Aggregates = append(d.Aggregates, upkeep.Aggregate{Name: "sum", Func: "sum", Column: r.sum})
	}
	for i, m := range r.members {
		if d.BelongsTo == nil {
			d.BelongsTo, d.HasOne, d.HasMany = map[string]*upkeep.Relation{}, map[string]*upkeep.Relation{}, map[string]*upkeep.Relation{}
		}
		into := map[store.Relation]map[string]*upkeep.Relation{store.BelongsTo: d.BelongsTo, store.HasOne: d.HasOne, store.HasMany: d.HasMany}[m.kind]
		child := s.relation(m, prefix)
		for j := range child.Aggregates {
			child.Aggregates[j].Name += fmt.Sprint(" of ", i)
		}
		into[fmt.Sprint("relation ", i)] = child
	}
	return d
}
