package httpapi_test

import (
	"encoding/json"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/connectortest"
	"github.com/upkeep-sync/upkeep/connector/httpapi"
)

func TestHostileServers(t *testing.T) {
	t.Parallel()
	for name, auth := range map[string]httpapi.Auth{
		"bearer":  {Bearer: "canary-bearer"},
		"api key": {APIKey: &httpapi.APIKey{Header: "Authorization", Secret: "canary-key"}},
		"oauth2":  {OAuth2: &httpapi.OAuth2{ClientID: "c", ClientSecret: "canary-client"}},
	} {
		t.Run(name, func(t *testing.T) {
			connectortest.Hostile(t, func(t testing.TB, base string) connector.Connection {
				c := configured(t, plainLookup, base)
				c.Auth = auth
				if auth.OAuth2 != nil {
					o := *auth.OAuth2
					o.TokenURL = base + "/oauth/token"
					c.Auth.OAuth2 = &o
				}
				conn, err := httpapi.Open(c)
				if err != nil {
					t.Fatal(err)
				}
				return conn
			}, "7", connector.Record{Type: "order", ExternalID: "o-1", Fields: connector.Fields{"name": json.RawMessage(`"x"`)}},
				"canary-bearer", "canary-key", "canary-client")
		})
	}
}
