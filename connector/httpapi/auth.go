package httpapi

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/exchange"
)

func (c *compiler) auth() {
	a := c.config.Auth
	path := at{"auth"}
	given := 0
	for _, is := range []bool{a.Bearer != "", a.Basic != nil, a.APIKey != nil, a.OAuth2 != nil} {
		if is {
			given++
		}
	}
	if given > 1 {
		c.fail(path, "auth has more than one of bearer, basic, api_key and oauth2: give one")
	}
	if b := a.Basic; b != nil && b.User == "" && b.Password == "" {
		c.fail(path.of("basic"), "auth.basic needs user and password")
	}
	if k := a.APIKey; k != nil {
		if (k.Header == "") == (k.Query == "") {
			c.fail(path.of("api_key"), "auth.api_key needs the name of a header or of a query parameter: give header or query")
		}
		if k.Header != "" {
			c.headerName(path.of("api_key", "header"), k.Header)
		}
		if k.Secret == "" {
			c.fail(path.of("api_key", "secret"), "auth.api_key.secret is missing")
		}
	}
	if o := a.OAuth2; o != nil {
		path := path.of("oauth2")
		if err := exchange.CheckBase(o.TokenURL, "https://api.example.com/oauth/token"); err != nil {
			c.fail(path.of("token_url"), "%s", strings.Replace(err.Error(), "base_url", "token_url", 1))
		}
		if o.ClientID == "" {
			c.fail(path.of("client_id"), "auth.oauth2.client_id is missing")
		}
		if o.ClientSecret == "" {
			c.fail(path.of("client_secret"), "auth.oauth2.client_secret is missing")
		}
	}
}

// tokensOf asks for access tokens with the client's credentials.
func tokensOf(o *OAuth2, client *exchange.Client) *exchange.Tokens {
	header := http.Header{}
	if !o.InBody {
		r := http.Request{Header: header}
		// RFC 6749, section 2.3.1: both are form-encoded first.
		r.SetBasicAuth(url.QueryEscape(o.ClientID), url.QueryEscape(o.ClientSecret.Reveal()))
	}
	return &exchange.Tokens{
		Client: client, URL: o.TokenURL, Header: header,
		Form: func(time.Time) (url.Values, error) {
			form := url.Values{"grant_type": {"client_credentials"}}
			for k, v := range o.Parameters {
				form.Set(k, v)
			}
			if o.Scope != "" {
				form.Set("scope", o.Scope)
			}
			if o.InBody {
				form.Set("client_id", o.ClientID)
				form.Set("client_secret", o.ClientSecret.Reveal())
			}
			return form, nil
		},
		Hint: "check auth.oauth2: token_url, client_id, client_secret and scope",
	}
}

// secretHeader tells by its name that a header's value is one.
var secretHeader = regexp.MustCompile(`(?i)auth|key|token|secret|cookie|password|signature`)

// secretsOf are the texts that no error may hold, should the remote repeat
// them.
func secretsOf(c Config) []string {
	var out []string
	add := func(s connector.Secret) {
		if len(s) >= 4 { // shorter ones would blot out words
			out = append(out, s.Reveal(), url.QueryEscape(s.Reveal()))
		}
	}
	add(c.Auth.Bearer)
	if b := c.Auth.Basic; b != nil {
		add(b.Password)
		add(connector.Secret(base64.StdEncoding.EncodeToString([]byte(b.User + ":" + b.Password.Reveal()))))
	}
	if k := c.Auth.APIKey; k != nil {
		add(k.Secret)
	}
	if o := c.Auth.OAuth2; o != nil {
		add(o.ClientSecret)
	}
	if c.Sign != nil && c.Sign.StandardWebhooks != nil {
		add(c.Sign.StandardWebhooks.Secret)
		add(c.Sign.StandardWebhooks.Previous)
	}
	for name, value := range c.Headers {
		if secretHeader.MatchString(name) && !strings.Contains(value, "$"+idempotencyKey) {
			add(connector.Secret(strings.ReplaceAll(value, "$$", "$")))
		}
	}
	return out
}
