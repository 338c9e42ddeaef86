package upkeep

import (
	"cmp"
	"database/sql"
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// samples are values of a kind of column. A field that takes none of them
// would refuse every row, which is better said before anything runs. What is
// not here (JSON, bytes) can't be told without real values.
var samples = map[store.Kind][]any{
	store.Int:     {int64(1), int64(0)},
	store.Decimal: {decimal.New(15, -1), decimal.New(1, 0)},
	store.Float:   {1.5, 1.0},
	store.Text:    {"x", "y"},
	store.Other:   {"x", "y"}, // intervals, ranges, arrays: as the database writes them
	store.Bool:    {true, false},
	store.Date:    {Date{Year: 2026, Month: time.January, Day: 2}, Date{Year: 2026, Month: time.January, Day: 3}},
	store.Time:    {time.Unix(0, 0).UTC(), time.Unix(1, 0).UTC()},
}

// unfit is one thing in which a declaration does not fit the tables.
type unfit struct {
	err error
	fix string // what to do; empty: the error says it

	table string // that is to blame; empty: none
}

func (u *unfit) Error() string {
	if u.fix == "" {
		return u.err.Error()
	}
	return u.err.Error() + "; " + u.fix
}

func (u *unfit) Unwrap() error { return u.err }

// misfits compares the fields of a struct with the columns of a member that
// was resolved: wrong says which fields can't take their column's values, and
// nullable which can take them, but not a NULL that may come.
func (d *description) misfits(m *store.Member) (wrong, nullable []*unfit) { return d.misfitsAt("", m) }

func (d *description) misfitsAt(path string, m *store.Member) (wrong, nullable []*unfit) {
	for _, f := range d.fields {
		if f.member != nil {
			for _, below := range m.Members {
				if below.Name == f.name {
					w, n := f.member.misfitsAt(strings.TrimPrefix(path+"."+f.name, "."), below)
					wrong, nullable = append(wrong, w...), append(nullable, n...)
				}
			}
			continue
		}
		for _, c := range m.Columns {
			if c.Name != f.name {
				continue
			}
			if err := misfit(f.typ, c); err != nil {
				what, fix, _ := strings.Cut(err.Error(), "; ")
				wrong = append(wrong, &unfit{err: fmt.Errorf("%scolumn %s of %s (%s) and the field %s: %s", of(path), c.Name, m.Table, c.Type, f.field, what),
					fix: cmp.Or(fix, "give the field a type that takes what the column holds")})
			} else if c.Nullable && assign(reflect.New(f.typ).Elem(), nil) != nil {
				nullable = append(nullable, &unfit{err: fmt.Errorf("%scolumn %s of %s may be NULL and the field %s can't: a row with NULL is refused", of(path), c.Name, m.Table, f.field),
					fix: fmt.Sprintf("make the field a pointer (*%s), or the column not null", pointedTo(f.typ))})
			}
		}
	}
	return wrong, nullable
}

// misfit says why no value of the column can be read into the type; nil if one can.
func misfit(t reflect.Type, c store.Column) (err error) {
	k, own := c.Kind, t
	if t.Kind() == reflect.Pointer {
		own = t.Elem()
	}
	if readsItself(own) {
		return nil // it takes some values and not others
	}
	if k == store.Other && strings.HasSuffix(c.Type, "[]") && listField(t) {
		if sample := arraySample(c.Type); sample != "" {
			return assign(reflect.New(t).Elem(), sample)
		}
		return nil // it takes some arrays and not others
	}
	if isText := k == store.Text || k == store.Other; isText && reflect.PointerTo(own).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return nil // it takes some texts and not others
	}
	values := samples[k]
	if isText := k == store.Text || k == store.Other; isText && reflect.PointerTo(own).Implements(reflect.TypeFor[sql.Scanner]()) {
		if values = written(c); values == nil {
			return nil // nobody knows what the column holds
		}
	}
	for _, v := range values {
		if err = assign(reflect.New(t).Elem(), v); err == nil {
			return nil
		}
	}
	return err
}

// written are texts as the database writes them in a column, for a type that
// reads them itself; nil for types of columns that are not known here.
func written(c store.Column) []any {
	// "time(3) without time zone", "bit(4)"
	before, after, _ := strings.Cut(c.Type, "(")
	if _, after, found := strings.Cut(after, ")"); found {
		before += after
	}
	switch strings.ToLower(before) {
	case "uuid":
		return []any{aUUID}
	case "interval":
		return []any{"1 mon 2 days 03:04:05"}
	case "time without time zone", "time":
		return []any{"03:04:05"}
	case "bit", "bit varying":
		return []any{"1010"}
	case "point":
		return []any{"(1,2)"}
	case "line":
		return []any{"{1,2,3}"}
	case "box":
		return []any{"(3,4),(1,2)"}
	case "lseg", "path":
		return []any{"[(1,2),(3,4)]"}
	case "polygon":
		return []any{"((1,2),(3,4))"}
	case "circle":
		return []any{"<(1,2),3>"}
	}
	if c.Kind == store.Text {
		return []any{"x", aUUID}
	}
	return nil
}

const aUUID = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
