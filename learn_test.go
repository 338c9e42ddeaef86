package upkeep

import (
	"slices"
	"testing"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Whatever of a column makes another plan is told, also of one that only a sum
// reads.
func TestRetypedColumnsAreNamed(t *testing.T) {
	t.Parallel()
	shapes := func(sum store.Column, key store.Column) []*store.Shape {
		orders := &store.Member{Name: "orders", Relation: store.HasMany, Table: store.Table{Name: "orders"}, OnlyAggregates: true,
			Aggregates: []store.Aggregate{{Name: "total", Func: "sum", Column: sum}}}
		return []*store.Shape{{Sync: "customer", Root: &store.Member{Table: store.Table{Name: "users"}, Key: []store.Column{key}, Members: []*store.Member{orders}}}}
	}
	total := store.Column{Name: "total", Type: "numeric(10,2)"}
	key := store.Column{Name: "id", Type: "text"}
	before := shapes(total, key)
	total.Type, key.Alike = "numeric(12,2)", true
	want := []string{
		"orders.total: numeric(10,2) not null, now numeric(12,2) not null",
		"users.id: text not null, now text not null whose collation takes other spellings for equal",
	}
	if got := retypedColumns(before, shapes(total, key)); !slices.Equal(got, want) {
		t.Errorf("told: %q, want %q", got, want)
	}
}
