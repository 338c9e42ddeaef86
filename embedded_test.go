package upkeep

import (
	"reflect"
	"strings"
	"testing"
)

type keyed struct {
	ID int64 `db:"id"`
}

type place struct {
	keyed
	City  string   `db:"city"`
	Shops []*keyed `has_many:"shops.place_id"`
}

type home struct {
	place
	Name string `db:"name"`
}

func TestEmbeddedStructsAreRead(t *testing.T) {
	d, err := describe[home]("homes")
	if err != nil {
		t.Fatal(err)
	}
	want := &Relation{Table: "homes", Columns: []string{"id", "city", "name"},
		HasMany: map[string]*Relation{"Shops": {Table: "shops", Via: []string{"place_id"}, Columns: []string{"id"}}}}
	if !reflect.DeepEqual(d.from, want) {
		t.Errorf("got %+v", d.from)
	}
	var h home
	if err := d.decode(Row{"id": int64(1), "city": "Bern", "name": "x", "Shops": []Row{{"id": int64(2)}}}, &h); err != nil {
		t.Fatal(err)
	}
	if h.ID != 1 || h.City != "Bern" || h.Name != "x" || len(h.Shops) != 1 || h.Shops[0].ID != 2 {
		t.Errorf("%+v", h)
	}
}

// Nothing that has a tag is passed over in silence.
func TestEmbeddedStructsThatCanNotBeRead(t *testing.T) {
	for _, c := range []struct {
		describe func(string) (*description, error)
		want     string
	}{
		{describe[struct {
			*keyed
			Name string `db:"name"`
		}], "embed upkeep.keyed itself"},
		{describe[struct {
			place
			Shops []keyed `has_many:"shops.home_id"`
		}], "name Shops is taken"},
		{describe[struct {
			Total float64 `sum:"lines.order_id" column:"total"`
		}], "a sum is exact"},
	} {
		if _, err := c.describe("t"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
	if _, err := describe[struct {
		*strings.Builder
		Name string `db:"name"`
	}]("t"); err != nil {
		t.Errorf("an embedded struct without tags is in nobody's way: %v", err)
	}
}
