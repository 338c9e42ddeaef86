package upkeep_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep"
)

// The program of the README. It runs until its context ends; here a second
// goroutine waits until nothing is left to do, and ends it.
func ExampleEngine_Run() {
	x := newExample(`
		create table orders (id integer primary key, state text not null);
		create table line_items (id integer primary key, order_id integer not null references orders(id),
			sku text not null, qty integer not null, price decimal(10,2) not null);
		insert into orders values (42, 'placed'), (43, 'draft');
		insert into line_items values (1, 42, 'A', 2, 9.90);`)
	defer x.close()
	database, netsuite := x.database, x.erp

	keepUp := func(ctx context.Context, started func(*upkeep.Engine)) error {
		// README: begin
		type Line struct {
			SKU   string          `db:"sku"`
			Price decimal.Decimal `db:"price"`
		}
		type Order struct {
			ID    int64  `db:"id"`
			State string `db:"state"`
			Lines []Line `has_many:"line_items.order_id"`
		}
		engine, err := upkeep.New(upkeep.Config{
			Database: database, // postgres.New(pool), or sqlite.Open("shop.db", sqlite.Config{})
			Syncs: []upkeep.AnySync{upkeep.Sync[Order]{
				Name: "sales_order", Table: "orders", To: netsuite, Record: "salesOrder",
				When: func(o Order) bool { return o.State != "draft" },
				Translate: func(o Order) (upkeep.Fields, error) {
					items := []upkeep.Fields{}
					for _, l := range o.Lines {
						items = append(items, upkeep.Fields{"item": l.SKU, "rate": l.Price})
					}
					return upkeep.Fields{"otherRefNum": o.ID, "item": items}, nil
				},
			}},
		})
		if err != nil {
			return err
		}
		// README: end
		started(engine)
		// README: begin
		return engine.Run(ctx)
		// README: end
	}

	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	err := keepUp(ctx, func(engine *upkeep.Engine) {
		go func() {
			must(engine.Quiet(ctx, nil))
			stop()
		}()
	})
	fmt.Println("ended with", err)
	x.print("salesOrder", "sales_order-42", "otherRefNum", "item")
	x.print("salesOrder", "sales_order-43")
	// Output:
	// ended with <nil>
	// sales_order-42: otherRefNum=42 item=[{"item":"A","rate":9.9}]
	// sales_order-43: no record
}

// Groups of a sync that is ByHand are made by Register alone, in the
// application's own transaction: what is rolled back was never registered.
func ExampleEngine_Register() {
	x := newExample(`
		create table orders (id integer primary key, state text not null);
		insert into orders values (41, 'placed'), (42, 'placed'), (43, 'placed');`)
	defer x.close()

	type Order struct {
		State string `db:"state"`
	}
	engine := x.follow(upkeep.Sync[Order]{
		Name: "sales_order", Table: "orders", To: x.erp, Record: "salesOrder", ByHand: true,
		Translate: func(o Order) (upkeep.Fields, error) { return upkeep.Fields{"state": o.State}, nil },
	})

	ctx := context.Background()
	register := func(order int, commit bool) {
		tx, err := x.app.BeginTx(ctx, nil) // a pgx.Tx on PostgreSQL, or a *sql.Tx
		must(err)
		_, err = tx.ExecContext(ctx, `update orders set state = 'approved' where id = ?`, order)
		must(err)
		must(engine.Register(ctx, tx, "sales_order", order))
		if commit {
			must(tx.Commit())
		} else {
			must(tx.Rollback())
		}
	}
	register(42, true)
	register(43, false)
	x.settle(engine)
	for _, id := range []string{"sales_order-41", "sales_order-42", "sales_order-43"} {
		x.print("salesOrder", id, "state")
	}

	x.exec(`update orders set state = 'sent'`) // registered groups follow their rows as all others do
	x.settle(engine)
	x.print("salesOrder", "sales_order-42", "state")
	// Output:
	// sales_order-41: no record
	// sales_order-42: state="approved"
	// sales_order-43: no record
	// sales_order-42: state="sent"
}

// Touch is for what no trigger can see. The price here comes from outside the
// database, which is no good place for it, so the program says when it has changed.
func ExampleEngine_Touch() {
	x := newExample(`
		create table products (sku text, region text, title text not null, primary key (sku, region));
		insert into products values ('A', 'eu', 'Lamp'), ('B', 'eu', 'Bulb');`)
	defer x.close()

	price := 10
	type Product struct {
		Title string `db:"title"`
	}
	engine := x.follow(upkeep.Sync[Product]{
		Name: "product", Table: "products", To: x.erp, Record: "inventoryItem",
		Translate: func(p Product) (upkeep.Fields, error) {
			return upkeep.Fields{"title": p.Title, "price": price}, nil
		},
	})
	price = 12
	// In a transaction of its own; the key has one value for each column.
	must(engine.Touch(context.Background(), nil, "product", "A", "eu"))
	x.settle(engine)
	x.print("inventoryItem", "product-A,eu", "price")
	x.print("inventoryItem", "product-B,eu", "price")
	// Output:
	// product-A,eu: price=12
	// product-B,eu: price=10
}

// A new Version says that the functions make something else now. The sync is
// swept, and only the records that differ are sent.
func ExampleEngine_Install() {
	x := newExample(`
		create table users (id integer primary key, name text not null);
		insert into users values (1, 'ada'), (2, 'BOB');`)
	defer x.close()

	type User struct {
		Name string `db:"name"`
	}
	customer := upkeep.Sync[User]{
		Name: "customer", Table: "users", To: x.erp, Record: "customer",
		Translate: func(u User) (upkeep.Fields, error) { return upkeep.Fields{"entityId": u.Name}, nil },
	}
	x.follow(customer)
	x.account.Forget()

	customer.Version = "2: names in capitals"
	customer.Translate = func(u User) (upkeep.Fields, error) {
		return upkeep.Fields{"entityId": strings.ToUpper(u.Name)}, nil
	}
	engine := x.engine(customer)
	must(engine.Install(context.Background())) // Run does it too
	x.settle(engine)
	for _, call := range x.account.Requests() {
		fmt.Println(call.Verb, call.ExternalID)
	}
	x.print("customer", "customer-1", "entityId")
	// Output:
	// update customer-1
	// customer-1: entityId="ADA"
}
