package netsuite

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
)

// open connects to a server with the sample keys.
func open(t *testing.T, url string, change func(*Config)) *Connection {
	t.Helper()
	config := Config{Account: "123456_SB1", BaseURL: url, Auth: Auth{OAuth1: &sample}}
	if change != nil {
		change(&config)
	}
	c, err := Open(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func wantKind(t *testing.T, err error, kind connector.Kind, says string) {
	t.Helper()
	if err == nil || connector.KindOf(err) != kind || !strings.Contains(err.Error(), says) {
		t.Errorf("got %v, want %v with %q", err, kind, says)
	}
	if err != nil && strings.Contains(err.Error(), "?") && strings.Contains(err.Error(), "fields=") {
		t.Errorf("the error holds a query: %v", err)
	}
}

func TestRequestsOnTheWire(t *testing.T) {
	t.Parallel()
	type seen struct{ line, body, names, kind string }
	var mu sync.Mutex
	var all []seen
	answers := map[string]string{ // Location, or a body
		"PUT":                "https://123456.suitetalk.api.netsuite.com/services/rest/record/v1/customer/7",
		"GET /customer/eid:": `{"links":[{"rel":"self","href":"https://x/record/v1/customer/12"}],"externalId":"c-2"}`,
		"GET /customer?":     `{"items":[{"id":"9","links":[]}],"hasMore":false}`,
		"GET /customer/7":    `{"id":"7","email":"a@b"}`,
		"GET /customer/9":    `{"id":"9","externalId":"ü &|+%"}`,
		"POST /customer":     "/services/rest/record/v1/customer/32",
		"POST /salesOrder":   "/services/rest/record/v1/itemfulfillment/31",
	}
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		line := r.Method + " " + strings.TrimPrefix(r.RequestURI, "/services/rest/record/v1")
		mu.Lock()
		all = append(all, seen{line, string(b), r.Header.Get("X-NetSuite-PropertyNameValidation"), r.Header.Get("Content-Type")})
		mu.Unlock()
		if !strings.HasPrefix(r.Header.Get("Authorization"), `OAuth realm="123456_SB1"`) {
			t.Errorf("%s: Authorization %q", line, r.Header.Get("Authorization"))
		}
		for prefix, a := range answers {
			switch {
			case !strings.HasPrefix(line, prefix):
			case r.Method == "GET":
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprint(w, a)
				return
			case !strings.Contains(line, "c-2"): // c-2's answer has no Location
				w.Header().Set("Location", a)
			}
		}
		w.WriteHeader(http.StatusNoContent)
	})
	c := open(t, s.URL, nil)
	ctx := t.Context()
	record := func(ext string, kv ...string) connector.Record {
		f := connector.Fields{}
		for i := 0; i < len(kv); i += 2 {
			f[kv[i]] = json.RawMessage(kv[i+1])
		}
		return connector.Record{Type: "customer", ExternalID: ext, Fields: f}
	}
	id := func(want string) func(string, error) {
		return func(got string, err error) {
			t.Helper()
			if got != want || err != nil {
				t.Errorf("got %q, %v; want %q", got, err, want)
			}
		}
	}
	id("7")(c.Create(ctx, record("c-1", "email", `"a@b"`)))
	id("7")(c.Create(ctx, record("c-1", "addressBook", `[]`, "x", `[1]`)))
	id("12")(c.Create(ctx, record("c-2")))
	id("32")(c.Create(ctx, record("a|b")))
	id("9")(c.Find(ctx, "customer", "ü &|+%"))
	id("31")(c.Initialize(ctx, connector.Origin{Type: "salesOrder", RemoteID: "5"}, connector.Record{Type: "itemFulfillment", ExternalID: "f-1"}))
	err := c.Update(ctx, "7", record("c-1", "item", `[{"q":1}]`, "memo", "null"))
	_, readErr := c.Read(ctx, "customer", "7", connector.Fields{"email": json.RawMessage(`""`)})
	if err := errors.Join(err, readErr, c.Delete(ctx, "customer", "7")); err != nil {
		t.Error(err)
	}

	const j, e = "application/json", "error"
	want := []seen{
		{"PUT /customer/eid:c-1", `{"email":"a@b"}`, e, j},
		{"PUT /customer/eid:c-1?replace=addressBook%2Cx", `{"addressBook":{"items":[]},"x":{"items":[1]}}`, e, j},
		{"PUT /customer/eid:c-2", `{}`, e, j},
		{"GET /customer/eid:c-2?fields=externalId", "", "", ""},
		{"POST /customer", `{"externalId":"a|b"}`, e, j},
		{"GET /customer?q=externalId%20IS%20%22%C3%BC%20%26%7C%2B%25%22&limit=11", "", "", ""},
		{"GET /customer/9?fields=externalId", "", "", ""},
		{"POST /salesOrder/5/!transform/itemFulfillment", `{"externalId":"f-1"}`, e, j},
		{"PATCH /customer/7?replace=item", `{"item":{"items":[{"q":1}]},"memo":null}`, e, j},
		{"GET /customer/7?expandSubResources=true", "", "", ""},
		{"DELETE /customer/7", "", "", ""},
	}
	for i := range max(len(want), len(all)) {
		if i >= len(want) || i >= len(all) || all[i] != want[i] {
			t.Fatalf("request %d:\n got %v\nwant %v", i, all[min(i, len(all)):], want[min(i, len(want)):])
		}
	}
}

func TestNothingLeavesForNamesThatNoRequestCanHave(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { t.Errorf("a request went out: %s", r.RequestURI) })
	c := open(t, s.URL, nil)
	ctx := t.Context()
	for _, ext := range []string{"", `a"b`, `a\b`, "a\nb", "a\x00"} {
		_, err := c.Create(ctx, connector.Record{Type: "customer", ExternalID: ext})
		wantKind(t, err, connector.Rejected, "external id")
		_, err = c.Find(ctx, "customer", ext)
		wantKind(t, err, connector.Rejected, "external id")
		wantKind(t, c.Foresee(connector.Change{Record: connector.Record{Type: "customer", ExternalID: ext}}), connector.Rejected, "external id")
	}
	if err := c.Foresee(connector.Change{Record: connector.Record{Type: "customer", ExternalID: "a,b/c 'd'", Fields: connector.Fields{"email": json.RawMessage(`"x"`)}}}); err != nil {
		t.Error(err)
	}
	for _, id := range []string{"", "7/../8", "eid:x", "7?x=y", "ü"} {
		wantKind(t, c.Update(ctx, id, connector.Record{Type: "customer"}), connector.Rejected, "internal id")
		wantKind(t, c.Delete(ctx, "customer", id), connector.Rejected, "internal id")
		_, err := c.Reference(connector.Ref{RemoteID: id})
		wantKind(t, err, connector.Rejected, "internal id")
	}
	if ref, err := c.Reference(connector.Ref{Type: "customer", RemoteID: "110"}); err != nil || string(ref) != `{"id":"110"}` {
		t.Errorf("%s, %v", ref, err)
	}
}

func TestAnswersThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.HandlerFunc{
		"201 without Location": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(201) },
		"202":                  func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(202) },
		"null":                 func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "null") },
		"list":                 func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "[]") },
		"no fields":            func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "{}") },
		"Location of nothing": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "https://x/a b/?x=1")
			w.WriteHeader(204)
		},
		"Location of a job": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "https://x/services/rest/async/v1/job/5")
			w.WriteHeader(202)
		},
		"too long": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip") // 9 MB in 9 KB
			z := gzip.NewWriter(w)
			for range 9 {
				_, _ = z.Write(make([]byte, 1<<20))
			}
			_ = z.Close()
		},
		"400 that breaks off": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			w.WriteHeader(400)
			fmt.Fprint(w, `{"title":`)
		},
		"endless header": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 1<<20))
			w.WriteHeader(400)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := open(t, serve(t, h).URL, nil)
			_, err := c.Create(t.Context(), connector.Record{Type: "customer", ExternalID: "a"})
			wantKind(t, err, connector.Unknown, "")
			_, err = c.Find(t.Context(), "customer", "a")
			wantKind(t, err, connector.Unknown, "")
			_, err = c.Find(t.Context(), "customer", "a|b")
			wantKind(t, err, connector.Unknown, "")
			_, err = c.Read(t.Context(), "customer", "1", connector.Fields{"a": json.RawMessage("1")})
			wantKind(t, err, connector.Unknown, "")
		})
	}
}

func TestSurelyNotSent(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := "http://" + listener.Addr().String()
	_ = listener.Close()
	var heard atomic.Int64
	tls := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { heard.Add(1) }))
	tls.Config.ErrorLog = nil
	t.Cleanup(tls.Close)
	noName := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.DNSError{Err: "no such host", Name: "123456.suitetalk.api.netsuite.com", IsNotFound: true}
	}}
	for name, c := range map[string]*Connection{
		"refused":           open(t, refused, nil),
		"no such host":      open(t, "", func(c *Config) { c.Transport = noName }),
		"unknown authority": open(t, tls.URL, nil),
		"not TLS":           open(t, "https"+strings.TrimPrefix(serve(t, func(http.ResponseWriter, *http.Request) { heard.Add(1) }).URL, "http"), nil),
	} {
		_, err := c.Create(t.Context(), connector.Record{Type: "customer", ExternalID: "a"})
		wantKind(t, err, connector.Unavailable, "can't be reached")
		_, err = c.Find(t.Context(), "customer", "a|b")
		wantKind(t, err, connector.Unavailable, "can't be reached")
		if strings.Contains(err.Error(), "externalId") {
			t.Errorf("%s: the error holds the query: %v", name, err)
		}
	}
	if heard.Load() != 0 {
		t.Errorf("%d requests arrived", heard.Load())
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	other := serve(t, func(w http.ResponseWriter, r *http.Request) { t.Errorf("followed, with %v", r.Header) })
	for _, status := range []int{301, 302, 303, 307, 308} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL+"/x", status) })
		c := open(t, s.URL, nil)
		_, err := c.Create(t.Context(), connector.Record{Type: "customer", ExternalID: "a"})
		wantKind(t, err, connector.Unavailable, "redirect")
		_, err = c.Find(t.Context(), "customer", "a")
		wantKind(t, err, connector.Unavailable, "redirect")
	}
}

func TestCreateOfAnOddExternalIDAdoptsWhatExists(t *testing.T) {
	t.Parallel()
	var requests []string
	found, own := `{"items":[]}`, `{"externalId":"a b"}`
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		requests = append(requests, r.Method)
		w.Header().Set("Content-Type", "application/json")
		switch r.Method {
		case "POST":
			w.WriteHeader(400)
			fmt.Fprint(w, `{"o:errorDetails":[{"detail":"This entity already exists.","o:errorCode":"USER_ERROR"}]}`)
		case "GET":
			if strings.HasSuffix(r.URL.Path, "/customer") {
				fmt.Fprint(w, found)
			} else {
				fmt.Fprint(w, own)
			}
		default:
			w.WriteHeader(204)
		}
	})
	c := open(t, s.URL, nil)
	_, err := c.Create(t.Context(), connector.Record{Type: "customer", ExternalID: "a b"})
	wantKind(t, err, connector.Exists, "already exists") // another record has another unique value
	found = `{"items":[{"id":"1"},{"id":"2"}]}`
	_, err = c.Create(t.Context(), connector.Record{Type: "customer", ExternalID: "a b"})
	wantKind(t, err, connector.Rejected, "more than one")
	found = `{"items":[{"id":"4"}]}`
	requests = nil
	id, err := c.Create(t.Context(), connector.Record{Type: "customer", ExternalID: "a b"})
	if id != "4" || err != nil || strings.Join(requests, " ") != "POST GET GET PATCH" {
		t.Errorf("%q, %v, requests %v", id, err, requests)
	}
	own = `{"id":"4"}` // which has no external id in it: the query's word counts
	if id, err = c.Find(t.Context(), "customer", "a b"); id != "4" || err != nil {
		t.Errorf("%q, %v", id, err)
	}
	found = `{"items":[{"id":"4"},{"id":"5"}]}`
	_, err = c.Find(t.Context(), "customer", "a b")
	wantKind(t, err, connector.Rejected, "more than one")
	own = `{"externalId":"A B"}`
	_, err = c.Find(t.Context(), "customer", "a b")
	wantKind(t, err, connector.NotFound, "no customer")
}
