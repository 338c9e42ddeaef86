package storetest

import (
	"fmt"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// shopTables is the shop of the design, in SQL that every database takes.
var shopTables = []string{
	`CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, segment TEXT, notes TEXT)`,
	`CREATE TABLE users (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers(id) ON DELETE CASCADE,
		name TEXT, email TEXT, last_seen TIMESTAMP)`,
	`CREATE TABLE orders (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users(id) ON DELETE CASCADE,
		state TEXT NOT NULL DEFAULT 'draft', ref_no TEXT, accountable BOOLEAN NOT NULL DEFAULT TRUE,
		total NUMERIC(12,2), ordered_on DATE, created_at TIMESTAMP, note TEXT)`,
	`CREATE TABLE billing_infos (id INTEGER PRIMARY KEY,
		order_id INTEGER REFERENCES orders(id) DEFERRABLE INITIALLY DEFERRED, vat TEXT, note TEXT)`,
	`CREATE TABLE line_items (id INTEGER PRIMARY KEY, order_id INTEGER REFERENCES orders(id) ON DELETE CASCADE,
		sku TEXT, qty INTEGER, price NUMERIC(12,2), note TEXT)`,
	`CREATE INDEX users_customer_id ON users (customer_id)`,
	`CREATE INDEX orders_user_id ON orders (user_id)`,
	`CREATE INDEX billing_infos_order_id ON billing_infos (order_id)`,
	`CREATE INDEX line_items_order_id ON line_items (order_id)`,
}

// shopRows are two of everything: customer c has user c, who has order c,
// with billing info c and lines 10c+1 and 10c+2.
var shopRows = []string{
	`INSERT INTO customers (id, name, segment) VALUES (1, 'Acme', 'gold'), (2, 'Bolt', 'iron')`,
	`INSERT INTO users (id, customer_id, name, email) VALUES (1, 1, 'Ann', 'ann@example.com'), (2, 2, 'Bob', 'bob@example.com')`,
	`INSERT INTO orders (id, user_id, state, ref_no, accountable, total, ordered_on, created_at) VALUES
		(1, 1, 'placed', 'A-1', TRUE, 10.50, '2026-01-02', '2026-01-02 03:04:05'),
		(2, 2, 'placed', 'A-2', FALSE, 20.00, '2026-01-03', '2026-01-03 03:04:05')`,
	`INSERT INTO billing_infos (id, order_id, vat) VALUES (1, 1, 'DE1'), (2, 2, 'DE2')`,
	`INSERT INTO line_items (id, order_id, sku, qty, price) VALUES
		(11, 1, 'pen', 1, 1.10), (12, 1, 'ink', 2, 2.20), (21, 2, 'cap', 3, 3.30), (22, 2, 'tie', 4, 4.40)`,
}

// table reads a table from the catalogue.
func (e *env) table(name string) *store.TableInfo {
	e.t.Helper()
	info, err := e.Store.Table(e.ctx, store.Table{Name: name})
	if err != nil {
		e.t.Fatalf("table %q: %v", name, err)
	}
	return info
}

// columns are some columns of a table, as the catalogue has them.
func (e *env) columns(info *store.TableInfo, names ...string) []store.Column {
	e.t.Helper()
	var cs []store.Column
	for _, n := range names {
		c, ok := info.Column(n)
		if !ok {
			e.t.Fatalf("table %s has no column %q, it has %v", info.Table, n, info.Columns)
		}
		cs = append(cs, c)
	}
	return cs
}

// root begins a shape.
func (e *env) root(sync, table string, columns ...string) *store.Shape {
	e.t.Helper()
	info := e.table(table)
	return &store.Shape{Sync: sync, MemberLimit: 10_000, Root: &store.Member{
		Table: info.Table, Key: e.columns(info, info.Key...), Columns: e.columns(info, columns...)}}
}

// link says how a member hangs on its parent.
type link struct {
	rel      store.Relation
	name     string
	table    string
	via      []string // of the parent for BelongsTo, else of the table
	to       []string // nil: the primary key of the other side
	where    string
	order    string
	noRows   bool // OnlyAggregates
	sums     []string
	counting bool
}

// add hangs a member on parent and returns it.
func (e *env) add(parent *store.Member, l link, columns ...string) *store.Member {
	e.t.Helper()
	info := e.table(l.table)
	up, err := e.Store.Table(e.ctx, parent.Table)
	e.ok(err)
	m := &store.Member{Name: l.name, Relation: l.rel, Table: info.Table, Key: e.columns(info, info.Key...),
		Columns: e.columns(info, columns...), Where: l.where, Order: l.order, OnlyAggregates: l.noRows}
	from, at := info, up
	if l.rel == store.BelongsTo {
		from, at = up, info
	}
	to := l.to
	if to == nil {
		to = at.Key
	}
	m.Via, m.To = e.columns(from, l.via...), e.columns(at, to...)
	if l.where != "" || l.order != "" {
		used, err := e.Store.Fragment(e.ctx, info.Table, l.where, l.order)
		e.ok(err)
		m.Fragment = e.columns(info, used...)
	}
	if l.counting {
		m.Aggregates = append(m.Aggregates, store.Aggregate{Name: l.name + "_count", Func: "count"})
	}
	for _, s := range l.sums {
		m.Aggregates = append(m.Aggregates, store.Aggregate{Name: l.name + "_sum_" + s, Func: "sum", Column: e.columns(info, s)[0]})
	}
	parent.Members = append(parent.Members, m)
	return m
}

// customerShape is the design's sync "customer": users with their customer
// and a count of their orders.
func (e *env) customerShape() *store.Shape {
	e.t.Helper()
	s := e.root("customer", "users", "id", "name", "email")
	e.add(s.Root, link{rel: store.BelongsTo, name: "customer", table: "customers", via: []string{"customer_id"}}, "segment")
	e.add(s.Root, link{rel: store.HasMany, name: "orders", table: "orders", via: []string{"user_id"},
		where: "accountable", noRows: true, counting: true})
	return s
}

// orderShape is the design's sync "sales_order".
func (e *env) orderShape() *store.Shape {
	e.t.Helper()
	s := e.root("sales_order", "orders", "id", "user_id", "state", "ref_no")
	e.add(s.Root, link{rel: store.HasOne, name: "billing", table: "billing_infos", via: []string{"order_id"}}, "vat")
	e.add(s.Root, link{rel: store.HasMany, name: "lines", table: "line_items", via: []string{"order_id"}, order: "id"},
		"sku", "qty", "price")
	return s
}

// fulfillmentShape is the design's sync "fulfillment": a second sync of the
// table orders, with other columns.
func (e *env) fulfillmentShape() *store.Shape {
	e.t.Helper()
	return e.root("fulfillment", "orders", "id", "note")
}

// accountShape goes down three hops of has_many: customers, users, orders,
// lines.
func (e *env) accountShape() *store.Shape {
	e.t.Helper()
	s := e.root("account", "customers", "id", "name")
	u := e.add(s.Root, link{rel: store.HasMany, name: "users", table: "users", via: []string{"customer_id"}}, "name")
	o := e.add(u, link{rel: store.HasMany, name: "orders", table: "orders", via: []string{"user_id"}}, "state")
	e.add(o, link{rel: store.HasMany, name: "lines", table: "line_items", via: []string{"order_id"}}, "qty")
	return s
}

// lineShape goes up three hops of belongs_to: line, order, user, customer.
func (e *env) lineShape() *store.Shape {
	e.t.Helper()
	s := e.root("line", "line_items", "id", "sku")
	o := e.add(s.Root, link{rel: store.BelongsTo, name: "order", table: "orders", via: []string{"order_id"}}, "state")
	u := e.add(o, link{rel: store.BelongsTo, name: "user", table: "users", via: []string{"user_id"}}, "name")
	e.add(u, link{rel: store.BelongsTo, name: "customer", table: "customers", via: []string{"customer_id"}}, "segment")
	return s
}

// shop installs the shapes, adds the shop's rows and takes the groups that
// come of them as seen.
func (e *env) shop(shapes ...*store.Shape) {
	e.t.Helper()
	e.install(shapes...)
	e.exec(shopRows...)
	e.raised()
}

// orders adds n placed orders of a user, with ids from first on.
func (e *env) orders(user, first, n int) {
	e.t.Helper()
	e.exec(fmt.Sprintf(`INSERT INTO orders (id, user_id, state) SELECT n + %d, %d, 'placed' FROM %s AS r`, first-1, user, e.Row(n)))
}
