package salesforce

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/salesforce/salesforcetest"
)

func secretLogin() Auth {
	return Auth{ClientCredentials: &ClientCredentials{ClientID: "id", ClientSecret: "canary-secret"}}
}

func pemOf(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func TestValidate(t *testing.T) {
	t.Parallel()
	short, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // it is to be refused
	if err != nil {
		t.Fatal(err)
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func(*Config)) Config {
		c := Config{MyDomain: "acme", Auth: secretLogin()}
		change(&c)
		return c
	}
	key := func(text string) Config {
		return with(func(c *Config) {
			c.Auth = Auth{JWT: &JWT{ClientID: "id", Username: "u", PrivateKey: connector.Secret(text)}}
		})
	}
	for name, c := range map[string]struct {
		config Config
		says   string // path and words; empty: it is fine
	}{
		"client credentials": {with(func(*Config) {}), ""},
		"jwt":                {key(salesforcetest.PrivateKey), ""},
		"sandbox":            {with(func(c *Config) { c.MyDomain = "acme--dev.sandbox" }), ""},
		"whole host":         {with(func(c *Config) { c.MyDomain = "acme.my.salesforce.com" }), ""},
		"nothing":            {Config{}, "my_domain: is missing"},
		"no login":           {with(func(c *Config) { c.Auth = Auth{} }), "auth: is missing"},
		"both logins":        {with(func(c *Config) { c.Auth.JWT = &JWT{} }), "auth: has both"},
		"both addresses":     {with(func(c *Config) { c.BaseURL = "https://x.example" }), "base_url: is there beside my_domain"},
		"a URL as domain":    {with(func(c *Config) { c.MyDomain = "https://acme" }), "my_domain: "},
		"in the clear":       {with(func(c *Config) { c.MyDomain, c.BaseURL = "", "http://acme.example" }), "base_url: base_url must begin with https"},
		"a path":             {with(func(c *Config) { c.MyDomain, c.BaseURL = "", "https://acme.example/x" }), "scheme and host only"},
		"version":            {with(func(c *Config) { c.APIVersion = "68" }), "api_version: "},
		"old version":        {with(func(c *Config) { c.APIVersion = "v45.0" }), "too old"},
		"external id":        {with(func(c *Config) { c.ExternalID = map[string]string{"Account": "a b"} }), "external_id.Account: "},
		"external id field":  {with(func(c *Config) { c.ExternalIDField = "a'b" }), "external_id_field: "},
		"reserve":            {with(func(c *Config) { c.Reserve = "100%" }), "reserve: "},
		"batch":              {with(func(c *Config) { c.Batch = 201 }), "batch: "},
		"linger":             {with(func(c *Config) { c.Linger = 2 * time.Hour }), "linger: "},
		"no secret":          {with(func(c *Config) { c.Auth.ClientCredentials.ClientSecret = " " }), "auth.client_credentials.client_secret: is missing"},
		"no key":             {key(""), "auth.jwt.private_key: is missing"},
		"no PEM":             {key("canary-secret"), "auth.jwt.private_key: not a PEM"},
		"short key":          {key(pemOf(t, short)), "too short"},
		"another kind":       {key(pemOf(t, edwards)), "of the kind RSA"},
		"encrypted":          {key("-----BEGIN ENCRYPTED PRIVATE KEY-----\ncanary-secret\n-----END ENCRYPTED PRIVATE KEY-----"), "decrypt it"},
		"audience": {with(func(c *Config) {
			c.Auth = Auth{JWT: &JWT{ClientID: "id", Username: "u", PrivateKeyFile: "x", Audience: "test"}}
		}), "auth.jwt.audience: "},
	} {
		err := c.config.Validate()
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
		if err == nil {
			continue
		}
		var option *connector.OptionError
		if !errors.As(err, &option) || strings.Contains(fmt.Sprintf("%+v", err), "canary-secret") {
			t.Errorf("%s: %+v", name, err)
		}
		if _, err := Open(c.config); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

func TestKeyFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key.pem")
	open := func() error {
		c, err := Open(Config{MyDomain: "acme", Auth: Auth{JWT: &JWT{ClientID: "id", Username: "u", PrivateKeyFile: file}}})
		if err == nil {
			err = c.Close()
		}
		return err
	}
	if err := open(); err == nil || !strings.Contains(err.Error(), "auth.jwt.private_key_file: ") {
		t.Errorf("no file: %v", err)
	}
	for text, good := range map[string]bool{"canary-secret": false, salesforcetest.PrivateKey: true} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := open(); (err == nil) != good || err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%v", err)
		}
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for domain, want := range map[string][2]string{
		"acme":                              {"https://acme.my.salesforce.com", "https://login.salesforce.com"},
		"Acme--Dev.sandbox":                 {"https://acme--dev.sandbox.my.salesforce.com", "https://test.salesforce.com"},
		"acme.my.salesforce.com":            {"https://acme.my.salesforce.com", "https://login.salesforce.com"},
		"acme--d.sandbox.my.salesforce.com": {"https://acme--d.sandbox.my.salesforce.com", "https://test.salesforce.com"},
		"acme-dev-ed.develop":               {"https://acme-dev-ed.develop.my.salesforce.com", "https://login.salesforce.com"},
	} {
		c := &Connection{config: Config{MyDomain: domain, Auth: Auth{JWT: &JWT{}}}}
		if got := [2]string{c.config.base(), c.audience()}; got != want {
			t.Errorf("%s: %v, want %v", domain, got, want)
		}
	}
}

// A token goes to no host but the org's.
func TestInstanceURL(t *testing.T) {
	t.Parallel()
	for base, answers := range map[string]map[string]bool{
		"https://acme.my.salesforce.com": {
			"https://acme.my.salesforce.com": true, "https://ACME.my.salesforce.com": true, "https://na1.salesforce.com": true,
			"https://acme.file.force.com": true, "http://acme.my.salesforce.com": false, "https://salesforce.com.evil.example": false, "https://acme.my.salesforce.com.evil.example": false,
			"https://evilsalesforce.com": false, "https://acme.my.salesforce.com:8443": false, "http://127.0.0.1:1": false, "https://10.0.0.1": false,
			"https://user:pass@acme.my.salesforce.com": false, "ftp://acme.my.salesforce.com": false, "//acme.my.salesforce.com": false, "%": false,
		},
		"http://127.0.0.1:7781": {"http://127.0.0.1:7781": true, "http://localhost:7782": true, "http://10.0.0.1": false, "https://evil.example": false},
		"https://10.0.0.7":      {"https://10.0.0.7": true, "http://10.0.0.7": false, "https://10.0.0.8": false},
	} {
		for answer, good := range answers {
			c := &Connection{base: base}
			err := c.accept(fmt.Appendf(nil, `{"access_token":"canary","instance_url":%q}`, answer))
			if (err == nil) != good || err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("%s sends to %s: %v", base, answer, err)
			}
			if (c.instance.Load() != nil) != good {
				t.Errorf("%s sends to %s: used %v", base, answer, c.instance.Load() != nil)
			}
		}
	}
}
