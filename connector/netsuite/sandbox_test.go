package netsuite_test

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/netsuite"
	"github.com/upkeep-sync/upkeep/connector/netsuite/netsuitetest"
)

// sandbox is an account behind HTTPS and HTTP/2, as the real one is.
func sandbox(t *testing.T, config netsuitetest.Config, auth netsuite.Auth, front func(http.Handler) http.Handler) (*netsuitetest.Server, *netsuite.Connection) {
	t.Helper()
	account, err := netsuitetest.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(account.Close)
	server := httptest.NewUnstartedServer(front(account))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	transport := server.Client().Transport.(*http.Transport).Clone()
	transport.ForceAttemptHTTP2 = true
	t.Cleanup(transport.CloseIdleConnections)
	conn, err := netsuite.Open(netsuite.Config{Account: netsuitetest.Account, BaseURL: server.URL, Auth: auth, Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return account, conn
}

func itself(h http.Handler) http.Handler { return h }

func customer(externalID, name string) connector.Record {
	return connector.Record{Type: "customer", ExternalID: externalID, Fields: connector.Fields{
		"companyName": json.RawMessage(`"` + name + `"`), "subsidiary": json.RawMessage(`{"id":"1"}`),
	}}
}

func TestOverHTTP2(t *testing.T) {
	t.Parallel()
	var seen atomic.Int64
	for name, auth := range auths() {
		t.Run(name, func(t *testing.T) {
			account, conn := sandbox(t, netsuitetest.Config{}, auth, func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.ProtoMajor != 2 || r.TLS == nil || r.TLS.Version < tls.VersionTLS12 {
						t.Errorf("%s over %s", r.URL.Path, r.Proto)
					}
					seen.Add(1)
					h.ServeHTTP(w, r)
				})
			})
			id, err := conn.Create(t.Context(), customer("c-1", "One"))
			if err != nil {
				t.Fatal(err)
			}
			if err := account.Fail(netsuitetest.Fault{Kind: netsuitetest.Reset, Applied: true, Count: 1}); err != nil {
				t.Fatal(err)
			}
			_, err = conn.Create(t.Context(), customer("c-2", "Two"))
			if err == nil || connector.KindOf(err) != connector.Unknown {
				t.Errorf("a stream that was reset: %v, want an unknown outcome", err)
			}
			if found, err := conn.Find(t.Context(), "customer", "c-2"); err != nil || found == id {
				t.Errorf("find %q, %v", found, err)
			}
		})
	}
	if seen.Load() < 6 {
		t.Errorf("only %d requests", seen.Load())
	}
}

func TestTokensThatExpireAreReplaced(t *testing.T) {
	t.Parallel()
	account, conn := sandbox(t, netsuitetest.Config{}, auths()["oauth2"], itself)
	for range 5 {
		if _, err := conn.Create(t.Context(), customer("c-1", "One")); err != nil {
			t.Fatal(err)
		}
		account.ExpireTokens()
	}
	if n := len(account.Records("customer")); n != 1 {
		t.Errorf("%d customers", n)
	}
}

func TestWrongCredentialsAreTold(t *testing.T) {
	t.Parallel()
	good := auths()
	wrong1, wrong2 := *good["oauth1"].OAuth1, *good["oauth2"].OAuth2
	wrong1.TokenSecret, wrong2.CertificateID = "canary", "another"
	for name, auth := range map[string]netsuite.Auth{"oauth1": {OAuth1: &wrong1}, "oauth2": {OAuth2: &wrong2}} {
		_, conn := sandbox(t, netsuitetest.Config{}, auth, itself)
		problems := conn.Check(t.Context(), []connector.Use{{Sync: "s", Type: "customer", Fields: []string{"email"}}})
		if len(problems) != 1 || connector.KindOf(problems[0]) != connector.Unauthorized || strings.Contains(problems[0].Error(), "canary") {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

func TestMistakesAreToldInNetSuitesWords(t *testing.T) {
	t.Parallel()
	_, conn := sandbox(t, netsuitetest.Config{}, auths()["oauth1"], itself)
	with := func(field, value string) connector.Record {
		r := customer("c-1", "One")
		r.Fields[field] = json.RawMessage(value)
		return r
	}
	for _, c := range []struct {
		record connector.Record
		says   string
	}{
		{with("emial", `"x"`), "emial"}, // not dropped silently
		{with("terms", `{"id":"999"}`), "[at terms]"},
		{with("email", `{"a":[1]}`), "[at email]"},
		{connector.Record{Type: "custmer", ExternalID: "x"}, "Record type 'custmer' does not exist."},
		{connector.Record{Type: "contact", ExternalID: "x"}, "Please enter value(s) for"},
	} {
		_, err := conn.Create(t.Context(), c.record)
		if err == nil || connector.KindOf(err) != connector.Rejected || !strings.Contains(err.Error(), c.says) {
			t.Errorf("got %v, want a rejection with %q", err, c.says)
		}
	}
	if _, err := conn.Create(t.Context(), customer("c-1", "One")); err != nil {
		t.Fatal(err)
	}
	_, err := conn.Create(t.Context(), customer("c-2", "One")) // entityId is unique, too
	if err == nil || connector.KindOf(err) != connector.Exists {
		t.Errorf("got %v, want exists", err)
	}
}

// A query takes "a, b" and "A, B" for one: a record is only the one with the very
// external id, also where the other one alone is there.
func TestExternalIDsThatDifferInCapitals(t *testing.T) {
	t.Parallel()
	for name, auth := range auths() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			account, conn := sandbox(t, netsuitetest.Config{}, auth, itself)
			small, err := conn.Create(t.Context(), customer("a, b", "Small"))
			if err != nil {
				t.Fatal(err)
			}
			if id, err := conn.Find(t.Context(), "customer", "A, B"); err == nil || connector.KindOf(err) != connector.NotFound {
				t.Errorf("another record is found: %q, %v; it is %q", id, err, small)
			}
			if err := account.Fail(netsuitetest.Fault{Kind: netsuitetest.Reset, Applied: true, Op: "create", Count: 1}); err != nil {
				t.Fatal(err)
			}
			if _, err = conn.Create(t.Context(), customer("A, B", "Large")); err == nil || connector.KindOf(err) != connector.Unknown {
				t.Errorf("a lost answer: %v", err)
			}
			large, err := conn.Create(t.Context(), customer("A, B", "Larger"))
			if err != nil || large == small {
				t.Fatalf("a repetition: %q, %v; the other is %q", large, err, small)
			}
			for ext, want := range map[string]string{"a, b": small, "A, B": large} {
				if id, err := conn.Find(t.Context(), "customer", ext); err != nil || id != want {
					t.Errorf("find %q: %q, %v; want %q", ext, id, err, want)
				}
			}
			names := map[string]any{}
			for _, r := range account.Records("customer") {
				names[r["externalId"].(string)] = r["companyName"]
			}
			if len(names) != 2 || names["a, b"] != "Small" || names["A, B"] != "Larger" {
				t.Errorf("the account has %v", names)
			}
		})
	}
}

// A kept connection that breaks under a read has an unknown outcome, and is not taken
// for a wrong login: no request comes twice with one nonce.
func TestABrokenConnectionIsNoWrongLogin(t *testing.T) {
	t.Parallel()
	for name, auth := range auths() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			account, err := netsuitetest.New(netsuitetest.Config{})
			if err != nil {
				t.Fatal(err)
			}
			defer account.Close()
			server := httptest.NewServer(account)
			defer server.Close()
			conn, err := netsuite.Open(netsuite.Config{Account: netsuitetest.Account, BaseURL: server.URL, Auth: auth})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			rec := customer("c-1", "One")
			id, err := conn.Create(t.Context(), rec)
			if err != nil {
				t.Fatal(err)
			}
			for _, op := range []string{"read", "list"} {
				if err := account.Fail(netsuitetest.Fault{Kind: netsuitetest.Reset, Op: op, Count: 1}); err != nil {
					t.Fatal(err)
				}
			}
			for range 3 {
				if _, err := conn.Read(t.Context(), "customer", id, rec.Fields); err != nil && connector.KindOf(err) == connector.Unauthorized {
					t.Errorf("read: %v", err)
				}
				if _, err := conn.Find(t.Context(), "customer", "c-1"); err != nil && connector.KindOf(err) == connector.Unauthorized {
					t.Errorf("find: %v", err)
				}
			}
			if _, err := conn.Find(t.Context(), "customer", "c-1"); err != nil {
				t.Errorf("after it: %v", err)
			}
		})
	}
}
