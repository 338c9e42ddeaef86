package netsuitetest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Oracle's published sample keys, and addresses with what is hard to encode.
func TestSignatureVectors(t *testing.T) {
	t.Parallel()
	for _, v := range []struct {
		method, url, signature string
		status                 int
	}{
		{"GET", "https://123456.suitetalk.api.netsuite.com/services/rest/record/v1/employee/40", "B5OIWznZ2YP0OB7VrJrGkYsTh+8H+5T9Hag+o92q0zY=", 404},
		{"GET", "http://127.0.0.1:8080/services/rest/record/v1/customer/eid:CUST-001?expandSubResources=true&fields=companyName,email", "lWWuwJo9iM2GgNkjZA9V4mR14lZxgtKE7CLo39+7a08=", 404},
		{"GET", "http://127.0.0.1:8080/services/rest/record/v1/customer?q=companyName%20IS%20%22A%20%26%20B%22&limit=5", "YaOpE70rmPG9MQY15jvv8w6QyJ3ex8XOvFKrLKY955E=", 200},
		{"PATCH", "http://127.0.0.1:8080/services/rest/record/v1/salesOrder/7?replace=item", "EcmLkdTZUvj+kkBkB2RwA2UiImPHxEHhmq4hOOUpWr8=", 404},
		{"POST", "http://127.0.0.1:8080/services/rest/record/v1/salesOrder/7/!transform/itemFulfillment", "f/YSpLHjNAxsmg0waN76HvQBvHTRi2K4esYlHFRRgw0=", 404},
	} {
		config := Config{Account: "123456", Now: func() time.Time { return time.Unix(1508242306, 0) }}
		s, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		try := func(sig string) int {
			r := httptest.NewRequest(v.method, v.url, nil)
			if strings.HasPrefix(v.url, "http:") {
				r.TLS = nil
			}
			u, _ := url.Parse(v.url)
			r.RequestURI = u.RequestURI() // as on the wire
			if strings.Contains(v.url, "!") && !strings.Contains(r.RequestURI, "!") {
				r.RequestURI = strings.ReplaceAll(r.RequestURI, "%21", "!")
			}
			r.Header.Set("Authorization", fmt.Sprintf(`OAuth realm="123456", oauth_consumer_key="%s", oauth_token="%s", oauth_nonce="fjaLirsIcCGVZWzBX0pg", oauth_timestamp="1508242306", oauth_signature_method="HMAC-SHA256", oauth_version="1.0", oauth_signature="%s"`,
				ConsumerKey, TokenID, escape(sig)))
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			return w.Code
		}
		if got := try("A" + v.signature[1:]); got != 401 {
			t.Errorf("%s: a wrong signature is answered %d", v.url, got)
		}
		if got := try(v.signature); got != v.status {
			t.Errorf("%s %s: %d, want %d; audit %+v", v.method, v.url, got, v.status, s.Audit())
		}
	}
}

func TestTokenLogin(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	var mu sync.Mutex
	a := newAccount(t, Config{Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now }})
	login := func(change func(p map[string]string)) answer {
		r := a.request("GET", "customer", "")
		r.Header.Set("Authorization", a.sign("GET", r.URL.String(), change))
		return a.do(r)
	}
	set := func(k, v string) func(map[string]string) { return func(p map[string]string) { p[k] = v } }
	cases := []struct {
		reason string
		change func(map[string]string)
	}{
		{"InvalidSignature", set("secret", "wrong")},
		{"consumer_key_unknown", set("oauth_consumer_key", "wrong")},
		{"token_rejected", set("oauth_token", "wrong")},
		{"UnknownAlgorithm", set("oauth_signature_method", "HMAC-SHA1")},
		{"VersionRejected", set("oauth_version", "2.0")},
		{"InvalidRealm", set("realm", "123456-sb1")},
		{"InvalidTimestamp", set("oauth_timestamp", fmt.Sprint(now.Add(-301*time.Second).Unix()))},
		{"InvalidTimestamp", set("oauth_timestamp", fmt.Sprint(now.Add(301*time.Second).Unix()))},
		{"InvalidNonce", set("oauth_nonce", "short")},
		{"InvalidNonce", set("oauth_nonce", "with+plus/slash=")},
	}
	last := func() string { l := a.server.Audit(); return l[len(l)-1].Reason }
	for _, c := range cases {
		out := login(c.change)
		if code, detail, _ := out.detail(); out.status != 401 || code != "INVALID_LOGIN" || !strings.HasPrefix(detail, "Invalid login attempt.") || last() != c.reason {
			t.Errorf("%s: %d %s, audit %s", c.reason, out.status, out.raw, last())
		}
		if out := login(nil); out.status != 200 { // which also keeps the lock away
			t.Fatalf("after %s: %d %s", c.reason, out.status, last())
		}
	}
	for _, edge := range []time.Duration{-5 * time.Minute, 5 * time.Minute} {
		if out := login(set("oauth_timestamp", fmt.Sprint(now.Add(edge).Unix()))); out.status != 200 {
			t.Errorf("a timestamp %v off is refused: %s", edge, last())
		}
	}
	login(set("oauth_nonce", "usedtwice"))
	if out := login(set("oauth_nonce", "usedtwice")); out.status != 401 || last() != "NonceUsed" {
		t.Errorf("a nonce used twice: %d %s", out.status, last())
	}
	for range 4 {
		login(set("secret", "wrong"))
	}
	if out := login(nil); out.status != 401 || last() != "temporary_locked" {
		t.Errorf("after five failures: %d %s", out.status, last())
	}
	mu.Lock()
	now = now.Add(30 * time.Minute)
	mu.Unlock()
	if out := login(nil); out.status != 200 {
		t.Errorf("half an hour later: %d %s", out.status, last())
	}
	r := a.request("GET", "customer", "")
	r.Header.Del("Authorization")
	if out := a.do(r); out.status != 401 || last() != "no credentials" {
		t.Errorf("without credentials: %d", out.status)
	}
}

func TestMachineLogin(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_800_000_000, 0)
	var mu sync.Mutex
	a := newAccount(t, Config{TokenLifetime: time.Minute, Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now },
		Clients: []ClientCredentials{Client(), {"other", map[string]crypto.PublicKey{"rsa": &rsaKey.PublicKey, "p384": &p384.PublicKey}}}})
	own, err := jwt.ParseECPrivateKeyFromPEM([]byte(PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	type login struct {
		method jwt.SigningMethod
		key    any
		kid    string
		claims jwt.MapClaims
		form   url.Values
	}
	ask := func(change func(*login)) answer {
		l := login{jwt.SigningMethodES256, own, CertificateID, jwt.MapClaims{"iss": ClientID, "scope": []string{"rest_webservices"},
			"aud": a.url + tokenPath, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}, url.Values{}}
		l.form.Set("grant_type", "client_credentials")
		l.form.Set("client_assertion_type", assertionType)
		if change != nil {
			change(&l)
		}
		token := jwt.NewWithClaims(l.method, l.claims)
		token.Header["kid"] = l.kid
		signed, err := token.SignedString(l.key)
		if err != nil {
			t.Fatal(err)
		}
		l.form.Set("client_assertion", signed)
		r, _ := http.NewRequest("POST", a.url+tokenPath, strings.NewReader(l.form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return a.do(r)
	}
	other := func(m jwt.SigningMethod, key any, kid string) func(*login) {
		return func(l *login) { l.method, l.key, l.kid = m, key, kid; l.claims["iss"] = "other" }
	}
	claim := func(k string, v any) func(*login) { return func(l *login) { l.claims[k] = v } }
	for name, change := range map[string]func(*login){
		"ES256": nil, "PS256": other(jwt.SigningMethodPS256, rsaKey, "rsa"), "PS512": other(jwt.SigningMethodPS512, rsaKey, "rsa"),
		"ES384": other(jwt.SigningMethodES384, p384, "p384"), "scope text": claim("scope", "restlets,rest_webservices"),
		"account's own aud": claim("aud", "https://123456-sb1.suitetalk.api.netsuite.com"+tokenPath),
	} {
		out := ask(change)
		if out.status != 200 || out.body["token_type"] != "Bearer" || fmt.Sprint(out.body["expires_in"]) != "60" || out.body["refresh_token"] != nil {
			t.Errorf("%s: %d %s %+v", name, out.status, out.raw, a.server.Audit())
		}
	}
	for name, change := range map[string]func(*login){
		"RS256": other(jwt.SigningMethodRS256, rsaKey, "rsa"), "wrong kid": func(l *login) { l.kid = "x" }, "wrong key": func(l *login) { l.method, l.key = jwt.SigningMethodES384, p384 },
		"wrong iss": claim("iss", "x"), "wrong scope": claim("scope", []string{"restlets"}), "wrong aud": claim("aud", a.url),
		"expired": claim("exp", now.Add(-time.Second).Unix()), "too long": claim("exp", now.Add(61*time.Minute).Unix()),
		"no exp": func(l *login) { delete(l.claims, "exp") }, "no iat": func(l *login) { delete(l.claims, "iat") },
		"grant": func(l *login) { l.form.Set("grant_type", "password") },
	} {
		out := ask(change)
		if _, ok := out.body["error"].(string); out.status != 400 || !ok || (name != "grant" && out.body["error"] != "invalid_grant") {
			t.Errorf("%s: %d %s", name, out.status, out.raw)
		}
	}
	a.fail(Fault{Kind: Status, Status: 500})
	if ask(nil).status != 200 {
		t.Error("a fault that names no operation struck the token endpoint")
	}
	a.fail(Fault{Kind: Status, Status: 503, Op: "token", Count: 1})
	if ask(nil).status != 503 {
		t.Error("a fault of the token endpoint did not strike")
	}
	a.server.Heal()
	token := fmt.Sprint(ask(nil).body["access_token"])
	use := func() int {
		r := a.request("GET", "customer", "")
		r.Header.Set("Authorization", "Bearer "+token)
		return a.do(r).status
	}
	if use() != 200 {
		t.Error("a fresh token is refused")
	}
	mu.Lock()
	now = now.Add(time.Minute)
	mu.Unlock()
	if use() != 401 {
		t.Error("an expired token is taken")
	}
	token = fmt.Sprint(ask(nil).body["access_token"])
	if a.server.ExpireTokens(); use() != 401 {
		t.Error("a token is taken after ExpireTokens")
	}
}
