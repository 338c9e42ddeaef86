package netsuite

import (
	"crypto/elliptic"
	"encoding/json"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/connectortest"
)

func TestHostileServers(t *testing.T) {
	t.Parallel()
	key := connector.Secret(pemOf(t, newKey(t, elliptic.P256())))
	for name, auth := range map[string]Auth{
		"oauth1": {OAuth1: &sample},
		"oauth2": {OAuth2: &OAuth2{ClientID: "client", CertificateID: "cert", PrivateKey: key}},
	} {
		t.Run(name, func(t *testing.T) {
			connectortest.Hostile(t, func(t testing.TB, base string) connector.Connection {
				c, err := Open(Config{Account: "123456_SB1", BaseURL: base, Auth: auth})
				if err != nil {
					t.Fatal(err)
				}
				return c
			}, "7", connector.Record{Type: "customer", ExternalID: "c-1", Fields: connector.Fields{"email": json.RawMessage(`"a@b"`)}},
				sample.ConsumerSecret.Reveal(), sample.TokenSecret.Reveal(), key.Reveal())
		})
	}
}
