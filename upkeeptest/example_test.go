package upkeeptest_test

import (
	"testing"

	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/upkeeptest"
)

// The declarations of a program. The remote is its parameter: a test needs none.

type Customer struct {
	Name string `db:"name"`
}

type Order struct {
	State  string `db:"state"`
	UserID int64  `db:"user_id"`
	Lines  []Line `has_many:"line_items.order_id"`
}

type Line struct {
	SKU   string          `db:"sku"`
	Price decimal.Decimal `db:"price"`
}

func syncs(to *upkeep.Remote) []upkeep.AnySync {
	return []upkeep.AnySync{
		upkeep.Sync[Customer]{
			Name: "customer", Table: "users", To: to, Record: "customer",
			Translate: func(c Customer) (upkeep.Fields, error) {
				return upkeep.Fields{"entityId": c.Name}, nil
			},
		},
		upkeep.Sync[Order]{
			Name: "sales_order", Table: "orders", To: to, Record: "salesOrder", RefersTo: []string{"customer"},
			When: func(o Order) bool { return o.State != "draft" },
			Translate: func(o Order) (upkeep.Fields, error) {
				items := []upkeep.Fields{}
				for _, l := range o.Lines {
					items = append(items, upkeep.Fields{"item": l.SKU, "rate": l.Price})
				}
				return upkeep.Fields{"entity": upkeep.Ref("customer", o.UserID), "item": items}, nil
			},
		},
	}
}

const schema = `
create table users (id integer primary key, name text not null, phone text);
create table orders (id integer primary key, user_id integer not null references users(id), state text not null);
create table line_items (id integer primary key, order_id integer not null references orders(id), sku text not null, price decimal(10,2) not null);`

// The test: rows go in by SQL, and what is at the remote comes out.
func testSyncs(t *testing.T) {
	db := upkeeptest.New(t, schema, syncs(nil)...)
	db.Exec(`insert into users values (1, 'Ada', null)`)
	db.Exec(`insert into orders values (42, 1, 'placed'), (43, 1, 'draft')`)
	db.Exec(`insert into line_items values (1, 42, 'A', 9.90)`)

	db.Record("sales_order", 42).Want(`{"entity": "customer-1", "item": [{"item": "A", "rate": 9.9}]}`)
	db.Record("sales_order", 43).WantNone()

	rename := func() { db.Exec(`update users set name = 'Ada L.'`) }
	if touched := db.Touched(rename); len(touched) != 1 || touched[0] != "customer/1" {
		t.Error("the name is in the customer's record, and in no order's:", touched)
	}
	call := func() { db.Exec(`update users set phone = '1'`) }
	if sent := db.Sent(call); len(sent) != 0 {
		t.Error("nobody maps the phone:", sent)
	}

	db.Remote.Fail(memory.Fault{On: memory.Create, Err: &connector.Error{Kind: connector.Rejected, Message: "no such item"}})
	db.Exec(`update orders set state = 'placed' where id = 43`)
	db.Record("sales_order", 43).WantParked("no such item")
}

// In a program of your own, testSyncs is a test: func TestSyncs(t *testing.T).
func Example() {
	_ = testSyncs
}
