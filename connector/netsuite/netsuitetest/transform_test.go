package netsuitetest

import "testing"

func TestTransform(t *testing.T) {
	t.Parallel()
	a := newAccount(t, Config{})
	a.must(204, "POST", "customer", `{"externalId":"C-1","companyName":"Acme"}`)
	order := "salesOrder/" + a.must(204, "POST", "salesOrder", `{"externalId":"O-1","entity":{"externalId":"C-1"},"item":{"items":[{"item":"201","quantity":3,"rate":2},{"item":"202","quantity":2,"rate":1}]}}`).id()
	refused := func(method, path, body, wantDetail string) {
		t.Helper()
		out := a.must(400, method, path, body)
		if code, detail, _ := out.detail(); code != "USER_ERROR" || detail != "Error while accessing a resource. "+wantDetail {
			t.Errorf("%s %s", code, detail)
		}
	}
	ship := order + "/!transform/itemFulfillment"
	refused("POST", ship, ``, "You can not initialize itemFulfillment: invalid reference "+order[11:]+".")
	a.must(204, "PATCH", order, `{"orderStatus":"B"}`)
	form := a.must(200, "POST", ship, ``, "Accept: application/vnd.oracle.resource+json; type=create-form")
	if form.header.Get("Content-Type") != "application/vnd.oracle.resource+json; type=create-form" || len(a.server.Records("itemFulfillment")) != 0 {
		t.Fatal("create-form stored something")
	}
	first := a.must(204, "POST", ship, `{"externalId":"F-1","item":{"items":[{"orderLine":1,"quantity":2},{"orderLine":2,"itemReceive":false}]}}`).id()
	if got, want := a.show(order, "status", "item.quantityFulfilled", "item.quantityCommitted"), "status=E item.quantityFulfilled=2.0,0.0 item.quantityCommitted=1.0,2.0"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := a.show("itemFulfillment/"+first, "createdFrom", "entity", "shipStatus", "item.orderLine", "item.quantity"), "createdFrom="+order[11:]+" entity=1001 shipStatus=C item.orderLine=1 item.quantity=2.0"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	refused("PATCH", order, `{"item":{"items":[{"line":1,"quantity":1}]}}`, "The quantity of line 1 cannot be less than what has been fulfilled or billed.")
	const static = "You have attempted an invalid sublist or line item operation. You are either trying to access a field on a non-existent line or you are trying to add or remove lines from a static sublist."
	refused("PATCH", "itemFulfillment/"+first, `{"item":{"items":[{"orderLine":1,"quantity":1}]}}`, static)
	refused("PATCH", "itemFulfillment/"+first, `{"item":{"items":[{"item":"201","orderLine":1,"quantity":1}]}}`, static)
	refused("PATCH", "itemFulfillment/"+first+"?replace=item", `{"item":{"items":[{"item":"201","orderLine":1,"quantity":2}]}}`, static)
	refused("PATCH", "itemFulfillment/"+first+"?replace=item", `{"item":{"items":[]}}`, static)
	a.must(204, "PATCH", "itemFulfillment/"+first+"?replace=item", `{"item":{"items":[{"line":1,"quantity":2}]}}`)
	refused("POST", ship, `{"externalId":"F-1"}`, "This entity already exists.")
	out := a.must(400, "POST", ship, `{"item":{"items":[{"orderLine":1,"quantity":2}]}}`)
	if code, _, path := out.detail(); code != "INVALID_CONTENT" || path != "item.items[0].quantity" {
		t.Error(out.raw)
	}
	// Each call without an external id makes another record.
	bill := order + "/!transform/invoice"
	a.must(204, "POST", bill, ``)
	if got := a.show(order, "status", "item.quantityBilled"); got != "status=D item.quantityBilled=2.0,0.0" {
		t.Error(got)
	}
	second := a.must(204, "POST", ship, ``).id()
	if got := a.show(order, "status", "item.quantityFulfilled"); got != "status=F item.quantityFulfilled=3.0,2.0" {
		t.Error(got)
	}
	refused("POST", ship, ``, "You can not initialize itemFulfillment: invalid reference "+order[11:]+".")
	refused("POST", ship, `{"externalId":"F-1"}`, "This entity already exists.")
	invoice := a.must(204, "POST", bill, `{"memo":"rest"}`).id()
	if got := a.show("invoice/"+invoice, "total", "memo", "amountRemaining", "item.quantity"); got != "total=4.0 memo=rest amountRemaining=4.0 item.quantity=1.0,2.0" {
		t.Error(got)
	}
	if got := a.show(order, "status"); got != "status=G" {
		t.Error(got)
	}
	if d := a.server.Duplicates("externalId", "externalid", "createdFrom"); len(d) != 2 || len(d[1].IDs) != 2 || d[0].Key != "createdFrom=salesOrder/"+order[11:] || d[1].Type != "itemFulfillment" {
		t.Errorf("%+v", d)
	}
	refused("DELETE", order, ``, "This record cannot be deleted because it has dependent records.")
	refused("DELETE", "customer/eid:C-1", ``, "This record cannot be deleted because it has dependent records.")
	refused("PATCH", order+"?replace=item", `{"item":{"items":[{"item":"201","quantity":3,"rate":2}]}}`, "You cannot delete line 1 because it has been fulfilled or billed.")
	refused("PATCH", order, `{"item":{"items":[{"line":1,"quantity":1}]}}`, "The quantity of line 1 cannot be less than what has been fulfilled or billed.")
	a.must(204, "PATCH", order, `{"orderStatus":"B"}`)
	a.must(204, "DELETE", "itemFulfillment/"+second, ``)
	if got := a.show(order, "item.quantityFulfilled", "item.quantityBilled"); got != "item.quantityFulfilled=2.0,0.0 item.quantityBilled=3.0,2.0" {
		t.Error(got)
	}
	refused("POST", "itemFulfillment", `{}`, "Please enter value(s) for: Created From")
	a.must(400, "POST", order+"/!transform/customer", ``)
	a.must(404, "POST", "salesOrder/99/!transform/invoice", ``)
}

func TestRepeatedTransform(t *testing.T) {
	t.Parallel()
	for orderFirst, want := range map[bool]string{
		false: "Error while accessing a resource. This entity already exists.",
		true:  "Error while accessing a resource. You can not initialize itemFulfillment: invalid reference 5001.",
	} {
		a := newAccount(t, Config{OrderFirst: orderFirst})
		a.must(204, "POST", "customer", `{"entityId":"Acme"}`)
		a.must(204, "POST", "salesOrder", `{"entity":"1001","orderStatus":"B","item":{"items":[{"item":"201"}]}}`)
		a.must(204, "POST", "salesOrder/5001/!transform/itemFulfillment", `{"externalId":"F"}`)
		out := a.must(400, "POST", "salesOrder/5001/!transform/itemFulfillment", `{"externalId":"F"}`)
		if _, detail, _ := out.detail(); detail != want {
			t.Errorf("order first %v: %s", orderFirst, detail)
		}
		if n := len(a.server.Records("itemFulfillment")); n != 1 {
			t.Errorf("%d fulfillments", n)
		}
	}
}
