package salesforce_test

import (
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/connectortest"
	"github.com/upkeep-sync/upkeep/connector/salesforce"
	"github.com/upkeep-sync/upkeep/connector/salesforce/salesforcetest"
)

func TestHostileServers(t *testing.T) {
	t.Parallel()
	for name, auth := range auths() {
		t.Run(name, func(t *testing.T) {
			connectortest.Hostile(t, func(t testing.TB, base string) connector.Connection {
				c, err := salesforce.Open(salesforce.Config{BaseURL: base, Auth: auth})
				if err != nil {
					t.Fatal(err)
				}
				return c
			}, "001000000000001AAA", account("a-1", "Ada"), salesforcetest.ClientSecret)
		})
	}
}
