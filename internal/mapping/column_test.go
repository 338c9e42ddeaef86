package mapping

import (
	"reflect"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/store"
)

func TestColumn(t *testing.T) {
	t.Parallel()
	lines := &Table{Name: "lines", Relation: store.HasMany, Info: &store.TableInfo{Table: store.Table{Name: "lines"}, Key: []string{"id"},
		Columns: []store.Column{{Name: "id", Kind: store.Int}, {Name: "price", Kind: store.Decimal}}}}
	root := &Table{Info: &store.TableInfo{Table: store.Table{Name: "orders"}, Key: []string{"id"}, Columns: []store.Column{
		{Name: "id", Kind: store.Int}, {Name: "name", Kind: store.Text, Nullable: true}, {Name: "total", Kind: store.Decimal},
		{Name: "rate", Kind: store.Float}, {Name: "day", Kind: store.Date}, {Name: "at", Kind: store.Time},
		{Name: "paid", Kind: store.Bool}, {Name: "scan", Kind: store.Bytes}, {Name: "more", Kind: store.JSON},
	}}, Members: map[string]*Table{"lines": lines}}
	scope := &Scope{Root: root, Ref: func(string, ...any) any { return nil },
		Sync: func(string) ([]store.Column, *Error) { return []store.Column{{Name: "id", Kind: store.Int}}, nil }}
	col := func(n string, ty connector.Type, list ...connector.Column) connector.Column {
		return connector.Column{Name: n, Type: ty, List: list}
	}
	for source, want := range map[string]connector.Column{
		`id`: col("f", connector.Integer), `name`: col("f", connector.Text), `total * 2`: col("f", connector.Decimal),
		`rate`: col("f", connector.Float), `day`: col("f", connector.Date), `at`: col("f", connector.Time),
		`paid`: col("f", connector.Boolean), `scan`: col("f", connector.Bytes), `more`: col("f", connector.AnyType),
		`nil`: col("f", connector.AnyType), `{a: id}`: col("f", connector.JSON), `ref("x", id)`: col("f", connector.Reference),
		`map(lines, {{sku: .id, price: .price}})`: col("f", connector.List, col("price", connector.Decimal), col("sku", connector.Integer)),
		`lines`:           col("f", connector.List, col("id", connector.Integer), col("price", connector.Decimal)),
		`map(lines, .id)`: col("f", connector.List, col("", connector.Integer)),
		`[]`:              col("f", connector.List),
	} {
		e, errs := scope.Compile(source, Value)
		if len(errs) > 0 {
			t.Fatalf("%s: %v", source, errs[0])
		}
		if got := e.Column("f"); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", source, got, want)
		}
	}
}
