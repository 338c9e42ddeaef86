package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"

	"github.com/upkeep-sync/upkeep"
)

// day is a day of the application: it writes to its database and knows nothing
// of NetSuite. After each step it is shown what NetSuite has.
func day(ctx context.Context, out io.Writer, app *sql.DB, engine *upkeep.Engine, account *sandbox) error {
	for _, step := range []struct{ what, query string }{
		{"Ada signs up and fills a basket.", `
			insert into users values (1, 'Ada', 'ada@example.com', null);
			insert into orders values (42, 1, 'draft', 'R42');
			insert into line_items values (1, 42, '201', 2, 9.90);`},
		{"She adds an item and places the order, in one transaction.", `
			begin;
			insert into line_items values (2, 42, '202', 1, 0.10);
			update orders set state = 'placed' where id = 42;
			commit;`},
		{"Her phone number changes: no record has it.", `update users set phone = '555' where id = 1`},
		{"A line is repriced in bulk.", `update line_items set price = price + 1 where item_id = '201'`},
		{"A line is taken out again.", `delete from line_items where id = 2`},
	} {
		if _, err := fmt.Fprintln(out, step.what); err != nil {
			return err
		}
		before := account.calls()
		if _, err := app.ExecContext(ctx, step.query); err != nil {
			return err
		}
		// A program need not wait; this one wants to show what came of it.
		if err := engine.Quiet(ctx, nil); err != nil {
			return err
		}
		if err := account.show(out, account.calls()-before); err != nil {
			return err
		}
	}
	explanation, err := engine.Explain(ctx, "sales_order", "42")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "Order 42 is %s.\n", explanation.Group.State)
	return err
}
