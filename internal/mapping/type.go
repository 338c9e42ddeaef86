package mapping

import (
	"maps"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/store"
)

type kind int

const (
	bad       kind = iota // an error was reported already
	null                  // the literal nil
	integer               // int64
	decimals              // decimal.Decimal, or int64
	float                 // float64, or the two above
	text                  // string
	boolean               // bool
	date                  // store.Civil
	instant               // time.Time
	binary                // []byte
	open                  // any: a JSON value, or one of several kinds
	row                   // store.Row
	list                  // []store.Row or []any
	object                // map[string]any with known names
	reference             // whatever Scope.Ref makes
)

var kindWords = [...]string{
	"unknown", "null", "integer", "decimal", "float", "text", "boolean", "date", "time", "bytes", "json",
	"row", "list", "map", "reference",
}

var columnKinds = map[store.Kind]kind{
	store.Other: text, store.Int: integer, store.Decimal: decimals, store.Float: float, store.Text: text,
	store.Bool: boolean, store.Date: date, store.Time: instant, store.Bytes: binary, store.JSON: open,
}

// Type is what is known of a value before it is there.
type Type struct {
	kind   kind
	null   bool            // may be null
	table  *Table          // of a row
	elem   *Type           // of a list
	fields map[string]Type // of an object
	values []string        // of a text: all that it can be; nil: anything
	of     string          // the column that says so, or what is made of it; empty: the expression itself does
	ranked bool            // values are the labels of an enum, in its order
}

// String is the type in words: "list of integer", "text or null".
func (t Type) String() string {
	s := kindWords[t.kind]
	switch t.kind {
	case row:
		s = "row of " + t.table.Info.Name
	case list:
		s = "list of " + t.elem.String()
	case object:
		s = "map with " + strings.Join(slices.Sorted(maps.Keys(t.fields)), ", ")
	}
	if t.null && t.kind != null {
		s += " or null"
	}
	return s
}

func (t Type) orNull() Type { t.null = true; return t }

func (t Type) is(kinds ...kind) bool {
	return t.kind == bad || slices.Contains(kinds, t.kind)
}

func (t Type) number() bool { return t.is(integer, decimals, float) }

func listOf(t Type) Type { return Type{kind: list, elem: &t} }

// widen notes that every row inside a value of type t is used whole.
func (t Type) widen() {
	switch t.kind {
	case row:
		t.table.readAll()
	case list:
		t.elem.widen()
	case object:
		for _, f := range t.fields {
			f.widen()
		}
	}
}

// hasRows says whether a value of type t holds rows.
func (t Type) hasRows() bool {
	switch t.kind {
	case row:
		return true
	case list:
		return t.elem.hasRows()
	case object:
		for _, f := range t.fields {
			if f.hasRows() {
				return true
			}
		}
	}
	return false
}

// plain makes maps of their columns from the rows in a value, so that what is
// sent does not depend on what else was loaded with them.
func (t Type) plain(v any) any {
	if v == nil || !t.hasRows() {
		return v
	}
	switch t.kind {
	case row:
		r := v.(store.Row)
		m := make(map[string]any, len(t.table.Info.Columns))
		for _, c := range t.table.Info.Columns {
			m[c.Name] = r[c.Name]
		}
		return m
	case list:
		out := make([]any, 0, size(v))
		for e := range each(v) {
			out = append(out, t.elem.plain(e))
		}
		return out
	default:
		m := v.(map[string]any)
		out := make(map[string]any, len(m))
		for k, e := range m {
			out[k] = t.fields[k].plain(e)
		}
		return out
	}
}

// unify is the type of a value that is of type a or of type b. Values of
// different simple kinds are open; false when the two can't stand together.
func unify(a, b Type) (Type, bool) {
	nullable := a.null || b.null
	switch {
	case a.kind == bad || b.kind == bad:
		return Type{}, true
	case a.kind == null:
		return b.orNull(), true
	case b.kind == null:
		return a.orNull(), true
	case a.number() && b.number():
		return Type{kind: max(a.kind, b.kind), null: nullable}, true
	case a.kind == row || b.kind == row:
		a.null = nullable
		return a, a.kind == b.kind && a.table == b.table
	case a.kind == list && b.kind == list:
		elem, ok := unify(*a.elem, *b.elem)
		return Type{kind: list, elem: &elem, null: nullable}, ok
	case a.kind == object && b.kind == object:
		return unifyObjects(a, b, nullable)
	case a.kind == b.kind:
		return a.either(b), true
	case a.kind == reference || b.kind == reference || a.hasRows() || b.hasRows():
		return Type{}, false
	}
	return Type{kind: open, null: nullable}, true
}

func unifyObjects(a, b Type, nullable bool) (Type, bool) {
	out := Type{kind: object, null: nullable, fields: map[string]Type{}}
	for name, f := range a.fields {
		out.fields[name] = f.orNull()
	}
	for name, f := range b.fields {
		have, both := a.fields[name]
		if !both {
			out.fields[name] = f.orNull()
			continue
		}
		u, ok := unify(have, f)
		if !ok {
			return out, false
		}
		out.fields[name] = u
	}
	return out, true
}
