package sandbox

import (
	"fmt"
	"net/http"

	"github.com/goccy/go-yaml"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/httpapi"
	"github.com/upkeep-sync/upkeep/connector/httpapi/httpapitest"
	"github.com/upkeep-sync/upkeep/connector/netsuite"
	"github.com/upkeep-sync/upkeep/connector/netsuite/netsuitetest"
	"github.com/upkeep-sync/upkeep/connector/salesforce"
	"github.com/upkeep-sync/upkeep/connector/salesforce/salesforcetest"
	"github.com/upkeep-sync/upkeep/connector/warehouse"
)

const errors = `
errors: {code: /error/code, message: /error/message, rules: [{code: [not_found], is: not_found, on: [update, delete, find, read]}]}
`

const upsert = errors + `
linger: 20ms
records:
  "*":
    upsert: {path: /v1/$type/keys/$external_id, body: $fields}
    update: {path: /v1/$type/$id, body: $fields}
    delete: {path: /v1/$type/$id}
    find: {path: /v1/$type/keys/$external_id}
    batch:
      most: 10
      upsert: {path: /v1/$type/batch, body: {items: $changes}, change: {key: $external_id, fields: $fields},
        results: {list: /results, by_position: true, failed: /error}, failures: {code: /error/code, message: /error/message}}
      update: {path: /v1/$type/batch, body: {items: $changes}, change: {id: $id, fields: $fields},
        results: {list: /results, by_position: true, failed: /error}, failures: {code: /error/code, message: /error/message}}
      delete: {path: /v1/$type/batch, body: {items: $changes}, change: {id: $id, delete: true},
        results: {list: /results, by_position: true, failed: /error}, failures: {code: /error/code, message: /error/message}}
`

const lookup = errors + `
records:
  "*":
    id: location
    create: {path: /v1/$type, body: {key: $external_id, fields: $fields}}
    update: {path: /v1/$type/$id, body: $fields}
    delete: {path: /v1/$type/$id}
    find: {path: /v1/$type, query: {key: $external_id}, list: /data, key: /key, id: /id}
`

// Connect opens the connector of a kind, to the sandbox at a URL.
func Connect(kind, url string, through http.RoundTripper) (connector.Connection, error) {
	switch kind {
	case NetSuite:
		return netsuite.Open(netsuite.Config{Account: netsuitetest.Account, BaseURL: url, Transport: through, Auth: netsuite.Auth{OAuth1: &netsuite.OAuth1{
			ConsumerKey: netsuitetest.ConsumerKey, ConsumerSecret: netsuitetest.ConsumerSecret,
			TokenID: netsuitetest.TokenID, TokenSecret: netsuitetest.TokenSecret,
		}}})
	case Salesforce:
		return salesforce.Open(salesforce.Config{BaseURL: url, Transport: through, Linger: -1, BulkFrom: -1, Batch: 10, Auth: salesforce.Auth{
			ClientCredentials: &salesforce.ClientCredentials{ClientID: salesforcetest.ClientID, ClientSecret: salesforcetest.ClientSecret}}})
	case HTTP, Lookup:
		var c httpapi.Config
		if err := yaml.Unmarshal([]byte(map[string]string{HTTP: upsert, Lookup: lookup}[kind]), &c); err != nil {
			return nil, err
		}
		c.BaseURL, c.Transport, c.Auth.Bearer = url, through, httpapitest.Token
		return httpapi.Open(c)
	case Warehouse, File:
		return warehouse.Open(warehouse.Config{URL: connector.Secret(url), Batch: 10})
	}
	return nil, fmt.Errorf("there is no connector %q", kind)
}
