package netsuite_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/connectortest"
	"github.com/upkeep-sync/upkeep/connector/netsuite"
	"github.com/upkeep-sync/upkeep/connector/netsuite/netsuitetest"
)

// auths are the ways to log in to the sandbox.
func auths() map[string]netsuite.Auth {
	return map[string]netsuite.Auth{
		"oauth1": {OAuth1: &netsuite.OAuth1{
			ConsumerKey: netsuitetest.ConsumerKey, ConsumerSecret: netsuitetest.ConsumerSecret,
			TokenID: netsuitetest.TokenID, TokenSecret: netsuitetest.TokenSecret,
		}},
		"oauth2": {OAuth2: &netsuite.OAuth2{
			ClientID: netsuitetest.ClientID, CertificateID: netsuitetest.CertificateID, PrivateKey: netsuitetest.PrivateKey,
		}},
	}
}

func TestConformance(t *testing.T) {
	for name, auth := range auths() {
		t.Run(name, func(t *testing.T) {
			connectortest.Run(t, func(t *testing.T) connectortest.Target { return target(t, auth) })
		})
	}
}

func target(t *testing.T, auth netsuite.Auth) connectortest.Target {
	// The suite keeps to the traits' concurrency, but the sandbox gives a
	// slot free only after the client has read the answer.
	account, err := netsuitetest.New(netsuitetest.Config{Concurrency: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(account.Close)
	disturbed := connectortest.Disturb(account, answer, func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/auth/oauth2/") })
	server := httptest.NewServer(disturbed)
	t.Cleanup(server.Close)
	t.Cleanup(disturbed.Heal)
	conn, err := netsuite.Open(netsuite.Config{Account: netsuitetest.Account, BaseURL: server.URL, Auth: auth})
	if err != nil {
		t.Fatal(err)
	}
	add := func(recordType, body string) string {
		id, err := account.Add(recordType, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	customer := add("customer", `{"companyName":"Shop","subsidiary":"1"}`)
	others := 0
	return connectortest.Target{
		Connection: conn,
		Type:       "salesOrder",
		Required: connector.Fields{
			"entity": json.RawMessage(`{"id":"` + customer + `"}`),
			"item":   json.RawMessage(`[{"item":{"id":"201"},"quantity":1}]`),
		},
		Text: "memo", Other: "otherRefNum", LongText: 4000,
		Number: "exchangeRate", Numbers: []string{"12.50", "1", "0.1", "9007199254740993", "1234567890.123456789", "1.50e2", "-3.0"},
		// There is no field for a time that may be written; custom ones
		// would have the same form.
		Date: "tranDate", Time: "memo",
		List: "item",
		Line: func(i, q int) json.RawMessage {
			return json.RawMessage(fmt.Sprintf(`{"item":{"id":"%d"},"quantity":%d,"rate":%d.50,"description":"line %d"}`, 201+i%5, q, i, i))
		},
		RefField: "entity",
		Ref: func(t *testing.T) connector.Ref {
			others++
			return connector.Ref{
				Type: "customer", ExternalID: fmt.Sprint("other-", others),
				RemoteID: add("customer", fmt.Sprintf(`{"externalId":"other-%d","companyName":"Other %[1]d","subsidiary":"1"}`, others)),
			}
		},
		Origin: func(t *testing.T) connector.Origin {
			body := fmt.Sprintf(`{"entity":{"id":%q},"orderStatus":"B","item":{"items":[{"item":{"id":"201"},"quantity":2},{"item":{"id":"202"},"quantity":3}]}}`, customer)
			return connector.Origin{Type: "salesOrder", RemoteID: add("salesOrder", body)}
		},
		InitType: "itemFulfillment", InitText: "memo",
		InitPart: connector.Fields{"item": json.RawMessage(`[{"orderLine":1,"quantity":1}]`)},
		Count: func(recordType, externalID string) (n int) {
			for _, r := range account.Records(recordType) {
				if r["externalId"] == externalID {
					n++
				}
			}
			return n
		},
		Fail: disturbed.Fail,
		Heal: disturbed.Heal,
		Secrets: []string{
			netsuitetest.ConsumerKey, netsuitetest.ConsumerSecret, netsuitetest.TokenID, netsuitetest.TokenSecret,
			strings.Split(netsuitetest.PrivateKey, "\n")[1], "oauth_signature", "Bearer ", "eyJ",
		},
	}
}

// answer is an error in NetSuite's form.
func answer(w http.ResponseWriter, f connectortest.Fault) {
	codes := map[int]string{400: "USER_ERROR", 401: "INVALID_LOGIN", 429: "CONCURRENCY_LIMIT_EXCEEDED", 500: "UNEXPECTED_ERROR"}
	code, own := codes[f.Status]
	if !own { // gateways answer in HTML
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(f.Status)
		fmt.Fprintf(w, "<html><body><h1>%s</h1></body></html>", http.StatusText(f.Status))
		return
	}
	w.Header().Set("Content-Type", "application/vnd.oracle.resource+json; type=error")
	w.WriteHeader(f.Status)
	fmt.Fprintf(w, `{"type":"https://www.rfc-editor.org/rfc/rfc9110.html","title":"Error","status":%d,"o:errorDetails":[{"detail":"Error while accessing a resource. %s.","o:errorCode":%q}]}`,
		f.Status, f.Message, code)
}
