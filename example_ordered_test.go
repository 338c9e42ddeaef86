package upkeep_test

import (
	"context"
	"fmt"

	"github.com/upkeep-sync/upkeep"
)

// Each version that a program appends goes to the remote, in the order of the
// commits. What is rolled back was no version.
func ExampleEngine_Command() {
	x := newExample(`
		create table orders (id integer primary key, state text not null);
		insert into orders values (42, 'placed');`)
	defer x.close()

	type Order struct {
		State string `db:"state"`
	}
	engine := x.follow(upkeep.Sync[Order]{
		Name: "sales_order", Table: "orders", To: x.erp, Record: "salesOrder", ByHand: true, Deliver: upkeep.Every,
		Translate: func(o Order) (upkeep.Fields, error) { return upkeep.Fields{"state": o.State}, nil },
	})

	ctx := context.Background()
	set := func(state string, order int, commit bool) {
		tx, err := x.app.BeginTx(ctx, nil)
		must(err)
		_, err = tx.ExecContext(ctx, `update orders set state = ? where id = ?`, state, order)
		must(err)
		must(engine.Command(ctx, tx, "sales_order", order))
		if commit {
			must(tx.Commit())
		} else {
			must(tx.Rollback())
		}
	}
	set("approved", 42, true)
	set("lost", 42, false)
	set("packed", 42, true)
	set("sent", 42, true)
	x.settle(engine)
	for _, q := range x.account.Applied() {
		fmt.Println(q.Verb, string(q.Fields["state"]))
	}
	// Output:
	// create "approved"
	// update "packed"
	// update "sent"
}
