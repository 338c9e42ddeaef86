package upkeep

import (
	"encoding"
	"fmt"
	"reflect"
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
	store.Bool:    {true, false},
	store.Date:    {Date{Year: 2026, Month: time.January, Day: 2}, Date{Year: 2026, Month: time.January, Day: 3}},
	store.Time:    {time.Unix(0, 0).UTC(), time.Unix(1, 0).UTC()},
}

// misfits compares the fields of a struct with the columns of a member that
// was resolved: unfit says which fields can't take their column's values, and
// nullable which can take them, but not a NULL that may come.
func (d *description) misfits(m *store.Member) (unfit, nullable []string) {
	for _, f := range d.fields {
		if f.member != nil {
			for _, below := range m.Members {
				if below.Name == f.name {
					u, n := f.member.misfits(below)
					unfit, nullable = append(unfit, u...), append(nullable, n...)
				}
			}
			continue
		}
		for _, c := range m.Columns {
			if c.Name != f.name {
				continue
			}
			if err := misfit(f.typ, c.Kind); err != nil {
				unfit = append(unfit, fmt.Sprintf("column %s of %s (%s) and the field %s: %s", c.Name, m.Table, c.Type, f.field, err))
			} else if c.Nullable && assign(reflect.New(f.typ).Elem(), nil) != nil {
				nullable = append(nullable, fmt.Sprintf("column %s of %s may be NULL and the field %s can't: a row with NULL is refused; make the field a pointer (*%s), or the column not null", c.Name, m.Table, f.field, f.typ))
			}
		}
	}
	return unfit, nullable
}

// misfit says why no value of the kind can be read into the type; nil if one can.
func misfit(t reflect.Type, k store.Kind) (err error) {
	if k == store.Text && (reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) || t.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())) {
		return nil // it takes some texts and not others
	}
	for _, v := range samples[k] {
		if err = assign(reflect.New(t).Elem(), v); err == nil {
			return nil
		}
	}
	return err
}
