package salesforce

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/exchange"
)

// Config opens an org. The zero value of each optional field is the real
// thing.
type Config struct {
	// MyDomain is the org's own name in its address: "acme", or
	// "acme--dev.sandbox" for a sandbox; a whole host is right too.
	MyDomain string `yaml:"my_domain"`
	// BaseURL is scheme and host, instead of MyDomain: for a stand-in.
	BaseURL string `yaml:"base_url"`
	Auth    Auth   `yaml:"auth"`
	// APIVersion is "v68.0" if empty.
	APIVersion string `yaml:"api_version"`

	// ExternalIDField is the external id field of all record types that
	// ExternalID has no entry for. Empty: Upkeep_Id__c.
	ExternalIDField string `yaml:"external_id_field"`
	// ExternalID names the external id field of a record type.
	ExternalID map[string]string `yaml:"external_id"`

	// Reserve is the part of the org's daily requests that is left to others,
	// as a number ("5000") or as a part of them ("10%"). Empty: 10%.
	Reserve string `yaml:"reserve"`
	// AllowDuplicates saves records that a duplicate rule warns of. A rule that
	// blocks still does.
	AllowDuplicates bool `yaml:"allow_duplicates"`

	// Batch is how many records one request carries. Zero: 200, the most.
	Batch int `yaml:"batch"`
	// Linger is how long changes gather for a request that is not full. Zero: 2 s;
	// negative: they don't.
	Linger time.Duration `yaml:"linger,negative"`
	// BulkFrom is from how many waiting changes on they go as a bulk job.
	// Zero: 5000; negative: never.
	BulkFrom int `yaml:"bulk_from"`

	// PrivateNetwork lets the org's name lead to a private address, as a
	// private link does. Otherwise only public addresses are dialled.
	PrivateNetwork bool `yaml:"private_network"`

	// Clock is the time, for assertions, sessions and pauses. Nil: time.Now.
	Clock func() time.Time `yaml:"-"`
	// Transport sends requests. Nil: one of the connection's own, with the
	// system's certificate authorities and proxy settings.
	Transport http.RoundTripper `yaml:"-"`
}

// Auth is how to log in: one of the two ways.
type Auth struct {
	ClientCredentials *ClientCredentials `yaml:"client_credentials"`
	JWT               *JWT               `yaml:"jwt"`
}

// ClientCredentials is the flow of that name: the app's own key and secret; it
// runs as the user that the app names.
type ClientCredentials struct {
	ClientID     string           `yaml:"client_id"`
	ClientSecret connector.Secret `yaml:"client_secret"`
}

// JWT is the JWT bearer flow: the app proves itself with a certificate's key,
// and names the user.
type JWT struct {
	ClientID string `yaml:"client_id"`
	Username string `yaml:"username"`
	// PrivateKey is the RSA key as PEM text; PrivateKeyFile is the path of a
	// file with it. One of the two.
	PrivateKey     connector.Secret `yaml:"private_key"`
	PrivateKeyFile string           `yaml:"private_key_file"`
	// Audience is https://login.salesforce.com if empty, or
	// https://test.salesforce.com for a sandbox's MyDomain.
	Audience string `yaml:"audience"`
}

const (
	defaultVersion       = "v68.0"
	defaultExternalField = "Upkeep_Id__c"
	defaultReserve       = "10%"
	mostRows             = 200 // of a collection
	defaultLinger        = 2 * time.Second
	defaultBulkFrom      = 5000
)

var (
	myDomain = regexp.MustCompile(`^[A-Za-z0-9](-*[A-Za-z0-9])*(\.[A-Za-z0-9](-*[A-Za-z0-9])*)*$`)
	version  = regexp.MustCompile(`^v(\d{2,3})\.0$`)
	apiName  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,254}$`)
)

// oldest is the oldest version of the API with upsert by collections.
const oldest = 46

// problem is what is wrong with one option.
func problem(path, format string, args ...any) error {
	return &connector.OptionError{Path: strings.Split(path, "."), Err: fmt.Errorf(format, args...)}
}

// Validate returns every problem that can be seen without the network or the
// file system, each a [*connector.OptionError], joined; nil when there is none.
func (c Config) Validate() error {
	problems := append(c.addressProblems(), c.Auth.problems()...)
	add := func(path, format string, args ...any) { problems = append(problems, problem(path, format, args...)) }
	if c.APIVersion != "" {
		m := version.FindStringSubmatch(c.APIVersion)
		if m == nil {
			add("api_version", "%q is not a version such as %s", c.APIVersion, defaultVersion)
		} else if n, err := strconv.Atoi(m[1]); err != nil || n < oldest {
			add("api_version", "%s is too old: want v%d.0 or newer", c.APIVersion, oldest)
		}
	}
	if c.ExternalIDField != "" && !apiName.MatchString(c.ExternalIDField) {
		add("external_id_field", "%q is not the name of a field", c.ExternalIDField)
	}
	for recordType, field := range c.ExternalID {
		if !apiName.MatchString(recordType) || !apiName.MatchString(field) {
			add("external_id."+recordType, "want a record type and its external id field, such as Account: Upkeep_Id__c")
		}
	}
	if _, err := parseReserve(c.Reserve); err != nil {
		add("reserve", "%w", err)
	}
	if c.Batch < 0 || c.Batch > mostRows {
		add("batch", "must be from 1 to %d", mostRows)
	}
	if c.Linger > time.Hour {
		add("linger", "must be an hour at most")
	}
	return errors.Join(problems...)
}

func (c Config) addressProblems() []error {
	switch {
	case c.MyDomain == "" && c.BaseURL == "":
		return []error{problem("my_domain", "is missing: the name in the org's address, acme of https://acme.my.salesforce.com (Setup > My Domain)")}
	case c.MyDomain != "" && c.BaseURL != "":
		return []error{problem("base_url", "is there beside my_domain: give one")}
	case c.MyDomain != "" && !myDomain.MatchString(c.MyDomain):
		return []error{problem("my_domain", "%q is not a name such as acme or acme--dev.sandbox", c.MyDomain)}
	case c.BaseURL != "":
		if err := checkBaseURL(c.BaseURL); err != nil {
			return []error{problem("base_url", "%w", err)}
		}
	}
	return nil
}

func (a Auth) problems() (problems []error) {
	missing := func(path, value string) {
		if strings.TrimSpace(value) == "" {
			problems = append(problems, problem(path, "is missing"))
		}
	}
	switch {
	case a.ClientCredentials == nil && a.JWT == nil:
		return []error{problem("auth", "is missing: give auth.client_credentials or auth.jwt")}
	case a.ClientCredentials != nil && a.JWT != nil:
		return []error{problem("auth", "has both client_credentials and jwt: give one")}
	case a.ClientCredentials != nil:
		missing("auth.client_credentials.client_id", a.ClientCredentials.ClientID)
		missing("auth.client_credentials.client_secret", a.ClientCredentials.ClientSecret.Reveal())
		return problems
	}
	missing("auth.jwt.client_id", a.JWT.ClientID)
	missing("auth.jwt.username", a.JWT.Username)
	if u, err := url.Parse(a.JWT.Audience); a.JWT.Audience != "" && (err != nil || u.Host == "" || u.User != nil) {
		problems = append(problems, problem("auth.jwt.audience", "is not a URL such as https://login.salesforce.com"))
	}
	switch {
	case a.JWT.PrivateKey == "" && a.JWT.PrivateKeyFile == "":
		problems = append(problems, problem("auth.jwt.private_key", "is missing: give it, or private_key_file"))
	case a.JWT.PrivateKey != "" && a.JWT.PrivateKeyFile != "":
		problems = append(problems, problem("auth.jwt.private_key_file", "is there beside private_key: give one"))
	case a.JWT.PrivateKey != "":
		if _, err := parseKey(a.JWT.PrivateKey.Reveal()); err != nil {
			problems = append(problems, problem("auth.jwt.private_key", "%w", err))
		}
	}
	return problems
}

// key reads the private key from where it is.
func (a *JWT) key() (*rsa.PrivateKey, error) {
	if a.PrivateKeyFile == "" {
		return parseKey(a.PrivateKey.Reveal())
	}
	text, err := exchange.ReadKeyFile(a.PrivateKeyFile)
	if err != nil {
		return nil, problem("auth.jwt.private_key_file", "%w", err)
	}
	k, err := parseKey(text)
	if err != nil {
		return nil, problem("auth.jwt.private_key_file", "%s: %w", a.PrivateKeyFile, err)
	}
	return k, nil
}

// parseKey reads an RSA key, the only kind that the flow takes. No error holds
// any of the key.
func parseKey(text string) (*rsa.PrivateKey, error) {
	signer, err := exchange.ParseKey(text)
	if err != nil {
		return nil, err
	}
	k, ok := signer.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("the key is not of the kind RSA, which is what the flow needs")
	}
	if k.N.BitLen() < 2048 {
		return nil, fmt.Errorf("an RSA key of %d bits is too short: make one of 2048 or more", k.N.BitLen())
	}
	return k, nil
}

// checkBaseURL refuses what would send credentials in the clear, and a path.
func checkBaseURL(base string) error {
	if err := exchange.CheckBase(base, "https://acme.my.salesforce.com"); err != nil {
		return err
	}
	if u, err := url.Parse(base); err != nil || strings.Trim(u.Path, "/") != "" {
		return fmt.Errorf("base_url must be scheme and host only, such as %s://%s", u.Scheme, u.Host)
	}
	return nil
}

// base is scheme and host, without a slash at the end.
func (c Config) base() string {
	host := strings.ToLower(c.MyDomain)
	switch {
	case c.BaseURL != "":
		return strings.TrimRight(c.BaseURL, "/")
	case strings.HasSuffix(host, ".salesforce.com") || strings.HasSuffix(host, ".salesforce.mil"):
		return "https://" + host
	}
	return "https://" + host + ".my.salesforce.com"
}

// withDefaults fills in what is empty; the configuration is valid.
func (c Config) withDefaults() Config {
	if c.APIVersion == "" {
		c.APIVersion = defaultVersion
	}
	if c.ExternalIDField == "" {
		c.ExternalIDField = defaultExternalField
	}
	if c.Batch == 0 {
		c.Batch = mostRows
	}
	if c.Linger == 0 {
		c.Linger = defaultLinger
	}
	if c.BulkFrom == 0 {
		c.BulkFrom = defaultBulkFrom
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return c
}

// externalField is the external id field of a record type. Names of types are
// one whatever their case.
func (c Config) externalField(recordType string) string {
	for t, field := range c.ExternalID {
		if strings.EqualFold(t, recordType) {
			return field
		}
	}
	return c.ExternalIDField
}
