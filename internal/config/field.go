package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/mapping"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// field is a value to send: a literal, an expression, or a map or a list of
// such.
type field struct {
	literal any
	source  *expression
	code    *mapping.Expression
	names   []string // of a map, with items
	items   []*field
	list    bool
}

// code reads an expression and notes the syncs that it names. s may be nil.
func (r *reader) code(s *syncDecl, v *value, what string) *expression {
	if v.kind != text {
		r.fail(v.at, fmt.Sprintf("must be %s, not %s", what, v.kind), "")
		return nil
	}
	e := r.expression(v)
	refs, err := mapping.Parse(e.source)
	if err != nil {
		if help := r.cut(v); help != "" {
			err.Help = help
		}
		r.failIn(e, err)
		return nil
	}
	if s != nil {
		for _, ref := range refs {
			s.refers = append(s.refers, named{ref.Sync, r.placeIn(v, ref.From)})
		}
	}
	return e
}

// failIn reports a problem inside an expression.
func (r *reader) failIn(e *expression, err *mapping.Error) {
	help := err.Help
	if help == "" {
		help = r.cut(e.at)
	}
	if help == "" && closureMap.MatchString(e.source) {
		help = "a map inside a closure is written with two braces: map(lines, {{item: .sku}})"
	}
	r.fail(r.placeIn(e.at, err.From), err.Message, help)
}

func (r *reader) fields(s *syncDecl, v *value) *field {
	f := &field{}
	if v.kind == nothing {
		r.fail(v.at, "there are no fields", "write the remote's fields, each with an expression")
		return f
	}
	if r.is(v, object) {
		f = r.field(s, v)
	}
	return f
}

var (
	numeric = regexp.MustCompile(`^[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?$`)
	dateish = regexp.MustCompile(`^\d{4}-\d\d-\d\d`)
)

func (r *reader) field(s *syncDecl, v *value) *field {
	f := &field{}
	switch v.kind {
	case nothing:
		if v.text == "" {
			r.fail(v.at, "has no value", "write an expression, or null to clear the field")
		}
	case object:
		for i, e := range v.entries {
			switch {
			case i > 0 && e.bare && r.goesOn(v.entries[i-1].value): // was reported with that one
				continue
			case half(e):
				r.fail(e.at, fmt.Sprintf("the field's name %q looks like the first half of an expression", e.key), "put the expression in quotes; or the name, if it is one")
				continue
			}
			f.names = append(f.names, e.key)
			f.items = append(f.items, r.field(s, e.value))
		}
		if f.names == nil {
			f.names = []string{}
		}
	case sequence:
		f.list = true
		for i, e := range v.items {
			if i > 0 && e.style == plain && r.goesOn(v.items[i-1]) {
				continue
			}
			f.items = append(f.items, r.field(s, e))
		}
	case boolean:
		f.literal = v.text == "true"
	case number:
		f.literal, _ = r.numberOf(v)
	case text:
		switch {
		case v.style == plain && numeric.MatchString(v.text):
			f.literal, _ = r.numberOf(v)
		case v.style == plain && dateish.MatchString(v.text):
			r.fail(v.at, "a date must be written as one", fmt.Sprintf(`write 'date("%.10s")'`, v.text))
		default:
			f.source = r.code(s, v, "an expression")
		}
	}
	return f
}

// numberOf is an exact number: an int64 or a decimal.
func (r *reader) numberOf(v *value) (any, bool) {
	s := strings.ReplaceAll(v.text, "_", "")
	digits := strings.TrimLeft(s, "+-")
	if len(digits) > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9' {
		r.fail(v.at, "a number must not begin with 0", fmt.Sprintf(`if it is text, like a postal code, write '"%s"'`, v.text))
		return nil, false
	}
	if i, err := strconv.ParseInt(s, 0, 64); err == nil {
		return i, true
	}
	d, err := decimal.NewFromString(s)
	if err != nil || len(s) > 100 || d.Exponent() > 100 || d.Exponent() < -100 {
		r.fail(v.at, "is not a number that can be sent", "")
		return nil, false
	}
	return d, true
}

// compile is the field with its expressions compiled; nil for nil.
func (f *field) compile(r *reader, scope *mapping.Scope) *field {
	if f == nil {
		return nil
	}
	out := *f
	out.items = make([]*field, len(f.items))
	for i, e := range f.items {
		out.items[i] = e.compile(r, scope)
	}
	if f.source != nil {
		out.code = r.compile(scope, f.source, mapping.Value)
	}
	return &out
}

// compile compiles an expression; nil when it has a problem, or is nil.
func (r *reader) compile(scope *mapping.Scope, e *expression, want mapping.Want) *mapping.Expression {
	if e == nil {
		return nil
	}
	own := *scope
	own.Constants = e.constants
	own.Doubt = func(d *mapping.Error) { r.doubt(r.placeIn(e.at, d.From), d.Message, d.Help) }
	code, errs := own.Compile(e.source, want)
	for _, err := range errs {
		r.failIn(e, err)
	}
	return code
}

// eval computes a field for a row.
func (f *field) eval(row store.Row) (any, error) {
	switch {
	case f.code != nil:
		v, err := f.code.Eval(row)
		return spelled(v), err
	case f.names != nil:
		out := make(map[string]any, len(f.names))
		for i, name := range f.names {
			v, err := f.items[i].eval(row)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			out[name] = v
		}
		return out, nil
	case f.list:
		out := make([]any, len(f.items))
		for i, e := range f.items {
			v, err := e.eval(row)
			if err != nil {
				return nil, fmt.Errorf("[%d]: %w", i, err)
			}
			out[i] = v
		}
		return out, nil
	}
	return f.literal, nil
}

// columns are the top-level fields with what is known of their values.
func (f *field) columns() []connector.Column {
	var out []connector.Column
	for i, name := range f.names {
		out = append(out, f.items[i].column(name))
	}
	return out
}

// column is what is known of a field's values.
func (f *field) column(name string) connector.Column {
	switch {
	case f.code != nil:
		return f.code.Column(name)
	case f.names != nil:
		return connector.Column{Name: name, Type: connector.JSON}
	case f.list:
		return connector.Column{Name: name, Type: connector.List}
	}
	return connector.Column{Name: name, Type: upkeep.TypeOf(f.literal)}
}

// refersTo collects the syncs that the expressions name.
func (f *field) refersTo(into map[string]bool) {
	if f == nil {
		return
	}
	for _, i := range f.items {
		i.refersTo(into)
	}
	if f.code != nil {
		for _, s := range f.code.RefersTo() {
			into[s] = true
		}
	}
}

// spelled has the first moment of the year 1, which a row may hold, as the text
// that is sent for it. As a time it would be Go's zero one, which a program has
// that set none, and which is refused.
func spelled(v any) any {
	switch v := v.(type) {
	case time.Time:
		if v.IsZero() {
			return v.UTC().Format(time.RFC3339Nano)
		}
	case []any: // what holds times was made by the expression
		for i, e := range v {
			v[i] = spelled(e)
		}
	case map[string]any:
		for k, e := range v {
			v[k] = spelled(e)
		}
	}
	return v
}
