package upkeep_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// The database of these examples.
const people = `
	create table users (id integer primary key, name text not null);
	insert into users values (1, 'Ada'), (2, 'Bob');`

type person struct {
	Name string `db:"name"`
}

func customers(to *upkeep.Remote) upkeep.Sync[person] {
	return upkeep.Sync[person]{
		Name: "customer", Table: "users", To: to, Record: "customer",
		Translate: func(p person) (upkeep.Fields, error) { return upkeep.Fields{"entityId": p.Name}, nil },
	}
}

// Explain says why a record is, or is not, at the remote.
func ExampleEngine_Explain() {
	x := newExample(people)
	defer x.close()
	engine := x.follow(customers(x.erp))

	x.exec(`update users set name = 'Bob the Builder' where id = 2`) // nobody is at work
	about, err := engine.Explain(context.Background(), "customer", "2")
	must(err)
	fmt.Println(about.Why)
	fmt.Println("to do:", about.Send, about.Changed)
	fmt.Println("the row:", about.Composite["name"])
	fmt.Println("the record:", string(about.Record.Fields["entityId"]))
	fmt.Println("last call:", about.Attempts[0].Action, about.Attempts[0].Outcome)
	// Output:
	// behind: the rows say something else than the remote has, and touches wait in the log (1) that are not folded yet; no process is at work: start upkeep run
	// to do: update [entityId]
	// the row: Bob the Builder
	// the record: "Bob the Builder"
	// last call: create ok
}

// A record that the remote refuses is parked and delays no other. It goes
// again when its rows change, or by Retry.
func ExampleEngine_Retry() {
	x := newExample(people)
	defer x.close()
	x.account.Fail(memory.Fault{On: memory.Create, ExternalID: "customer-2",
		Err: &connector.Error{Kind: connector.Rejected, Message: "the subsidiary is closed"}})
	engine := x.follow(customers(x.erp))

	ctx := context.Background()
	parked, err := engine.Groups(ctx, "customer", upkeep.Parked, upkeep.ID{}, 100)
	must(err)
	for _, g := range parked {
		fmt.Println(g.ID, g.Reason)
	}
	// Somebody opens the subsidiary at the remote.
	n, err := engine.Retry(ctx, "customer", "2")
	must(err)
	fmt.Println(n, "goes again")
	x.settle(engine)
	x.print("customer", "customer-2", "entityId")
	// Output:
	// customer/2 rejected: the subsidiary is closed
	// 1 goes again
	// customer-2: entityId="Bob"
}

// A remote that can't look records up makes a record, and the answer is lost.
// The create is not repeated: a person looks, and says what is there.
func ExampleEngine_Adopt() {
	x := newExample(people)
	defer x.close()
	x.account = memory.New(memory.Config{Class: connector.Blind})
	x.erp.Connection = x.account.Connect()
	x.account.Fail(memory.Fault{On: memory.Create, ExternalID: "customer-2", Applied: true, Err: memory.Err(connector.Unknown)})
	engine := x.follow(customers(x.erp))

	ctx := context.Background()
	parked, err := engine.Groups(ctx, "customer", upkeep.Parked, upkeep.ID{}, 100)
	must(err)
	fmt.Println(len(parked), "parked")
	found, _ := x.account.Record("customer", "customer-2") // by hand, in the remote's own screens
	must(engine.Adopt(ctx, "customer", "2", found.ID))
	x.settle(engine)
	x.print("customer", "customer-2", "entityId")
	fmt.Println(len(x.account.Duplicates()), "duplicates")
	// Output:
	// 1 parked
	// customer-2: entityId="Bob"
	// 0 duplicates
}

// Resync looks at groups again: by force, when somebody changed a record at
// the remote and the database is to win.
func ExampleEngine_Resync() {
	x := newExample(people)
	defer x.close()
	engine := x.follow(customers(x.erp))

	x.account.Edit("customer", "customer-1", connector.Fields{"entityId": json.RawMessage(`"Eve"`)})
	must(engine.Resync(context.Background(), upkeep.Resync{Sync: "customer", Key: "1", Force: true}))
	x.settle(engine)
	x.print("customer", "customer-1", "entityId")
	// Output:
	// customer-1: entityId="Ada"
}

// Verify reads every record back and compares it field by field.
func ExampleEngine_Verify() {
	x := newExample(people)
	defer x.close()
	engine := x.follow(customers(x.erp))

	x.account.Edit("customer", "customer-1", connector.Fields{"entityId": json.RawMessage(`"Eve"`)})
	x.account.Remove("customer", "customer-2")
	found, err := engine.Verify(context.Background(), "customer", nil)
	must(err)
	for _, d := range found.Differences {
		fmt.Printf("customer %s %s: want %s, got %s\n", d.Key, d.Field, d.Want, d.Got)
	}
	// Unordered output:
	// customer 1 entityId: want "Ada", got "Eve"
	// customer 2 : want a record, got nothing
}

// Status counts groups by state.
func ExampleEngine_Status() {
	x := newExample(people)
	defer x.close()
	engine := x.follow(customers(x.erp))

	status, err := engine.Status(context.Background())
	must(err)
	for _, s := range status.Syncs {
		fmt.Printf("%s: %d groups, %d clean, %d parked; %d calls\n", s.Sync, s.Groups, s.Clean, s.Parked, s.Calls)
	}
	// Output:
	// customer: 2 groups, 2 clean, 0 parked; 2 calls
}

// Check finds what would go wrong, before anything is installed.
func ExampleEngine_Check() {
	x := newExample(`
		create table users (id integer primary key, name text not null);
		create table products (sku text primary key, title text, price decimal(10,2) not null);
		create table orders (id integer primary key, user_id integer not null references users(id));`)
	defer x.close()

	type User struct {
		FullName string `db:"full_name"`
	}
	type Product struct {
		Price float64 `db:"price"`
	}
	type Order struct {
		UserID int64 `db:"user_id"`
		User   *struct {
			Name string `db:"name"`
		} `belongs_to:"users.user_id"`
	}
	nothing := upkeep.Fields{}
	engine := x.engine(
		upkeep.Sync[User]{Name: "customer", Table: "users", To: x.erp, Record: "customer",
			Translate: func(User) (upkeep.Fields, error) { return nothing, nil }},
		upkeep.Sync[Product]{Name: "product", Table: "products", To: x.erp, Record: "inventoryItem",
			Translate: func(Product) (upkeep.Fields, error) { return nothing, nil }},
		upkeep.Sync[Order]{Name: "sales_order", Table: "orders", To: x.erp, Record: "salesOrder",
			Translate: func(Order) (upkeep.Fields, error) { return nothing, nil }},
	)
	findings, err := engine.Check(context.Background())
	must(err)
	for _, f := range findings {
		fmt.Printf("%s: %s\n", f.Severity, f.Message)
		if f.Fix != "" {
			fmt.Println(f.Fix)
		}
	}
	// Output:
	// problem: sync "customer": table main.users has no column "full_name"; it has id, name
	// correct the name, or add the column
	// problem: sync "product": column price of main.products (decimal(10,2)) and the field Price: an exact decimal can't be read into float64
	// use decimal.Decimal or string
	// warning: no index: every change that follows this reference reads the whole table
	// CREATE INDEX "orders_user_id" ON "orders" ("user_id")
}

// New returns every problem of the declarations at once.
func ExampleNew() {
	x := newExample(people)
	defer x.close()
	_, err := upkeep.New(upkeep.Config{Database: x.database, Syncs: []upkeep.AnySync{
		upkeep.Sync[person]{Name: "customer", Table: "users", To: x.erp},
	}})
	fmt.Println(err)
	// Output:
	// sync "customer": Record is empty: the remote's name for the kind of record
	// sync "customer": Translate is missing
}

// Errors that a program may want to tell apart are variables.
func ExampleErrNotInstalled() {
	x := newExample(people)
	defer x.close()
	engine := x.engine(customers(x.erp))
	_, err := engine.Status(context.Background())
	fmt.Println(errors.Is(err, upkeep.ErrNotInstalled))
	// Output:
	// true
}

// A sync that is not declared and a key that can be none are told apart from
// what else may fail: a server answers 404 to the one and 400 to the other, say.
func ExampleErrKey() {
	x := newExample(people)
	defer x.close()
	engine := x.follow(customers(x.erp))
	_, err := engine.Explain(context.Background(), "customer", "Ada")
	fmt.Println(errors.Is(err, upkeep.ErrKey), err)
	err = engine.Touch(context.Background(), nil, "custmer", 1)
	fmt.Println(errors.Is(err, upkeep.ErrNoSync), err)
	// Output:
	// true "Ada" can be no key of main.users, whose key is id of type INTEGER
	// true there is no sync "custmer" (did you mean customer?); there are: customer
}

// A key of several columns is one text, here and on the command line.
func ExampleKey() {
	key, err := upkeep.Key("A", 7)
	must(err)
	fmt.Println(key)
	// Output:
	// A,7
}

// Uninstall leaves nothing behind but the tables that were there.
func ExampleEngine_Uninstall() {
	x := newExample(people)
	defer x.close()
	engine := x.follow(customers(x.erp))
	must(engine.Uninstall(context.Background()))

	var left int
	must(x.app.QueryRow(`select count(*) from sqlite_schema where name like '%upkeep%'`).Scan(&left))
	fmt.Println(left, "tables, indexes and triggers left")
	x.print("customer", "customer-1", "entityId") // the records stay
	// Output:
	// 0 tables, indexes and triggers left
	// customer-1: entityId="Ada"
}
