package salesforce_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/salesforce"
)

// FuzzAnswers: whatever Salesforce says to a call becomes a decision, without a
// panic; only a success is taken for one, and only an id for an id.
func FuzzAnswers(f *testing.F) {
	const id = "001000000000001AAA"
	for _, s := range []string{
		`{"id":"` + id + `","success":true,"errors":[],"created":true}`, `{"id":7,"success":true}`, `{"id":"x","success":true,"errors":[]}`, `{"success":false,"errors":[{}]}`,
		`{"done":true,"records":[{"Id":"` + id + `","Name":"a"}]}`, `{"done":false,"records":[]}`, `{"done":true,"records":[null]}`, `{"done":true,"records":[{"Id":null}]}`,
		`{"name":"Account","fields":[{"name":"Name","type":"string"},null]}`, `{"DailyApiRequests":{"Max":15000,"Remaining":-3}}`,
		`{"id":"750000000000001AAA","state":"JobComplete","numberRecordsProcessed":1e99}`, `{"id":"750000000000001AAA","state":"Odd"}`,
		`[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"m"}]`, `[null]`, `[]`, `{}`, `null`, `<html>`, `{"records":`,
	} {
		f.Add(200, s)
		f.Add(201, s)
		f.Add(400, s)
	}
	f.Add(201, `{"id":"`+id+`","success":true}`)
	f.Add(204, "")
	f.Add(404, `[{"errorCode":"NOT_FOUND","message":"m"}]`)
	var status int
	var body string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.URL.Path, "/oauth2/token") {
			_, _ = w.Write([]byte(`{"access_token":"t","instance_url":"http://` + r.Host + `"}`))
			return
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	f.Cleanup(server.Close)
	c, err := salesforce.Open(salesforce.Config{BaseURL: server.URL, Auth: auths()["client credentials"]})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = c.Close() })
	want := fields(`{"Name":"a","Owner":{"attributes":{"type":"User"},"Email":"a@b"},"ParentId":null}`)
	plain := account("a-1", "a")
	f.Fuzz(func(t *testing.T, says int, text string) {
		if says < 200 || says > 599 || says == http.StatusUnauthorized {
			return
		}
		status, body = says, text
		told := func(what string, err error) {
			t.Helper()
			if err == nil && says > 299 {
				t.Errorf("%s: %d is taken for a success", what, says)
			}
			if err != nil && connector.AsError(err).Error() == "" {
				t.Errorf("%s: an error without a word", what)
			}
		}
		isID := func(what, id string, err error) {
			t.Helper()
			if told(what, err); err == nil && len(id) != 15 && len(id) != 18 {
				t.Errorf("%s: %q is taken for an id", what, id)
			}
		}
		made, err := c.Create(t.Context(), plain)
		isID("create", made, err)
		found, err := c.Find(t.Context(), "Account", "a-1")
		isID("find", found, err)
		told("update", c.Update(t.Context(), id, plain))
		_ = c.Delete(t.Context(), "Account", id) // of what is gone, refusals tell too
		got, err := c.Read(t.Context(), "Account", id, want)
		told("read", err)
		for name, value := range got {
			if !json.Valid(value) {
				t.Errorf("read: %s is %s", name, value)
			}
		}
		job, err := c.StartJob(t.Context(), "Account", connector.Create)
		isID("start a job", job, err)
		_, err = c.PollJob(t.Context(), "750000000000001AAA")
		told("poll a job", err)
		_ = c.Check(t.Context(), []connector.Use{{Type: "Account", Fields: []string{"Name"}}})
	})
}
