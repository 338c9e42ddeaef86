package upkeep

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// description is what the tags of a struct type say: the relations to load,
// and for each field where its value stands in a row.
type description struct {
	from   *Relation
	fields []described
}

type described struct {
	index  []int        // of the struct field, through embedded structs
	name   string       // in the Row
	field  string       // name of the field, for errors
	typ    reflect.Type // of the field
	member *description // of a relation
	many   bool
}

// describe reads the tags of T.
func describe[T any](table string) (*description, error) {
	t := reflect.TypeFor[T]()
	if t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct {
		return nil, fmt.Errorf("upkeep.Sync takes the struct type itself: upkeep.Sync[%s], not %s", t.Elem(), t)
	}
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("upkeep.Sync needs a struct type, not %s; use upkeep.Mapping for rows without one", t)
	}
	return describeType(t, &Relation{Table: table}, nil)
}

func describeType(t reflect.Type, from *Relation, above []reflect.Type) (*description, error) {
	if slices.Contains(above, t) {
		return nil, fmt.Errorf("%s contains itself: a composite must end somewhere, use a type of its own for the inner rows", shortType(t))
	}
	d := &description{from: from}
	if err := d.read(t, nil, append(slices.Clone(above), t)); err != nil {
		return nil, err
	}
	if len(d.fields) == 0 {
		return nil, fmt.Errorf("%s has no field with a db tag", shortType(t))
	}
	return d, nil
}

// read reads the tags of t's fields and of those of embedded structs, which
// stand at index. The error has every wrong one, a line each.
func (d *description) read(t reflect.Type, index []int, above []reflect.Type) error {
	var errs []error
	for i := range t.NumField() {
		f := t.Field(i)
		f.Index = append(slices.Clone(index), i)
		if err := d.field(f, above); err != nil {
			errs = append(errs, each(err, "%s.%s: ", shortType(t), f.Name))
		}
	}
	return errors.Join(errs...)
}

// shortType is a type's name in an error. Go writes an anonymous struct as its source.
func shortType(t reflect.Type) string {
	if t.Name() != "" {
		return t.String()
	}
	switch t.Kind() {
	case reflect.Struct:
		return "an anonymous struct"
	case reflect.Pointer:
		if name := shortType(t.Elem()); name != t.Elem().String() {
			return "a pointer to " + name
		}
	case reflect.Slice:
		if name := shortType(t.Elem()); name != t.Elem().String() {
			return "a slice of " + name
		}
	}
	return t.String()
}

// field reads the tags of one field.
func (d *description) field(f reflect.StructField, above []reflect.Type) error {
	if err := misspelled(f.Tag); err != nil {
		return err
	}
	if many := meanings(f.Tag); len(many) > 1 {
		return fmt.Errorf("it has the tags %s; a field has one of them", strings.Join(many, " and "))
	}
	if tag, ok := f.Tag.Lookup("db"); ok {
		if err := d.column(f, tag); err != nil {
			return err
		}
	} else if f.Anonymous {
		if err := d.embedded(f, above); err != nil {
			return err
		}
	}
	for _, kind := range relationTags {
		if tag, ok := f.Tag.Lookup(kind); ok {
			if err := d.relation(f, kind, tag, above); err != nil {
				return err
			}
		}
	}
	return nil
}

// meanings are the tags that say what a field is.
func meanings(tag reflect.StructTag) (all []string) {
	for _, key := range fieldTags {
		v, ok := tag.Lookup(key)
		if name, _, _ := strings.Cut(v, ","); ok && (key != "db" || name != "" && name != "-") {
			all = append(all, key)
		}
	}
	return all
}

// embedded reads an embedded struct as if its fields stood here.
func (d *description) embedded(f reflect.StructField, above []reflect.Type) error {
	if f.Type.Kind() == reflect.Struct {
		return d.read(f.Type, f.Index, above)
	}
	var inner description
	if f.Type.Kind() == reflect.Pointer && f.Type.Elem().Kind() == reflect.Struct && !slices.Contains(above, f.Type.Elem()) {
		inner.from = &Relation{}
		if err := inner.read(f.Type.Elem(), nil, append(slices.Clone(above), f.Type.Elem())); err != nil || len(inner.fields) > 0 {
			return fmt.Errorf("embed %s itself, not a pointer to it", f.Type.Elem())
		}
	}
	return nil
}

func (d *description) column(f reflect.StructField, tag string) error {
	name, _, _ := strings.Cut(tag, ",")
	if tag == "" {
		return errors.New(`the tag db is empty: write db:"column", or db:"-" for a field that is not loaded`)
	}
	if name == "" || name == "-" {
		return nil
	}
	if !f.IsExported() {
		return fmt.Errorf("a field with a db tag must be exported")
	}
	if err := decodable(f.Type); err != nil {
		return err
	}
	d.from.Columns = append(d.from.Columns, name)
	d.fields = append(d.fields, described{index: f.Index, name: name, field: f.Name, typ: f.Type})
	return nil
}

func (d *description) relation(f reflect.StructField, kind, tag string, above []reflect.Type) error {
	dot := strings.LastIndexByte(tag, '.')
	if dot < 1 || dot == len(tag)-1 || strings.Count(tag[:dot], `"`)%2 == 1 {
		return fmt.Errorf(`%s:"%s" must be "table.foreign_key"`, kind, tag)
	}
	if !f.IsExported() {
		return fmt.Errorf("a field with a %s tag must be exported", kind)
	}
	if slices.ContainsFunc(d.fields, func(o described) bool { return o.name == f.Name }) {
		return fmt.Errorf("the name %s is taken by another field with a tag", f.Name)
	}
	switch where, order := f.Tag.Get("where"), f.Tag.Get("order"); {
	case kind == "belongs_to" && (where != "" || order != ""):
		return errors.New("a belongs_to takes no where or order: it is the one row that the foreign key names")
	case kind == "count" && f.Tag.Get("column") != "":
		return errors.New("a count takes no column: it counts rows; leave out those without a value with where:\"column IS NOT NULL\"")
	case (kind == "count" || kind == "sum") && order != "":
		return fmt.Errorf("a %s takes no order: it is the same in any", kind)
	}
	rel := &Relation{Table: tag[:dot], Via: strings.Split(tag[dot+1:], "+"), Where: f.Tag.Get("where"), Order: f.Tag.Get("order")}
	if to := f.Tag.Get("to"); to != "" {
		rel.To = strings.Split(to, "+")
	}
	if kind == "count" || kind == "sum" {
		rel.OnlyAggregates = true
		rel.Aggregates = []Aggregate{{Name: f.Name, Func: kind, Column: f.Tag.Get("column")}}
		if kind == "sum" && f.Tag.Get("column") == "" {
			return fmt.Errorf(`a sum needs the column to sum: column:"amount"`)
		}
		if k := f.Type.Kind(); kind == "sum" && (k == reflect.Float32 || k == reflect.Float64) {
			return fmt.Errorf("a sum is exact and can't be read into %s; use decimal.Decimal", f.Type)
		}
		putRelation(&d.from.HasMany, f.Name, rel)
		d.fields = append(d.fields, described{index: f.Index, name: f.Name, field: f.Name, typ: f.Type})
		return decodable(f.Type)
	}
	elem := f.Type
	many := kind == "has_many"
	if many {
		if elem.Kind() != reflect.Slice {
			return fmt.Errorf("a has_many field must be a slice, not %s", shortType(f.Type))
		}
		if elem = elem.Elem(); elem.Kind() == reflect.Pointer {
			elem = elem.Elem()
		}
	} else if elem.Kind() != reflect.Pointer {
		return fmt.Errorf("a %s field must be a pointer (nil: there is none), not %s", kind, shortType(f.Type))
	} else {
		elem = elem.Elem()
	}
	if elem.Kind() != reflect.Struct {
		return fmt.Errorf("a %s field must lead to a struct, not %s", kind, elem)
	}
	member, err := describeType(elem, rel, above)
	if err != nil {
		return err
	}
	switch kind {
	case "belongs_to":
		putRelation(&d.from.BelongsTo, f.Name, rel)
	case "has_one":
		putRelation(&d.from.HasOne, f.Name, rel)
	default:
		putRelation(&d.from.HasMany, f.Name, rel)
	}
	d.fields = append(d.fields, described{index: f.Index, name: f.Name, field: f.Name, typ: f.Type, member: member, many: many})
	return nil
}

func putRelation(m *map[string]*Relation, name string, r *Relation) {
	if *m == nil {
		*m = map[string]*Relation{}
	}
	(*m)[name] = r
}

// decode fills the struct that v points at.
func (d *description) decode(r Row, v any) error { return d.fill(r, reflect.ValueOf(v).Elem()) }

func (d *description) fill(r Row, v reflect.Value) error {
	for _, f := range d.fields {
		field := v.FieldByIndex(f.index)
		var err error
		switch {
		case f.member == nil:
			// The row of an external id may be a key alone: see keyRow.
			if value, there := r[f.name]; there {
				err = assign(field, value)
			}
		case f.many:
			rows, _ := r[f.name].([]Row)
			list := reflect.MakeSlice(field.Type(), len(rows), len(rows))
			for i, row := range rows {
				one := list.Index(i)
				if one.Kind() == reflect.Pointer {
					one.Set(reflect.New(one.Type().Elem()))
					one = one.Elem()
				}
				if err = f.member.fill(row, one); err != nil {
					break
				}
			}
			field.Set(list)
		default:
			if row, ok := r[f.name].(Row); ok && row != nil {
				one := reflect.New(field.Type().Elem())
				err = f.member.fill(row, one.Elem())
				field.Set(one)
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return nil
}
