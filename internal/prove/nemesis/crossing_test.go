package nemesis

import (
	"fmt"
	"sync"

	"github.com/upkeep-sync/upkeep/internal/prove/provetest"
)

// crossing lets several transactions write to the same groups at once, in
// opposite orders, by rows that are each one's own. They share no row, so that
// without Upkeep none of them ever waits: each error is of its making. One row
// that all of them write last is hot, and makes them wait for each other as
// they would without it.
func crossing(w *world) {
	const writers, transactions, orders = 6, 40, 8
	const first, customers = 100_000, 5_000 // out of the way of the others' keys
	app := provetest.Connect(w.t, w.place.Worker.Database)
	app.SetMaxOpenConns(writers)
	setup := fmt.Sprintf("insert into customers(id, name) select n, 'hot' from generate_series(%[1]d, %[1]d + 2) n on conflict do nothing;"+
		"insert into orders(id, customer_id, state) select %[1]d + n, %[1]d + n %% 2, 'open' from generate_series(1, %[2]d) n on conflict do nothing;"+
		"insert into lines(id, order_id, sku, qty) select %[3]d + n, %[1]d + 1 + n %% %[2]d, 'x', 1 from generate_series(0, %[2]d * %[4]d - 1) n on conflict do nothing",
		customers, orders, first, writers)
	w.exec(setup)
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			for n := range transactions {
				text := "begin"
				for o := range orders {
					at := o // of the orders, from the first to the last or back
					if (i+n)%2 == 1 {
						at = orders - 1 - o
					}
					text += fmt.Sprintf("; update lines set qty = qty + 1 where id = %d", first+i*orders+at)
				}
				text += fmt.Sprintf("; update customers set name = 'hot %d %d' where id = %d; commit", i, n, customers+2)
				_, err := app.ExecContext(w.ctx, text)
				w.mu.Lock()
				if err != nil {
					w.errs = append(w.errs, err)
				} else {
					w.writes++
				}
				w.mu.Unlock()
				if err != nil {
					return // the connection's transaction is broken
				}
			}
		})
	}
	all.Wait()
	w.progress(10)
}
