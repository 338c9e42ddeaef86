package upkeep

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// What a field reads is named whatever another field makes of the values that are
// tried, and so is what leads to the rows that it reads.
func TestReads(t *testing.T) {
	t.Parallel()
	table := func(name string) store.Table { return store.Table{Schema: "main", Name: name} }
	text := func(name string) store.Column { return store.Column{Name: name, Kind: store.Text} }
	id := store.Column{Name: "id", Kind: store.Int}
	shape := &store.Shape{Sync: "order", Root: &store.Member{Table: table("orders"), Key: []store.Column{id}, Columns: []store.Column{text("state"), text("memo")},
		Members: []*store.Member{
			{Name: "user", Relation: store.BelongsTo, Table: table("users"), Key: []store.Column{id}, Columns: []store.Column{text("name")},
				Via: []store.Column{{Name: "user_id"}}, To: []store.Column{id}},
			{Name: "lines", Relation: store.HasMany, Table: table("lines"), Key: []store.Column{id}, Columns: []store.Column{text("sku")},
				Via: []store.Column{{Name: "order_id"}}, To: []store.Column{id}, Fragment: []store.Column{{Name: "hidden"}}},
		}}}
	def := &definition{}
	def.Translate = func(r Row) (Fields, error) {
		if r["state"] != "open" {
			return nil, fmt.Errorf("no such state: %v", r["state"])
		}
		name := any(nil)
		if u := r["user"].(Row); u != nil {
			name = u["name"]
		}
		return Fields{"state": r["state"], "memo": r["memo"], "name": name, "count": len(r["lines"].([]Row))}, nil
	}
	j := &job{def: def, shape: shape, composite: &store.Composite{Row: Row{"state": "open", "memo": "m",
		"user": Row{"name": "Ada"}, "lines": []Row{{"sku": "A"}}}}}
	for field, want := range map[string][]string{
		"memo":  {"main.orders.memo"},
		"name":  {"main.orders.user_id", "main.users.name"},
		"count": {"main.lines.hidden", "main.lines.order_id"},
		"state": {"main.orders.state"},
	} {
		if got := j.reads([]string{field}); !reflect.DeepEqual(got, want) {
			t.Errorf("field %s reads %v, want %v", field, got, want)
		}
	}
}
