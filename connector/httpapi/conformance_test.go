package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/connectortest"
	"github.com/upkeep-sync/upkeep/connector/httpapi"
	"github.com/upkeep-sync/upkeep/connector/httpapi/httpapitest"
)

// configured reads the options of a remote from YAML.
func configured(t testing.TB, text, baseURL string) httpapi.Config {
	t.Helper()
	text = regexp.MustCompile(`\$\{\w+(:-[^}]*)?\}`).ReplaceAllString(text, "")
	var c httpapi.Config
	if err := yaml.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	c.BaseURL = baseURL
	return c
}

// example reads the only remote of a file in examples/http.
func example(t *testing.T, name, baseURL string) httpapi.Config {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "examples", "http", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(b), "\nremotes:\n")
	body, _, _ := strings.Cut(after, "\nsyncs:")
	_, body, _ = strings.Cut(body, ":\n")
	return configured(t, regexp.MustCompile(`(?m)^    `).ReplaceAllString(body, ""), baseURL)
}

func open(t *testing.T, c httpapi.Config) connector.Connection {
	t.Helper()
	conn, err := httpapi.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

const plainUpsert = `
check: {path: /v1/order, query: {key: none}}
auth: {bearer: x}
errors: {code: /error/code, message: /error/message, rules: [{code: [not_found], is: not_found, on: [update, delete, find, read]}]}
records:
  "*":
    upsert: {path: /v1/$type/keys/$external_id, body: $fields}
    update: {path: /v1/$type/$id, body: $fields}
    delete: {path: /v1/$type/$id}
    find: {path: /v1/$type/keys/$external_id}
    read: {path: /v1/$type/$id, fields: /fields}
    batch:
      most: 50
      upsert: {path: /v1/$type/batch, body: {items: $changes}, change: {key: $external_id, fields: $fields},
        results: {list: /results, by_position: true, failed: /error}, failures: {code: /error/code, message: /error/message}}
      update: {path: /v1/$type/batch, body: {items: $changes}, change: {id: $id, fields: $fields},
        results: {list: /results, by_position: true, failed: /error}, failures: {code: /error/code, message: /error/message}}
      delete: {path: /v1/$type/batch, body: {items: $changes}, change: {id: $id, delete: true},
        results: {list: /results, by_position: true, failed: /error}, failures: {code: /error/code, message: /error/message}}
`

const plainLookup = `
check: {path: /v1/order, query: {key: none}}
errors: {code: /error/code, message: /error/message}
records:
  "*":
    id: location
    reference: {ref: $id}
    create: {path: /v1/$type, body: {key: $external_id, fields: $fields}}
    update: {path: /v1/$type/$id, body: $fields}
    delete: {path: /v1/$type/$id}
    find: {path: /v1/$type, query: {key: $external_id}, list: /data, key: /key, id: /id}
    read: {path: /v1/$type/$id, fields: /fields}
`

const plainBlind = `
class: blind
check: {path: /v1/order, query: {key: none}}
auth: {oauth2: {client_id: client-1, client_secret: canary-secret-77ab}}
records:
  "*":
    create: {path: /v1/$type, body: {key: $external_id, fields: $fields}}
    update: {path: /v1/$type/$id, body: $fields}
    delete: {path: /v1/$type/$id}
`

func TestConformance(t *testing.T) {
	for name, text := range map[string]string{"upsert and batch": plainUpsert, "lookup": plainLookup, "blind": plainBlind} {
		t.Run(name, func(t *testing.T) {
			connectortest.Run(t, func(t *testing.T) connectortest.Target { return plainTarget(t, text) })
		})
	}
	t.Run("hubspot", func(t *testing.T) { connectortest.Run(t, hubspotTarget) })
	t.Run("stripe", func(t *testing.T) { connectortest.Run(t, stripeTarget) })
}

// serve puts a stand-in behind faults.
func serve(t *testing.T, h http.Handler, fail func(http.ResponseWriter, connectortest.Fault)) (*connectortest.Disturbed, string) {
	disturbed := connectortest.Disturb(h, fail, func(r *http.Request) bool { return r.URL.Path == "/oauth/token" })
	server := httptest.NewServer(disturbed)
	t.Cleanup(server.Close)
	t.Cleanup(disturbed.Heal)
	return disturbed, server.URL
}

// recorder is what all stand-ins of records have.
type recorder interface {
	Records(recordType string) []httpapitest.Record
	Count(recordType, key string) int
}

// target is what the targets have in common.
func target(recordType string, conn connector.Connection, stand recorder, disturbed *connectortest.Disturbed) connectortest.Target {
	refs := 0
	return connectortest.Target{
		Connection: conn, Type: recordType,
		Text: "memo", Other: "title", LongText: 400,
		Number: "amount", Numbers: []string{"12.50", "0", "-1", "9007199254740993", "1.50e2"},
		Date: "day", Time: "at", List: "lines",
		Line: func(i, q int) json.RawMessage {
			return json.RawMessage(fmt.Sprintf(`{"sku":"s%d","quantity":%d}`, i, q))
		},
		RefField: "account",
		Ref: func(t *testing.T) connector.Ref {
			refs++
			return connector.Ref{Type: recordType, RemoteID: fmt.Sprint("ref-", refs), ExternalID: "x"}
		},
		Stored: func(recordType, id, field string) json.RawMessage {
			for _, r := range stand.Records(recordType) {
				if r.ID == id {
					b, err := json.Marshal(r.Fields[field])
					if err != nil {
						return nil
					}
					return b
				}
			}
			return nil
		},
		Opaque: true,
		Count:  stand.Count, Fail: disturbed.Fail, Heal: disturbed.Heal,
		Secrets: []string{httpapitest.Token, httpapitest.ClientSecret, "Bearer "},
	}
}

func plainTarget(t *testing.T, text string) connectortest.Target {
	api := httpapitest.NewPlain()
	disturbed, url := serve(t, api, func(w http.ResponseWriter, f connectortest.Fault) {
		httpapitest.PlainError(w, f.Status, "failed", f.Message)
	})
	c := configured(t, text, url)
	if c.Auth.OAuth2 != nil {
		c.Auth.OAuth2.TokenURL = url + "/oauth/token"
	} else {
		c.Auth.Bearer = httpapitest.Token
	}
	out := target("order", open(t, c), api, disturbed)
	out.LongText = 10_000
	if c.Records["*"].Batch != nil {
		out.Poison = connector.Fields{"poison": json.RawMessage(`true`)}
	}
	return out
}

func hubspotTarget(t *testing.T) connectortest.Target {
	account := httpapitest.NewHubSpot("email")
	account.Anything = "lines"
	disturbed, url := serve(t, account, func(w http.ResponseWriter, f connectortest.Fault) {
		httpapitest.HubSpotError(w, f.Status, "FAILED", f.Message)
	})
	c := example(t, "hubspot", url)
	c.Auth.Bearer = httpapitest.Token
	out := target("contacts", open(t, c), account, disturbed)
	out.Poison = connector.Fields{"no_such_property": json.RawMessage(`"x"`)}
	return out
}

func stripeTarget(t *testing.T) connectortest.Target {
	account := httpapitest.NewStripe()
	disturbed, url := serve(t, account, func(w http.ResponseWriter, f connectortest.Fault) {
		httpapitest.StripeError(w, f.Status, "api_error", "", f.Message)
	})
	c := example(t, "stripe", url)
	c.Auth.Bearer = httpapitest.Token
	return target("customer", &generations{Connection: open(t, c)}, account, disturbed)
}

// generations gives each create a generation of its own, as the engine does
// whenever a record is to be made that was made before: with the same one
// Stripe gives the first answer again, which is what the key is for.
type generations struct {
	connector.Connection
	last atomic.Int64
}

func (g *generations) Create(ctx context.Context, r connector.Record) (string, error) {
	r.Generation = g.last.Add(1)
	return g.Connection.Create(ctx, r)
}

func (g *generations) Read(ctx context.Context, recordType, id string, want connector.Fields) (connector.Fields, error) {
	return g.Connection.(connector.Reader).Read(ctx, recordType, id, want)
}
