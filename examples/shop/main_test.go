package main

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/upkeeptest"
)

const want = `Ada signs up and fills a basket.
  1 calls. customer U1: Ada, 0 orders.
She adds an item and places the order, in one transaction.
  2 calls. customer U1: Ada, 1 orders. order R42: total 19.9.
Her phone number changes: no record has it.
  0 calls. customer U1: Ada, 1 orders. order R42: total 19.9.
A line is repriced in bulk.
  1 calls. customer U1: Ada, 1 orders. order R42: total 21.9.
A line is taken out again.
  1 calls. customer U1: Ada, 1 orders. order R42: total 21.8.
Order 42 is clean.
`

func TestDay(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out strings.Builder
	if err := run(ctx, &out, slog.New(slog.NewTextHandler(t.Output(), nil))); err != nil {
		t.Fatal(err)
	}
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

// The declarations alone, without NetSuite.
func TestSyncs(t *testing.T) {
	t.Parallel()
	db := upkeeptest.New(t, schema, syncs(nil)...)
	db.Exec(`insert into users values (1, 'Ada', 'ada@example.com', null)`)
	db.Exec(`insert into orders values (42, 1, 'draft', 'R42')`)
	db.Exec(`insert into line_items values (1, 42, '201', 2, 9.90)`)
	db.Record("sales_order", 42).WantNone()

	db.Exec(`update orders set state = 'placed'`)
	db.Record("sales_order", 42).Want(`{"entity": "customer-1", "otherRefNum": "R42", "item": [{"item": {"id": "201"}, "quantity": 2, "rate": 9.90}]}`)
	db.Record("customer", 1).Want(`{"entityId": "U1", "companyName": "Ada", "email": "ada@example.com", "custentity_orders": 1, "isInactive": false}`)

	if sent := db.Sent(func() { db.Exec(`update users set phone = '555'`) }); len(sent) > 0 {
		t.Errorf("no record has a phone number, but these were sent: %v", sent)
	}
}
