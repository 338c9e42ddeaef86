package netsuite

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
)

// saying is what a server says to everything.
type saying struct {
	status         int
	location, body string
}

func (s saying) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if s.location != "" {
		w.Header().Set("Location", s.location)
	}
	w.WriteHeader(s.status)
	_, _ = w.Write([]byte(s.body))
}

// FuzzAnswers: whatever NetSuite says to a call becomes a decision, without a
// panic; only a success is taken for one, and only an id for an id.
func FuzzAnswers(f *testing.F) {
	for _, a := range []saying{
		{204, "https://x/services/rest/record/v1/customer/7", ""},
		{204, "https://x/record/v1/customer/eid:a", ""}, {204, "%zz", ""}, {204, "", ""},
		{200, "", `{"id":"7","externalId":"c-1","email":"a@b"}`}, {200, "", `{"id":"7","externalId":"C-1"}`},
		{200, "", `{"items":[{"id":"7"},{"id":8}],"hasMore":true}`}, {200, "", `{"items":[null]}`}, {200, "", `{"items":{}}`},
		{200, "", `{"links":[{"rel":"self","href":"https://x/record/v1/customer/12"}]}`}, {200, "", `{"links":[null],"id":[]}`},
		{200, "", `{"properties":{"email":{"type":"string"},"item":null}}`}, {200, "", "[]"}, {200, "", "<html>"}, {200, "", `{"email":`},
		{400, "", `{"title":"x","o:errorDetails":[{"detail":"no","o:errorCode":"USER_ERROR","o:errorPath":"email"}]}`},
		{400, "", `{"o:errorDetails":[null,{"o:errorCode":"CONCURRENCY_LIMIT_EXCEEDED"}]}`}, {404, "", `{"title":7}`}, {429, "", ""}, {503, "", "{"},
	} {
		f.Add(a.status, a.location, a.body)
	}
	var now saying
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { now.ServeHTTP(w, r) }))
	f.Cleanup(server.Close)
	c, err := Open(Config{Account: "123456_SB1", BaseURL: server.URL, Auth: Auth{OAuth1: &sample}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = c.Close() })
	fields := connector.Fields{"email": json.RawMessage(`"a@b"`), "item": json.RawMessage(`{"items":[{"item":{"externalId":"i-1"}}]}`)}
	plain := connector.Record{Type: "customer", ExternalID: "c-1", Fields: fields}
	f.Fuzz(func(t *testing.T, status int, location, body string) {
		if status < 200 || status > 599 {
			return
		}
		now = saying{status, location, body}
		success := status < 300
		told := func(what string, err error) {
			if err == nil && !success {
				t.Errorf("%s: %d is taken for a success", what, status)
			}
			if err != nil && connector.AsError(err).Error() == "" {
				t.Errorf("%s: an error without a word", what)
			}
		}
		for _, name := range []string{"c-1", "no plain one"} {
			id, err := c.Find(t.Context(), "customer", name)
			if told("find", err); err == nil && !internalID(id) {
				t.Errorf("find: %q is taken for an id", id)
			}
		}
		id, err := c.Create(t.Context(), plain)
		if told("create", err); err == nil && !internalID(id) {
			t.Errorf("create: %q is taken for an id", id)
		}
		id, err = c.Initialize(t.Context(), connector.Origin{Type: "salesOrder", RemoteID: "5"}, plain)
		if told("initialize", err); err == nil && !internalID(id) {
			t.Errorf("initialize: %q is taken for an id", id)
		}
		told("update", c.Update(t.Context(), "7", plain))
		if err := c.Delete(t.Context(), "customer", "7"); status != http.StatusNotFound {
			told("delete", err)
		}
		got, err := c.Read(t.Context(), "customer", "7", fields)
		told("read", err)
		for name, value := range got {
			if !json.Valid(value) {
				t.Errorf("read: %s is %s", name, value)
			}
		}
		_ = c.Check(t.Context(), []connector.Use{{Type: "customer", Fields: []string{"email"}}})
	})
}
