package salesforce

import (
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/upkeep-sync/upkeep/connector/exchange"
)

const (
	tokenPath = "/services/oauth2/token"
	jwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	// assertionLife is below the three minutes that the stricter sources allow,
	// with room for a clock that is a little off.
	assertionLife = 2 * time.Minute
	// sessionLife is when a new token is asked for at the latest. An answer does
	// not say how long its token lives (15 minutes to 24 hours, by the org's
	// settings): that it ended is learnt from a 401.
	sessionLife = 2 * time.Hour
)

// tokens gets access tokens, by the one flow or the other.
func (c *Connection) tokens(key *rsa.PrivateKey) *exchange.Tokens {
	t := &exchange.Tokens{Client: c.client, URL: c.base + tokenPath, Life: sessionLife, Accept: c.accept}
	if a := c.config.Auth.ClientCredentials; a != nil {
		t.Form = func(time.Time) (url.Values, error) {
			return url.Values{"grant_type": {"client_credentials"}, "client_id": {a.ClientID}, "client_secret": {a.ClientSecret.Reveal()}}, nil
		}
		t.Hint = "check auth.client_credentials (client_id, client_secret), that the app has the client credentials flow and a user to run as, and my_domain"
		return t
	}
	a := c.config.Auth.JWT
	t.Form = func(now time.Time) (url.Values, error) {
		assertion, err := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
			"iss": a.ClientID, "sub": a.Username, "aud": c.audience(), "exp": now.Add(assertionLife).Unix(),
		}).SignedString(key)
		if err != nil {
			return nil, fmt.Errorf("the private key of auth.jwt can't sign: %w", err)
		}
		return url.Values{"grant_type": {jwtBearer}, "assertion": {assertion}}, nil
	}
	t.Hint = "check auth.jwt (client_id, username, the key of the app's certificate, audience), that the user is pre-authorized for the app, and this machine's clock"
	return t
}

func (c *Connection) audience() string {
	switch {
	case c.config.Auth.JWT.Audience != "":
		return c.config.Auth.JWT.Audience
	case strings.Contains(strings.ToLower(c.config.MyDomain), ".sandbox"):
		return "https://test.salesforce.com"
	}
	return "https://login.salesforce.com"
}

// accept takes the address that all calls are to go to from the answer with a
// token, if the token may be shown there.
func (c *Connection) accept(body []byte) error {
	var got struct {
		InstanceURL string `json:"instance_url"`
	}
	if err := json.Unmarshal(body, &got); err != nil || got.InstanceURL == "" {
		return nil // the configured address it is
	}
	u, err := url.Parse(got.InstanceURL)
	if err != nil || u.Host == "" || u.User != nil {
		return fmt.Errorf("the token's answer names an instance_url that is none")
	}
	if !c.trusted(u) {
		return fmt.Errorf("the token's answer sends all calls to %s, which is neither the configured host nor one of Salesforce", u.Host)
	}
	instance := u.Scheme + "://" + u.Host
	c.instance.Store(&instance)
	return nil
}

// own are the ends of Salesforce's host names.
var own = []string{".salesforce.com", ".force.com", ".cloudforce.com", ".salesforce.mil", ".sfcrmapps.cn", ".sfcrmproducts.cn"}

// trusted: the configured host with the configured protection, one of
// Salesforce's, or, for a stand-in on this machine, another on this machine.
func (c *Connection) trusted(u *url.URL) bool {
	base, err := url.Parse(c.base)
	if err != nil {
		return false
	}
	if strings.EqualFold(u.Host, base.Host) {
		return u.Scheme == "https" || u.Scheme == base.Scheme
	}
	if loopback(base.Hostname()) && loopback(u.Hostname()) {
		return true
	}
	host := strings.ToLower(u.Hostname())
	for _, end := range own {
		if u.Scheme == "https" && u.Port() == "" && strings.HasSuffix(host, end) {
			return true
		}
	}
	return false
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
