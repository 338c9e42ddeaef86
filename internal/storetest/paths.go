package storetest

func pathTests() []test {
	return []test{
		{"re-parent has_many", testReparentHasMany},
		{"re-parent belongs_to", testReparentBelongsTo},
		{"has_many hops", testHasManyHops},
		{"belongs_to hops", testBelongsToHops},
		{"re-parent in the middle", testReparentMiddle},
	}
}

func testReparentHasMany(e *env) {
	e.shop(e.orderShape())
	e.exec(`UPDATE line_items SET order_id = 2 WHERE id = 11`)
	e.wantRaised("sales_order/1", "sales_order/2")
	e.exec(`UPDATE line_items SET order_id = NULL WHERE id = 11`)
	e.wantRaised("sales_order/2")
	e.exec(`UPDATE line_items SET order_id = 1 WHERE id = 11`)
	e.wantRaised("sales_order/1")
	e.exec(`UPDATE billing_infos SET order_id = 2 WHERE id = 1`)
	e.wantRaised("sales_order/1", "sales_order/2")
	e.exec(`UPDATE billing_infos SET order_id = 2 WHERE id = 1`)
	e.wantRaised()
}

func testReparentBelongsTo(e *env) {
	e.shop(e.customerShape())
	e.exec(`UPDATE users SET customer_id = 2 WHERE id = 1`)
	e.wantRaised("customer/1")
	e.exec(`UPDATE users SET customer_id = NULL WHERE id = 1`)
	e.wantRaised("customer/1")
	e.exec(`UPDATE customers SET segment = 'lead' WHERE id = 2`)
	e.wantRaised("customer/2")
	e.exec(`UPDATE customers SET segment = 'lead' WHERE id = 1`)
	e.wantRaised()
}

func testHasManyHops(e *env) {
	e.shop(e.accountShape())
	e.exec(`UPDATE line_items SET qty = 50 WHERE id = 11`)
	e.wantRaised("account/1")
	e.exec(`UPDATE line_items SET order_id = 2 WHERE id = 11`)
	e.wantRaised("account/1", "account/2")
	e.exec(`UPDATE orders SET user_id = 1 WHERE id = 2`)
	e.wantRaised("account/1", "account/2")
	e.exec(`UPDATE orders SET state = 'x' WHERE id = 2`)
	e.wantRaised("account/1")
	e.exec(`UPDATE users SET customer_id = 2 WHERE id = 1`)
	e.wantRaised("account/1", "account/2")
	e.exec(`DELETE FROM line_items WHERE id = 12`)
	e.wantRaised("account/2")
	// The leaf is deleted and its way to the root changes in the same
	// transaction: both ends of the way must know.
	e.tx(`DELETE FROM line_items WHERE id = 21`, `UPDATE users SET customer_id = 1 WHERE id = 1`)
	e.wantRaised("account/1", "account/2")
}

func testBelongsToHops(e *env) {
	e.shop(e.lineShape())
	e.exec(`UPDATE customers SET segment = 'x' WHERE id = 1`)
	e.wantRaised("line/11", "line/12")
	e.exec(`UPDATE users SET name = 'x' WHERE id = 2`)
	e.wantRaised("line/21", "line/22")
	e.exec(`UPDATE users SET customer_id = 2 WHERE id = 1`)
	e.wantRaised("line/11", "line/12")
	e.exec(`UPDATE customers SET segment = 'y' WHERE id = 2`)
	e.wantRaised("line/11", "line/12", "line/21", "line/22")
	e.exec(`UPDATE orders SET user_id = NULL WHERE id = 1`)
	e.wantRaised("line/11", "line/12")
	e.exec(`UPDATE customers SET segment = 'z' WHERE id = 2`)
	e.wantRaised("line/21", "line/22")
}

func testReparentMiddle(e *env) {
	e.shop(e.accountShape(), e.lineShape())
	e.exec(`UPDATE orders SET user_id = 2 WHERE id = 1`)
	e.wantRaised("account/1", "account/2", "line/11", "line/12")
	// All the way in one transaction: the order moves, its user moves.
	e.tx(`UPDATE orders SET user_id = 1 WHERE id = 1`, `UPDATE users SET customer_id = NULL WHERE id = 1`)
	e.wantRaised("account/1", "account/2", "line/11", "line/12")
}
