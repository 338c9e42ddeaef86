package storetest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/upkeep-sync/upkeep/internal/store"
)

func captureTests() []test {
	return []test{
		{"insert", testInsert},
		{"update", testUpdate},
		{"delete", testDelete},
		{"key change", testKeyChange},
		{"cascade", testCascade},
		{"parent deleted before child", testParentFirst},
		{"upsert", testUpsert},
		{"bulk", testBulk},
		{"rollback", testRollback},
		{"recreate", testRecreate},
		{"two syncs of one table", testTwoSyncs},
		{"cause", testCause},
		{"null and empty", testNullAndEmpty},
	}
}

func testInsert(e *env) {
	e.shop(e.customerShape(), e.orderShape())
	e.exec(`INSERT INTO users (id, customer_id, name) VALUES (3, 1, 'Cid')`)
	e.wantRaised("customer/3")
	e.exec(`INSERT INTO orders (id, user_id) VALUES (3, 3)`)
	e.wantRaised("customer/3", "sales_order/3")
	e.exec(`INSERT INTO line_items (id, order_id, sku) VALUES (31, 3, 'pen')`)
	e.wantRaised("sales_order/3")
	e.exec(`INSERT INTO billing_infos (id, order_id) VALUES (3, 3)`)
	e.wantRaised("sales_order/3")
	e.exec(`INSERT INTO customers (id) VALUES (3)`, `INSERT INTO line_items (id) VALUES (99)`)
	e.wantRaised()
}

func testUpdate(e *env) {
	e.shop(e.customerShape(), e.orderShape())
	for _, c := range []struct {
		name, sql string
		want      []string
	}{
		{"a watched column", `UPDATE orders SET state = 'sent' WHERE id = 1`, []string{"sales_order/1"}},
		{"the same value", `UPDATE orders SET state = 'sent' WHERE id = 1`, nil},
		{"same values, another column changed", `UPDATE orders SET state = 'sent', note = 'x' WHERE id = 1`, nil},
		{"an unwatched column", `UPDATE orders SET note = 'y' WHERE id = 1`, nil},
		{"an unwatched column of a member", `UPDATE line_items SET note = 'y' WHERE id = 11`, nil},
		{"a member", `UPDATE line_items SET qty = 7 WHERE id = 11`, []string{"sales_order/1"}},
		{"a has_one member", `UPDATE billing_infos SET vat = 'DE9' WHERE id = 2`, []string{"sales_order/2"}},
		{"a belongs_to member", `UPDATE customers SET segment = 'tin' WHERE id = 1`, []string{"customer/1"}},
		{"an unwatched column of a belongs_to member", `UPDATE customers SET name = 'x' WHERE id = 1`, nil},
		{"a column that only where reads", `UPDATE orders SET accountable = FALSE WHERE id = 1`, []string{"customer/1"}},
		{"to null", `UPDATE orders SET ref_no = NULL WHERE id = 1`, []string{"sales_order/1"}},
		{"null to null", `UPDATE orders SET ref_no = NULL WHERE id = 1`, nil},
		{"from null", `UPDATE orders SET ref_no = 'A-1' WHERE id = 1`, []string{"sales_order/1"}},
		{"no row", `UPDATE orders SET state = 'x' WHERE id = 77`, nil},
		{"letter case", `UPDATE orders SET ref_no = 'a-1' WHERE id = 1`, []string{"sales_order/1"}},
		{"trailing space", `UPDATE orders SET ref_no = 'a-1 ' WHERE id = 1`, []string{"sales_order/1"}},
	} {
		e.t.Run(c.name, func(t *testing.T) {
			sub := *e
			sub.t = t
			sub.exec(c.sql)
			sub.wantRaised(c.want...)
		})
	}
}

func testDelete(e *env) {
	e.shop(e.customerShape(), e.orderShape())
	e.exec(`DELETE FROM line_items WHERE id = 11`)
	e.wantRaised("sales_order/1")
	e.exec(`DELETE FROM billing_infos WHERE id = 1`)
	e.wantRaised("sales_order/1")
	e.equal("DeleteSeen before the delete", e.group("sales_order/1").DeleteSeen, false)
	e.exec(`DELETE FROM orders WHERE id = 1`)
	e.wantRaised("customer/1", "sales_order/1")
	e.equal("DeleteSeen after the delete", e.group("sales_order/1").DeleteSeen, true)
	e.equal("DeleteSeen of a group that lost a member", e.group("customer/1").DeleteSeen, false)
	e.exec(`DELETE FROM line_items`)
	e.wantRaised("sales_order/2")
	e.equal("DeleteSeen of the other", e.group("sales_order/2").DeleteSeen, false)
}

func testKeyChange(e *env) {
	e.shop(e.orderShape())
	e.exec(`UPDATE line_items SET id = 111 WHERE id = 11`)
	e.wantRaised("sales_order/1")
	e.exec(`INSERT INTO orders (id, state) VALUES (5, 'placed')`)
	e.wantRaised("sales_order/5")
	e.exec(`UPDATE orders SET id = 6 WHERE id = 5`)
	e.wantRaised("sales_order/5", "sales_order/6")
	e.equal("DeleteSeen of the old key", e.group("sales_order/5").DeleteSeen, true)
	e.equal("DeleteSeen of the new key", e.group("sales_order/6").DeleteSeen, false)
}

func testCascade(e *env) {
	e.shop(e.customerShape(), e.orderShape(), e.accountShape())
	e.exec(`DELETE FROM billing_infos`)
	e.raised()
	e.exec(`DELETE FROM customers WHERE id = 1`)
	e.wantRaised("account/1", "customer/1", "sales_order/1")
	for _, g := range []string{"account/1", "customer/1", "sales_order/1"} {
		e.equal("DeleteSeen of "+g, e.group(g).DeleteSeen, true)
	}
}

func testParentFirst(e *env) {
	e.shop(e.customerShape(), e.orderShape())
	e.tx(`DELETE FROM orders WHERE id = 1`, `DELETE FROM billing_infos WHERE order_id = 1`)
	e.wantRaised("customer/1", "sales_order/1")
	e.equal("DeleteSeen", e.group("sales_order/1").DeleteSeen, true)
}

func testUpsert(e *env) {
	e.shop(e.orderShape())
	upsert := `INSERT INTO orders (id, state) VALUES (1, 'sent') ON CONFLICT (id) DO UPDATE SET state = excluded.state`
	e.exec(upsert)
	e.wantRaised("sales_order/1")
	e.exec(upsert)
	e.wantRaised()
	e.exec(`INSERT INTO orders (id, state) VALUES (1, 'x') ON CONFLICT DO NOTHING`)
	e.wantRaised()
	e.exec(`INSERT INTO orders (id, state) VALUES (3, 'x') ON CONFLICT (id) DO UPDATE SET state = excluded.state`)
	e.wantRaised("sales_order/3")
}

func testBulk(e *env) {
	e.shop(e.orderShape())
	e.orders(1, 1001, 2500)
	if got := len(e.raised()); got != 2500 {
		e.t.Errorf("a bulk insert of 2500 orders raised %d groups", got)
	}
	e.exec(`UPDATE orders SET note = 'bulk' WHERE id > 1000`)
	e.wantRaised()
	e.exec(`UPDATE orders SET state = 'sent' WHERE id > 1000`)
	if got := len(e.raised()); got != 2500 {
		e.t.Errorf("a bulk update of 2500 orders raised %d groups", got)
	}
	e.exec(`DELETE FROM orders WHERE id > 1000`)
	if got := len(e.raised()); got != 2500 {
		e.t.Errorf("a bulk delete of 2500 orders raised %d groups", got)
	}
}

func testRollback(e *env) {
	e.shop(e.orderShape())
	tx := e.Begin(e.t)
	e.ok(tx.Exec(`UPDATE orders SET state = 'sent' WHERE id = 1`))
	e.ok(tx.Exec(`INSERT INTO orders (id) VALUES (9)`))
	e.ok(tx.Rollback())
	n, err := e.Store.Pending(e.ctx, 10)
	e.ok(err)
	e.equal("rows in the log", n, 0)
	e.wantRaised()
}

func testRecreate(e *env) {
	e.shop(e.orderShape())
	e.syncAll()
	e.exec(`DELETE FROM line_items WHERE order_id = 1`, `DELETE FROM billing_infos WHERE order_id = 1`)
	e.tx(`DELETE FROM orders WHERE id = 1`, `INSERT INTO orders (id, state) VALUES (1, 'new')`)
	e.wantRaised("sales_order/1")
	c := e.claimOne("w", "sales_order/1")
	comps, _, err := e.Store.Load(e.ctx, e.shapes[0], []string{"1"})
	e.ok(err)
	e.equal("state", comps["1"].Row["state"], "new")
	e.equal("DeleteSeen of a row that is there again", c.DeleteSeen, false)
	e.record(synced(c, "r-1"))
	e.wantState("sales_order/1", store.Clean)
}

func testTwoSyncs(e *env) {
	e.shop(e.orderShape(), e.fulfillmentShape())
	e.exec(`UPDATE orders SET note = 'x' WHERE id = 1`)
	e.wantRaised("fulfillment/1")
	e.exec(`UPDATE orders SET state = 'x' WHERE id = 1`)
	e.wantRaised("sales_order/1")
	e.exec(`UPDATE orders SET state = 'y', note = 'y' WHERE id = 1`)
	e.wantRaised("fulfillment/1", "sales_order/1")
	e.exec(`UPDATE line_items SET qty = 99 WHERE id = 11`)
	e.wantRaised("sales_order/1")
}

func testCause(e *env) {
	e.shop(e.orderShape())
	e.exec(`UPDATE line_items SET qty = 99, sku = 'zip', note = 'x' WHERE id = 11`)
	e.raised()
	c := e.group("sales_order/1").Cause
	e.equal("op", c.Op, "update")
	e.equal("key", c.Key, "11")
	e.equal("columns", fmt.Sprint(slices.Sorted(slices.Values(c.Columns))), "[qty sku]")
	if want := e.table("line_items").Table.String(); c.Table != want && c.Table != "line_items" {
		e.t.Errorf("table is %q, want %q", c.Table, want)
	}
	if c.At.IsZero() {
		e.t.Error("the cause has no time")
	}
}

func testNullAndEmpty(e *env) {
	e.shop(e.orderShape())
	e.exec(`UPDATE orders SET ref_no = '' WHERE id = 1`)
	e.wantRaised("sales_order/1")
	e.exec(`UPDATE orders SET ref_no = NULL WHERE id = 1`)
	e.wantRaised("sales_order/1")
	e.exec(`UPDATE orders SET ref_no = '' WHERE id = 1`)
	e.wantRaised("sales_order/1")
}
