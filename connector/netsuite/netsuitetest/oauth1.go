package netsuitetest

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// TokenCredentials are one integration's consumer key with one of its tokens:
// token-based authentication, which is OAuth 1.0a with HMAC-SHA256.
type TokenCredentials struct {
	ConsumerKey, ConsumerSecret string
	TokenID, TokenSecret        string
}

const (
	timestampWindow = 5 * time.Minute
	lockAfter       = 5
	lockFor         = 30 * time.Minute
)

// escape is the percent-encoding of RFC 3986 that OAuth signs with.
func escape(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}

// baseString builds the text that is signed. rawURL is the address as the
// client sent it: scheme, host, raw path, raw query. realm and the signature
// are left out of the parameters, and a JSON body is no parameter.
func baseString(method, scheme, host, rawPath, rawQuery string, oauth map[string]string) string {
	type pair struct{ k, v string }
	var pairs []pair
	for part := range strings.SplitSeq(rawQuery, "&") {
		if part == "" {
			continue
		}
		k, v, _ := strings.Cut(part, "=")
		// A plus sign in a query is a space (RFC 5849, 3.4.1.3.1).
		k, err1 := url.QueryUnescape(k)
		v, err2 := url.QueryUnescape(v)
		if err1 != nil || err2 != nil {
			return ""
		}
		pairs = append(pairs, pair{escape(k), escape(v)})
	}
	for k, v := range oauth {
		if k != "realm" && k != "oauth_signature" {
			pairs = append(pairs, pair{escape(k), escape(v)})
		}
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		if c := strings.Compare(a.k, b.k); c != 0 {
			return c
		}
		return strings.Compare(a.v, b.v)
	})
	joined := make([]string, len(pairs))
	for i, p := range pairs {
		joined[i] = p.k + "=" + p.v
	}
	host = strings.ToLower(host)
	if scheme == "http" {
		host = strings.TrimSuffix(host, ":80")
	} else {
		host = strings.TrimSuffix(host, ":443")
	}
	return strings.ToUpper(method) + "&" + escape(scheme+"://"+host+rawPath) + "&" + escape(strings.Join(joined, "&"))
}

func signature(base, consumerSecret, tokenSecret string) string {
	mac := hmac.New(sha256.New, []byte(escape(consumerSecret)+"&"+escape(tokenSecret)))
	mac.Write([]byte(base))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// oauthHeader reads `OAuth realm="..", oauth_nonce=".."`. Values are
// percent-encoded and quoted; a parameter that comes twice is malformed.
func oauthHeader(h string) (map[string]string, bool) {
	out := map[string]string{}
	for part := range strings.SplitSeq(h, ",") {
		k, v, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || len(v) < 2 || v[0] != '"' || v[len(v)-1] != '"' {
			return nil, false
		}
		decoded, err := url.PathUnescape(v[1 : len(v)-1])
		if _, twice := out[k]; err != nil || twice {
			return nil, false
		}
		out[k] = decoded
	}
	return out, true
}

// verifyToken checks a signed request and returns the audit trail's reason
// for refusing it, empty when it is good.
func (s *Server) verifyToken(r *http.Request, header string) (user, reason string) {
	p, ok := oauthHeader(header)
	if !ok {
		return "", "InvalidHeader"
	}
	user = p["oauth_token"]
	s.authMu.Lock()
	defer s.authMu.Unlock()
	var cred *TokenCredentials
	known := false
	for i := range s.config.Tokens {
		t := &s.config.Tokens[i]
		known = known || t.ConsumerKey == p["oauth_consumer_key"]
		if t.ConsumerKey == p["oauth_consumer_key"] && t.TokenID == user {
			cred = t
		}
	}
	switch {
	case !known:
		return user, "consumer_key_unknown"
	case cred == nil:
		return user, "token_rejected"
	}
	now := s.now()
	if until := s.locked[user]; now.Before(until) {
		return user, "temporary_locked"
	}
	reason = s.checkSigned(r, p, cred, now)
	if reason == "" {
		delete(s.failures, user)
		return user, ""
	}
	// Which failures count is not documented: every one of a known token does.
	if s.failures[user]++; s.failures[user] >= lockAfter {
		s.locked[user] = now.Add(lockFor)
		delete(s.failures, user)
	}
	return user, reason
}

func (s *Server) checkSigned(r *http.Request, p map[string]string, cred *TokenCredentials, now time.Time) string {
	if p["realm"] != s.config.Account {
		// The realm form is upper case with an underscore: 123456_SB1.
		return "InvalidRealm"
	}
	if p["oauth_signature_method"] != "HMAC-SHA256" {
		return "UnknownAlgorithm"
	}
	// RFC 5849 lets the version be absent; NetSuite's description has it.
	if p["oauth_version"] != "1.0" {
		return "VersionRejected"
	}
	seconds, err := strconv.ParseInt(p["oauth_timestamp"], 10, 64)
	if err != nil {
		return "InvalidTimestamp"
	}
	if off := now.Sub(time.Unix(seconds, 0)); off > timestampWindow || off < -timestampWindow {
		return "InvalidTimestamp"
	}
	if !goodNonce(p["oauth_nonce"]) {
		return "InvalidNonce"
	}
	path, query := rawTarget(r)
	base := baseString(r.Method, scheme(r), r.Host, path, query, p)
	want := signature(base, cred.ConsumerSecret, cred.TokenSecret)
	if base == "" || subtle.ConstantTimeCompare([]byte(want), []byte(p["oauth_signature"])) != 1 {
		return "InvalidSignature"
	}
	return s.spendNonce(p["oauth_nonce"], seconds, now)
}

// spendNonce remembers a pair of nonce and timestamp for as long as the
// timestamp is good.
func (s *Server) spendNonce(nonce string, seconds int64, now time.Time) string {
	key := strconv.FormatInt(seconds, 10) + " " + nonce
	if _, used := s.nonces[key]; used {
		return "NonceUsed"
	}
	s.nonces[key] = seconds
	if len(s.nonces) >= s.nonceSweep {
		for k, at := range s.nonces {
			if now.Sub(time.Unix(at, 0)) > timestampWindow {
				delete(s.nonces, k)
			}
		}
		s.nonceSweep = max(10_000, 2*len(s.nonces))
	}
	return ""
}

func goodNonce(n string) bool {
	if len(n) < 6 || len(n) > 64 {
		return false
	}
	for i := 0; i < len(n); i++ {
		c := n[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9') {
			return false
		}
	}
	return true
}

func scheme(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

// rawTarget is the path and query exactly as they were on the wire.
func rawTarget(r *http.Request) (path, query string) {
	target := r.RequestURI
	if target == "" || !strings.HasPrefix(target, "/") {
		return r.URL.EscapedPath(), r.URL.RawQuery
	}
	path, query, _ = strings.Cut(target, "?")
	return path, query
}
