package salesforcetest

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// ConnectedApp is an app of the org (an External Client App) that may log in.
type ConnectedApp struct {
	ID     string
	Secret string
	// RunAs is the user of the client credentials flow; empty: the app does
	// not have the flow.
	RunAs string
	// Key is that of the certificate for the JWT bearer flow, and Users who
	// are pre-authorized.
	Key   *rsa.PublicKey
	Users []string
}

const (
	tokenPath = "/services/oauth2/token"
	jwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	orgID     = "00D5g00000SANDBEAA"
	userID    = "0055g0000000001AAA"
	// longestAssertion: sources say that exp may be three or five minutes
	// ahead; with three a client is right by both.
	longestAssertion = 3 * time.Minute
)

type session struct{ expires time.Time }

type sessions struct {
	mu      sync.Mutex
	byToken map[string]session
	logins  int
	refused []Refused
}

// Refused is a login that was refused, as in the org's login history.
type Refused struct {
	At     time.Time
	App    string
	Reason string
}

// serveToken is the token endpoint, with the two flows of a server.
func (s *Server) serveToken(c *call) *reply {
	if c.method != http.MethodPost {
		return errMethod(c).reply()
	}
	form, err := url.ParseQuery(string(c.body))
	if err != nil || !strings.HasPrefix(c.request.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return s.refuseLogin("", "unsupported_grant_type", "grant type not supported")
	}
	app := ""
	var code, reason string
	switch form.Get("grant_type") {
	case "client_credentials":
		app = form.Get("client_id")
		code, reason = s.checkSecret(app, form.Get("client_secret"))
	case jwtBearer:
		app, code, reason = s.checkAssertion(c, form.Get("assertion"))
	default:
		code, reason = "unsupported_grant_type", "grant type not supported"
	}
	if code != "" {
		return s.refuseLogin(app, code, reason)
	}
	var noise [32]byte
	rand.Read(noise[:])
	token := orgID[:15] + "!" + base64.RawURLEncoding.EncodeToString(noise[:])
	now := s.now()
	s.sessions.mu.Lock()
	defer s.sessions.mu.Unlock()
	s.sessions.logins++
	s.sessions.byToken[token] = session{now.Add(s.config.SessionLifetime)}
	// There is no expires_in: a client learns of the end by 401.
	return jsonReply(200, map[string]any{
		"access_token": token, "instance_url": c.base, "id": c.base + "/id/" + orgID + "/" + userID, "token_type": "Bearer",
		"issued_at": strconv.FormatInt(now.UnixMilli(), 10), "signature": base64.StdEncoding.EncodeToString(noise[:]), "scope": "api",
	})
}

func (s *Server) refuseLogin(app, code, reason string) *reply {
	s.sessions.mu.Lock()
	defer s.sessions.mu.Unlock()
	s.sessions.refused = append(s.sessions.refused, Refused{s.now(), app, reason})
	return jsonReply(400, map[string]string{"error": code, "error_description": reason})
}

func (s *Server) app(id string) *ConnectedApp {
	for i := range s.config.Apps {
		if s.config.Apps[i].ID == id {
			return &s.config.Apps[i]
		}
	}
	return nil
}

func (s *Server) checkSecret(id, secret string) (code, reason string) {
	app := s.app(id)
	switch {
	case app == nil:
		return "invalid_client_id", "client identifier invalid"
	case app.Secret == "" || app.Secret != secret:
		return "invalid_client", "invalid client credentials"
	case app.RunAs == "":
		return "invalid_grant", "no client credentials user enabled"
	}
	return "", ""
}

func (s *Server) checkAssertion(c *call, assertion string) (id, code, reason string) {
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(assertion, claims); err != nil {
		return "", "invalid_grant", "invalid assertion"
	}
	id, _ = claims["iss"].(string)
	app := s.app(id)
	if app == nil || app.Key == nil {
		return id, "invalid_client_id", "client identifier invalid"
	}
	claims = jwt.MapClaims{}
	_, err := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithTimeFunc(s.now), jwt.WithExpirationRequired()).
		ParseWithClaims(assertion, claims, func(*jwt.Token) (any, error) { return app.Key, nil })
	if errors.Is(err, jwt.ErrTokenExpired) {
		return id, "invalid_grant", "expired authorization code"
	}
	if err != nil {
		return id, "invalid_grant", "invalid assertion"
	}
	subject, _ := claims.GetSubject()
	expires, _ := claims.GetExpirationTime()
	audience, _ := claims.GetAudience()
	known := []string{"https://login.salesforce.com", "https://test.salesforce.com", c.base}
	switch {
	case len(audience) != 1 || !slices.Contains(known, audience[0]):
		return id, "invalid_grant", "audience is invalid"
	case expires.Time.After(s.now().Add(longestAssertion)):
		return id, "invalid_grant", "expires too far in the future"
	case !slices.Contains(app.Users, subject):
		return id, "invalid_grant", "user hasn't approved this consumer"
	}
	return id, "", ""
}

func (s *Server) authenticated(c *call) bool {
	kind, token, _ := strings.Cut(c.request.Header.Get("Authorization"), " ")
	s.sessions.mu.Lock()
	defer s.sessions.mu.Unlock()
	known, ok := s.sessions.byToken[strings.TrimSpace(token)]
	return ok && strings.EqualFold(kind, "Bearer") && s.now().Before(known.expires)
}

// ExpireSessions ends all sessions at once: every token is answered 401.
func (s *Server) ExpireSessions() {
	s.sessions.mu.Lock()
	defer s.sessions.mu.Unlock()
	clear(s.sessions.byToken)
}

// LoginHistory returns the refused logins, oldest first, and how many were let
// in.
func (s *Server) LoginHistory() (refused []Refused, successes int) {
	s.sessions.mu.Lock()
	defer s.sessions.mu.Unlock()
	return slices.Clone(s.sessions.refused), s.sessions.logins
}
