package netsuitetest

import (
	"strings"
	"testing"
)

func TestCreateReadUpdateDelete(t *testing.T) {
	t.Parallel()
	a := newAccount(t, Config{})
	made := a.must(204, "POST", "customer", `{"externalId":"C-1","companyName":"Acme","email":"a@acme.test","custentity_segment":"gold","custentity_orders":3}`)
	if made.raw != "" || made.header.Get("Location") != a.url+"/services/rest/record/v1/customer/"+made.id() {
		t.Fatalf("Location %q, body %q", made.header.Get("Location"), made.raw)
	}
	got := a.must(200, "GET", "CUSTOMER/eid:C-1", "")
	if got.header.Get("Content-Type") != "application/vnd.oracle.resource+json; type=singular" {
		t.Errorf("Content-Type %q", got.header.Get("Content-Type"))
	}
	fields := []string{"id", "externalId", "entityId", "email", "custentity_segment", "custentity_orders", "currency", "isInactive"}
	if s := a.show("customer/"+made.id(), fields...); s != "id="+made.id()+" externalId=C-1 entityId=Acme email=a@acme.test custentity_segment=gold custentity_orders=3 currency=1 isInactive=false" {
		t.Error(s)
	}
	changed := a.must(204, "PATCH", "customer/eid:C-1", `{"EMAIL":null,"phone":"1","currency":"4"}`)
	if changed.id() != made.id() {
		t.Errorf("PATCH Location %q", changed.header.Get("Location"))
	}
	if s := a.show("customer/eid:C-1", "email", "phone", "companyName", "currency"); s != "email=<nil> phone=1 companyName=Acme currency=4" {
		t.Error(s)
	}
	a.must(204, "PUT", "customer/eid:C-1", `{"phone":"2"}`)
	if s := a.show("customer/eid:C-1", "id", "phone", "companyName"); s != "id="+made.id()+" phone=2 companyName=Acme" {
		t.Error(s)
	}
	put := a.must(204, "PUT", "customer/eid:C-2", `{"entityId":"Two"}`)
	if put.id() == made.id() {
		t.Error("an upsert of another external id changed the first record")
	}
	a.must(204, "DELETE", "customer/"+made.id(), "")
	a.must(404, "GET", "customer/"+made.id(), "")
	a.must(404, "DELETE", "customer/eid:C-1", "")
	stats := a.server.Stats()
	if stats.Calls["create customer"] != 1 || stats.Calls["upsert customer"] != 2 || stats.Applied != 5 || stats.Unchanged != 0 || stats.MaxInFlight != 1 {
		t.Errorf("%+v", stats)
	}
	a.must(204, "PATCH", "customer/eid:C-2", `{"entityId":"Two"}`)
	if stats := a.server.Stats(); stats.Unchanged != 1 || stats.NoChange[0] != (Write{"update", "customer", put.id()}) {
		t.Errorf("%+v", stats)
	}
}

func TestOrderLines(t *testing.T) {
	t.Parallel()
	a := newAccount(t, Config{})
	a.must(204, "POST", "customer", `{"externalId":"C-1","companyName":"Acme"}`)
	order := a.must(204, "POST", "salesOrder", `{"externalId":"O-1","entity":{"externalId":"C-1"},"otherRefNum":"R","billingAddress":{"addr1":"Main St","country":{"id":"ES"}},
		"item":{"items":[{"item":{"externalId":"WIDGET"},"quantity":3,"rate":0.1},{"item":"202","quantity":1,"amount":2.005},{"item":{"id":203},"quantity":2}]}}`).id()
	path := "salesOrder/" + order
	want := func(s string, fields ...string) {
		t.Helper()
		if got := a.show(path, fields...); got != s {
			t.Errorf("got  %s\nwant %s", got, s)
		}
	}
	want("item.line=1,2,3 item.quantity=3.0,1.0,2.0 item.amount=0.3,2.01,61.0 subtotal=63.31 total=63.31 orderStatus=A tranId=SO"+order,
		"item.line", "item.quantity", "item.amount", "subtotal", "total", "orderStatus", "tranId")
	// A line with its key is updated, one without is appended.
	a.must(204, "PATCH", path, `{"item":{"items":[{"line":2,"quantity":4},{"item":"201","quantity":1,"rate":5}]}}`)
	want("item.line=1,2,3,4 item.quantity=3.0,4.0,2.0,1.0 total=74.34", "item.line", "item.quantity", "total")
	// replace keeps what matches, removes the rest, appends what is new.
	a.must(204, "PATCH", path+"?replace=item", `{"item":{"items":[{"line":2,"quantity":1},{"item":"201","rate":5},{"line":99,"item":"201","rate":6}]}}`)
	want("item.line=2,5,6 item.quantity=1.0,1.0,1.0", "item.line", "item.quantity")
	// Equal lines without keys get new numbers, but nothing has changed.
	before := a.server.Stats().Unchanged
	a.must(204, "PATCH", path+"?replace=item", `{"item":{"items":[{"item":"202","quantity":1,"rate":2.01},{"item":"201","rate":5},{"item":"201","rate":6}]}}`)
	want("item.line=7,8,9", "item.line")
	if n := a.server.Stats().Unchanged - before; n != 1 {
		t.Errorf("unchanged %d, want 1", n)
	}
	a.must(204, "PATCH", path, `{"item":{"items":[{"line":7,"isClosed":true},{"line":8,"isClosed":true},{"line":9,"isClosed":true}]}}`)
	want("status=H", "status")
	// Sublists, lines and subrecords have URLs of their own.
	list := a.must(200, "GET", path+"/item", "")
	if list.header.Get("Content-Type") != mediaCollection || list.body["totalResults"].(interface{ String() string }).String() != "3" {
		t.Error(list.raw)
	}
	if one := a.must(200, "GET", path+"/item/8", ""); !strings.Contains(one.raw, `"line":8`) {
		t.Error(one.raw)
	}
	a.must(404, "GET", path+"/item/1", "")
	if address := a.must(200, "GET", path+"/billingAddress", ""); address.body["addr1"] != "Main St" {
		t.Error(address.raw)
	}
	if plain := a.must(200, "GET", path, ""); strings.Contains(plain.raw, "items") || strings.Contains(plain.raw, "addr1") {
		t.Error("sublists and subrecords are links only: " + plain.raw)
	}
	if few := a.must(200, "GET", path+"?fields=otherRefNum,TRANID", ""); few.body["otherRefNum"] != "R" || few.body["tranId"] == nil || few.body["total"] != nil || few.body["item"] != nil {
		t.Error(few.raw)
	}
}

func TestContactsAndOneWorld(t *testing.T) {
	t.Parallel()
	a := newAccount(t, Config{OneWorld: true, CustomFields: []CustomField{{Name: "custentity_vip", Kind: "checkbox"}}})
	out := a.must(400, "POST", "customer", `{"entityId":"A"}`)
	if _, detail, _ := out.detail(); detail != "Error while accessing a resource. Please enter value(s) for: Primary Subsidiary" {
		t.Error(out.raw)
	}
	a.must(204, "POST", "customer", `{"externalId":"A","isPerson":true,"firstName":"Ann","lastName":"Lee","subsidiary":{"id":"2"},"custentity_vip":true}`)
	a.must(204, "POST", "contact", `{"externalId":"K","firstName":"Bo","subsidiary":"2","company":{"externalId":"A"}}`)
	if got := a.show("contact/eid:K", "entityId", "company", "subsidiary"); got != "entityId=Bo company=1001 subsidiary=2" {
		t.Error(got)
	}
	if got := a.show("customer/eid:A", "entityId", "custentity_vip"); got != "entityId=Ann Lee custentity_vip=true" {
		t.Error(got)
	}
	a.must(204, "POST", "salesOrder", `{"externalId":"O","entity":{"id":"1001"},"item":{"items":[{"item":{"id":"201"}}]}}`)
	if got := a.show("salesOrder/eid:O", "subsidiary", "total"); got != "subsidiary=2 total=10.5" {
		t.Error(got)
	}
}
