package netsuitetest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestRules is the table of the API's documented answers.
func TestRules(t *testing.T) {
	t.Parallel()
	strict := "X-NetSuite-PropertyNameValidation: error"
	for _, c := range []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		code, detail, errorPath  string
	}{
		{name: "unknown type", method: "GET", path: "spaceship/1", status: 404, detail: "Record type 'spaceship' does not exist."},
		{name: "absent", method: "GET", path: "customer/999999", status: 404, code: "NONEXISTENT_ID", detail: "The record instance does not exist. Provide a valid record instance ID."},
		{name: "absent, PATCH", method: "PATCH", path: "customer/eid:nobody", body: `{}`, status: 404, code: "NONEXISTENT_ID"},
		{name: "absent, DELETE", method: "DELETE", path: "customer/999999", status: 404, code: "NONEXISTENT_ID"},
		{name: "another type's id", method: "GET", path: "vendor/1001", status: 404, code: "NONEXISTENT_ID"},
		{name: "absent bill", method: "GET", path: "vendorBill/999999", status: 400, code: "USER_ERROR", detail: "Transaction type specified is incorrect."},
		{name: "not an id", method: "GET", path: "customer/000", status: 400, code: "INVALID_ID", detail: "Invalid record instance identifier '000'. Provide a valid record instance ID."},
		{name: "bar in eid", method: "GET", path: "customer/eid:A%7CB", status: 400, code: "INVALID_ID"},
		{name: "duplicate external id", method: "POST", path: "customer", body: `{"externalId":"C-1","entityId":"x"}`, status: 400, code: "USER_ERROR", detail: "Error while accessing a resource. This entity already exists."},
		{name: "duplicate entity id", method: "POST", path: "customer", body: `{"entityId":"ACME"}`, status: 400, code: "USER_ERROR", detail: "Error while accessing a resource. This entity already exists."},
		{name: "external id of another type", method: "POST", path: "vendor", body: `{"externalId":"C-1","entityId":"ACME"}`, status: 204},
		{name: "missing name", method: "POST", path: "customer", body: `{}`, status: 400, code: "USER_ERROR", detail: "Error while accessing a resource. Please enter value(s) for: Customer ID"},
		{name: "missing customer", method: "POST", path: "salesOrder", body: `{"item":{"items":[{"item":"201","amount":1}]}}`, status: 400, code: "USER_ERROR", detail: "Error while accessing a resource. Please enter value(s) for: Customer"},
		{name: "no lines", method: "POST", path: "salesOrder", body: `{"entity":"1001"}`, status: 400, code: "USER_ERROR", detail: "Error while accessing a resource. You must enter at least one line item for this transaction."},
		{name: "bad item", method: "POST", path: "salesOrder", body: `{"entity":{"id":1001},"location":{"id":1},"item":{"items":[{"item":{"id":9999},"amount":1}]}}`, status: 400, code: "INVALID_CONTENT",
			detail: "Error while accessing resource: You have entered an Invalid Field Value 9999 for the following field: item", errorPath: "item.items[0].item"},
		{name: "line without item", method: "POST", path: "salesOrder", body: `{"entity":"1001","item":{"items":[{"item":"201"},{"quantity":1}]}}`, status: 400, code: "INVALID_CONTENT", errorPath: "item.items[1].item"},
		{name: "bad external reference", method: "POST", path: "salesOrder", body: `{"entity":{"externalId":"zz"}}`, status: 400, code: "INVALID_CONTENT", errorPath: "entity"},
		{name: "an external id is no bare value", method: "POST", path: "salesOrder", body: `{"entity":"C-1"}`, status: 400, code: "INVALID_CONTENT", errorPath: "entity"},
		{name: "order cannot be born billed", method: "POST", path: "salesOrder", body: `{"entity":"1001","orderStatus":"G","item":{"items":[{"item":"201"}]}}`, status: 400, code: "INVALID_CONTENT", errorPath: "orderStatus"},
		{name: "order status of no kind", method: "PATCH", path: "salesOrder/5001", body: `{"orderStatus":{"id":"Z"}}`, status: 400, code: "INVALID_CONTENT", errorPath: "orderStatus"},
		{name: "bad date", method: "PATCH", path: "salesOrder/5001", body: `{"tranDate":"15/06/2020"}`, status: 400, code: "INVALID_CONTENT", errorPath: "tranDate"},
		{name: "text for a number", method: "PATCH", path: "salesOrder/5001", body: `{"item":{"items":[{"line":1,"quantity":"many"}]}}`, status: 400, code: "INVALID_CONTENT", errorPath: "item.items[0].quantity"},
		{name: "a number out of all bounds", method: "PATCH", path: "salesOrder/5001", body: `{"item":{"items":[{"line":1,"quantity":1e400}]}}`, status: 400, code: "INVALID_CONTENT", errorPath: "item.items[0].quantity"},
		{name: "bad value, ignored", method: "PATCH", path: "salesOrder/5001", body: `{"tranDate":"x"}`, headers: []string{"X-NetSuite-PropertyValueValidation: ignore"}, status: 204},
		{name: "unknown field, strict", method: "PATCH", path: "customer/1001", body: `{"emial":"x"}`, headers: []string{strict}, status: 400, code: "INVALID_CONTENT", errorPath: "emial"},
		{name: "unknown line field, strict", method: "PATCH", path: "salesOrder/5001", body: `{"item":{"items":[{"line":1,"qty":2}]}}`, headers: []string{strict}, status: 400, code: "INVALID_CONTENT", errorPath: "item.items[0].qty"},
		{name: "undeclared custom field, strict", method: "PATCH", path: "customer/1001", body: `{"custentity_nope":"x"}`, headers: []string{strict}, status: 400, code: "INVALID_CONTENT", errorPath: "custentity_nope"},
		{name: "unknown field, ignored", method: "PATCH", path: "customer/1001", body: `{"emial":"x"}`, headers: []string{"X-NetSuite-PropertyNameValidation: Ignore"}, status: 204},
		{name: "validation header of no kind", method: "PATCH", path: "customer/1001", body: `{}`, headers: []string{"X-NetSuite-PropertyNameValidation: loud"}, status: 400, code: "INVALID_HEADER"},
		{name: "an answer sent back", method: "PATCH", path: "customer/1001", body: `{"links":[],"id":"1001","currency":{"links":[],"id":"1","refName":"USD"}}`, headers: []string{strict}, status: 204},
		{name: "not JSON", method: "POST", path: "customer", body: `{"a":`, status: 400, code: "INVALID_CONTENT"},
		{name: "two JSON values", method: "POST", path: "customer", body: `{} {}`, status: 400, code: "INVALID_CONTENT"},
		{name: "a sublist that is an array", method: "PATCH", path: "salesOrder/5001", body: `{"item":[{"line":1}]}`, status: 400, code: "INVALID_CONTENT", errorPath: "item"},
		{name: "PUT by internal id", method: "PUT", path: "customer/1001", body: `{}`, status: 400, code: "INVALID_REQUEST"},
		{name: "PUT that renames", method: "PUT", path: "customer/eid:C-1", body: `{"externalId":"C-9"}`, status: 400, code: "INVALID_CONTENT", errorPath: "externalId"},
		{name: "Prefer is tolerated", method: "PATCH", path: "customer/1001", body: `{}`, headers: []string{"Prefer: transient"}, status: 204},
		{name: "delete with dependents", method: "DELETE", path: "customer/1001", status: 400, code: "USER_ERROR", detail: "Error while accessing a resource. This record cannot be deleted because it has dependent records."},
		{name: "POST on a record", method: "POST", path: "customer/1001", status: 405},
		{name: "offset off the page", method: "GET", path: "customer?limit=10&offset=15", status: 400, code: "INVALID_PARAMETER"},
		{name: "fields of no kind", method: "GET", path: "customer/1001?fields=email,nope", status: 400, code: "INVALID_PARAMETER"},
		{name: "flag of no kind", method: "GET", path: "customer/1001?expandSubResources=perhaps", status: 400, code: "INVALID_PARAMETER"},
		{name: "replace of no kind", method: "PATCH", path: "customer/1001?replaceSelectedFields=perhaps", body: `{}`, status: 400, code: "INVALID_PARAMETER"},
		{name: "sub-resource of no kind", method: "GET", path: "customer/1001/nope", status: 400, code: "INVALID_REQUEST"},
		{name: "limit too high", method: "GET", path: "customer?limit=1001", status: 400, code: "INVALID_PARAMETER"},
		{name: "filter with an unknown field", method: "GET", path: "customer?q=nope%20IS%20x", status: 400, code: "INVALID_PARAMETER"},
		{name: "filter that ends early", method: "GET", path: "customer?q=email%20IS", status: 400, code: "INVALID_PARAMETER"},
		{name: "SuiteQL without Prefer", method: "POST", path: "/services/rest/query/v1/suiteql", body: `{"q":"SELECT id FROM customer"}`, status: 400, code: "INVALID_HEADER"},
		{name: "SuiteQL, unknown table", method: "POST", path: "/services/rest/query/v1/suiteql", body: `{"q":"SELECT id FROM Email"}`, headers: []string{"Prefer: transient"}, status: 400, code: "INVALID_PARAMETER",
			detail: "Invalid search query. Detailed unprocessed description follows. Invalid search type: Email."},
		{name: "SuiteQL, unknown column", method: "POST", path: "/services/rest/query/v1/suiteql", body: `{"q":"SELECT nope FROM transaction"}`, headers: []string{"Prefer: transient"}, status: 400, code: "INVALID_PARAMETER",
			detail: "Invalid search query. Detailed unprocessed description follows. Search error occurred: Unknown identifier 'nope'. Available identifiers are: {transaction=transaction}."},
		{name: "no such service", method: "GET", path: "/services/rest/nothing/v1/x", status: 404},
		{name: "limits", method: "GET", path: "/services/rest/system/v1/governanceLimits", status: 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := newAccount(t, Config{})
			a.must(204, "POST", "customer", `{"externalId":"C-1","companyName":"Acme"}`)
			a.must(204, "POST", "salesOrder", `{"externalId":"O-1","entity":"1001","item":{"items":[{"item":"201","quantity":1,"rate":1}]}}`)
			before := fmt.Sprint(a.server.Records("salesOrder"), a.server.Records("customer"))
			out := a.must(c.status, c.method, c.path, c.body, c.headers...)
			code, detail, errorPath := out.detail()
			if c.code != "" && code != c.code || c.detail != "" && detail != c.detail || errorPath != c.errorPath {
				t.Errorf("%s", out.raw)
			}
			if c.status < 400 {
				return
			}
			if ct := out.header.Get("Content-Type"); ct != "application/vnd.oracle.resource+json; type=error" {
				t.Errorf("Content-Type %q", ct)
			}
			if out.body["title"] != http.StatusText(c.status) || fmt.Sprint(out.body["status"]) != fmt.Sprint(c.status) || !strings.HasPrefix(fmt.Sprint(out.body["type"]), "https://www.rfc-editor.org/rfc/rfc9110.html") {
				t.Errorf("%s", out.raw)
			}
			if after := fmt.Sprint(a.server.Records("salesOrder"), a.server.Records("customer")); after != before {
				t.Errorf("a refused request changed records:\n%s\n%s", before, after)
			}
		})
	}
}

func TestUnknownFieldsAreDroppedWithAWarning(t *testing.T) {
	t.Parallel()
	a := newAccount(t, Config{})
	out := a.must(204, "POST", "customer", `{"entityId":"A","emial":"x"}`)
	if w := out.header.Get("Warning"); !strings.Contains(w, "emial") || out.raw != "" {
		t.Errorf("warning %q, body %q", w, out.raw)
	}
}

func TestReplaceSelectedFields(t *testing.T) {
	t.Parallel()
	a := newAccount(t, Config{})
	a.must(204, "PUT", "customer/eid:C", `{"entityId":"A","email":"e","phone":"p","addressBook":{"items":[{"label":"home","addressBookAddress":{"addr1":"x","country":{"id":"ES"}}}]}}`)
	a.must(204, "PATCH", "customer/eid:C?replaceSelectedFields=true&replace=phone", `{"email":null,"phone":null}`)
	if got := a.show("customer/eid:C", "email", "phone"); got != "email=e phone=<nil>" {
		t.Error(got)
	}
	got := a.must(200, "GET", "customer/eid:C/addressBook?expandSubResources=true", "")
	if !strings.Contains(got.raw, `"addr1":"x"`) || !strings.Contains(got.raw, `"id":"ES"`) {
		t.Error(got.raw)
	}
}

func TestReferencesAndEnumsAreReadBack(t *testing.T) {
	t.Parallel()
	a := newAccount(t, Config{})
	a.must(204, "POST", "customer", `{"externalId":"C-1","companyName":"Acme"}`)
	order := a.must(204, "POST", "salesOrder", `{"entity":"1001","item":{"items":[{"item":"201","rate":1.5}]}}`).id()
	out := a.must(200, "GET", "salesOrder/"+order, "")
	for _, want := range []string{
		`"entity":{"id":"1001","links":[{"href":"` + a.url + `/services/rest/record/v1/customer/1001","rel":"self"}],"refName":"Acme"}`,
		`"status":{"id":"A","refName":"Pending Approval"}`, `"id":"` + order + `"`, `"total":1.5`,
		`"item":{"links":[{"href":"` + a.url + `/services/rest/record/v1/salesOrder/` + order + `/item","rel":"self"}]}`,
	} {
		if !strings.Contains(out.raw, want) {
			t.Errorf("no %s in %s", want, out.raw)
		}
	}
	if simple := a.must(200, "GET", "salesOrder/"+order+"?simpleEnumFormat=true", ""); !strings.Contains(simple.raw, `"status":"A"`) {
		t.Error(simple.raw)
	}
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	a := newAccount(t, Config{CustomFields: []CustomField{{Name: "custbody_mine", Kind: "date"}}})
	if out := a.must(200, "GET", "metadata-catalog", ""); !strings.Contains(out.raw, `"name":"salesOrder"`) {
		t.Error(out.raw)
	}
	schema := a.must(200, "GET", "metadata-catalog/salesorder", "", "Accept: application/schema+json")
	if schema.header.Get("Content-Type") != "application/schema+json" || !strings.Contains(schema.raw, `"custbody_mine":{"format":"date"`) {
		t.Error(schema.raw)
	}
	api := a.must(200, "GET", "metadata-catalog?select=customer,contact", "", "Accept: application/swagger+json")
	if api.header.Get("Content-Type") != "application/swagger+json" || !strings.Contains(api.raw, `"/contact/{id}"`) || strings.Contains(api.raw, `"/vendor"`) {
		t.Error(api.raw)
	}
	a.must(404, "GET", "metadata-catalog/spaceship", "", "Accept: application/schema+json")
	limits := a.must(200, "GET", "/services/rest/system/v1/governanceLimits", "")
	if fmt.Sprint(limits.body["accountConcurrencyLimit"]) != "5" {
		t.Error(limits.raw)
	}
}
