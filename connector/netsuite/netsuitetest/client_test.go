package netsuitetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// account is a running sandbox with a client that signs as the default
// credentials do.
type account struct {
	t      *testing.T
	server *Server
	url    string
	client *http.Client
	nonce  atomic.Int64
	now    func() time.Time
}

func newAccount(t *testing.T, config Config) *account {
	t.Helper()
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	t.Cleanup(s.Close)
	// A transport of its own: closing a test server closes the idle
	// connections of the default one, under the hands of other tests.
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	a := &account{t: t, server: s, url: h.URL, client: &http.Client{Transport: transport}, now: time.Now}
	if config.Now != nil {
		a.now = config.Now
	}
	return a
}

type answer struct {
	status int
	header http.Header
	raw    string
	body   map[string]any
}

// id is the last part of Location.
func (a answer) id() string {
	l := a.header.Get("Location")
	return l[strings.LastIndex(l, "/")+1:]
}

func (a answer) detail() (code, detail, path string) {
	list, _ := a.body["o:errorDetails"].([]any)
	if len(list) == 0 {
		return "", "", ""
	}
	d := list[0].(map[string]any)
	text := func(k string) string { s, _ := d[k].(string); return s }
	return text("o:errorCode"), text("detail"), text("o:errorPath")
}

// sign makes an Authorization header by hand, in the most literal way.
func (a *account) sign(method, rawURL string, change func(p map[string]string)) string {
	p := map[string]string{
		"oauth_consumer_key": ConsumerKey, "oauth_token": TokenID, "oauth_signature_method": "HMAC-SHA256", "oauth_version": "1.0",
		"oauth_timestamp": fmt.Sprint(a.now().Unix()), "oauth_nonce": fmt.Sprintf("nonce%08d", a.nonce.Add(1)), "realm": Account,
	}
	secret := TokenSecret
	if change != nil {
		change(p)
		if s, ok := p["secret"]; ok {
			secret = s
			delete(p, "secret")
		}
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		a.t.Fatal(err)
	}
	p["oauth_signature"] = signature(baseString(method, u.Scheme, u.Host, u.EscapedPath(), u.RawQuery, p), ConsumerSecret, secret)
	var parts []string
	for k, v := range p {
		parts = append(parts, k+`="`+escape(v)+`"`)
	}
	return "OAuth " + strings.Join(parts, ", ")
}

// request builds a signed request; headers are "Name: value".
func (a *account) request(method, path, body string, headers ...string) *http.Request {
	a.t.Helper()
	if !strings.HasPrefix(path, "/services") {
		path = "/services/rest/record/v1/" + path
	}
	r, err := http.NewRequest(method, a.url+path, bytes.NewReader([]byte(body)))
	if err != nil {
		a.t.Fatal(err)
	}
	r.Header.Set("Authorization", a.sign(method, a.url+path, nil))
	for _, h := range headers {
		k, v, _ := strings.Cut(h, ": ")
		r.Header.Set(k, v)
	}
	return r
}

func (a *account) do(r *http.Request) answer {
	a.t.Helper()
	res, err := a.client.Do(r)
	if err != nil {
		a.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	out := answer{status: res.StatusCode, header: res.Header, raw: string(raw)}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	_ = d.Decode(&out.body) // not every answer is JSON
	return out
}

func (a *account) call(method, path, body string, headers ...string) answer {
	a.t.Helper()
	return a.do(a.request(method, path, body, headers...))
}

// must is call with the status that is expected.
func (a *account) must(status int, method, path, body string, headers ...string) answer {
	a.t.Helper()
	out := a.call(method, path, body, headers...)
	if out.status != status {
		a.t.Fatalf("%s %s: status %d, want %d: %s", method, path, out.status, status, out.raw)
	}
	return out
}

// show is a record as compact JSON of the named fields ("item.quantity" is
// the list of that field over the lines).
func (a *account) show(path string, fields ...string) string {
	a.t.Helper()
	out := a.must(200, "GET", path+"?expandSubResources=true&simpleEnumFormat=true", "")
	var parts []string
	for _, f := range fields {
		list, inner, nested := strings.Cut(f, ".")
		v := out.body[list]
		if nested {
			var values []string
			for _, line := range v.(map[string]any)["items"].([]any) {
				values = append(values, shortly(line.(map[string]any)[inner]))
			}
			parts = append(parts, f+"="+strings.Join(values, ","))
			continue
		}
		parts = append(parts, f+"="+shortly(v))
	}
	return strings.Join(parts, " ")
}

func shortly(v any) string {
	if m, ok := v.(map[string]any); ok {
		return fmt.Sprint(m["id"])
	}
	return fmt.Sprint(v)
}
