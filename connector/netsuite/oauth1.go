package netsuite

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// oauth1 signs requests by OAuth 1.0a (RFC 5849) with HMAC-SHA256, the only
// method that NetSuite takes.
type oauth1 struct {
	OAuth1
	realm string
	clock func() time.Time
	rand  io.Reader
}

// sign sets the Authorization header. Each attempt is signed anew: NetSuite
// refuses a nonce that it has seen, and a clock that is off by five minutes.
func (o *oauth1) sign(r *http.Request) error {
	nonce, err := newNonce(o.rand)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", o.header(r.Method, r.URL, nonce, strconv.FormatInt(o.clock().Unix(), 10)))
	return nil
}

func (o *oauth1) header(method string, u *url.URL, nonce, timestamp string) string {
	p := [][2]string{
		{"oauth_consumer_key", o.ConsumerKey},
		{"oauth_token", o.TokenID},
		{"oauth_nonce", nonce},
		{"oauth_timestamp", timestamp},
		{"oauth_signature_method", "HMAC-SHA256"},
		{"oauth_version", "1.0"},
	}
	mac := hmac.New(sha256.New, []byte(escape(o.ConsumerSecret.Reveal())+"&"+escape(o.TokenSecret.Reveal())))
	mac.Write([]byte(baseString(method, u, p)))
	p = append(p, [2]string{"oauth_signature", base64.StdEncoding.EncodeToString(mac.Sum(nil))})
	// The realm is in the header only, not in what is signed.
	parts := []string{`OAuth realm="` + escape(o.realm) + `"`}
	for _, kv := range p {
		parts = append(parts, kv[0]+`="`+escape(kv[1])+`"`)
	}
	return strings.Join(parts, ", ")
}

// baseString is what is signed (RFC 5849, 3.4.1): method, address and all
// parameters. A JSON body is no parameter.
func baseString(method string, u *url.URL, oauth [][2]string) string {
	var params [][2]string
	for part := range strings.SplitSeq(u.RawQuery, "&") {
		if k, v, _ := strings.Cut(part, "="); part != "" {
			params = append(params, [2]string{recode(k), recode(v)})
		}
	}
	for _, kv := range oauth {
		params = append(params, [2]string{escape(kv[0]), escape(kv[1])})
	}
	slices.SortFunc(params, func(a, b [2]string) int {
		return cmp.Or(strings.Compare(a[0], b[0]), strings.Compare(a[1], b[1]))
	})
	pairs := make([]string, len(params))
	for i, kv := range params {
		pairs[i] = kv[0] + "=" + kv[1]
	}
	host := strings.ToLower(u.Host)
	if u.Scheme == "http" {
		host = strings.TrimSuffix(host, ":80")
	} else {
		host = strings.TrimSuffix(host, ":443")
	}
	return strings.ToUpper(method) + "&" + escape(u.Scheme+"://"+host+u.EscapedPath()) + "&" + escape(strings.Join(pairs, "&"))
}

// recode brings a query's key or value to OAuth's own escaping.
func recode(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return escape(plain)
	}
	return escape(s)
}

// escape is the percent-encoding of RFC 3986: all but letters, digits and
// -._~ . url.QueryEscape differs, it makes "+" of a space.
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// newNonce is 20 letters and digits: NetSuite takes no other characters.
func newNonce(random io.Reader) (string, error) {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	const fair = 256 / len(letters) * len(letters) // bytes above would favour some letters
	nonce := make([]byte, 0, 20)
	buf := make([]byte, 32)
	for len(nonce) < 20 {
		if _, err := io.ReadFull(random, buf); err != nil {
			return "", fmt.Errorf("make a nonce: %w", err)
		}
		for _, b := range buf {
			if int(b) < fair && len(nonce) < 20 {
				nonce = append(nonce, letters[int(b)%len(letters)])
			}
		}
	}
	return string(nonce), nil
}
