package main

import (
	"fmt"

	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep"
)

// User is a row of users, with how many orders it has placed.
type User struct {
	ID     int64   `db:"id"`
	Name   string  `db:"name"`
	Email  *string `db:"email"`
	Orders int64   `count:"orders.user_id" where:"state <> 'draft'"`
}

// Order is a row of orders with its lines.
type Order struct {
	UserID int64  `db:"user_id"`
	State  string `db:"state"`
	RefNo  string `db:"ref_no"`
	Lines  []Line `has_many:"line_items.order_id"`
}

// Line is a row of line_items.
type Line struct {
	ItemID string          `db:"item_id"`
	Qty    int             `db:"qty"`
	Price  decimal.Decimal `db:"price"`
}

// syncs are the declarations; to is nil in tests.
func syncs(to *upkeep.Remote) []upkeep.AnySync {
	return []upkeep.AnySync{
		upkeep.Sync[User]{
			Name: "customer", Table: "users", To: to, Record: "customer",
			Translate: translateUser,
			OnDelete:  upkeep.Ending{Action: upkeep.Set, Fields: upkeep.Fields{"isInactive": true}},
		},
		upkeep.Sync[Order]{
			Name: "sales_order", Table: "orders", To: to, Record: "salesOrder", RefersTo: []string{"customer"},
			When:      func(o Order) bool { return o.State != "draft" },
			Translate: translateOrder,
		},
	}
}

func translateUser(u User) (upkeep.Fields, error) {
	return upkeep.Fields{
		"entityId":          fmt.Sprintf("U%d", u.ID),
		"companyName":       u.Name,
		"email":             u.Email,
		"custentity_orders": u.Orders,
		"isInactive":        false, // OnDelete sets it; a user may come back
	}, nil
}

func translateOrder(o Order) (upkeep.Fields, error) {
	items := []upkeep.Fields{}
	for _, l := range o.Lines {
		items = append(items, upkeep.Fields{"item": upkeep.Fields{"id": l.ItemID}, "quantity": l.Qty, "rate": l.Price})
	}
	return upkeep.Fields{"entity": upkeep.Ref("customer", o.UserID), "otherRefNum": o.RefNo, "item": items}, nil
}
