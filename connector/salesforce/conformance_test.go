package salesforce_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/connectortest"
	"github.com/upkeep-sync/upkeep/connector/salesforce"
	"github.com/upkeep-sync/upkeep/connector/salesforce/salesforcetest"
)

// auths are the ways to log in to the sandbox.
func auths() map[string]salesforce.Auth {
	return map[string]salesforce.Auth{
		"client credentials": {ClientCredentials: &salesforce.ClientCredentials{
			ClientID: salesforcetest.ClientID, ClientSecret: salesforcetest.ClientSecret,
		}},
		"jwt": {JWT: &salesforce.JWT{
			ClientID: salesforcetest.ClientID, Username: salesforcetest.Username, PrivateKey: salesforcetest.PrivateKey,
		}},
	}
}

func TestConformance(t *testing.T) {
	for name, auth := range auths() {
		t.Run(name, func(t *testing.T) {
			// A reference by external id with one login, by id with the other.
			field := map[string]string{"client credentials": "Parent", "jwt": "ParentId"}[name]
			connectortest.Run(t, func(t *testing.T) connectortest.Target { return target(t, auth, field) })
		})
	}
}

func target(t *testing.T, auth salesforce.Auth, refField string) connectortest.Target {
	org, err := salesforcetest.New(salesforcetest.Config{DailyRequests: 1_000_000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(org.Close)
	disturbed := connectortest.Disturb(org, answer, func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/services/oauth2/") })
	server := httptest.NewServer(disturbed)
	t.Cleanup(server.Close)
	t.Cleanup(disturbed.Heal)
	conn, err := salesforce.Open(salesforce.Config{BaseURL: server.URL, Auth: auth})
	if err != nil {
		t.Fatal(err)
	}
	others := 0
	return connectortest.Target{
		Connection: conn,
		Type:       "Account",
		Required:   connector.Fields{"Name": json.RawMessage(`"Shop"`)},
		Text:       "Description", Other: "Site", LongText: 4000,
		Number: "Score__c", Numbers: []string{"12.50", "1", "0.1", "-3.0", "123456789012345678", "1234567890.123456789", "1.50e2"},
		Date: "Since__c", Time: "Seen__c",
		List:     "Tags__c",
		Line:     func(i, q int) json.RawMessage { return json.RawMessage(fmt.Sprintf(`"tag %d of %d"`, i, q)) },
		RefField: refField,
		Ref: func(t *testing.T) connector.Ref {
			others++
			ext := fmt.Sprint("parent-", others)
			id, err := org.Add("Account", fmt.Appendf(nil, `{"Name":"Parent %d","Upkeep_Id__c":%q}`, others, ext))
			if err != nil {
				t.Fatal(err)
			}
			return connector.Ref{Type: "Account", RemoteID: id, ExternalID: ext, Field: refField}
		},
		Poison: connector.Fields{"Site": json.RawMessage(`"` + strings.Repeat("x", 300) + `"`)},
		Count: func(recordType, externalID string) int {
			return org.Count(recordType, salesforcetest.ExternalField, externalID)
		},
		Fail: disturbed.Fail,
		Heal: disturbed.Heal,
		Secrets: []string{
			salesforcetest.ClientSecret, strings.Split(salesforcetest.PrivateKey, "\n")[1], "Bearer ", "eyJ", "00D5g00000SANDB!",
		},
	}
}

// answer is an error in Salesforce's form.
func answer(w http.ResponseWriter, f connectortest.Fault) {
	codes := map[int]string{400: "REQUIRED_FIELD_MISSING", 401: "INVALID_SESSION_ID", 429: "REQUEST_LIMIT", 500: "UNKNOWN_EXCEPTION", 503: "SERVER_UNAVAILABLE"}
	code, own := codes[f.Status]
	if !own { // gateways answer in HTML
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(f.Status)
		fmt.Fprintf(w, "<html><body><h1>%s</h1></body></html>", http.StatusText(f.Status))
		return
	}
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.WriteHeader(f.Status)
	fmt.Fprintf(w, `[{"errorCode":%q,"message":%q,"fields":[]}]`, code, f.Message)
}
