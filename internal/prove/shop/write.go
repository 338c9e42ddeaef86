package shop

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
)

// Writer is the application: it writes rows by chance.
type Writer struct {
	DB    *sql.DB
	Rand  *rand.Rand
	Ended *Ended
	// Customers and Orders are the ids that it uses, from one up to these.
	Customers, Orders int64
	// Lasting: no customer is deleted. Some remotes refuse that for as long as
	// an order refers to it, and a version that refers to it can't go after it.
	Lasting bool

	lines int64 // of the ids given
}

// Fill makes half of the rows.
func (w *Writer) Fill(ctx context.Context) error {
	return w.Do(ctx, func(tx *Tx) {
		for id := int64(1); id <= w.Customers; id += 2 {
			tx.customer(id)
			tx.label(id)
		}
		for id := int64(1); id <= w.Orders; id += 2 {
			tx.order(id, 1+2*w.Rand.Int64N((w.Customers+1)/2))
		}
	})
}

// Tx is one transaction of the application; the first error stays.
type Tx struct {
	w   *Writer
	ctx context.Context
	tx  *sql.Tx
	err error
}

// Do runs f in a transaction.
func (w *Writer) Do(ctx context.Context, f func(*Tx)) error {
	tx, err := w.DB.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	t := &Tx{w: w, ctx: ctx, tx: tx}
	f(t)
	if t.err != nil {
		_ = tx.Rollback()
		return t.err
	}
	return tx.Commit()
}

// Exec runs a statement.
func (t *Tx) Exec(format string, args ...any) {
	if t.err != nil {
		return
	}
	query := fmt.Sprintf(format, args...)
	if _, err := t.tx.ExecContext(t.ctx, query); err != nil {
		t.err = fmt.Errorf("%s: %w", query, err)
	}
}

// Create makes a new row and its lines: a customer that is not there and an
// order of it.
func (w *Writer) Create(ctx context.Context) error {
	return w.Do(ctx, func(tx *Tx) {
		c := tx.free("customers", w.Customers)
		tx.customer(c)
		tx.order(tx.free("orders", w.Orders), c)
	})
}

// Update changes an order and its customer, and shows or hides a label.
func (w *Writer) Update(ctx context.Context) error {
	return w.Do(ctx, func(tx *Tx) {
		id := tx.taken("orders")
		tx.Exec("update orders set ref = '%s' where id = %d", tx.text(), id)
		tx.Exec("update customers set segment = '%s' where id = (select customer_id from orders where id = %d)", tx.text(), id)
		tx.show(tx.taken("labels"))
	})
}

// Delete deletes an order.
func (w *Writer) Delete(ctx context.Context) error {
	return w.Do(ctx, func(tx *Tx) { tx.deleteOrder(tx.taken("orders")) })
}

// Batch changes many rows in one transaction, in every way.
func (w *Writer) Batch(ctx context.Context) error {
	return w.Do(ctx, func(tx *Tx) {
		for range 12 {
			tx.any()
		}
	})
}

// Any is one transaction of one to four changes.
func (w *Writer) Any(ctx context.Context) error {
	return w.Do(ctx, func(tx *Tx) {
		for range 1 + w.Rand.IntN(4) {
			tx.any()
		}
	})
}

// any is one change. On PostgreSQL and SQLite alike a row that is not there
// makes it do nothing.
func (t *Tx) any() {
	w := t.w
	c, o := 1+w.Rand.Int64N(w.Customers), 1+w.Rand.Int64N(w.Orders)
	switch w.Rand.IntN(15) {
	case 0, 1:
		t.Exec("insert into customers(id, name) values (%d, '%s') on conflict (id) do update set name = excluded.name", c, t.text())
	case 2, 3:
		t.Exec("update customers set segment = '%s' where id = %d", t.text(), c)
	case 4:
		if w.Rand.IntN(3) == 0 && !w.Lasting {
			t.deleteCustomer(c)
		}
	case 5:
		t.Exec("insert into orders(id, customer_id, state) select %d, id, 'open' from customers where id = %d on conflict (id) do nothing", o, c)
	case 6:
		t.Exec("update orders set customer_id = %d where id = %d and exists (select 1 from customers where id = %d)", c, o, c)
	case 7:
		t.deleteOrder(o)
	case 8:
		state := []string{"draft", "open", "sent"}[w.Rand.IntN(3)]
		if state == "draft" {
			w.Ended.Note("order", o)
		}
		t.Exec("update orders set state = '%s' where id = %d", state, o)
	case 9:
		t.line(o)
	case 10:
		t.Exec("update lines set qty = qty + 1 where order_id = %d", o)
	case 11:
		t.label(c)
	case 12:
		t.show(c)
	case 13:
		if w.Rand.IntN(3) == 0 {
			w.Ended.Note("label", c)
			t.Exec("delete from labels where id = %d", c)
		}
	default:
		t.Exec("delete from lines where order_id = %d and qty > 2", o)
	}
}

func (t *Tx) text() string { return fmt.Sprintf("%s %08x", Canary, t.w.Rand.Uint32()) }

func (t *Tx) customer(id int64) {
	t.Exec("insert into customers(id, name, segment) values (%d, '%s', '%s')", id, t.text(), t.text())
}

func (t *Tx) label(id int64) {
	t.Exec("insert into labels(id, text, shown) values (%d, '%s', 1) on conflict (id) do update set text = excluded.text, shown = 1", id, t.text())
}

// show hides a label that is shown, and the other way round.
func (t *Tx) show(id int64) {
	text := t.text()
	t.Exec("update labels set text = case shown when 1 then '%s %s' else '%s' end, shown = 1 - shown where id = %d", text, Hidden, text, id)
}

func (t *Tx) order(id, customer int64) {
	t.Exec("insert into orders(id, customer_id, state, ref) values (%d, %d, 'open', '%s')", id, customer, t.text())
	t.line(id)
	t.line(id)
}

func (t *Tx) line(order int64) {
	t.w.lines++
	t.Exec("insert into lines(id, order_id, sku, qty) select %d, id, '%s', 1 from orders where id = %d", t.w.lines, t.text(), order)
}

func (t *Tx) deleteOrder(id int64) {
	t.w.Ended.Note("order", id)
	t.Exec("delete from orders where id = %d", id)
}

func (t *Tx) deleteCustomer(id int64) {
	t.w.Ended.Note("customer", id)
	t.each(fmt.Sprintf("select id from orders where customer_id = %d", id), func(o int64) { t.w.Ended.Note("order", o) })
	t.Exec("delete from customers where id = %d", id)
}

// free is an id that no row has.
func (t *Tx) free(table string, most int64) int64 {
	used := map[int64]bool{}
	t.each("select id from "+table, func(id int64) { used[id] = true })
	id := 1 + t.w.Rand.Int64N(most)
	for used[id] {
		id++
	}
	return id
}

// taken is an id that a row has.
func (t *Tx) taken(table string) int64 {
	var ids []int64
	t.each("select id from "+table+" order by id", func(id int64) { ids = append(ids, id) })
	if len(ids) == 0 {
		return 0
	}
	return ids[t.w.Rand.IntN(len(ids))]
}

func (t *Tx) each(query string, f func(int64)) {
	if t.err != nil {
		return
	}
	t.err = each(t.ctx, t.tx, query, func(r *sql.Rows) error {
		var id int64
		err := r.Scan(&id)
		f(id)
		return err
	})
}
