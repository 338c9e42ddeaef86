package salesforce_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/salesforce"
	"github.com/upkeep-sync/upkeep/connector/salesforce/salesforcetest"
)

// sandbox is an org behind HTTPS and HTTP/2, as the real one is.
func sandbox(t *testing.T, config salesforcetest.Config, change func(*salesforce.Config), front func(http.Handler) http.Handler) (*salesforcetest.Server, *salesforce.Connection) {
	t.Helper()
	org, err := salesforcetest.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(org.Close)
	server := httptest.NewUnstartedServer(front(org))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	transport := server.Client().Transport.(*http.Transport).Clone()
	transport.ForceAttemptHTTP2 = true
	t.Cleanup(transport.CloseIdleConnections)
	options := salesforce.Config{BaseURL: server.URL, Auth: auths()["client credentials"], Transport: transport, Clock: config.Now}
	change(&options)
	conn, err := salesforce.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return org, conn
}

func same(*salesforce.Config)            {}
func itself(h http.Handler) http.Handler { return h }

func fields(text string) connector.Fields {
	var f connector.Fields
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		panic(err) // a test's own constant
	}
	return f
}

func account(externalID, name string) connector.Record {
	return connector.Record{Type: "Account", ExternalID: externalID, Fields: fields(fmt.Sprintf(`{"Name":%q}`, name))}
}

func TestOverHTTP2(t *testing.T) {
	t.Parallel()
	var seen atomic.Int64
	for name, auth := range auths() {
		t.Run(name, func(t *testing.T) {
			org, conn := sandbox(t, salesforcetest.Config{}, func(c *salesforce.Config) { c.Auth = auth }, func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.ProtoMajor != 2 || r.TLS == nil || r.TLS.Version < tls.VersionTLS12 {
						t.Errorf("%s over %s", r.URL.Path, r.Proto)
					}
					seen.Add(1)
					h.ServeHTTP(w, r)
				})
			})
			id, err := conn.Create(t.Context(), account("c-1", "One"))
			if err != nil {
				t.Fatal(err)
			}
			if err := org.Fail(salesforcetest.Fault{Kind: salesforcetest.Reset, Applied: true, Count: 1}); err != nil {
				t.Fatal(err)
			}
			_, err = conn.Create(t.Context(), account("c-2", "Two"))
			if err == nil || connector.KindOf(err) != connector.Unknown {
				t.Errorf("a stream that was reset: %v, want an unknown outcome", err)
			}
			if found, err := conn.Find(t.Context(), "Account", "c-2"); err != nil || found == id {
				t.Errorf("find %q, %v", found, err)
			}
		})
	}
	if seen.Load() < 6 {
		t.Errorf("only %d requests", seen.Load())
	}
}

func TestSessionsThatEndAreReplaced(t *testing.T) {
	t.Parallel()
	for name, auth := range auths() {
		org, conn := sandbox(t, salesforcetest.Config{}, func(c *salesforce.Config) { c.Auth = auth }, itself)
		for range 5 {
			if _, err := conn.Create(t.Context(), account("c-1", "One")); err != nil {
				t.Fatal(name, err)
			}
			org.ExpireSessions()
		}
		if n := len(org.Records("Account")); n != 1 {
			t.Errorf("%d accounts", n)
		}
		if _, logins := org.LoginHistory(); logins != 5 {
			t.Errorf("%d logins for 5 sessions", logins)
		}
	}
}

// Wrong credentials are told, and are in no error.
func TestWrongCredentialsAreTold(t *testing.T) {
	t.Parallel()
	wrong := map[string]salesforce.Auth{
		"invalid_client":    {ClientCredentials: &salesforce.ClientCredentials{ClientID: salesforcetest.ClientID, ClientSecret: "canary"}},
		"invalid_client_id": {ClientCredentials: &salesforce.ClientCredentials{ClientID: "nobody", ClientSecret: "canary"}},
		"invalid_grant":     {JWT: &salesforce.JWT{ClientID: salesforcetest.ClientID, Username: "canary@example.com", PrivateKey: salesforcetest.PrivateKey}},
	}
	for code, auth := range wrong {
		_, conn := sandbox(t, salesforcetest.Config{}, func(c *salesforce.Config) { c.Auth = auth }, itself)
		problems := conn.Check(t.Context(), []connector.Use{{Sync: "s", Type: "Account", Fields: []string{"Name"}}})
		if len(problems) != 1 || connector.KindOf(problems[0]) != connector.Unauthorized || connector.AsError(problems[0]).Code != code || strings.Contains(problems[0].Error(), "canary") {
			t.Errorf("%s: %v", code, problems)
		}
	}
}

// A token that comes with somebody else's address is shown to nobody.
func TestTokenForAnotherHost(t *testing.T) {
	t.Parallel()
	calls := 0
	_, conn := sandbox(t, salesforcetest.Config{}, same, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			calls++
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"access_token":"canary-token","instance_url":"https://evil.example"}`)
		})
	})
	_, err := conn.Create(t.Context(), account("c-1", "One"))
	if err == nil || connector.KindOf(err) != connector.Unauthorized || !strings.Contains(err.Error(), "evil.example") || strings.Contains(err.Error(), "canary") || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

func TestMistakesAreToldInSalesforcesWords(t *testing.T) {
	t.Parallel()
	_, conn := sandbox(t, salesforcetest.Config{
		Rules:          []salesforcetest.Rule{{Object: "Account", Field: "Phone", Message: "A phone number begins with +", Fails: func(v map[string]any) bool { p, ok := v["Phone"].(string); return ok && p[0] != '+' }}},
		DuplicateRules: []salesforcetest.DuplicateRule{{Object: "Account", Field: "Website"}},
	}, same, itself)
	if _, err := conn.Create(t.Context(), connector.Record{Type: "Account", ExternalID: "first", Fields: fields(`{"Name":"x","Website":"https://x","Vat_Id__c":"V1"}`)}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		fields string
		kind   connector.Kind
		says   string
	}{
		{`{}`, connector.Rejected, "Required fields are missing: [Name]"},
		{`{"Name":"x","Nmae":"y"}`, connector.Rejected, "No such column 'Nmae' on sobject of type Account"},
		{`{"Name":"` + strings.Repeat("x", 256) + `"}`, connector.Rejected, "data value too large"},
		{`{"Name":"x","CreatedDate":"2026-01-01T00:00:00Z"}`, connector.Rejected, "Unable to create/update fields: CreatedDate"},
		{`{"Name":"x","Score__c":"twelve"}`, connector.Rejected, "a value is of another type"},
		{`{"Name":"x","Rating":"Lukewarm"}`, connector.Rejected, "restricted picklist"},
		{`{"Name":"x","Email__c":"nobody"}`, connector.Rejected, "invalid email address"},
		{`{"Name":"x","Phone":"555"}`, connector.Rejected, "A phone number begins with + [Phone]"},
		{`{"Name":"x","Website":"https://x"}`, connector.Rejected, "allow_duplicates"},
		{`{"Name":"x","Vat_Id__c":"v1"}`, connector.Exists, "Vat_Id__c duplicates value on record"},
		{`{"Name":"x","ParentId":"1"}`, connector.Rejected, "id value of incorrect type"},
		{`{"Name":"x","ParentId":"001000000000000AAA"}`, connector.Rejected, "invalid cross reference id (a record that this one refers to"},
		{`{"Name":"x","Parent":{"Upkeep_Id__c":"nobody"}}`, connector.Rejected, "not under this external id"},
		{`{"Name":"x","Id":"001000000000000AAA"}`, connector.Rejected, `"Id" can't be sent`},
		{`{"Name":"x","Tags__c":[1,2]}`, connector.Rejected, "no lists but those of texts"},
		{`{"Name":"x","Tags__c":["a;b"]}`, connector.Rejected, "multi-select picklist"},
		{`{"Name":"x","Parent":{"a":{"b":1}}}`, connector.Rejected, "an object can only refer"},
	} {
		// By a URL, and by a collection of one.
		for _, ext := range []string{"c-1", "c.1"} {
			_, err := conn.Create(t.Context(), connector.Record{Type: "Account", ExternalID: ext, Fields: fields(c.fields)})
			if err == nil || connector.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v, want %v with %q", c.fields, err, c.kind, c.says)
			}
		}
	}
	for _, r := range []connector.Record{{Type: "Acount", ExternalID: "x"}, {Type: "../x", ExternalID: "x"}, {Type: "Account", ExternalID: ""}, {Type: "Account", ExternalID: " x"}, {Type: "Account", ExternalID: "a\nb"}} {
		if _, err := conn.Create(t.Context(), r); err == nil || connector.KindOf(err) != connector.Rejected {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

// Where records that look like duplicates are wanted, they are made.
func TestAllowDuplicates(t *testing.T) {
	t.Parallel()
	org, conn := sandbox(t, salesforcetest.Config{DuplicateRules: []salesforcetest.DuplicateRule{{Object: "Account", Field: "Name"}}},
		func(c *salesforce.Config) { c.AllowDuplicates = true }, itself)
	for _, ext := range []string{"a", "b", "c.d"} {
		if _, err := conn.Create(t.Context(), account(ext, "One")); err != nil {
			t.Error(err)
		}
	}
	if n := len(org.Records("Account")); n != 3 {
		t.Errorf("%d accounts", n)
	}
}

// Two records with one external id: nothing is written, and it is told.
func TestSeveralRecords(t *testing.T) {
	t.Parallel()
	org, conn := sandbox(t, salesforcetest.Config{}, func(c *salesforce.Config) { c.ExternalID = map[string]string{"account": "Legacy_Id__c"} }, itself)
	for range 2 {
		if _, err := org.Add("Account", []byte(`{"Name":"x","Legacy_Id__c":"a-1"}`)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := org.Add("Account", []byte(`{"Name":"x","Legacy_Id__c":"B-1"}`)); err != nil {
		t.Fatal(err)
	}
	_, err := conn.Create(t.Context(), account("a-1", "New"))
	if e := connector.AsError(err); e == nil || e.Kind != connector.Rejected || e.Status != 300 || !strings.Contains(e.Message, "make the field unique") {
		t.Errorf("upsert: %v", err)
	}
	results, err := conn.Apply(t.Context(), "Account", []connector.Change{{Record: account("a-1", "New")}, {Record: account("a-2", "New")}})
	if err != nil || results[1].Err != nil || results[0].Err == nil || connector.KindOf(results[0].Err) != connector.Rejected {
		t.Errorf("collection: %v, %v", results, err)
	}
	if _, err := conn.Find(t.Context(), "Account", "a-1"); err == nil || connector.KindOf(err) != connector.Rejected {
		t.Errorf("find: %v", err)
	}
	if _, err := conn.Find(t.Context(), "Account", "b-1"); err == nil || connector.KindOf(err) != connector.Rejected || !strings.Contains(err.Error(), "capitals only") {
		t.Errorf("find in other capitals: %v", err)
	}
	if n := org.Count("Account", "Name", "New"); n != 1 {
		t.Errorf("%d were written", n)
	}
}

// Salesforce says the same of a record that is gone and of an object that may
// not be seen: only the one is success.
func TestDeleteOfWhatIsNotSeen(t *testing.T) {
	t.Parallel()
	var hide atomic.Bool
	org, conn := sandbox(t, salesforcetest.Config{}, same, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if hide.Load() && r.Method == http.MethodDelete {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusNotFound)
				fmt.Fprint(w, `[{"errorCode":"NOT_FOUND","message":"The requested resource does not exist"}]`)
				return
			}
			h.ServeHTTP(w, r)
		})
	})
	id, err := conn.Create(t.Context(), account("c-1", "One"))
	if err != nil {
		t.Fatal(err)
	}
	hide.Store(true)
	if err := conn.Delete(t.Context(), "Account", id); err == nil || connector.KindOf(err) != connector.Rejected {
		t.Errorf("of a record that is there: %v", err)
	}
	if err := conn.Delete(t.Context(), "Acount", id); err == nil || connector.KindOf(err) != connector.Rejected {
		t.Errorf("of an object that is not there: %v", err)
	}
	hide.Store(false)
	if err := org.Remove(id); err != nil {
		t.Fatal(err)
	}
	if err := conn.Delete(t.Context(), "Account", id); err != nil {
		t.Errorf("of what is in the recycle bin: %v", err)
	}
	if err := conn.Delete(t.Context(), "Account", "001000000000000AAA"); err != nil {
		t.Errorf("of what never was: %v", err)
	}
}

func TestDailyRequests(t *testing.T) {
	t.Parallel()
	now := atomic.Pointer[time.Time]{}
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	now.Store(&start)
	org, conn := sandbox(t, salesforcetest.Config{DailyRequests: 1000, Now: func() time.Time { return *now.Load() }},
		func(c *salesforce.Config) { c.Reserve = "50" }, itself)
	create := func() *connector.Error {
		_, err := conn.Create(t.Context(), account("c-1", "One"))
		return connector.AsError(err)
	}
	if err := create(); err != nil {
		t.Fatal(err)
	}
	if used, limit, known := conn.Quota(); used != 1 || limit != 1000 || !known {
		t.Errorf("%d/%d, %v", used, limit, known)
	}
	org.SetUsage(949, 1000) // somebody else
	if err := create(); err != nil {
		t.Errorf("one is left, and it is not known that no more are: %v", err)
	}
	for range 5 {
		err := create()
		if err == nil || err.Kind != connector.RateLimited || err.RetryAfter <= 0 || !strings.Contains(err.Message, "50 are left to others") {
			t.Fatalf("%v", err)
		}
	}
	if used, _ := org.Usage(); used != 950 {
		t.Errorf("%d used: refusals cost requests", used)
	}
	if problems := conn.Check(t.Context(), nil); len(problems) != 1 || !strings.Contains(problems[0].Error(), "nothing would be sent now") {
		t.Errorf("check: %v", problems)
	}
	later := start.Add(11 * time.Minute)
	now.Store(&later)
	if err := create(); err == nil || err.Kind != connector.RateLimited {
		t.Errorf("nothing came free: %v", err)
	}
	later = start.Add(30 * time.Hour)
	now.Store(&later)
	if err := create(); err != nil {
		t.Errorf("the next day: %v", err)
	}
	if n := org.Stats().Calls["limits"]; n != 3 { // Check, and two looks
		t.Errorf("%d questions", n)
	}
}

// When the org itself refuses, nothing more goes out for a while, but for a
// question when it is over.
func TestRequestLimitExceeded(t *testing.T) {
	t.Parallel()
	org, conn := sandbox(t, salesforcetest.Config{}, same, itself)
	fail := salesforcetest.Fault{Kind: salesforcetest.Status, Status: 403, Message: "ConcurrentPerOrgLongTxn Limit exceeded.", Count: 1}
	if err := org.Fail(fail); err != nil {
		t.Fatal(err)
	}
	_, err := conn.Create(t.Context(), account("c-1", "One"))
	if e := connector.AsError(err); e == nil || e.Kind != connector.RateLimited || e.RetryAfter != 20*time.Second {
		t.Errorf("too many long ones: %v", err)
	}
	if _, err := conn.Create(t.Context(), account("c-1", "One")); err != nil {
		t.Errorf("is up to the engine, which waits: %v", err)
	}
	fail.Message = ""
	if err := org.Fail(fail); err != nil {
		t.Fatal(err)
	}
	before := org.Stats().Requests
	for range 3 {
		_, err = conn.Create(t.Context(), account("c-1", "One"))
		if e := connector.AsError(err); e == nil || e.Kind != connector.RateLimited || e.RetryAfter < 9*time.Minute {
			t.Errorf("used up: %v", err)
		}
	}
	if n := org.Stats().Requests - before; n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestReferences(t *testing.T) {
	t.Parallel()
	org, conn := sandbox(t, salesforcetest.Config{}, same, itself)
	parent, err := conn.Create(t.Context(), account("acme", "Acme"))
	if err != nil {
		t.Fatal(err)
	}
	ref := func(field string) json.RawMessage {
		raw, err := conn.Reference(connector.Ref{Type: "Account", RemoteID: parent, ExternalID: "acme", Field: field})
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	for i, c := range []struct{ recordType, field, stored, want, rest string }{
		{"Contact", "Account", "AccountId", `{"Upkeep_Id__c":"acme"}`, `{"LastName":"x"}`},
		{"Contact", "AccountId", "AccountId", `"` + parent + `"`, `{"LastName":"x"}`},
		{"Account", "Parent", "ParentId", `{"Upkeep_Id__c":"acme"}`, `{"Name":"x"}`},
		{"Task", "What", "WhatId", `{"Upkeep_Id__c":"acme","attributes":{"type":"Account"}}`, `{"Subject":"x"}`},
		{"Invoice__c", "Account__r", "Account__c", `{"Upkeep_Id__c":"acme"}`, `{}`},
		{"Invoice__c", "Account__c", "Account__c", `"` + parent + `"`, `{}`},
	} {
		raw := ref(c.field)
		if string(raw) != c.want {
			t.Errorf("%s: %s, want %s", c.field, raw, c.want)
		}
		f := fields(c.rest)
		f[c.field] = raw
		id, err := conn.Create(t.Context(), connector.Record{Type: c.recordType, ExternalID: fmt.Sprint("r-", i), Fields: f})
		if err != nil {
			t.Fatalf("%s: %v", c.field, err)
		}
		for _, r := range org.Records(c.recordType) {
			if r["Id"] == id && r[c.stored] != parent {
				t.Errorf("%s.%s: %v, want %s", c.recordType, c.stored, r[c.stored], parent)
			}
		}
		got, err := conn.Read(t.Context(), c.recordType, id, connector.Fields{c.field: raw})
		if err != nil || string(got[c.field]) != string(raw) {
			t.Errorf("read %s: %s, %v", c.field, got[c.field], err)
		}
		if c.recordType == "Invoice__c" {
			continue // it may not be without
		}
		null := connector.Fields{c.field: json.RawMessage("null")}
		if err := conn.Update(t.Context(), id, connector.Record{Type: c.recordType, ExternalID: fmt.Sprint("r-", i), Fields: null}); err != nil {
			t.Errorf("clear %s: %v", c.field, err)
		}
		for _, r := range org.Records(c.recordType) {
			if r["Id"] == id && r[c.stored] != nil {
				t.Errorf("%s.%s is not cleared: %v", c.recordType, c.stored, r[c.stored])
			}
		}
		if got, err := conn.Read(t.Context(), c.recordType, id, null); err != nil || string(got[c.field]) != "null" {
			t.Errorf("read %s: %s, %v", c.field, got[c.field], err)
		}
	}
	// A custom relationship is cleared by its field, too.
	line := connector.Record{Type: "Invoice_Line__c", ExternalID: "l-1", Fields: connector.Fields{
		"Invoice__r": json.RawMessage(`{"Upkeep_Id__c":"r-4"}`), "Product__r": json.RawMessage(`{"Upkeep_Id__c":"p-1"}`)}}
	if _, err := conn.Create(t.Context(), connector.Record{Type: "Product2", ExternalID: "p-1", Fields: fields(`{"Name":"x"}`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Create(t.Context(), line); err != nil || org.Records("Invoice_Line__c")[0]["Product__c"] == nil {
		t.Fatalf("%v", err)
	}
	// A master-detail relationship is set once: sent again, the same is refused.
	if _, err := conn.Create(t.Context(), line); err == nil || connector.AsError(err).Code != "INVALID_FIELD_FOR_INSERT_UPDATE" {
		t.Errorf("a master again: %v", err)
	}
	delete(line.Fields, "Invoice__r")
	line.Fields["Product__r"] = json.RawMessage("null")
	if _, err := conn.Create(t.Context(), line); err != nil || org.Records("Invoice_Line__c")[0]["Product__c"] != nil {
		t.Errorf("not cleared: %v, %v", org.Records("Invoice_Line__c")[0]["Product__c"], err)
	}
	for _, bad := range []connector.Ref{{Type: "Account", RemoteID: "1", Field: "AccountId"}, {Type: "Account", RemoteID: parent, Field: "Account"}, {Type: "a b", ExternalID: "x", Field: "Account"}} {
		if raw, err := conn.Reference(bad); err == nil {
			t.Errorf("%+v: %s", bad, raw)
		}
	}
}

// What differs in form only is no difference; what differs is one.
func TestReadForms(t *testing.T) {
	t.Parallel()
	org, conn := sandbox(t, salesforcetest.Config{}, same, itself)
	id, err := org.Add("Account", []byte(`{"Name":"  trimmed  ","Score__c":12.50,"Since__c":"2026-01-31","Seen__c":"2026-01-31T12:00:00Z","Active__c":true,"Tags__c":"b;a","Description":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ want, got string }{
		{`{"Name":"trimmed "}`, `{"Name":"trimmed "}`}, {`{"Name":"other"}`, `{"Name":"trimmed"}`}, {`{"Score__c":12.5000}`, `{"Score__c":12.5000}`},
		{`{"Score__c":13}`, `{"Score__c":12.5}`}, {`{"Seen__c":"2026-01-31T13:00:00+01:00"}`, `{"Seen__c":"2026-01-31T13:00:00+01:00"}`},
		{`{"Seen__c":"2026-01-31T13:00:00Z"}`, `{"Seen__c":"2026-01-31T12:00:00Z"}`}, {`{"Active__c":true}`, `{"Active__c":true}`},
		{`{"Tags__c":["a","b"]}`, `{"Tags__c":["a","b"]}`}, {`{"Tags__c":["a","c"]}`, `{"Tags__c":["b","a"]}`},
		{`{"Tags__c":["a","a"]}`, `{"Tags__c":["b","a"]}`}, {`{"Tags__c":["b","a","a"]}`, `{"Tags__c":["b","a","a"]}`}, {`{"Tags__c":["a","b",1]}`, `{"Tags__c":["b","a"]}`}, {`{"Site":""}`, `{"Site":""}`},
		{`{"Site":null}`, `{"Site":null}`}, {`{"Description":null}`, `{"Description":"x"}`}, {`{"Rating":[]}`, `{"Rating":[]}`},
		{`{"Id":"` + id[:15] + `"}`, `{"Id":"` + id[:15] + `"}`}, {`{"Parent":{"Upkeep_Id__c":"x"}}`, `{"Parent":null}`},
	} {
		got, err := conn.Read(t.Context(), "Account", id, fields(c.want))
		if err != nil {
			t.Errorf("%s: %v", c.want, err)
			continue
		}
		if b, err := json.Marshal(got); err != nil || string(b) != c.got {
			t.Errorf("%s: %s, %v; want %s", c.want, b, err, c.got)
		}
	}
}

// A check finds what is wrong before anything is sent, and changes nothing.
func TestCheck(t *testing.T) {
	t.Parallel()
	org, conn := sandbox(t, salesforcetest.Config{Objects: []salesforcetest.Object{
		{Name: "Plain__c", Prefix: "a10", Fields: []salesforcetest.Field{{Name: "Text__c", Type: "string"}}},
		{Name: "Blind__c", Prefix: "a11", Fields: []salesforcetest.Field{{Name: "Upkeep_Id__c", Type: "string", Unique: true, ExternalID: true}}},
		{Name: "Loose__c", Prefix: "a12", Fields: []salesforcetest.Field{{Name: "Upkeep_Id__c", Type: "string", CaseSensitive: true, ExternalID: true}}},
		{Name: "Text__c", Prefix: "a13", Fields: []salesforcetest.Field{{Name: "Upkeep_Id__c", Type: "string", CaseSensitive: true, Unique: true}}},
	}}, same, itself)
	for _, c := range []struct {
		use  connector.Use
		says string
	}{
		{connector.Use{Type: "Account", Fields: []string{"Name", "Parent", "OwnerId"}}, ""},
		{connector.Use{Type: "Order", Fields: []string{"TotalAmount"}}, "can't be written"},
		{connector.Use{Type: "Invoice_Line__c", Fields: []string{"Invoice__r", "Price__c"}, Updated: []string{"Invoice__r", "Price__c"}}, "field Invoice__c of record type Invoice_Line__c can't be changed once the record is made: put it under create_fields"},
		{connector.Use{Type: "Invoice_Line__c", Fields: []string{"Invoice__r", "Price__c"}, Updated: []string{"Price__c"}}, ""},
		{connector.Use{Type: "Invoice_Line__c", Fields: []string{"Invoice__r", "Price__c"}}, ""}, // of a Go program: which of them is not known
		{connector.Use{Type: "Acount"}, `no record type "Acount" (did you mean Account?)`},
		{connector.Use{Type: "Account", Fields: []string{"Parnt"}}, `no field or relationship "Parnt" (did you mean Parent`},
		{connector.Use{Type: "Plain__c"}, "it does not exist"},
		{connector.Use{Type: "Blind__c"}, "not case sensitive"},
		{connector.Use{Type: "Loose__c"}, "not unique"},
		{connector.Use{Type: "Text__c"}, "not an external id"},
	} {
		c.use.Sync = "s"
		problems := conn.Check(t.Context(), []connector.Use{c.use})
		if c.says == "" && len(problems) > 0 || c.says != "" && (len(problems) != 1 || !strings.Contains(problems[0].Error(), c.says)) {
			t.Errorf("%+v: %v, want %q", c.use, problems, c.says)
		}
	}
	if n := len(org.Stats().Written); n != 0 {
		t.Errorf("a check wrote: %v", org.Stats().Written)
	}
}

// Without the right to see the limits, the header of the refusal tells.
func TestLimitsThatMayNotBeSeen(t *testing.T) {
	t.Parallel()
	org, conn := sandbox(t, salesforcetest.Config{DailyRequests: 100}, same, itself)
	if err := org.Fail(salesforcetest.Fault{Kind: salesforcetest.Status, Status: 403, Code: "INSUFFICIENT_ACCESS", Op: "limits"}); err != nil {
		t.Fatal(err)
	}
	if problems := conn.Check(context.Background(), nil); len(problems) > 0 {
		t.Errorf("%v", problems)
	}
	if _, limit, known := conn.Quota(); limit != 100 || !known {
		t.Errorf("%d, %v", limit, known)
	}
}
