package netsuite

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/upkeep-sync/upkeep/connector"
)

func TestConfigFromYAML(t *testing.T) {
	t.Parallel()
	var c Config
	err := yaml.UnmarshalWithOptions([]byte(`
account: 123456_sb1
auth:
  oauth1: {consumer_key: ck, consumer_secret: canary1, token_id: ti, token_secret: canary2}
`), &c, yaml.Strict())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	if c.base() != "https://123456-sb1.suitetalk.api.netsuite.com" || c.realm() != "123456_SB1" || c.Auth.OAuth1.TokenSecret.Reveal() != "canary2" {
		t.Errorf("base %s, realm %s", c.base(), c.realm())
	}
	for _, shown := range []string{fmt.Sprintf("%+v", *c.Auth.OAuth1), fmt.Sprintf("%#v", *c.Auth.OAuth1)} {
		if strings.Contains(shown, "canary") {
			t.Errorf("the configuration shows a secret: %s", shown)
		}
	}
}

func TestValidateTellsAllAtOnce(t *testing.T) {
	t.Parallel()
	err := Config{BaseURL: "http://suitetalk.example.com/x?y", Auth: Auth{OAuth1: &OAuth1{TokenID: " "}, OAuth2: &OAuth2{PrivateKey: "canary"}}}.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"account: is missing", "base_url", "auth: has both oauth1 and oauth2", "oauth1.consumer_key", "oauth1.consumer_secret",
		"oauth1.token_id", "oauth1.token_secret", "oauth2.client_id", "oauth2.certificate_id", "oauth2.private_key: not a PEM"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("the error holds the key: %v", err)
	}
	if _, err := Open(Config{}); err == nil || !strings.Contains(err.Error(), "auth: is missing") {
		t.Errorf("open: %v", err)
	}
	if _, err := Open(Config{Account: "1", Auth: Auth{OAuth2: &OAuth2{ClientID: "a", CertificateID: "b", PrivateKeyFile: "/does/not/exist"}}}); err == nil {
		t.Error("open without the key's file: no error")
	}
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	for base, ok := range map[string]bool{
		"https://123456.suitetalk.api.netsuite.com": true, "https://x/": true, "http://127.0.0.1:7780": true, "http://[::1]:1": true,
		"http://localhost:7780": true, "http://sandbox:7780": true, "http://10.0.0.7": true,
		"http://example.com": false, "http://8.8.8.8": false, "ftp://x": false, "127.0.0.1:80": false, "https://u:p@x": false,
		"https://x/services": false, "https://x?y": false, "//x": false, "https://": false,
	} {
		if err := checkBaseURL(base); (err == nil) != ok {
			t.Errorf("%s: %v", base, err)
		}
	}
}

func TestAlgorithmsGoWithKeys(t *testing.T) {
	t.Parallel()
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []struct{ key, algorithm, says string }{
		{pemOf(t, newKey(t, elliptic.P256())), "PS256", "does not go with"},
		{pemOf(t, newKey(t, elliptic.P256())), "ES384", "does not go with"},
		{pemOf(t, newKey(t, elliptic.P224())), "", "P-224"},
		{pemOf(t, newKey(t, elliptic.P521())), "RS256", "does not go with"},
		{pemOf(t, short), "", "too short"},
		{pemOf(t, short), "RS256", "does not go with"},
		{string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("canary")})), "", "no readable"},
		{string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("canary")})), "", "CERTIFICATE"},
		{string(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("canary")})), "", "encrypted"},
	} {
		c := Config{Account: "1", Auth: Auth{OAuth2: &OAuth2{ClientID: "a", CertificateID: "b", PrivateKey: connector.Secret(k.key), Algorithm: k.algorithm}}}
		if err := c.Validate(); err == nil || strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), k.says) {
			t.Errorf("got %v, want %q", err, k.says)
		}
	}
}
