package netsuite

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/exchange"
)

// Config opens an account. The zero value of each optional field is the real
// thing.
type Config struct {
	// Account is the account id, "123456" or "123456_SB1" for a sandbox.
	Account string `yaml:"account"`
	// BaseURL is the scheme and host of the services. Empty: derived from
	// the account, https://123456-sb1.suitetalk.api.netsuite.com.
	BaseURL string `yaml:"base_url"`
	Auth    Auth   `yaml:"auth"`

	// PrivateNetwork lets the account's name lead to a private address, as a
	// private link does. Otherwise only public addresses are dialled.
	PrivateNetwork bool `yaml:"private_network"`

	// Clock is the time, for signatures and token lifetimes. Nil: time.Now.
	Clock func() time.Time `yaml:"-"`
	// Rand makes nonces; it must be safe for concurrent use. Nil:
	// crypto/rand, which also signs assertions always.
	Rand io.Reader `yaml:"-"`
	// Transport sends requests. Nil: one of the connection's own, with the
	// system's certificate authorities and proxy settings.
	Transport http.RoundTripper `yaml:"-"`
}

// Auth is how to log in: one of the two ways. OAuth 2.0 is the one to choose
// for a new integration: NetSuite takes no new token-based (OAuth 1.0)
// integrations from its release 2027.1.
type Auth struct {
	OAuth1 *OAuth1 `yaml:"oauth1"`
	OAuth2 *OAuth2 `yaml:"oauth2"`
}

// OAuth1 is token-based authentication: the integration's consumer key with a
// token of one user and role.
type OAuth1 struct {
	ConsumerKey    string           `yaml:"consumer_key"`
	ConsumerSecret connector.Secret `yaml:"consumer_secret"`
	TokenID        string           `yaml:"token_id"`
	TokenSecret    connector.Secret `yaml:"token_secret"`
}

// OAuth2 is the client credentials flow (machine to machine): the integration
// proves itself with a certificate that is mapped to a user and role.
type OAuth2 struct {
	ClientID string `yaml:"client_id"`
	// CertificateID is the id that the mapping of the certificate has.
	CertificateID string `yaml:"certificate_id"`
	// PrivateKey is the certificate's private key as PEM text;
	// PrivateKeyFile is the path of a file with it. One of the two.
	PrivateKey     connector.Secret `yaml:"private_key"`
	PrivateKeyFile string           `yaml:"private_key_file"`
	// Algorithm signs the assertions: PS256, PS384, PS512 for RSA keys,
	// ES256, ES384, ES512 for elliptic ones. Empty: PS256, or the one that
	// goes with the curve.
	Algorithm string `yaml:"algorithm"`
}

var accountID = regexp.MustCompile(`^[A-Za-z0-9]+([_-][A-Za-z0-9]+)*$`)

// problem is what is wrong with one option.
func problem(path, format string, args ...any) error {
	return &connector.OptionError{Path: strings.Split(path, "."), Err: fmt.Errorf(format, args...)}
}

// Validate returns every problem that can be seen without the network or the
// file system, each a [*connector.OptionError], joined; nil when there is none.
func (c Config) Validate() error {
	var problems []error
	add := func(path, format string, args ...any) { problems = append(problems, problem(path, format, args...)) }
	if c.Account == "" {
		add("account", "is missing: the account id, such as 123456 or 123456_SB1 (Setup > Company > Company Information)")
	} else if !accountID.MatchString(c.Account) {
		add("account", "%q is not an account id, write one such as 123456 or 123456_SB1", c.Account)
	}
	if c.BaseURL != "" {
		if err := checkBaseURL(c.BaseURL); err != nil {
			add("base_url", "%w", err)
		}
	}
	switch {
	case c.Auth.OAuth1 == nil && c.Auth.OAuth2 == nil:
		add("auth", "is missing: give auth.oauth2 or auth.oauth1")
	case c.Auth.OAuth1 != nil && c.Auth.OAuth2 != nil:
		add("auth", "has both oauth1 and oauth2: give one")
	}
	missing := func(path, value string) {
		if strings.TrimSpace(value) == "" {
			add(path, "is missing")
		}
	}
	if a := c.Auth.OAuth1; a != nil {
		missing("auth.oauth1.consumer_key", a.ConsumerKey)
		missing("auth.oauth1.consumer_secret", a.ConsumerSecret.Reveal())
		missing("auth.oauth1.token_id", a.TokenID)
		missing("auth.oauth1.token_secret", a.TokenSecret.Reveal())
	}
	if a := c.Auth.OAuth2; a != nil {
		missing("auth.oauth2.client_id", a.ClientID)
		missing("auth.oauth2.certificate_id", a.CertificateID)
		if err := a.checkKey(); err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

func (a *OAuth2) checkKey() error {
	switch {
	case a.PrivateKey == "" && a.PrivateKeyFile == "":
		return problem("auth.oauth2.private_key", "is missing: give it, or private_key_file")
	case a.PrivateKey != "" && a.PrivateKeyFile != "":
		return problem("auth.oauth2.private_key_file", "is there beside private_key: give one")
	case a.PrivateKey == "":
		return nil // the file is read when the connection is opened
	}
	if _, err := parseKey(a.PrivateKey.Reveal(), a.Algorithm); err != nil {
		return problem("auth.oauth2.private_key", "%w", err)
	}
	return nil
}

// key reads the private key from where it is.
func (a *OAuth2) key() (*key, error) {
	if a.PrivateKeyFile == "" {
		return parseKey(a.PrivateKey.Reveal(), a.Algorithm)
	}
	text, err := exchange.ReadKeyFile(a.PrivateKeyFile)
	if err != nil {
		return nil, problem("auth.oauth2.private_key_file", "%w", err)
	}
	k, err := parseKey(text, a.Algorithm)
	if err != nil {
		return nil, problem("auth.oauth2.private_key_file", "%s: %w", a.PrivateKeyFile, err)
	}
	return k, nil
}

// checkBaseURL refuses what would send credentials in the clear, and a path.
func checkBaseURL(base string) error {
	if err := exchange.CheckBase(base, "https://123456.suitetalk.api.netsuite.com"); err != nil {
		return err
	}
	if u, err := url.Parse(base); err != nil || strings.Trim(u.Path, "/") != "" {
		return fmt.Errorf("base_url must be scheme and host only, such as %s://%s", u.Scheme, u.Host)
	}
	return nil
}

// base is the scheme and host of the services, without a slash at the end. A
// host has the account in lower case with "-": 123456-sb1.
func (c Config) base() string {
	if c.BaseURL != "" {
		return strings.TrimRight(c.BaseURL, "/")
	}
	return "https://" + strings.ReplaceAll(strings.ToLower(c.Account), "_", "-") + ".suitetalk.api.netsuite.com"
}

// realm is the account in the form of signatures: upper case with "_".
func (c Config) realm() string {
	return strings.ReplaceAll(strings.ToUpper(c.Account), "-", "_")
}

func (c Config) withDefaults() Config {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	return c
}
