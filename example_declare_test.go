package upkeep_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
)

// The tags of a struct say what is loaded, and what is loaded is watched.
func ExampleSync() {
	x := newExample(`
		create table users (id integer primary key, name text not null, email text, phone text);
		insert into users values (1, 'Ada', 'ada@example.com', '555'), (2, 'Bob', null, null);`)
	defer x.close()

	type User struct {
		ID    int64   `db:"id"`
		Name  string  `db:"name"`
		Email *string `db:"email"` // a pointer: the column may be NULL
	}
	engine := x.follow(upkeep.Sync[User]{
		Name: "customer", Table: "users", To: x.erp, Record: "customer",
		Translate: func(u User) (upkeep.Fields, error) {
			return upkeep.Fields{"entityId": u.Name, "email": u.Email}, nil
		},
	})
	x.print("customer", "customer-1", "entityId", "email")
	x.print("customer", "customer-2", "entityId")

	x.account.Forget()
	x.exec(`update users set phone = '556'`) // nobody reads it: no call
	x.exec(`update users set name = 'Ada Lovelace' where id = 1`)
	x.settle(engine)
	for _, call := range x.account.Requests() {
		fmt.Printf("%s %s: %d field\n", call.Verb, call.ExternalID, len(call.Fields))
	}
	x.print("customer", "customer-1", "entityId", "email")
	// Output:
	// customer-1: entityId="Ada" email="ada@example.com"
	// customer-2: entityId="Bob"
	// update customer-1: 1 field
	// customer-1: entityId="Ada Lovelace" email="ada@example.com"
}

// Rows of other tables hang on the root row, any number of hops deep. A change
// of any of them touches the groups that it is in.
func ExampleSync_relations() {
	x := newExample(`
		create table users (id integer primary key, name text not null);
		create table orders (id integer primary key, user_id integer not null references users(id));
		create table billing_infos (id integer primary key, order_id integer not null references orders(id), vat text not null);
		create table products (sku text primary key, title text not null);
		create table line_items (id integer primary key, order_id integer not null references orders(id),
			sku text not null references products(sku), qty integer not null);
		insert into users values (1, 'Ada');
		insert into orders values (42, 1);
		insert into billing_infos values (1, 42, 'ES1');
		insert into products values ('A', 'Lamp'), ('B', 'Bulb');
		insert into line_items values (1, 42, 'B', 3), (2, 42, 'A', 1), (3, 42, 'A', 0);`)
	defer x.close()

	type User struct {
		Name string `db:"name"`
	}
	type Billing struct {
		VAT string `db:"vat"`
	}
	type Product struct {
		Title string `db:"title"`
	}
	type Line struct {
		Qty     int      `db:"qty"`
		Product *Product `belongs_to:"products.sku"` // line_items.sku is products' primary key
	}
	type Order struct {
		User    *User    `belongs_to:"users.user_id"`       // orders.user_id is users' primary key
		Billing *Billing `has_one:"billing_infos.order_id"` // billing_infos.order_id is the order's
		Lines   []Line   `has_many:"line_items.order_id" order:"sku" where:"qty > 0"`
	}
	engine := x.follow(upkeep.Sync[Order]{
		Name: "sales_order", Table: "orders", To: x.erp, Record: "salesOrder",
		Translate: func(o Order) (upkeep.Fields, error) {
			f := upkeep.Fields{"customer": o.User.Name, "vat": nil}
			if o.Billing != nil {
				f["vat"] = o.Billing.VAT
			}
			items := []upkeep.Fields{}
			for _, l := range o.Lines {
				items = append(items, upkeep.Fields{"name": l.Product.Title, "quantity": l.Qty})
			}
			f["item"] = items
			return f, nil
		},
	})
	x.print("salesOrder", "sales_order-42", "customer", "vat", "item")

	x.exec(`update products set title = 'Lantern' where sku = 'A'`)
	x.exec(`update line_items set qty = 2 where id = 3`)
	x.exec(`delete from billing_infos`)
	x.settle(engine)
	x.print("salesOrder", "sales_order-42", "vat", "item")
	// Output:
	// sales_order-42: customer="Ada" vat="ES1" item=[{"name":"Lamp","quantity":1},{"name":"Bulb","quantity":3}]
	// sales_order-42: vat= item=[{"name":"Lantern","quantity":1},{"name":"Lantern","quantity":2},{"name":"Bulb","quantity":3}]
}

// Counts and sums are computed by the database, so that a customer with a
// million orders is one row.
func ExampleSync_aggregates() {
	x := newExample(`
		create table users (id integer primary key, name text not null);
		create table orders (id integer primary key, user_id integer not null references users(id),
			state text not null, total decimal(10,2) not null);
		insert into users values (1, 'Ada');
		insert into orders values (41, 1, 'paid', 9.90), (42, 1, 'paid', 0.10), (43, 1, 'draft', 5);`)
	defer x.close()

	type User struct {
		Name  string          `db:"name"`
		Paid  int64           `count:"orders.user_id" where:"state = 'paid'"`
		Total decimal.Decimal `sum:"orders.user_id" column:"total" where:"state = 'paid'"`
	}
	engine := x.follow(upkeep.Sync[User]{
		Name: "customer", Table: "users", To: x.erp, Record: "customer",
		Translate: func(u User) (upkeep.Fields, error) {
			return upkeep.Fields{"entityId": u.Name, "orders": u.Paid, "revenue": u.Total}, nil
		},
	})
	x.print("customer", "customer-1", "orders", "revenue")

	x.exec(`update orders set state = 'paid' where id = 43`)
	x.settle(engine)
	x.print("customer", "customer-1", "orders", "revenue")
	// Output:
	// customer-1: orders=2 revenue=10
	// customer-1: orders=3 revenue=15
}

// A reference waits for the record that it leads to, and is woken by it. Here
// the customer is refused first, so its order waits.
func ExampleRef() {
	x := newExample(`
		create table users (id integer primary key, name text not null);
		create table orders (id integer primary key, user_id integer not null references users(id), ref_no text not null);
		insert into users values (1, '');
		insert into orders values (42, 1, 'R42');`)
	defer x.close()

	type User struct {
		Name string `db:"name"`
	}
	type Order struct {
		UserID int64  `db:"user_id"`
		RefNo  string `db:"ref_no"`
	}
	engine := x.follow(
		upkeep.Sync[User]{
			Name: "customer", Table: "users", To: x.erp, Record: "customer",
			Translate: func(u User) (upkeep.Fields, error) {
				if u.Name == "" {
					return nil, fmt.Errorf("the customer has no name") // parks it
				}
				return upkeep.Fields{"entityId": u.Name}, nil
			},
		},
		upkeep.Sync[Order]{
			Name: "sales_order", Table: "orders", To: x.erp, Record: "salesOrder",
			RefersTo: []string{"customer"},
			Translate: func(o Order) (upkeep.Fields, error) {
				return upkeep.Fields{"entity": upkeep.Ref("customer", o.UserID), "otherRefNum": o.RefNo}, nil
			},
		},
	)
	x.print("salesOrder", "sales_order-42", "otherRefNum")
	why, err := engine.Explain(context.Background(), "sales_order", "42")
	must(err)
	fmt.Println(why.Group.State, "for", why.Group.WaitsFor)

	x.exec(`update users set name = 'Ada'`)
	x.settle(engine)
	x.print("salesOrder", "sales_order-42", "otherRefNum", "entity")
	// Output:
	// sales_order-42: no record
	// waiting for [customer/1]
	// sales_order-42: otherRefNum="R42" entity={"id":"1"}
}

// When says which rows are to be at the remote, and the endings what becomes
// of the record of a row that no longer passes, or was deleted.
func ExampleEnding() {
	x := newExample(`
		create table orders (id integer primary key, state text not null);
		insert into orders values (1, 'draft'), (2, 'placed'), (3, 'placed');`)
	defer x.close()

	type Order struct {
		State string `db:"state"`
	}
	engine := x.follow(upkeep.Sync[Order]{
		Name: "sales_order", Table: "orders", To: x.erp, Record: "salesOrder",
		When:      func(o Order) bool { return o.State != "draft" },
		Translate: func(o Order) (upkeep.Fields, error) { return upkeep.Fields{"state": o.State, "isInactive": false}, nil },
		WhenFalse: upkeep.Ending{Action: upkeep.Delete},
		OnDelete:  upkeep.Ending{Action: upkeep.Set, Fields: upkeep.Fields{"isInactive": true}},
	})
	for _, id := range []string{"sales_order-1", "sales_order-2", "sales_order-3"} {
		x.print("salesOrder", id, "state")
	}

	x.exec(`update orders set state = 'draft' where id = 2; delete from orders where id = 3`)
	x.settle(engine)
	x.print("salesOrder", "sales_order-2")
	x.print("salesOrder", "sales_order-3", "state", "isInactive")
	// Output:
	// sales_order-1: no record
	// sales_order-2: state="placed"
	// sales_order-3: state="placed"
	// sales_order-2: no record
	// sales_order-3: state="placed" isInactive=true
}

// CreateFields go out once, when the record is made: what a person may change
// at the remote afterwards is left alone.
func ExampleSync_createFields() {
	x := newExample(`
		create table users (id integer primary key, name text not null);
		insert into users values (1, 'Ada');`)
	defer x.close()

	type User struct {
		Name string `db:"name"`
	}
	engine := x.follow(upkeep.Sync[User]{
		Name: "customer", Table: "users", To: x.erp, Record: "customer",
		Translate:    func(u User) (upkeep.Fields, error) { return upkeep.Fields{"entityId": u.Name}, nil },
		CreateFields: func(User) (upkeep.Fields, error) { return upkeep.Fields{"terms": "30 days"}, nil },
	})
	x.print("customer", "customer-1", "entityId", "terms")

	x.account.Edit("customer", "customer-1", connector.Fields{"terms": json.RawMessage(`"60 days"`)})
	x.exec(`update users set name = 'Ada Lovelace'`)
	x.settle(engine)
	x.print("customer", "customer-1", "entityId", "terms")
	// Output:
	// customer-1: entityId="Ada" terms="30 days"
	// customer-1: entityId="Ada Lovelace" terms="60 days"
}

// Initialize lets the remote make a record from another one, with the
// remote's own defaults: NetSuite makes an item fulfillment from its sales
// order.
func ExampleSync_initialize() {
	x := newExample(`
		create table orders (id integer primary key, state text not null, tracking text);
		insert into orders values (42, 'sent', 'T1');`)
	defer x.close()

	type Order struct {
		ID       int64   `db:"id"`
		State    string  `db:"state"`
		Tracking *string `db:"tracking"`
	}
	x.follow(
		upkeep.Sync[Order]{
			Name: "sales_order", Table: "orders", To: x.erp, Record: "salesOrder",
			Translate: func(o Order) (upkeep.Fields, error) { return upkeep.Fields{"state": o.State}, nil },
		},
		upkeep.Sync[Order]{
			Name: "fulfillment", Table: "orders", To: x.erp, Record: "itemFulfillment",
			When:       func(o Order) bool { return o.State == "sent" },
			RefersTo:   []string{"sales_order"},
			Initialize: func(o Order) upkeep.Reference { return upkeep.Ref("sales_order", o.ID) },
			Translate:  func(o Order) (upkeep.Fields, error) { return upkeep.Fields{"memo": o.Tracking}, nil },
		},
	)
	made, _ := x.account.Record("itemFulfillment", "fulfillment-42")
	fmt.Println("made from a", made.From.Type)
	x.print("itemFulfillment", "fulfillment-42", "memo")
	// Output:
	// made from a salesOrder
	// fulfillment-42: memo="T1"
}

// A Mapping is the same without a struct: for declarations that a program
// makes from data. The foreign keys come from the database's catalogue when
// Via is not there.
func ExampleMapping() {
	x := newExample(`
		create table users (id integer primary key, name text not null);
		create table orders (id integer primary key, user_id integer not null references users(id));
		create table line_items (id integer primary key, order_id integer not null references orders(id), price decimal(10,2) not null);
		insert into users values (1, 'Ada');
		insert into orders values (42, 1);
		insert into line_items values (1, 42, 9.90), (2, 42, 0.20);`)
	defer x.close()

	x.follow(upkeep.Mapping{
		Name: "sales_order", To: x.erp, Record: "salesOrder",
		From: &upkeep.Relation{
			Table:     "orders",
			Columns:   []string{"id"},
			BelongsTo: map[string]*upkeep.Relation{"user": {Table: "users", Columns: []string{"name"}}},
			HasMany: map[string]*upkeep.Relation{"lines": {
				Table: "line_items", Columns: []string{"price"}, Order: "id",
				Aggregates: []upkeep.Aggregate{{Name: "total", Func: "sum", Column: "price"}},
			}},
		},
		Translate: func(r upkeep.Row) (upkeep.Fields, error) {
			prices := []any{}
			for _, line := range r["lines"].([]upkeep.Row) {
				prices = append(prices, line["price"])
			}
			return upkeep.Fields{
				"number": r["id"], "customer": r["user"].(upkeep.Row)["name"], "prices": prices, "total": r["total"],
			}, nil
		},
	})
	x.print("salesOrder", "sales_order-42", "number", "customer", "prices", "total")
	// Output:
	// sales_order-42: number=42 customer="Ada" prices=[9.9,0.2] total=10.1
}
