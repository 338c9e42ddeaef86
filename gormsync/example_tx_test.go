package gormsync_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"
	"gorm.io/gorm/utils/tests"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/gormsync"
	"github.com/upkeep-sync/upkeep/sqlite"
)

// A transaction of GORM carries a registration with it, as any other does.
func ExampleTx() {
	folder, err := os.MkdirTemp("", "upkeep-example")
	must(err)
	defer func() { must(os.RemoveAll(folder)) }()
	path := filepath.Join(folder, "shop.db")
	app, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(10000)&_txlock=immediate")
	must(err)
	defer func() { must(app.Close()) }()
	_, err = app.Exec(`
		create table users (id integer primary key, deleted_at datetime, name text);
		create table orders (id integer primary key, deleted_at datetime, state text, user_id integer references users(id));
		create table line_items (id integer primary key, deleted_at datetime, order_id integer references orders(id), sku text, price decimal(10,2));
		insert into users (id, name) values (1, 'Ada');
		insert into orders (id, state, user_id) values (42, 'placed', 1)`)
	must(err)
	// In the place of tests.DummyDialector, which needs no driver, stands the one of
	// your database: sqlite.Dialector{Conn: app} or postgres.New(postgres.Config{Conn: app}).
	orm, err := gorm.Open(tests.DummyDialector{}, &gorm.Config{ConnPool: app, PrepareStmt: true, Logger: logger.Discard})
	must(err)

	database, err := sqlite.Open(path, sqlite.Config{})
	must(err)
	defer func() { must(database.Close()) }()
	account := memory.New(memory.Config{})
	order := salesOrder(&upkeep.Remote{Name: "erp", Connection: account.Connect()})
	order.ByHand = true // only what is registered is sent
	engine, err := upkeep.New(upkeep.Config{Database: database, Syncs: []upkeep.AnySync{order}})
	must(err)
	ctx, stop := context.WithCancel(context.Background())
	must(engine.Install(ctx))
	ended := make(chan error, 1)
	go func() { ended <- engine.Run(ctx) }()

	must(orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := tx.Exec("update orders set state = 'approved' where id = ?", 42).Error; err != nil {
			return err
		}
		own, err := gormsync.Tx(tx)
		if err != nil {
			return err
		}
		return engine.Register(ctx, own, "sales_order", 42)
	}))

	must(engine.Quiet(ctx, nil))
	stop()
	must(<-ended)
	fmt.Println(account.Text("salesOrder", "sales_order-42", "customer"))
	// Output: "Ada"
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
