package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/upkeep-sync/upkeep/internal/store"
)

func installTests() []test {
	return []test{
		{"migrate at once", testMigrateAtOnce},
		{"idempotent", testInstallIdempotent},
		{"other shapes", testInstallOther},
		{"at once", testInstallAtOnce},
		{"a column that is gone", testInstallLacking},
		{"inspect", testInspect},
		{"inspect a renamed column", testInspectRenamed},
		{"log across a change of shapes", testInstallLog},
		{"uninstall", testUninstall},
		{"not installed", testNotInstalled},
		{"labels", testLabels},
	}
}

func testMigrateAtOnce(e *env) {
	e.ok(e.Store.Uninstall(e.ctx))
	var wg sync.WaitGroup
	for range 4 {
		s := e.Again(e.t)
		wg.Go(func() {
			if err := s.Migrate(e.ctx); err != nil {
				e.t.Error(err)
			}
		})
	}
	wg.Wait()
	e.shop(e.orderShape())
	e.equal("groups", len(e.groups()), 2)
}

func testInstallIdempotent(e *env) {
	e.shop(e.orderShape(), e.customerShape())
	before := e.Objects(e.t)
	e.install(e.shapes...)
	e.equal("objects", fmt.Sprint(e.Objects(e.t)), fmt.Sprint(before))
	e.exec(`UPDATE orders SET state = 'x' WHERE id = 1`)
	n, err := e.Store.Pending(e.ctx, 10)
	e.ok(err)
	e.equal("rows in the log", n, 1)
}

func testInstallOther(e *env) {
	e.shop(e.orderShape())
	e.install(e.fulfillmentShape())
	e.exec(`UPDATE orders SET state = 'x' WHERE id = 1`, `UPDATE line_items SET qty = 9`, `DELETE FROM billing_infos`)
	n, err := e.Store.Pending(e.ctx, 10)
	e.ok(err)
	e.equal("rows in the log", n, 0)
	e.exec(`UPDATE orders SET note = 'x' WHERE id = 1`)
	e.wantRaised("fulfillment/1")
	e.install()
	e.exec(`UPDATE orders SET note = 'y' WHERE id = 1`)
	n, err = e.Store.Pending(e.ctx, 10)
	e.ok(err)
	e.equal("rows in the log without shapes", n, 0)
}

// testInstallLacking: triggers that would name a column which is not there are not
// made. The application writes on, and the other tables are watched.
func testInstallLacking(e *env) {
	order := e.orderShape()
	e.install(e.customerShape())
	e.exec(shopRows...)
	e.raised()
	e.exec(`ALTER TABLE line_items RENAME COLUMN price TO cost`)
	e.shapes = append(e.shapes, order)
	write := func(price string) {
		e.exec(`INSERT INTO line_items (id, order_id, sku, qty, `+price+`) VALUES (13, 1, 'nib', 1, 1.10)`,
			`UPDATE line_items SET `+price+` = 2 WHERE id = 13`, `DELETE FROM line_items WHERE id = 13`)
	}
	for range 2 {
		if err := e.Store.Install(e.ctx, e.shapes, plan, ""); err == nil || !strings.Contains(err.Error(), "line_items") || !strings.Contains(err.Error(), "price") {
			e.t.Errorf("install for a column that is gone: %v", err)
		}
		write("cost")
		e.exec(`UPDATE billing_infos SET vat = 'x' WHERE id = 1`, `UPDATE users SET name = name || '.' WHERE id = 1`)
		e.wantRaised("customer/1", "sales_order/1")
		e.exec(`UPDATE billing_infos SET vat = NULL WHERE id = 1`)
		e.raised()
	}
	e.exec(`ALTER TABLE line_items RENAME COLUMN cost TO price`)
	e.install(e.shapes...)
	write("price")
	e.wantRaised("sales_order/1")
	e.exec(`ALTER TABLE line_items RENAME COLUMN price TO cost`) // with its triggers
	write("cost")
	_ = e.Store.Install(e.ctx, e.shapes, plan, "") // some databases' triggers fit still
	write("cost")
}

func testInstallAtOnce(e *env) {
	shapes := []*store.Shape{e.orderShape(), e.customerShape()}
	var wg sync.WaitGroup
	for range 4 {
		s := e.Again(e.t)
		wg.Go(func() {
			if err := s.Install(e.ctx, shapes, plan, ""); err != nil {
				e.t.Error(err)
			}
		})
	}
	wg.Wait()
	e.shop(shapes...)
	e.equal("groups", len(e.groups()), 4)
}

func testInspect(e *env) {
	shapes := []*store.Shape{e.orderShape(), e.customerShape()}
	found, err := e.Store.Inspect(e.ctx, shapes)
	e.ok(err)
	if len(found) == 0 {
		e.t.Error("no finding before the triggers are installed")
	}
	e.install(shapes...)
	found, err = e.Store.Inspect(e.ctx, shapes)
	e.ok(err)
	e.equal("findings", len(found), 0)
	e.DropTrigger(e.t, "line_items")
	found, err = e.Store.Inspect(e.ctx, shapes)
	e.ok(err)
	if len(found) != 1 || found[0].Severity != store.Problem || !strings.Contains(found[0].Subject, "line_items") {
		e.t.Errorf("findings about a dropped trigger: %+v", found)
	}
	e.install(shapes...)
	found, err = e.Store.Inspect(e.ctx, shapes)
	e.ok(err)
	e.equal("findings once installed again", len(found), 0)
	e.exec(shopRows...)
	e.raised()
	e.exec(`UPDATE line_items SET qty = 9 WHERE id = 11`)
	e.wantRaised("sales_order/1")
}

// testInspectRenamed: a migration that fills another column and gives it the
// name of a watched one. A trigger that follows the old one sees nothing.
func testInspectRenamed(e *env) {
	shapes := []*store.Shape{e.orderShape(), e.customerShape()}
	e.shop(shapes...)
	e.exec(
		`ALTER TABLE line_items RENAME COLUMN price TO old_price`,
		`ALTER TABLE line_items ADD COLUMN price numeric(10,2) NOT NULL DEFAULT 0`)
	found, err := e.Store.Inspect(e.ctx, shapes)
	e.ok(err)
	if len(found) == 0 {
		e.t.Error("no finding about triggers that watch a column that was renamed, while another has its name")
	}
	for _, f := range found {
		if f.Severity != store.Problem || !strings.Contains(f.Subject, "line_items") {
			e.t.Errorf("finding about a column that was renamed: %+v", f)
		}
	}
	e.install(shapes...)
	found, err = e.Store.Inspect(e.ctx, shapes)
	e.ok(err)
	e.equal("findings once installed again", len(found), 0)
	e.raised()
	e.exec(`UPDATE line_items SET price = 7 WHERE id = 11`)
	e.wantRaised("sales_order/1")
}

// testInstallLog: what was logged under other shapes is not lost.
func testInstallLog(e *env) {
	e.shop(e.fulfillmentShape())
	e.exec(`UPDATE orders SET note = 'x' WHERE id = 1`)
	wide := e.root("fulfillment", "orders", "id", "note")
	e.add(wide.Root, link{rel: store.BelongsTo, name: "user", table: "users", via: []string{"user_id"}}, "name")
	e.install(wide)
	e.exec(`UPDATE users SET name = 'x' WHERE id = 2`)
	e.wantRaised("fulfillment/1", "fulfillment/2")
}

func testUninstall(e *env) {
	e.ok(e.Store.Uninstall(e.ctx))
	before := e.Objects(e.t)
	e.ok(e.Store.Migrate(e.ctx))
	e.shop(e.orderShape(), e.customerShape())
	e.exec(`UPDATE orders SET state = 'x'`)
	e.ok(e.Store.Uninstall(e.ctx))
	e.equal("objects left", fmt.Sprint(e.Objects(e.t)), fmt.Sprint(before))
	e.exec(`UPDATE orders SET state = 'y'`, `DELETE FROM line_items`) // nothing in the way
	e.ok(e.Store.Uninstall(e.ctx))
}

// What labels are called is kept by sync, over what a pass and an installation write.
func testLabels(e *env) {
	e.shop(e.orderShape(), e.customerShape())
	orders := store.Labels{"shop.orders.state": {"17": {"new"}, "18": {"cancelled", "canceled"}}}
	noted := func() map[string]store.Labels {
		all, err := e.Store.Labels(e.ctx)
		e.ok(err)
		return all
	}
	e.equal("noted at first", len(noted()), 0)
	e.ok(e.Store.NoteLabels(e.ctx, "order", store.Labels{"shop.orders.state": {"17": {"old"}}}))
	e.ok(e.Store.NoteLabels(e.ctx, "order", orders))
	e.ok(e.Store.NoteLabels(e.ctx, "none yet", store.Labels{}))
	e.ok(e.Store.StartBackfill(e.ctx, "order", "1", true, false))
	e.install(e.shapes...)
	e.equal("noted", fmt.Sprint(noted()["order"]), fmt.Sprint(orders))
	e.equal("syncs", len(noted()), 2)
	keys, err := e.Store.RootKeys(e.ctx)
	e.ok(err)
	e.equal("keys", len(keys), 2) // of one that is not installed there is none
}

func testNotInstalled(e *env) {
	e.ok(e.Store.Uninstall(e.ctx))
	shapes := []*store.Shape{e.orderShape()}
	for name, f := range map[string]func() error{
		"Fold":   func() error { _, err := e.Store.Fold(e.ctx, shapes, plan, 10); return err },
		"Counts": func() error { _, err := e.Store.Counts(e.ctx); return err },
		"Claim": func() error {
			_, err := e.Store.Claim(e.ctx, store.ClaimRequest{Holder: "w", Limit: 1, Syncs: []store.ClaimSync{{Sync: "s"}}})
			return err
		},
		"Labels": func() error { _, err := e.Store.Labels(e.ctx); return err },
		"Secret": func() error { _, err := e.Store.Secret(e.ctx); return err },
	} {
		if err := f(); !errors.Is(err, store.ErrNotInstalled) {
			e.t.Errorf("%s: %v, want ErrNotInstalled", name, err)
		}
	}
}
