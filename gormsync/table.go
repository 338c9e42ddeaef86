package gormsync

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/internal/spelling"
)

// table is what is loaded of one model: the columns and relations that were
// asked for.
type table struct {
	relation *upkeep.Relation
	columns  []*schema.Field
	deleted  *schema.Field // the model's gorm.DeletedAt; nil: it has none
	members  []member
}

type member struct {
	name  string // in the Row, and of the Go field
	field *schema.Field
	many  bool
	*table
}

// wish is what is asked for of one model.
type wish struct {
	columns   []string // of the database
	relations map[string]*wish
}

// read makes the tables that the paths in load lead through.
func read(s *schema.Schema, load []string) (*table, error) {
	var asked wish
	var errs []error
	for _, path := range load {
		errs = append(errs, asked.add(s, path))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return build(s, &asked)
}

// add notes one path, "Lines.Price".
func (w *wish) add(s *schema.Schema, path string) error {
	for rest := path; ; {
		if f := s.FieldsByBindName[rest]; f != nil && f.DBName != "" { // also "Address.City" of an embedded struct
			if !f.Readable {
				return fmt.Errorf("Load %q: GORM never reads %s of %s, which its tag makes write-only (->:false): leave it out, or let it be read", path, f.Name, s.Name)
			}
			w.columns = append(w.columns, f.DBName)
			return nil
		}
		name, below, deeper := strings.Cut(rest, ".")
		if rel := s.Relationships.Relations[name]; rel != nil {
			if w.relations == nil {
				w.relations = map[string]*wish{}
			}
			if w.relations[name] == nil {
				w.relations[name] = &wish{}
			}
			if !deeper {
				return nil
			}
			w, s, rest = w.relations[name], rel.FieldSchema, below
			continue
		}
		if own := embedded(s, rest); len(own) > 0 {
			w.columns = append(w.columns, own...)
			return nil
		}
		f := s.FieldsByName[name]
		switch {
		case deeper && len(embedded(s, name)) > 0:
			return fmt.Errorf("Load %q: the embedded %s of %s has no column %s%s; of columns it has %s", path, name, s.Name, below, spelling.DidYouMean(rest, columnNames(s)), strings.Join(columnNames(s), ", "))
		case deeper:
			return fmt.Errorf("Load %q: %s has no relation %s%s; it has %s", path, s.Name, name, spelling.DidYouMean(name, relationNames(s)), orNone(relationNames(s)))
		case f == nil || f.DBName == "":
			all := append(columnNames(s), relationNames(s)...)
			return fmt.Errorf("Load %q: %s has no column or relation %s%s; it has %s", path, s.Name, name, spelling.DidYouMean(name, all), strings.Join(all, ", "))
		}
		w.columns = append(w.columns, f.DBName)
		return nil
	}
}

// embedded are the columns of the embedded struct with this name, but for the
// time of update that GORM keeps.
func embedded(s *schema.Schema, name string) (columns []string) {
	for _, f := range s.Fields {
		if f.DBName != "" && f.Readable && f.AutoUpdateTime == 0 && strings.HasPrefix(f.BindName(), name+".") {
			columns = append(columns, f.DBName)
		}
	}
	return columns
}

// relationNames are those that can be loaded. GORM has some of its own there.
func relationNames(s *schema.Schema) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(s.Relationships.Relations)) {
		if rel := s.Relationships.Relations[name]; rel.Type != schema.Many2Many && s.FieldsByName[name] != nil && s.FieldsByName[name] == rel.Field {
			names = append(names, name)
		}
	}
	return names
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

func columnNames(s *schema.Schema) (all []string) {
	for _, f := range s.Fields {
		if f.DBName == "" {
			continue
		}
		name := f.Name
		if top, _ := s.ModelType.FieldByName(f.BindNames[0]); len(f.BindNames) > 1 && !top.Anonymous {
			name = f.BindName()
		}
		all = append(all, name)
	}
	return all
}

func build(s *schema.Schema, asked *wish) (*table, error) {
	t := &table{relation: &upkeep.Relation{Table: s.Table}}
	for _, f := range s.Fields {
		if f.DBName == "" {
			continue
		}
		soft := f.FieldType == reflect.TypeFor[gorm.DeletedAt]()
		if soft {
			t.deleted = f
		}
		all := len(asked.columns) == 0 && f.Readable && f.AutoUpdateTime == 0
		if all || soft || f.PrimaryKey || slices.Contains(asked.columns, f.DBName) {
			t.columns = append(t.columns, f)
			t.relation.Columns = append(t.relation.Columns, f.DBName)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(asked.relations)) {
		if err := t.join(s.Relationships.Relations[name], asked.relations[name]); err != nil {
			return nil, fmt.Errorf("relation %s: %w", name, err)
		}
	}
	return t, nil
}

// join hangs a related model on t.
func (t *table) join(rel *schema.Relationship, asked *wish) error {
	to, err := build(rel.FieldSchema, asked)
	if err != nil {
		return err
	}
	var conditions []string
	for _, ref := range rel.References {
		switch {
		case ref.PrimaryValue != "": // the type of a polymorphic relation
			conditions = append(conditions, quote(ref.ForeignKey.DBName)+" = '"+strings.ReplaceAll(ref.PrimaryValue, "'", "''")+"'")
		default:
			to.relation.Via = append(to.relation.Via, ref.ForeignKey.DBName)
			to.relation.To = append(to.relation.To, ref.PrimaryKey.DBName)
		}
	}
	into := &t.relation.HasMany
	switch rel.Type {
	case schema.BelongsTo:
		into = &t.relation.BelongsTo
	case schema.HasOne:
		into = &t.relation.HasOne
	case schema.HasMany:
	default:
		return fmt.Errorf("a %s can't be loaded; declare the join table %s as a model of its own", rel.Type, joinTable(rel))
	}
	if to.deleted != nil && rel.Type != schema.BelongsTo {
		conditions = append(conditions, quote(to.deleted.DBName)+" IS NULL")
	}
	to.relation.Where = strings.Join(conditions, " AND ")
	if *into == nil {
		*into = map[string]*upkeep.Relation{}
	}
	(*into)[rel.Name] = to.relation
	t.members = append(t.members, member{name: rel.Name, field: rel.Field, many: rel.Type == schema.HasMany, table: to})
	return nil
}

func joinTable(rel *schema.Relationship) string {
	if rel.JoinTable == nil {
		return ""
	}
	return rel.JoinTable.Table
}

// quote quotes an identifier, for PostgreSQL and SQLite.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// gone says whether a row is soft deleted.
func (t *table) gone(r upkeep.Row) bool { return t.deleted != nil && r[t.deleted.DBName] != nil }

// fill sets the fields of a model from a row.
func (t *table) fill(ctx context.Context, r upkeep.Row, into reflect.Value) error {
	for _, f := range t.columns {
		if err := set(ctx, f, into, r[f.DBName]); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	for _, m := range t.members {
		if err := m.set(ctx, r[m.name], m.field.ReflectValueOf(ctx, into)); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return nil
}

// set sets a relation: a struct or a slice, each also by pointer.
func (m *member) set(ctx context.Context, v any, into reflect.Value) error {
	if rows, many := v.([]upkeep.Row); many {
		list := into
		if into.Kind() == reflect.Pointer {
			into.Set(reflect.New(into.Type().Elem()))
			list = into.Elem()
		}
		list.Set(reflect.MakeSlice(list.Type(), len(rows), len(rows)))
		for i, row := range rows {
			if err := m.fill(ctx, row, target(list.Index(i))); err != nil {
				return err
			}
		}
		return nil
	}
	row, _ := v.(upkeep.Row)
	if row == nil || m.gone(row) {
		return nil
	}
	return m.fill(ctx, row, target(into))
}

// target is the struct that v is or, made first, points at.
func target(v reflect.Value) reflect.Value {
	for v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	return v
}
