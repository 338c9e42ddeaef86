package netsuite

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	asked := map[string]int{}
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "GET" {
			t.Errorf("check changes something: %s %s", r.Method, r.URL)
		}
		asked[r.URL.Path]++
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/services/rest/system/v1/governanceLimits": // not an administrator
			w.WriteHeader(403)
			fmt.Fprint(w, `{"o:errorDetails":[{"detail":"Permission Violation","o:errorCode":"INSUFFICIENT_PERMISSION"}]}`)
		case "/services/rest/record/v1/metadata-catalog/salesOrder":
			if r.Header.Get("Accept") != "application/schema+json" {
				t.Errorf("Accept %q", r.Header.Get("Accept"))
			}
			fmt.Fprint(w, `{"type":"object","properties":{"memo":{},"tranDate":{},"item":{},"custbody_source":{}}}`)
		case "/services/rest/record/v1/metadata-catalog":
			fmt.Fprint(w, `{"items":[{"name":"salesOrder"},{"name":"customer"},{"name":"contact"}]}`)
		case "/services/rest/record/v1/metadata-catalog/broken":
			w.WriteHeader(500)
		default:
			w.WriteHeader(404)
			fmt.Fprint(w, `{"o:errorDetails":[{"detail":"Record type 'x' does not exist.","o:errorCode":"X"}]}`)
		}
	})
	lines := func(name string, fields ...string) connector.Column {
		c := connector.Column{Name: name, Type: connector.List}
		for _, f := range fields {
			c.List = append(c.List, connector.Column{Name: f})
		}
		return c
	}
	once := lines("item", "orderLine", "quantity")
	once.Once = true
	problems := open(t, s.URL, nil).Check(t.Context(), []connector.Use{
		{Sync: "good", Type: "salesOrder", Fields: []string{"ITEM", "custbody_source", "memo"}},
		{Sync: "a", Type: "salesOrder", Fields: []string{"custbody_soruce", "memo", "trandat"}},
		{Sync: "b", Type: "custmer"},
		{Sync: "c", Type: "nothingLikeIt"},
		{Sync: "d", Type: "broken"},
		{Sync: "lines", Type: "salesOrder", Initialized: true, Columns: []connector.Column{lines("memo"), lines("item", "orderline", "quantity")}},
		{Sync: "once", Type: "salesOrder", Initialized: true, Columns: []connector.Column{once, lines("package", "packageDescr"), lines("other", "line", "orderLine")}},
	})
	want := []string{`sync a: record type salesOrder has no field "custbody_soruce" (did you mean custbody_source?)`, `"trandat" (did you mean tranDate?)`,
		`sync b: NetSuite has no record type "custmer" (did you mean customer?)`, `sync c: NetSuite has no record type "nothingLikeIt";`, `sync d: can't read`,
		`sync lines: item has lines with the order's numbers (orderLine)`}
	if len(problems) != len(want) {
		t.Fatalf("got %q", problems)
	}
	for i, w := range want {
		if !strings.Contains(problems[i].Error(), w) {
			t.Errorf("got %q, want %q", problems[i], w)
		}
	}
	if n := asked["/services/rest/record/v1/metadata-catalog/salesOrder"]; n != 1 {
		t.Errorf("the metadata of one type was asked for %d times", n)
	}
}

func TestCheckStopsAtTheLogin(t *testing.T) {
	t.Parallel()
	for _, status := range []int{401, 302, 503, 429} {
		requests := 0
		s := serve(t, func(w http.ResponseWriter, r *http.Request) { requests++; w.WriteHeader(status) })
		problems := open(t, s.URL, nil).Check(t.Context(), []connector.Use{{Sync: "a", Type: "x"}, {Sync: "b", Type: "y"}})
		if len(problems) != 1 || requests != 1 {
			t.Errorf("%d: %d requests, problems %v", status, requests, problems)
		}
	}
}
