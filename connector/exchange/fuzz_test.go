package exchange

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// Whatever a token endpoint says, it ends in a token or an error, which has
// none of what was said but a code of RFC 6749.
func FuzzToken(f *testing.F) {
	f.Add(200, `{"access_token":"canary-token","expires_in":3600}`, "7")
	f.Add(200, `{"access_token":"canary-token","expires_in":1e300}`, "Fri, 02 Jan 2099 03:04:00 GMT")
	f.Add(400, `{"error":"invalid_grant","error_description":"canary-x"}`, "-1")
	f.Add(200, `{"access_token":["canary-x"],"expires_in":"x"}`, "99999999999999999999")
	f.Add(500, "<html>canary-x", "")
	f.Fuzz(func(t *testing.T, status int, body, after string) {
		c := Open(Config{Remote: "Acme"})
		defer c.Close()
		tokens := &Tokens{Client: c}
		wait := RetryAfter(http.Header{"Retry-After": {after}}, time.Unix(1_800_000_000, 0))
		if wait < 0 || wait > longestRetryAfter {
			t.Errorf("retry after %q: %v", after, wait)
		}
		token, life, err := tokens.read(&Answer{Status: status, Body: []byte(body), RetryAfter: wait})
		switch {
		case err == nil && (token == "" || life <= 0 || life > 24*time.Hour):
			t.Errorf("token %q for %v", token, life)
		case err != nil && (token != "" || strings.Contains(err.Error(), "canary-")):
			t.Errorf("token %q and %v", token, err)
		}
	})
}
