package netsuitetest

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

func withCustomers(t *testing.T) *account {
	a := newAccount(t, Config{})
	for i, c := range []string{
		`{"externalId":"A|B","entityId":"Barbara","email":"barbara@x.test","custentity_orders":1,"custentity_since":"2019-01-01"}`,
		`{"externalId":"two","entityId":"Bob \"the\" B, Jr","email":"bob@y.test","custentity_orders":2,"isInactive":true,"custentity_since":"2020-05-05"}`,
		`{"externalId":"three","entityId":"Carol","custentity_orders":10,"currency":"4"}`,
	} {
		if out := a.call("POST", "customer", c); out.status != 204 {
			t.Fatal(i, out.raw)
		}
	}
	return a
}

func TestFilter(t *testing.T) {
	t.Parallel()
	a := withCustomers(t)
	for q, want := range map[string]string{
		`email START_WITH barbara`:                                   "1001",
		`email START_WITH BARBARA`:                                   "1001",
		`email CONTAIN test`:                                         "1001 1002",
		`email CONTAIN_NOT bob`:                                      "1001 1003",
		`email ENDWITH y.test`:                                       "1002",
		`email EMPTY`:                                                "1003",
		`email EMPTY_NOT`:                                            "1001 1002",
		`entityId IS "Bob \"the\" B, Jr"`:                            "1002",
		`externalId IS "A|B"`:                                        "1001",
		`entityId IS_NOT Carol`:                                      "1001 1002",
		`custentity_orders GREATER 1`:                                "1002 1003",
		`custentity_orders LESS_OR_EQUAL 2`:                          "1001 1002",
		`custentity_orders EQUAL 10`:                                 "1003",
		`custentity_orders BETWEEN [2, 10]`:                          "1002 1003",
		`custentity_orders ANY_OF [1,10]`:                            "1001 1003",
		`isInactive IS true`:                                         "1002",
		`currency ANY_OF [4]`:                                        "1003",
		`id ANY_OF [1002, 1003]`:                                     "1002 1003",
		`custentity_since ON_OR_AFTER "1/1/2020"`:                    "1002",
		`custentity_since BEFORE "5/5/2020"`:                         "1001",
		`entityId IS Carol OR entityId IS Barbara AND email IS nope`: "1003",
		`(entityId IS Carol OR entityId IS Barbara) AND custentity_orders EQUAL 1`: "1001",
	} {
		out := a.must(200, "GET", "customer?q="+strings.ReplaceAll(url.QueryEscape(q), "+", "%20"), "")
		var ids []string
		for _, x := range out.body["items"].([]any) {
			ids = append(ids, fmt.Sprint(x.(map[string]any)["id"]))
			if len(x.(map[string]any)) != 2 {
				t.Errorf("an item has more than id and links: %v", x)
			}
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%s: got %s, want %s", q, got, want)
		}
	}
	for _, q := range []string{`email`, `email LIKE x`, `(email EMPTY`, `email IS "x`, `custentity_orders GREATER x`, `email EMPTY email`, `custentity_orders BETWEEN [1]`, `isInactive CONTAIN t`, `AND`} {
		a.must(400, "GET", "customer?q="+strings.ReplaceAll(url.QueryEscape(q), "+", "%20"), "")
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	a := withCustomers(t)
	first := a.must(200, "GET", "customer?limit=2", "")
	if got := fmt.Sprint(first.body["count"], " ", first.body["hasMore"], " ", first.body["offset"], " ", first.body["totalResults"]); got != "2 true 0 3" {
		t.Error(got)
	}
	if first.header.Get("Content-Type") != mediaCollection {
		t.Error(first.header)
	}
	next := ""
	for _, l := range first.body["links"].([]any) {
		if m := l.(map[string]any); m["rel"] == "next" {
			next = fmt.Sprint(m["href"])
		}
	}
	second := a.must(200, "GET", strings.TrimPrefix(next, a.url), "")
	if got := fmt.Sprint(second.body["count"], " ", second.body["hasMore"], " ", second.body["offset"]); got != "1 false 2" {
		t.Error(got)
	}
	if past := a.must(200, "GET", "customer?limit=2&offset=10", ""); fmt.Sprint(past.body["count"]) != "0" {
		t.Error(past.raw)
	}
}

func TestSuiteQL(t *testing.T) {
	t.Parallel()
	a := withCustomers(t)
	a.must(204, "POST", "salesOrder", `{"externalId":"O-1","entity":"1001","tranDate":"2020-06-15","memo":"it's","item":{"items":[{"item":"201","rate":2.5}]}}`)
	a.must(204, "PATCH", "salesOrder/eid:O-1", `{"orderStatus":"B"}`)
	a.must(204, "POST", "salesOrder/eid:O-1/!transform/itemFulfillment", `{"externalId":"F-1"}`)
	for _, c := range []struct{ q, params, want string }{
		{`SELECT id, entityId AS Name FROM customer ORDER BY id DESC`, `[]`, `[{"id":"1003","name":"Carol"},{"id":"1002","name":"Bob \"the\" B, Jr"},{"id":"1001","name":"Barbara"}]`},
		{`select c.ID from Customer c where c.externalid = ?`, `["two"]`, `[{"id":"1002"}]`},
		{`SELECT id FROM customer WHERE externalid IN (?, 'A|B') ORDER BY id`, `["three"]`, `[{"id":"1001"},{"id":"1003"}]`},
		{`SELECT id FROM customer WHERE email IS NULL`, ``, `[{"id":"1003"}]`},
		{`SELECT id FROM customer WHERE email IS NOT NULL AND id > 1001`, ``, `[{"id":"1002"}]`},
		{`SELECT id, email FROM customer WHERE NOT email LIKE 'bar%' OR email IS NULL`, ``, `[{"email":"bob@y.test","id":"1002"},{"id":"1003"}]`},
		{`SELECT id FROM customer WHERE email NOT LIKE 'bar%'`, ``, `[{"id":"1002"}]`},
		{`SELECT id FROM customer WHERE custentity_orders >= 2 AND custentity_orders < 11 AND isinactive <> 'T'`, ``, `[{"id":"1003"}]`},
		{`SELECT id FROM customer WHERE custentity_orders = 1 OR custentity_orders = 2 AND isinactive = 'F'`, ``, `[{"id":"1001"}]`},
		{`SELECT id FROM customer WHERE (custentity_orders = 1 OR custentity_orders = 2) AND isinactive = 'T'`, ``, `[{"id":"1002"}]`},
		{`SELECT COUNT(*) AS n FROM customer`, ``, `[{"n":"3"}]`},
		{`SELECT type, recordtype, status, trandate, entity, memo FROM transaction WHERE memo = 'it''s' AND type = 'SalesOrd'`, ``,
			`[{"entity":"1001","memo":"it's","recordtype":"salesorder","status":"F","trandate":"6/15/2020","type":"SalesOrd"}]`},
		{`SELECT externalid FROM transaction WHERE createdfrom = 5001`, ``, `[{"externalid":"F-1"}]`},
		{`SELECT id FROM transaction WHERE trandate BETWEEN TO_DATE('2020-06-01','YYYY-MM-DD') AND TO_DATE('2020-06-30','YYYY-MM-DD')`, ``, `[{"id":"5001"}]`},
		{`SELECT BUILTIN.DF(currency) AS c FROM customer WHERE id = 1003`, ``, `[{"c":"EUR"}]`},
		{`SELECT id FROM customer WHERE UPPER(email) = 'BOB@Y.TEST'`, ``, `[{"id":"1002"}]`},
	} {
		body := map[string]any{"q": c.q}
		if c.params != "" {
			body["params"] = json.RawMessage(c.params)
		}
		raw, _ := json.Marshal(body)
		out := a.must(200, "POST", "/services/rest/query/v1/suiteql", string(raw), "Prefer: transient")
		items := out.body["items"].([]any)
		for _, x := range items {
			m := x.(map[string]any)
			if l, ok := m["links"].([]any); !ok || len(l) != 0 {
				t.Errorf("links of %v", m)
			}
			delete(m, "links")
		}
		if got, _ := json.Marshal(items); string(got) != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.q, got, c.want)
		}
	}
	for _, q := range []string{`SELECT FROM customer`, `SELECT id`, `SELECT id FROM customer WHERE`, `SELECT id FROM customer WHERE id = ?`, `DELETE FROM customer`, `SELECT id FROM customer WHERE id = 'x`, `SELECT id FROM`, `SELECT`, ``, `SELECT id FROM customer ORDER BY`, `SELECT id, FROM customer`} {
		raw, _ := json.Marshal(map[string]any{"q": q})
		a.must(400, "POST", "/services/rest/query/v1/suiteql", string(raw), "Prefer: transient")
	}
	page := a.must(200, "POST", "/services/rest/query/v1/suiteql?limit=2&offset=2", `{"q":"SELECT id FROM customer ORDER BY id"}`, "Prefer: transient")
	if got := fmt.Sprint(page.body["count"], " ", page.body["hasMore"], " ", page.body["totalResults"]); got != "1 false 3" {
		t.Error(page.raw)
	}
}
