package gormsync_test

import (
	"fmt"

	"github.com/shopspring/decimal"
	"gorm.io/gorm"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/gormsync"
)

// The models of an application, as they are.

type User struct {
	gorm.Model
	Name  string
	Email *string
}

type Order struct {
	gorm.Model
	State  string
	UserID uint
	User   User
	Lines  []LineItem
}

type LineItem struct {
	gorm.Model
	OrderID uint
	SKU     string
	Price   decimal.Decimal
}

// salesOrder is a sync over a model. Load says what Translate reads.
func salesOrder(to *upkeep.Remote) gormsync.Model[Order] {
	return gormsync.Model[Order]{
		Name: "sales_order", To: to, Record: "salesOrder",
		Load:      []string{"State", "User.Name", "Lines.SKU", "Lines.Price"},
		When:      func(o Order) bool { return o.State != "draft" },
		WhenFalse: upkeep.Ending{Action: upkeep.Delete}, // also for soft deleted orders
		Translate: func(o Order) (upkeep.Fields, error) {
			items := []upkeep.Fields{}
			for _, l := range o.Lines {
				items = append(items, upkeep.Fields{"item": l.SKU, "rate": l.Price})
			}
			return upkeep.Fields{"otherRefNum": o.ID, "customer": o.User.Name, "item": items}, nil
		},
	}
}

// The tables and keys come from the model. The sync is then one of
// upkeep.Config.Syncs, or of a test's, as those of package upkeep are.
func Example() {
	m, err := salesOrder(nil).Declaration()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.From.Table, m.From.Columns)
	user, lines := m.From.BelongsTo["User"], m.From.HasMany["Lines"]
	fmt.Println(user.Table, user.Columns, user.Via, "->", user.To)
	fmt.Println(lines.Table, lines.Columns, lines.Via, "->", lines.To, "where", lines.Where)
	// Output:
	// orders [id deleted_at state]
	// users [id deleted_at name] [user_id] -> [id]
	// line_items [id deleted_at sku price] [order_id] -> [id] where "deleted_at" IS NULL
}
