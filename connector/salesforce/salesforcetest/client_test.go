package salesforcetest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// org is a running sandbox with a client that is logged in.
type org struct {
	t      *testing.T
	server *Server
	url    string
	client *http.Client
	token  string
}

func newOrg(t *testing.T, config Config) *org {
	t.Helper()
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	t.Cleanup(s.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	o := &org{t: t, server: s, url: h.URL, client: &http.Client{Transport: transport}}
	status, answer := o.post(url.Values{"grant_type": {"client_credentials"}, "client_id": {ClientID}, "client_secret": {ClientSecret}})
	if o.token, _ = answer["access_token"].(string); status != 200 || o.token == "" {
		t.Fatalf("login: %d %v", status, answer)
	}
	return o
}

// post asks for a token.
func (o *org) post(form url.Values) (int, map[string]any) {
	o.t.Helper()
	r, err := o.client.PostForm(o.url+tokenPath, form)
	if err != nil {
		o.t.Fatal(err)
	}
	defer r.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
		o.t.Fatal(err)
	}
	return r.StatusCode, answer
}

type answer struct {
	status int
	header http.Header
	raw    string
}

// code is the first error's, of an answer or of a collection's first row.
func (a answer) code() string {
	var all []struct{ ErrorCode string }
	if json.Unmarshal([]byte(a.raw), &all) != nil || len(all) == 0 {
		return ""
	}
	return all[0].ErrorCode
}

func (a answer) id() string {
	var one struct{ ID string }
	_ = json.Unmarshal([]byte(a.raw), &one) // empty then
	return one.ID
}

func (o *org) request(method, path, body string) *http.Request {
	o.t.Helper()
	address := o.url + "/services/data/v68.0" + path
	if strings.HasPrefix(path, "/sandbox/") || strings.HasPrefix(path, "/services/") {
		address = o.url + path
	}
	r, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		o.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+o.token)
	r.Header.Set("Content-Type", "application/json")
	if strings.HasSuffix(path, "/batches") {
		r.Header.Set("Content-Type", "text/csv")
	}
	return r
}

func (o *org) call(method, path, body string) answer {
	o.t.Helper()
	r, err := o.client.Do(o.request(method, path, body))
	if err != nil {
		o.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	return answer{r.StatusCode, r.Header, string(b)}
}

func (o *org) must(status int, method, path, body string) answer {
	o.t.Helper()
	a := o.call(method, path, body)
	if a.status != status {
		o.t.Fatalf("%s %s %s: %d %s, want %d", method, path, body, a.status, a.raw, status)
	}
	return a
}

// refused is a call that fails with a code.
func (o *org) refused(status int, code, method, path, body string) answer {
	o.t.Helper()
	a := o.must(status, method, path, body)
	if a.code() != code {
		o.t.Errorf("%s %s %s: %s, want %s", method, path, body, a.raw, code)
	}
	return a
}

// rows lists the outcome of each row of a collection: the code, "created",
// or "ok".
func (a answer) rows() string {
	var all []struct {
		Success, Created bool
		Errors           []struct{ StatusCode string }
	}
	if err := json.Unmarshal([]byte(a.raw), &all); err != nil {
		return a.raw
	}
	var out []string
	for _, r := range all {
		switch {
		case !r.Success:
			out = append(out, r.Errors[0].StatusCode)
		case r.Created:
			out = append(out, "created")
		default:
			out = append(out, "ok")
		}
	}
	return strings.Join(out, " ")
}

// show is a field of a record.
func (o *org) show(id, field string) any {
	o.t.Helper()
	o.server.mu.Lock()
	defer o.server.mu.Unlock()
	r := o.server.find(id)
	if r == nil {
		o.t.Fatalf("there is no record %s", id)
	}
	return r.render(r.object.field(field))
}

func (o *org) fail(f Fault) {
	o.t.Helper()
	if err := o.server.Fail(f); err != nil {
		o.t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

func soql(q string) string { return "/query?q=" + url.QueryEscape(q) }

func accountBody(i int) string { return fmt.Sprintf(`{"Name":"Account %d"}`, i) }
