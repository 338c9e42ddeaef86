package netsuite

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/upkeep-sync/upkeep/connector/exchange"
)

const (
	tokenPath     = "/services/rest/auth/oauth2/v1/token"
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	// assertionLife is far below NetSuite's bound of 60 minutes, and leaves
	// room for a clock that is a little off.
	assertionLife = 5 * time.Minute
)

// key is a private key with the method it signs by.
type key struct {
	private crypto.Signer
	method  jwt.SigningMethod
}

// parseKey reads a PEM private key and finds the method for it. NetSuite does
// not take RS256. No error holds any of the key.
func parseKey(text, algorithm string) (*key, error) {
	private, err := exchange.ParseKey(text)
	if err != nil {
		return nil, err
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

// tokens gets access tokens by the client credentials flow. There is no
// refresh token: one asks again.
func (o OAuth2) tokens(k *key, client *exchange.Client, address string) *exchange.Tokens {
	return &exchange.Tokens{Client: client, URL: address, Form: func(now time.Time) (url.Values, error) {
		assertion := jwt.NewWithClaims(k.method, jwt.MapClaims{
			"iss": o.ClientID, "scope": []string{"rest_webservices"}, "aud": address,
			"iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
		})
		assertion.Header["kid"] = o.CertificateID
		signed, err := assertion.SignedString(k.private)
		if err != nil {
			return nil, fmt.Errorf("the private key of auth.oauth2 can't sign: %w", err)
		}
		return url.Values{"grant_type": {"client_credentials"}, "client_assertion_type": {assertionType}, "client_assertion": {signed}}, nil
	}, Hint: "check auth.oauth2 (client_id, certificate_id, the private key), " +
		"that the certificate is mapped in this account and not expired, and this machine's clock"}
}
