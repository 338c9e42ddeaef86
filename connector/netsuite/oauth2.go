package netsuite

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/upkeep-sync/upkeep/connector"
)

const (
	tokenPath     = "/services/rest/auth/oauth2/v1/token"
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	// tokenTimeout is how long a request for a token may take.
	tokenTimeout = 30 * time.Second
	// assertionLife is far below NetSuite's bound of 60 minutes, and leaves
	// room for a clock that is a little off.
	assertionLife = 5 * time.Minute
	// renewEarly is how long before its end a token is renewed, at most a
	// fifth of its life.
	renewEarly = 5 * time.Minute
)

// key is a private key with the method it signs by.
type key struct {
	private crypto.Signer
	method  jwt.SigningMethod
}

// parseKey reads a PEM private key and finds the method for it. NetSuite does
// not take RS256. No error holds any of the key.
func parseKey(text, algorithm string) (*key, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("not a PEM private key (-----BEGIN PRIVATE KEY-----)")
	}
	var private any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		private, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		private, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		private, err = x509.ParseECPrivateKey(block.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		return nil, errors.New("the key is encrypted: decrypt it with openssl pkey")
	default:
		return nil, fmt.Errorf("the PEM block is a %s, want a PRIVATE KEY", block.Type)
	}
	if err != nil {
		return nil, errors.New("the PEM block holds no readable private key")
	}
	switch k := private.(type) {
	case *rsa.PrivateKey:
		if algorithm == "" {
			algorithm = "PS256"
		}
		if !strings.HasPrefix(algorithm, "PS") || jwt.GetSigningMethod(algorithm) == nil {
			return nil, fmt.Errorf("algorithm %q does not go with an RSA key: want PS256, PS384 or PS512", algorithm)
		}
		if k.N.BitLen() < 2048 {
			return nil, fmt.Errorf("an RSA key of %d bits is too short: NetSuite takes 3072 and 4096", k.N.BitLen())
		}
		return &key{k, jwt.GetSigningMethod(algorithm)}, nil
	case *ecdsa.PrivateKey:
		own := map[int]string{256: "ES256", 384: "ES384", 521: "ES512"}[k.Curve.Params().BitSize]
		if own == "" {
			return nil, fmt.Errorf("NetSuite takes no key on the curve %s: want P-256, P-384 or P-521", k.Curve.Params().Name)
		}
		if algorithm == "" {
			algorithm = own
		}
		if algorithm != own {
			return nil, fmt.Errorf("algorithm %q does not go with a key on the curve %s", algorithm, k.Curve.Params().Name)
		}
		return &key{k, jwt.GetSigningMethod(algorithm)}, nil
	}
	return nil, errors.New("the key is neither RSA nor elliptic (P-256, P-384, P-521)")
}

// oauth2 gets access tokens by the client credentials flow and keeps the
// current one. There is no refresh token: one asks again.
type oauth2 struct {
	OAuth2
	key    *key
	url    string
	client *http.Client
	clock  func() time.Time
	closed context.Context // ends requests for a token
	wait   sync.WaitGroup  // those under way

	mu    sync.Mutex
	token string
	renew time.Time // when to ask for the next one
	ask   *asking   // nil: nobody is asking
}

// asking is one request for a token, which any number of calls wait for.
type asking struct {
	done  chan struct{}
	token string
	err   *connector.Error
}

// bearer returns a token that is good for a while, asking for one if needed.
func (o *oauth2) bearer(ctx context.Context) (string, *connector.Error) {
	o.mu.Lock()
	if o.token != "" && o.clock().Before(o.renew) {
		defer o.mu.Unlock()
		return o.token, nil
	}
	if err := context.Cause(o.closed); err != nil {
		o.mu.Unlock()
		return "", notSent(err)
	}
	a := o.ask
	if a == nil {
		a = &asking{done: make(chan struct{})}
		o.ask = a
		// Not in the caller's context: others wait for the same token.
		o.wait.Go(func() { o.get(a) })
	}
	o.mu.Unlock()
	select {
	case <-a.done:
		return a.token, a.err
	case <-ctx.Done():
		return "", notSent(context.Cause(ctx))
	}
}

// drop forgets a token that the remote refused, unless it is replaced already.
func (o *oauth2) drop(token string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.token == token {
		o.token = ""
	}
}

func (o *oauth2) get(a *asking) {
	ctx, cancel := context.WithTimeout(o.closed, tokenTimeout)
	defer cancel()
	asked := o.clock()
	token, life, err := o.request(ctx, asked)
	o.mu.Lock()
	defer o.mu.Unlock()
	a.token, a.err = token, err
	if err == nil {
		o.token, o.renew = token, asked.Add(life-min(renewEarly, life/5))
	}
	o.ask = nil
	close(a.done)
}

// request asks for a token once. Whatever goes wrong, the call that needed
// the token was not sent.
func (o *oauth2) request(ctx context.Context, now time.Time) (string, time.Duration, *connector.Error) {
	assertion := jwt.NewWithClaims(o.key.method, jwt.MapClaims{
		"iss": o.ClientID, "scope": []string{"rest_webservices"}, "aud": o.url,
		"iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	assertion.Header["kid"] = o.CertificateID
	signed, err := assertion.SignedString(o.key.private)
	if err != nil {
		return "", 0, &connector.Error{Kind: connector.Unauthorized, Message: "the private key of auth.oauth2 can't sign", Err: err}
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_assertion_type": {assertionType}, "client_assertion": {signed}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, o.url, strings.NewReader(form.Encode()))
	if err != nil {
		return "", 0, notSent(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	resp, err := o.client.Do(r)
	if err != nil {
		return "", 0, &connector.Error{Kind: connector.Unavailable, Message: "no access token: the token endpoint can't be reached", Err: bare(err)}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return "", 0, &connector.Error{Kind: connector.Unavailable, Status: resp.StatusCode, Message: "no access token: the token endpoint's answer broke off", Err: bare(err)}
	}
	return o.readToken(resp, body)
}

// oauthCode is what an error code of RFC 6749 looks like.
var oauthCode = regexp.MustCompile(`^[a-z_]{1,40}$`)

// readToken reads the token endpoint's answer. Only its error code gets into
// an error, since the rest may hold a token.
func (o *oauth2) readToken(resp *http.Response, body []byte) (string, time.Duration, *connector.Error) {
	var a struct {
		Token string  `json:"access_token"`
		Life  float64 `json:"expires_in"` // seconds
		Error string  `json:"error"`
	}
	bad := json.Unmarshal(body, &a) != nil
	fail := &connector.Error{Kind: connector.Unavailable, Status: resp.StatusCode, RetryAfter: retryAfter(resp, o.clock())}
	switch {
	case resp.StatusCode == http.StatusOK && !bad && a.Token != "":
		life := time.Duration(min(max(a.Life, 0), 24*3600)) * time.Second
		if life == 0 {
			life = time.Hour // as documented
		}
		return a.Token, life, nil
	case resp.StatusCode == http.StatusTooManyRequests:
		fail.Kind, fail.Message = connector.RateLimited, "the token endpoint asks for fewer requests"
	case !bad && oauthCode.MatchString(a.Error), resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
		fail.Kind = connector.Unauthorized
		if oauthCode.MatchString(a.Error) {
			fail.Code = a.Error
		}
		fail.Message = "NetSuite gives no access token: check auth.oauth2 (client_id, certificate_id, the private key), " +
			"that the certificate is mapped in this account and not expired, and this machine's clock"
	default:
		fail.Message = "no access token: the token endpoint's answer makes no sense; check base_url"
	}
	return "", 0, fail
}
