package netsuite

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/upkeep-sync/upkeep/connector"
)

func pemOf(t *testing.T, key any) string {
	t.Helper()
	b, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b}))
}

func newKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// tokens is a server with a token endpoint; the records need the last token.
type tokens struct {
	*httptest.Server
	mu     sync.Mutex
	asked  int
	last   string
	refuse bool // every token
	answer func(w http.ResponseWriter, r *http.Request) bool
	gate   chan struct{} // token requests wait for it, if not nil
}

func newTokens(t *testing.T) *tokens {
	s := &tokens{}
	s.Server = serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != tokenPath {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.refuse || r.Header.Get("Authorization") != "Bearer "+s.last {
				w.WriteHeader(401)
				return
			}
			w.Header().Set("Location", "/customer/1")
			w.WriteHeader(204)
			return
		}
		if s.gate != nil {
			select {
			case <-s.gate:
			case <-r.Context().Done():
				return
			}
		}
		if s.answer != nil && s.answer(w, r) {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked++
		s.last = fmt.Sprint("canary-", s.asked)
		fmt.Fprintf(w, `{"access_token":%q,"expires_in":3600,"token_type":"Bearer"}`, s.last)
	})
	return s
}

func (s *tokens) count() int { s.mu.Lock(); defer s.mu.Unlock(); return s.asked }

func (s *tokens) open(t *testing.T, clock func() time.Time) *Connection {
	key := connector.Secret(pemOf(t, newKey(t, elliptic.P256())))
	return open(t, s.URL, func(c *Config) {
		c.Auth = Auth{OAuth2: &OAuth2{ClientID: "client", CertificateID: "cert", PrivateKey: key}}
		c.Clock = clock
	})
}

func create1(t *testing.T, c *Connection) error {
	_, err := c.Create(t.Context(), connector.Record{Type: "customer", ExternalID: "a"})
	return err
}

func TestOAuth2Assertion(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_800_000_000, 0)
	for _, k := range []struct {
		algorithm, means string
		key              crypto.Signer
	}{
		{"", "PS256", rsaKey}, {"PS512", "PS512", rsaKey}, {"", "ES256", newKey(t, elliptic.P256())}, {"ES384", "ES384", newKey(t, elliptic.P384())},
	} {
		var path string
		s := newTokens(t)
		s.answer = func(w http.ResponseWriter, r *http.Request) bool {
			claims := jwt.MapClaims{}
			token, err := jwt.NewParser(jwt.WithTimeFunc(func() time.Time { return now }), jwt.WithIssuedAt()).ParseWithClaims(
				r.PostFormValue("client_assertion"), claims, func(*jwt.Token) (any, error) { return k.key.Public(), nil })
			if err != nil || token.Method.Alg() != k.means || token.Header["kid"] != "cert" || token.Header["typ"] != "JWT" {
				t.Errorf("assertion %v: %v", token, err)
			}
			scope, _ := json.Marshal(claims["scope"])
			if claims["iss"] != "client" || claims["aud"] != "http://"+r.Host+tokenPath || string(scope) != `["rest_webservices"]` ||
				claims["iat"] != 1.8e9 || claims["exp"].(float64)-1.8e9 >= 3600 {
				t.Errorf("claims %v", claims)
			}
			if r.Method != "POST" || r.PostFormValue("grant_type") != "client_credentials" || r.PostFormValue("client_assertion_type") != assertionType {
				t.Errorf("form %v", r.PostForm)
			}
			return false
		}
		path = filepath.Join(t.TempDir(), "key.pem")
		if err := os.WriteFile(path, []byte(pemOf(t, k.key)), 0o600); err != nil {
			t.Fatal(err)
		}
		c := open(t, s.URL, func(c *Config) {
			c.Auth = Auth{OAuth2: &OAuth2{ClientID: "client", CertificateID: "cert", PrivateKeyFile: path, Algorithm: k.algorithm}}
			c.Clock = func() time.Time { return now }
		})
		if err := create1(t, c); err != nil || s.count() != 1 {
			t.Errorf("%s: %v, %d tokens", k.means, err, s.count())
		}
	}
}

func TestOAuth2TokenIsSharedRenewedAndReplaced(t *testing.T) {
	t.Parallel()
	var now atomic.Int64
	now.Store(1_800_000_000)
	s := newTokens(t)
	s.gate = make(chan struct{})
	c := s.open(t, func() time.Time { return time.Unix(now.Load(), 0) })
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if err := create1(t, c); err != nil {
				t.Error(err)
			}
		})
	}
	close(s.gate)
	group.Wait()
	if s.count() != 1 {
		t.Errorf("%d token requests for calls at once, want 1", s.count())
	}
	now.Add(3600 - 301)
	if err := create1(t, c); err != nil || s.count() != 1 {
		t.Errorf("%v, %d tokens while the first is good", err, s.count())
	}
	now.Add(2)
	if err := create1(t, c); err != nil || s.count() != 2 {
		t.Errorf("%v, %d tokens, want a second one before the end of the first", err, s.count())
	}
	s.mu.Lock()
	s.last = "revoked"
	s.mu.Unlock()
	if err := create1(t, c); err != nil || s.count() != 3 {
		t.Errorf("%v, %d tokens after a 401, want one more", err, s.count())
	}
	s.mu.Lock()
	s.refuse = true
	s.mu.Unlock()
	err := create1(t, c)
	wantKind(t, err, connector.Unauthorized, "HTTP 401")
	if s.count() != 4 {
		t.Errorf("%d tokens, want to ask once more and then give up", s.count())
	}
	if err != nil && strings.Contains(err.Error(), "canary") {
		t.Errorf("the error holds a token: %v", err)
	}
}

func TestOAuth2Failures(t *testing.T) {
	t.Parallel()
	for _, f := range []struct {
		name, body string
		status     int
		kind       connector.Kind
		says       string
	}{
		{"invalid grant", `{"error":"invalid_grant","error_description":"canary"}`, 400, connector.Unauthorized, "invalid_grant"},
		{"401", ``, 401, connector.Unauthorized, "certificate"},
		{"strange code", `{"error":"Canary <x>"}`, 400, connector.Unavailable, "makes no sense"},
		{"rate", ``, 429, connector.RateLimited, "fewer"},
		{"500", `canary`, 500, connector.Unavailable, ""},
		{"html", `<html>canary</html>`, 200, connector.Unavailable, "base_url"},
		{"no token", `{"access_token":"","x":"canary"}`, 200, connector.Unavailable, ""},
		{"redirect", ``, 302, connector.Unavailable, ""},
	} {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s := newTokens(t)
			s.answer = func(w http.ResponseWriter, r *http.Request) bool {
				w.Header().Set("Retry-After", "3")
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(f.status)
				fmt.Fprint(w, f.body)
				return true
			}
			err := create1(t, s.open(t, nil))
			wantKind(t, err, f.kind, f.says)
			if err == nil || strings.Contains(strings.ToLower(err.Error()), "canary") || connector.AsError(err).RetryAfter != 3*time.Second {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestOAuth2CloseEndsTheTokenRequest(t *testing.T) {
	t.Parallel()
	s := newTokens(t)
	s.gate = make(chan struct{})
	c := s.open(t, nil)
	done := make(chan error)
	go func() { done <- create1(t, c) }()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	wantKind(t, <-done, connector.Unavailable, "")
	wantKind(t, create1(t, c), connector.Unavailable, "closed")
	close(s.gate)
}
