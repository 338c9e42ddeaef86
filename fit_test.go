package upkeep

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// A type that is null in a way of its own is none that a pointer is made of.
func TestPointedTo(t *testing.T) {
	for want, v := range map[string][]any{
		"decimal.Decimal": {decimal.NullDecimal{}, pgtype.Numeric{}, decimal.Decimal{}},
		"string":          {pgtype.Text{}, pgtype.UUID{}, pgtype.Interval{}, pgtype.Time{}, ""},
		"int64":           {pgtype.Int8{}, int64(1)},
		"bool":            {pgtype.Bool{}},
		"time.Time":       {pgtype.Timestamptz{}, pgtype.Timestamp{}, time.Time{}},
		"upkeep.Date":     {pgtype.Date{}, Date{}},
	} {
		for _, v := range v {
			if err := assign(reflect.New(reflect.TypeOf(v)).Elem(), nil); err == nil || !strings.HasSuffix(err.Error(), "make the field a pointer (*"+want+")") {
				t.Errorf("%T: %v, want %s", v, err, want)
			}
		}
	}
}

func TestFieldsFitTheirColumns(t *testing.T) {
	type name string
	type answer bool
	for _, c := range []struct {
		kind store.Kind
		fits []any // values of types that take the kind
		not  []any
	}{
		{store.Int, []any{0, int8(0), uint(0), "", false, decimal.Decimal{}, any(nil)}, []any{0.0, time.Time{}, []byte(nil)}},
		{store.Decimal, []any{decimal.Decimal{}, "", 0, name("")}, []any{0.0, float32(0), false}},
		{store.Float, []any{0.0, float32(0), decimal.Decimal{}}, []any{"", false, time.Time{}}},
		{store.Text, []any{"", name(""), decimal.Decimal{}, time.Time{}, Date{}}, []any{0, 0.0, false, struct{}{}}},
		{store.Bool, []any{false, answer(false)}, []any{0, "", 0.0}},
		{store.Date, []any{Date{}, time.Time{}, ""}, []any{0, false}},
		{store.Time, []any{time.Time{}, ""}, []any{0, Date{}}},
		{store.Other, []any{"", name("")}, []any{0, []string(nil), time.Duration(0)}},
		{store.JSON, []any{map[string]any{}, []string{}, struct{}{}, json.RawMessage{}}, nil},
	} {
		check := func(v any, want bool) {
			typ := reflect.TypeFor[any]()
			if v != nil {
				typ = reflect.TypeOf(v)
			}
			for _, typ := range []reflect.Type{typ, reflect.PointerTo(typ)} {
				if err := misfit(typ, store.Column{Kind: c.kind}); (err == nil) != want {
					t.Errorf("a column of kind %s and a field of type %s: %v", c.kind, typ, err)
				}
			}
		}
		for _, v := range c.fits {
			check(v, true)
		}
		for _, v := range c.not {
			check(v, false)
		}
	}
}

// A type of pgx takes the column that it is made for, which no made-up text
// stands for.
func TestTypesOfPgxFitTheirColumns(t *testing.T) {
	for _, c := range []struct {
		kind  store.Kind
		typ   string
		field any
		fits  bool
	}{
		{store.Text, "uuid", pgtype.UUID{}, true},
		{store.Other, "interval", pgtype.Interval{}, true},
		{store.Other, "time without time zone", pgtype.Time{}, true},
		{store.Other, "time(3) without time zone", pgtype.Time{}, true},
		{store.Other, "point", pgtype.Point{}, true},
		{store.Other, "box", pgtype.Box{}, true},
		{store.Other, "bit(4)", pgtype.Bits{}, true},
		{store.Other, "public.hstore", pgtype.Hstore{}, true},
		{store.Text, "text", pgtype.Text{}, true},
		{store.Text, "text", pgtype.UUID{}, true},
		{store.Text, "character varying(36)", pgtype.Interval{}, false},
		{store.Text, "uuid", pgtype.Interval{}, false},
		{store.Other, "interval", pgtype.UUID{}, false},
		{store.Other, "interval", time.Duration(0), false},
	} {
		if err := misfit(reflect.TypeOf(c.field), store.Column{Kind: c.kind, Type: c.typ}); (err == nil) != c.fits {
			t.Errorf("a column of type %s and a field of type %T: %v", c.typ, c.field, err)
		}
	}
}

// What is said of a field names the types as a program does, and one that fits.
func TestMisfitsSayWhatFits(t *testing.T) {
	for _, c := range []struct {
		kind  store.Kind
		field any
		want  string
	}{
		{store.Time, Date{}, "a time can't be read into upkeep.Date; use time.Time, or make the column a date"},
		{store.Date, 0, "a date can't be read into int; use upkeep.Date or time.Time"},
		{store.Text, 0, "a text can't be read into int"},
		{store.Other, []string{}, "a text can't be read into []string; use string, which has what the database writes"},
		{store.Other, time.Duration(0), "a text can't be read into time.Duration; use string"},
		{store.Int, time.Time{}, "an integer can't be read into time.Time"},
		{store.Decimal, 0.5, "an exact decimal can't be read into float64; use decimal.Decimal or string"},
	} {
		if err := misfit(reflect.TypeOf(c.field), store.Column{Kind: c.kind}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
	for want, c := range map[string]struct{ into, from any }{
		"a JSON array can't be read into map[string]any": {new(map[string]any), []any{json.Number("1")}},
		"a JSON object can't be read into []string":      {new([]string), map[string]any{"a": "x"}},
	} {
		if err := assign(reflect.ValueOf(c.into).Elem(), c.from); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if err := assign(reflect.ValueOf(new(Date)).Elem(), nil); err == nil || !strings.Contains(err.Error(), "(*upkeep.Date)") {
		t.Error(err)
	}
}

func TestMisfitsAreFoundInEveryMember(t *testing.T) {
	type line struct {
		Price float64 `db:"price"`
		Qty   int     `db:"qty"`
	}
	type order struct {
		ID    string  `db:"id"`
		Note  string  `db:"note"`
		Memo  *string `db:"memo"`
		Lines []line  `has_many:"lines.order_id"`
	}
	d, err := describe[order]("orders")
	if err != nil {
		t.Fatal(err)
	}
	unfit, nullable := d.misfits(&store.Member{
		Table:   store.Table{Name: "orders"},
		Columns: []store.Column{{Name: "id", Kind: store.Int}, {Name: "note", Kind: store.Text, Nullable: true}, {Name: "memo", Kind: store.Text, Nullable: true}},
		Members: []*store.Member{{Name: "Lines", Table: store.Table{Name: "lines"}, Columns: []store.Column{
			{Name: "price", Kind: store.Decimal, Type: "numeric(10,2)"}, {Name: "qty", Kind: store.Int}}}},
	})
	if len(unfit) != 1 || !strings.Contains(unfit[0].Error(), `relation "Lines": column price of lines (numeric(10,2)) and the field Price: an exact decimal`) {
		t.Errorf("unfit: %q", unfit)
	}
	if len(nullable) != 1 || !strings.Contains(nullable[0].Error(), "make the field a pointer (*string)") {
		t.Errorf("nullable: %q", nullable)
	}
}
