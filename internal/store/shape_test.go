package store

import (
	"strings"
	"testing"
)

func TestTableNames(t *testing.T) {
	t.Parallel()
	for written, want := range map[string]Table{
		`orders`:                 {Name: "orders"},
		`sales.orders`:           {"sales", "orders"},
		`"orders"`:               {Name: "orders"},
		`"my.table"`:             {Name: "my.table"},
		`sales."my.table"`:       {"sales", "my.table"},
		`"sales.it".orders`:      {"sales.it", "orders"},
		`"sales.it"."my.table"`:  {"sales.it", "my.table"},
		`"say ""hi"""`:           {Name: `say "hi"`},
		`sales."say ""hi"". so"`: {"sales", `say "hi". so`},
		`main.my.table`:          {"main", "my.table"}, // as ever
		`say "hi"`:               {Name: `say "hi"`},
		`"my.table`:              {Name: `"my.table`},
		`"my"table`:              {Name: `"my"table`},
		`"`:                      {Name: `"`},
		``:                       {},
	} {
		if got := ParseTable(written); got != want {
			t.Errorf("%s: schema %q, name %q; want %q, %q", written, got.Schema, got.Name, want.Schema, want.Name)
		}
	}
}

// FuzzTable: what a table is written as leads back to it.
func FuzzTable(f *testing.F) {
	for _, s := range []string{"orders", "a.b", `a"b`, `"`, `"".`, `".".`, " ", "."} {
		f.Add("", s)
		f.Add(s, "orders")
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, schema, name string) {
		if name == "" {
			return // no table has that name
		}
		if table := (Table{schema, name}); ParseTable(table.String()) != table {
			t.Errorf("%q, %q: %s is read as %q", schema, name, table, ParseTable(table.String()))
		}
	})
}

func TestSeveralSaysWhatHelps(t *testing.T) {
	shop := Table{Name: "shops"}
	one := &Member{Name: "Shop", Relation: BelongsTo, Table: shop, To: []Column{{Name: "region"}, {Name: "no"}}}
	if got, want := one.Several().Error(), "Shop has more than one row: region, no of shops is not unique; let it point at what is"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	one.Relation = HasOne
	if got := one.Several().Error(); !strings.Contains(got, "give it an order") {
		t.Error(got)
	}
}
