package warehouse

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/connector"
)

// wanted is what all uses of one table need of it.
type wanted struct {
	settings
	uses    []connector.Use
	by      map[string]connector.Use // the first use that has a column
	columns map[string]connector.Column
	typed   bool
}

func (c *Connection) compare(ctx context.Context, q querier, uses []connector.Use) *plan {
	p := &plan{}
	var all []*wanted
	byType := map[string]*wanted{}
	for _, u := range uses {
		if u.Initialized {
			p.blame(u, "", "a row can't be initialized from another record; use fields")
		}
		w := byType[u.Type]
		if w == nil {
			s, err := c.config.table(u.Type)
			if err != nil {
				p.blame(u, "", "%w", err)
				continue
			}
			w = &wanted{settings: s, by: map[string]connector.Use{}, columns: map[string]connector.Column{}}
			byType[u.Type] = w
			all = append(all, w)
		}
		w.add(p, u)
	}
	made := map[string]bool{} // schemas and tombstones
	for _, w := range all {
		if err := c.compareTable(ctx, q, p, w, made); err != nil {
			p.problems = append(p.problems, c.judged(ctx, err))
			return p
		}
	}
	return p
}

// add puts a use's columns in.
func (w *wanted) add(p *plan, u connector.Use) {
	w.uses = append(w.uses, u)
	w.typed = w.typed || u.Columns != nil || len(u.Fields) > 0
	columns := slices.Clone(u.Columns)
	for _, f := range u.Fields {
		if !slices.ContainsFunc(columns, func(c connector.Column) bool { return c.Name == f }) {
			columns = append(columns, connector.Column{Name: f})
		}
	}
	for _, c := range columns {
		have, there := w.columns[c.Name]
		if !there {
			w.by[c.Name] = u
		}
		switch {
		case w.isOwn(c.Name):
			p.blame(u, c.Name, "the field %s has the name of a column that the connector keeps itself; give that one another name with columns, or rename the field", c.Name)
		case there && have.Type != c.Type && have.Type != connector.AnyType && c.Type != connector.AnyType:
			p.blame(u, c.Name, "the field %s is %s, and %s in another sync of the same table", c.Name, c.Type, have.Type)
		case !there || have.Type == connector.AnyType:
			w.columns[c.Name] = c
		}
	}
}

// listTable says whether a field's elements go to a table of their own.
func (w *wanted) listTable(c connector.Column) bool {
	return w.asTables && c.Type == connector.List && c.List != nil && w.types[c.Name] == ""
}

func (c *Connection) compareTable(ctx context.Context, q querier, p *plan, w *wanted, made map[string]bool) error {
	for _, name := range []string{w.schema, w.name, w.own.Key, w.own.Version, w.own.SyncedAt, w.own.DeletedAt} {
		if bad := c.dialect.named(name); bad != "" {
			p.blame(w.uses[0], "", "%s: the name %q %s", w.place, name, bad)
			return nil
		}
	}
	_, schemaThere, err := c.dialect.tables(ctx, q, w.schema, "\x01")
	if err != nil {
		return err
	}
	r := rights{place: w.place, delete: !w.soft || w.asTables}
	if !schemaThere && !made[w.schema] {
		statement := c.dialect.makeSchema(w.schema)
		if statement == "" {
			p.blame(w.uses[0], "", "there is no schema %s", w.schema)
			return nil
		}
		made[w.schema] = true
		p.steps = append(p.steps, step{"schema " + w.schema, statement, w.uses[0], ""})
	}
	if err := c.lists(ctx, q, w); err != nil {
		return err
	}
	key := []definition{{w.own.Key, c.dialect.typeOf(connector.Text), " NOT NULL PRIMARY KEY"}}
	var fields []definition
	for _, name := range slices.Sorted(maps.Keys(w.columns)) {
		if column := w.columns[name]; !w.listTable(column) {
			fields = append(fields, definition{name: name, typ: c.columnType(w, column)})
		}
	}
	now := c.dialect.typeOf(connector.Time)
	own := []definition{{w.own.SyncedAt, now, ""}, {w.own.Version, c.dialect.typeOf(connector.Integer), " NOT NULL DEFAULT 0"}}
	if w.soft {
		own = append(own, definition{w.own.DeletedAt, now, ""})
	}
	before := len(p.steps)
	f, err := c.dialect.table(ctx, q, w.place)
	if err != nil {
		return err
	}
	if f != nil {
		c.compareKey(p, w, f)
	} else if !w.typed {
		p.blame(w.uses[0], "", "there is no table %s, and the sync does not say which columns it needs: make it, or declare Columns", w.place)
		return nil
	}
	c.compareColumns(p, w.place, f, slices.Concat(key, fields, own), "", w)
	r.exists, r.alters = f != nil, f != nil && len(p.steps) > before
	for _, name := range slices.Sorted(maps.Keys(w.columns)) {
		if column := w.columns[name]; w.listTable(column) {
			if err := c.compareList(ctx, q, p, w, column); err != nil {
				return err
			}
		}
	}
	if !w.soft {
		if err := c.compareTombstones(ctx, q, p, w, made); err != nil {
			return err
		}
	}
	r.makes = len(p.steps) > before && c.config.creates()
	r.alters = r.alters && c.config.creates()
	if schemaThere {
		p.problems = append(p.problems, c.dialect.rights(ctx, q, r)...)
	}
	return nil
}

// lists drops the fields of which nothing is known but that a list's table is
// there for them.
func (c *Connection) lists(ctx context.Context, q querier, w *wanted) error {
	for _, name := range slices.Sorted(maps.Keys(w.columns)) {
		column := w.columns[name]
		if !w.asTables || column.List != nil || column.Type != connector.AnyType && column.Type != connector.List || c.dialect.named(w.child(name).name) != "" {
			continue
		}
		f, err := c.dialect.table(ctx, q, w.child(name))
		if err != nil {
			return err
		}
		if childOf(f, w.child(name), name, w.own.Key) != nil {
			delete(w.columns, name)
		}
	}
	return nil
}

// definition is a column as it is made.
type definition struct{ name, typ, more string }

// columnType is the type that a field's column is made with.
func (c *Connection) columnType(w *wanted, column connector.Column) string {
	if t := w.types[column.Name]; t != "" {
		return t
	}
	return c.dialect.typeOf(column.Type)
}

// blame is a problem of a column: of the use that has it as a field, if any has.
func (w *wanted) blame(p *plan, column, format string, args ...any) {
	if u, ok := w.by[column]; ok {
		p.blame(u, column, format, args...)
		return
	}
	p.problem(format, args...)
}

// compareColumns compares a table's columns with those that it should have; no
// table at all makes one.
func (c *Connection) compareColumns(p *plan, at place, f *found, want []definition, constraints string, w *wanted) {
	var columns, made []string
	before := len(p.problems)
	for _, d := range want {
		if bad := c.dialect.named(d.name); bad != "" {
			w.blame(p, d.name, "%s: the column name %q %s", at, clip(d.name), bad)
		}
		made = append(made, c.dialect.quote(d.name)+" "+d.typ+d.more)
		columns = append(columns, d.name+" "+d.typ)
	}
	if len(p.problems) > before {
		return
	}
	if f == nil {
		var use connector.Use // none, of a table of the connector's own
		if len(w.uses) > 0 {
			use = w.uses[0]
		}
		p.steps = append(p.steps, step{"table " + at.String() + " (" + strings.Join(columns, ", ") + ")",
			"CREATE TABLE " + c.dialect.place(at) + " (" + strings.Join(made, ", ") + constraints + ")", use, ""})
		return
	}
	for i, d := range want {
		have, there := f.column(d.name)
		switch {
		case !there && d.name == w.own.Key:
			p.problem("the table %s has no column %s for the external id: add it as a unique key, or name the one that there is with columns: {key: ...}", at, d.name)
		case !there:
			use, field := w.by[d.name], "" // none, of a column of the connector's own
			if use.Sync != "" {
				field = d.name
			}
			p.steps = append(p.steps, step{"column " + at.String() + "." + columns[i], "ALTER TABLE " + c.dialect.place(at) + " ADD COLUMN " + made[i], use, field})
		case !c.fits(w, d, have):
			w.blame(p, d.name, "the column %s.%s is %s, and its values are %s: change its type yourself (ALTER TABLE %s ALTER COLUMN %s TYPE %s), keep it with types: {%s: %q} if every value fits, or send the field under another name",
				at, d.name, have.typ, c.valuesOf(w, d), c.dialect.place(at), c.dialect.quote(d.name), d.typ, d.name, have.typ)
		}
	}
	for _, have := range f.columns {
		if have.needed && !slices.ContainsFunc(want, func(d definition) bool { return d.name == have.name }) {
			p.problem("the column %s.%s may not be null and has no default, and no field is sent to it: rows can't be made", at, have.name)
		}
	}
}

// fits says whether a column keeps what is to be in it.
func (c *Connection) fits(w *wanted, d definition, have column) bool {
	if field, ok := w.columns[d.name]; ok && w.types[d.name] == "" && !w.listTable(field) {
		return have.class.holds(field.Type)
	}
	return have.class == c.dialect.class(d.typ)
}

func (c *Connection) valuesOf(w *wanted, d definition) string {
	if field, ok := w.columns[d.name]; ok && w.types[d.name] == "" {
		return field.Type.String()
	}
	return d.typ
}

// compareKey looks whether rows can be told apart by the key, which an upsert
// needs.
func (c *Connection) compareKey(p *plan, w *wanted, f *found) {
	have, there := f.column(w.own.Key)
	if !there {
		return
	}
	if !slices.Contains(f.unique, w.own.Key) {
		p.problem("the column %s.%s is not unique by itself: make it the primary key, or add a unique index (CREATE UNIQUE INDEX ON %s (%s))",
			w.place, have.name, c.dialect.place(w.place), c.dialect.quote(have.name))
	}
}

// compareList is for the table of a list's elements.
func (c *Connection) compareList(ctx context.Context, q querier, p *plan, w *wanted, list connector.Column) error {
	at := w.child(list.Name)
	if bad := c.dialect.named(at.name); bad != "" {
		w.blame(p, list.Name, "the name of the table for the list %s, %s, %s: keep it as jsonb with types: {%s: jsonb}", list.Name, at, bad, list.Name)
		return nil
	}
	f, err := c.dialect.table(ctx, q, at)
	if err != nil {
		return err
	}
	quote := c.dialect.quote
	want := []definition{{w.own.Key, c.dialect.typeOf(connector.Text), " NOT NULL REFERENCES " + c.dialect.reference(w.place, w.own.Key) + " ON DELETE CASCADE"},
		{position, c.dialect.typeOf(connector.Integer), " NOT NULL"}}
	elements := &wanted{settings: w.settings, columns: map[string]connector.Column{}}
	elements.types, elements.asTables = nil, false // a list in a list is JSON
	for _, column := range list.List {
		if column.Name == "" {
			column.Name = value
		}
		if column.Name == w.own.Key || column.Name == position {
			w.blame(p, list.Name, "the list %s has a field %s, which is the name of a column that the connector keeps itself: rename it, or keep the list as jsonb with types: {%s: jsonb}", list.Name, column.Name, list.Name)
			return nil
		}
		elements.columns[column.Name] = column
		want = append(want, definition{name: column.Name, typ: c.dialect.typeOf(column.Type)})
	}
	c.compareColumns(p, at, f, want, ", PRIMARY KEY ("+quote(w.own.Key)+", "+quote(position)+")", elements)
	return nil
}

// compareTombstones is for the table that remembers deleted rows.
func (c *Connection) compareTombstones(ctx context.Context, q querier, p *plan, w *wanted, made map[string]bool) error {
	at := w.tombstone
	if made[at.String()] {
		return nil
	}
	made[at.String()] = true
	f, err := c.dialect.table(ctx, q, at)
	if err != nil {
		return err
	}
	txt, now := c.dialect.typeOf(connector.Text), c.dialect.typeOf(connector.Time)
	before := len(p.steps)
	c.compareColumns(p, at, f, []definition{{"table_name", txt, " NOT NULL"}, {"external_id", txt, " NOT NULL"},
		{"version", c.dialect.typeOf(connector.Integer), " NOT NULL"}, {"deleted_at", now, " NOT NULL"}},
		", PRIMARY KEY (table_name, external_id)", &wanted{settings: w.settings})
	if f == nil {
		p.steps = append(p.steps, step{"index of " + at.String(), c.dialect.makeIndex(at, "table_name, deleted_at"), connector.Use{}, ""})
	}
	if f != nil && len(p.steps) == before {
		p.problems = append(p.problems, c.dialect.rights(ctx, q, rights{place: at, exists: true, delete: true})...)
	}
	return nil
}
