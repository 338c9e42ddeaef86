package netsuitetest

import (
	"crypto"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// ClientCredentials are one integration's set-up of the OAuth 2.0 client
// credentials flow (machine to machine).
type ClientCredentials struct {
	ClientID string
	// Certificates holds the public key of each mapped certificate by its
	// certificate id, the kid of an assertion.
	Certificates map[string]crypto.PublicKey
}

const (
	tokenPath      = "/services/rest/auth/oauth2/v1/token"
	assertionType  = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	scopeREST      = "rest_webservices"
	longestAnswer  = 60 * time.Minute
	bearerLifetime = time.Hour
)

// assertionMethods leaves RS256 out: NetSuite stopped to take PKCS#1 v1.5.
var assertionMethods = []string{"PS256", "PS384", "PS512", "ES256", "ES384", "ES512"}

type tokenError struct {
	Error string `json:"error"`
}

// serveToken is the token endpoint. The status 400 of a failure is RFC 6749's
// and not confirmed for NetSuite.
func (s *Server) serveToken(c *call) *reply {
	refuse := func(code, reason string) *reply {
		s.audit(c, "", reason)
		return jsonReply(http.StatusBadRequest, "application/json", tokenError{code})
	}
	if c.method != http.MethodPost {
		return errMethod(c).reply()
	}
	form, err := url.ParseQuery(string(c.body))
	if err != nil || !strings.HasPrefix(c.request.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return refuse("invalid_request", "body is not a form")
	}
	if form.Get("grant_type") != "client_credentials" {
		return refuse("unsupported_grant_type", "grant_type")
	}
	if form.Get("client_assertion_type") != assertionType || form.Get("client_assertion") == "" {
		return refuse("invalid_request", "client_assertion_type")
	}
	client, reason := s.checkAssertion(c, form.Get("client_assertion"))
	if reason != "" {
		return refuse("invalid_grant", reason)
	}
	life := s.config.TokenLifetime
	if life <= 0 {
		life = bearerLifetime
	}
	now := s.now()
	s.authMu.Lock()
	defer s.authMu.Unlock()
	s.lastBearer++
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"sub": client, "iss": "https://system.netsuite.com", "jti": s.lastBearer,
		"iat": now.Unix(), "exp": now.Add(life).Unix(), "scope": []string{scopeREST},
	}).SignedString(s.bearerKey)
	if err != nil {
		return (&apiError{status: 500, code: "UNEXPECTED_ERROR", detail: "An unexpected error occurred."}).reply()
	}
	for t, b := range s.bearers {
		if now.After(b.expires) {
			delete(s.bearers, t)
		}
	}
	s.bearers[token] = bearer{client, now.Add(life)}
	return jsonReply(http.StatusOK, "application/json", map[string]any{
		"access_token": token, "expires_in": int(life.Seconds()), "token_type": "Bearer",
	})
}

type bearer struct {
	client  string
	expires time.Time
}

// ExpireTokens makes every access token given so far invalid at once.
func (s *Server) ExpireTokens() {
	s.authMu.Lock()
	defer s.authMu.Unlock()
	clear(s.bearers)
}

func (s *Server) checkAssertion(c *call, assertion string) (client, reason string) {
	claims := jwt.MapClaims{}
	_, err := jwt.NewParser(jwt.WithValidMethods(assertionMethods), jwt.WithTimeFunc(s.now),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt()).ParseWithClaims(assertion, claims, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		iss, _ := claims["iss"].(string)
		for _, known := range s.config.Clients {
			if known.ClientID == iss {
				if key, ok := known.Certificates[kid]; ok {
					return key, nil
				}
				return nil, fmt.Errorf("no certificate %q", kid)
			}
		}
		return nil, errors.New("unknown client id")
	})
	if err != nil {
		return "", err.Error()
	}
	client, _ = claims.GetIssuer()
	issued, _ := claims.GetIssuedAt()
	expires, _ := claims.GetExpirationTime()
	audience, _ := claims.GetAudience()
	// A client that speaks to the sandbox names either the address it uses
	// or the account's own.
	own := []string{scheme(c.request) + "://" + c.request.Host + tokenPath, "https://" + s.accountHost() + tokenPath}
	switch {
	case issued == nil:
		return client, "iat is missing"
	case expires.Sub(issued.Time) > longestAnswer:
		return client, "exp is more than 60 minutes after iat"
	case len(audience) != 1 || !slices.Contains(own, audience[0]):
		return client, "aud is not the token endpoint"
	case !slices.Contains(scopes(claims["scope"]), scopeREST):
		return client, "scope lacks " + scopeREST
	}
	return client, ""
}

// scopes reads the array of Oracle's sample and the comma separated text of
// its description.
func scopes(v any) []string {
	switch v := v.(type) {
	case string:
		return strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == ' ' })
	case []any:
		var out []string
		for _, x := range v {
			if t, ok := x.(string); ok {
				out = append(out, t)
			}
		}
		return out
	}
	return nil
}

func (s *Server) verifyBearer(token string) (user, reason string) {
	s.authMu.Lock()
	defer s.authMu.Unlock()
	b, ok := s.bearers[token]
	switch {
	case !ok:
		return "", "unknown access token"
	case !s.now().Before(b.expires):
		return b.client, "access token expired"
	}
	return b.client, ""
}

// accountHost is the account's host name: lower case, with a dash.
func (s *Server) accountHost() string {
	return strings.ToLower(strings.ReplaceAll(s.config.Account, "_", "-")) + ".suitetalk.api.netsuite.com"
}
