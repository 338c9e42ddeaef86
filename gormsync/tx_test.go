package gormsync_test

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"
	"gorm.io/gorm/utils/tests"

	"github.com/upkeep-sync/upkeep/gormsync"
	"github.com/upkeep-sync/upkeep/upkeeptest"
)

// openGORM is GORM on a database that is open; a program opens it with the
// driver for its database.
func openGORM(app *sql.DB, prepare bool) (*gorm.DB, error) {
	return gorm.Open(tests.DummyDialector{}, &gorm.Config{ConnPool: app, PrepareStmt: prepare, Logger: logger.Discard})
}

// A row and its registration are committed together, or not at all.
func TestRegisterInTransactionOfGORM(t *testing.T) {
	t.Parallel()
	for _, prepare := range []bool{false, true} {
		t.Run(fmt.Sprint("PrepareStmt ", prepare), func(t *testing.T) {
			t.Parallel()
			order := salesOrder(nil)
			order.ByHand = true
			db := upkeeptest.New(t, shop, order)
			app, err := openGORM(db.SQL, prepare)
			if err != nil {
				t.Fatal(err)
			}
			undone := errors.New("undone")
			place := func(app *gorm.DB, id uint, then error) error {
				return app.Transaction(func(tx *gorm.DB) error {
					if err := tx.Exec("update orders set state = 'paid' where id = ?", id).Error; err != nil {
						return err
					}
					own, err := gormsync.Tx(tx)
					if err != nil {
						return err
					}
					if err := db.Engine.Register(t.Context(), own, "sales_order", id); err != nil {
						return err
					}
					return then
				})
			}
			if err := place(app, 42, nil); err != nil {
				t.Fatal(err)
			}
			if err := place(app.WithContext(t.Context()).Session(&gorm.Session{PrepareStmt: true}), 43, undone); !errors.Is(err, undone) {
				t.Fatal(err)
			}
			if r := db.Record("sales_order", 42); !r.Exists {
				t.Error(r)
			}
			db.Record("sales_order", 43).WantNone()
			if _, err := gormsync.Tx(app); err == nil || !strings.Contains(err.Error(), "in no transaction") {
				t.Errorf("outside of a transaction: %v", err)
			}
		})
	}
	db := upkeeptest.New(t, shop, salesOrder(nil))
	app, err := openGORM(db.SQL, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Engine.Touch(t.Context(), app, "sales_order", 42); err == nil || !strings.Contains(err.Error(), "give what gormsync.Tx makes of it") {
		t.Errorf("a touch in a *gorm.DB: %v", err)
	}
	if _, err := gormsync.Tx(nil); err == nil {
		t.Error("nil is no transaction")
	}
}
