package salesforcetest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestLogins(t *testing.T) {
	t.Parallel()
	var offset atomic.Int64
	o := newOrg(t, Config{SessionLifetime: time.Hour, Now: func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }})
	status, got := o.post(url.Values{"grant_type": {"client_credentials"}, "client_id": {ClientID}, "client_secret": {ClientSecret}})
	if status != 200 || got["instance_url"] != o.url || got["token_type"] != "Bearer" || got["expires_in"] != nil || !strings.HasPrefix(fmt.Sprint(got["id"]), o.url+"/id/00D") {
		t.Errorf("%d %v", status, got)
	}
	key, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	assertion := func(method jwt.SigningMethod, change func(jwt.MapClaims)) url.Values {
		claims := jwt.MapClaims{"iss": ClientID, "sub": Username, "aud": "https://login.salesforce.com", "exp": time.Now().Add(2 * time.Minute).Unix()}
		change(claims)
		signed, err := jwt.NewWithClaims(method, claims).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return url.Values{"grant_type": {jwtBearer}, "assertion": {signed}}
	}
	set := func(name string, v any) func(jwt.MapClaims) { return func(c jwt.MapClaims) { c[name] = v } }
	for name, c := range map[string]struct {
		form  url.Values
		error string
	}{
		"jwt":            {assertion(jwt.SigningMethodRS256, func(jwt.MapClaims) {}), ""},
		"own address":    {assertion(jwt.SigningMethodRS256, set("aud", o.url)), ""},
		"PS256":          {assertion(jwt.SigningMethodPS256, func(jwt.MapClaims) {}), "invalid_grant"},
		"expired":        {assertion(jwt.SigningMethodRS256, set("exp", time.Now().Add(-time.Minute).Unix())), "invalid_grant"},
		"far future":     {assertion(jwt.SigningMethodRS256, set("exp", time.Now().Add(10*time.Minute).Unix())), "invalid_grant"},
		"no exp":         {assertion(jwt.SigningMethodRS256, func(c jwt.MapClaims) { delete(c, "exp") }), "invalid_grant"},
		"audience":       {assertion(jwt.SigningMethodRS256, set("aud", "https://evil.example")), "invalid_grant"},
		"another user":   {assertion(jwt.SigningMethodRS256, set("sub", "somebody@example.com")), "invalid_grant"},
		"unknown app":    {assertion(jwt.SigningMethodRS256, set("iss", "nobody")), "invalid_client_id"},
		"garbage":        {url.Values{"grant_type": {jwtBearer}, "assertion": {"x"}}, "invalid_grant"},
		"wrong secret":   {url.Values{"grant_type": {"client_credentials"}, "client_id": {ClientID}, "client_secret": {"x"}}, "invalid_client"},
		"password":       {url.Values{"grant_type": {"password"}, "username": {Username}}, "unsupported_grant_type"},
		"unknown client": {url.Values{"grant_type": {"client_credentials"}, "client_id": {"x"}}, "invalid_client_id"},
	} {
		status, got := o.post(c.form)
		if c.error == "" && status != 200 || c.error != "" && (status != 400 || got["error"] != c.error || got["error_description"] == "") {
			t.Errorf("%s: %d %v", name, status, got)
		}
	}
	if refused, n := o.server.LoginHistory(); len(refused) != 11 || n != 4 {
		t.Errorf("%d refused, %d let in", len(refused), n)
	}
	o.must(200, "GET", "/limits", "")
	offset.Store(int64(time.Hour))
	o.refused(401, "INVALID_SESSION_ID", "GET", "/limits", "")
	o.token = "x"
	o.refused(401, "INVALID_SESSION_ID", "GET", "/limits", "")
}

func TestDailyRequests(t *testing.T) {
	t.Parallel()
	var offset atomic.Int64
	o := newOrg(t, Config{DailyRequests: 3, SessionLifetime: 100 * time.Hour, Now: func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }})
	a := o.must(201, "POST", "/sobjects/Account", accountBody(1))
	if got := a.header.Get("Sforce-Limit-Info"); got != "api-usage=1/3" {
		t.Error(got)
	}
	if a := o.must(200, "GET", "/limits", ""); !strings.Contains(a.raw, `"DailyApiRequests":{"Max":3,"Remaining":1}`) {
		t.Error(a.raw)
	}
	o.must(200, "GET", "/limits", "")
	refused := o.refused(403, "REQUEST_LIMIT_EXCEEDED", "POST", "/sobjects/Account", accountBody(2))
	if refused.header.Get("Retry-After") != "" || refused.header.Get("Sforce-Limit-Info") != "api-usage=3/3" {
		t.Error(refused.header)
	}
	offset.Store(int64(25 * time.Hour))
	o.must(201, "POST", "/sobjects/Account", accountBody(2))
	o.must(204, "POST", "/sandbox/usage", `{"used":7,"limit":9}`)
	if a := o.must(200, "GET", "/sandbox/usage", ""); a.raw != `{"limit":9,"used":7}` {
		t.Error(a.raw)
	}
}

func TestLongRequests(t *testing.T) {
	t.Parallel()
	o := newOrg(t, Config{LongRequests: 2, LongAfter: time.Nanosecond})
	o.fail(Fault{Kind: Hang, Op: "describe"})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 2 {
		r := o.request("GET", "/sobjects", "")
		wg.Go(func() {
			if res, err := o.client.Do(r.WithContext(ctx)); err == nil {
				_ = res.Body.Close()
			}
		})
	}
	eventually(t, "two are under way", func() bool { return o.server.Stats().Faulted == 2 })
	if a := o.refused(403, "REQUEST_LIMIT_EXCEEDED", "GET", "/limits", ""); !strings.Contains(a.raw, "ConcurrentPerOrgLongTxn") {
		t.Error(a.raw)
	}
	cancel()
	wg.Wait()
	eventually(t, "they are let go", func() bool { return o.call("GET", "/limits", "").status == 200 })
}

func TestFaults(t *testing.T) {
	t.Parallel()
	o := newOrg(t, Config{})
	const path = "/sobjects/Account/Upkeep_Id__c/"
	for i, c := range []struct {
		fault   Fault
		status  int
		applied bool
		contain string
	}{
		{Fault{Kind: Status, Status: 403, RetryAfter: Duration(1500 * time.Millisecond)}, 403, false, "REQUEST_LIMIT_EXCEEDED"},
		{Fault{Kind: Status, Status: 401}, 401, false, "INVALID_SESSION_ID"},
		{Fault{Kind: Status, Status: 500, Applied: true}, 500, true, "UNKNOWN_EXCEPTION"},
		{Fault{Kind: Status, Status: 503}, 503, false, "SERVER_UNAVAILABLE"},
		{Fault{Kind: Status, Status: 502, Applied: true}, 502, true, "<html>"},
		{Fault{Kind: Status, Status: 400, Code: "QUERY_TIMEOUT", Message: "m"}, 400, false, `"message":"m"`},
		{Fault{Kind: Row, Code: "UNABLE_TO_LOCK_ROW"}, 400, false, "unable to obtain exclusive access"},
		{Fault{Kind: HTML}, 200, false, "<!DOCTYPE html>"},
		{Fault{Kind: Empty, Applied: true}, 200, true, ""},
	} {
		o.fail(c.fault)
		name := fmt.Sprint("f", i)
		out := o.must(c.status, "PATCH", path+name, `{"Name":"x"}`)
		if !strings.Contains(out.raw, c.contain) || c.contain == "" && out.raw != "" {
			t.Errorf("%d: %s", i, out.raw)
		}
		if i == 0 && out.header.Get("Retry-After") != "2" {
			t.Error("Retry-After is rounded up: " + out.header.Get("Retry-After"))
		}
		o.server.Heal()
		if got := o.server.Count("Account", "Upkeep_Id__c", name) == 1; got != c.applied {
			t.Errorf("%d: applied %v", i, got)
		}
	}
	o.fail(Fault{Kind: Reset, Applied: true, Op: "upsert", Count: 1})
	if _, err := o.client.Do(o.request("PATCH", path+"reset", `{"Name":"x"}`)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v", err)
	}
	o.must(200, "GET", path+"reset", "")
	for _, bad := range []Fault{{Kind: "nope"}, {Kind: Status}, {Kind: Row}, {Kind: Hang, Probability: 2}, {Kind: Hang, Path: "["}} {
		if o.server.Fail(bad) == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

func TestLateRequests(t *testing.T) {
	t.Parallel()
	o := newOrg(t, Config{})
	const path = "/sobjects/Account/Upkeep_Id__c/a"
	id := o.must(201, "PATCH", path, `{"Name":"0"}`).id()
	o.fail(Fault{Kind: Late, Op: "update", Count: 1, Drop: true})
	if _, err := o.client.Do(o.request("PATCH", "/sobjects/Account/"+id, `{"Name":"late"}`)); err == nil {
		t.Error("answered")
	}
	eventually(t, "it waits", func() bool { return o.server.Pending() == 1 })
	o.must(204, "PATCH", "/sobjects/Account/"+id, `{"Name":"newer"}`)
	if n := o.server.Release(); n != 1 || o.show(id, "Name") != "late" {
		t.Errorf("%d, %v", n, o.show(id, "Name"))
	}
	o.fail(Fault{Kind: Late, Op: "update", Count: 1, Drop: true, Delay: Duration(time.Millisecond)})
	if _, err := o.client.Do(o.request("PATCH", "/sobjects/Account/"+id, `{"Name":"later"}`)); err == nil {
		t.Error("answered")
	}
	eventually(t, "it lands", func() bool { return o.show(id, "Name") == "later" })
}

func TestJobs(t *testing.T) {
	t.Parallel()
	o := newOrg(t, Config{Seed: 3})
	start := func(body string) string { t.Helper(); return o.must(200, "POST", "/jobs/ingest", body).id() }
	const upsert = `{"object":"Account","operation":"upsert","externalIdFieldName":"Upkeep_Id__c","contentType":"CSV","lineEnding":"LF"}`
	job := start(upsert)
	at := "/jobs/ingest/" + job
	o.refused(400, "INVALIDJOBSTATE", "GET", at+"/successfulResults", "")
	data := "Upkeep_Id__c,Id,Name,Site,Score__c,Parent.Upkeep_Id__c\np,,Parent,s,1.50,\nc,,\"two\nlines\",#N/A,,p\nx,,,,,\ny,,Y,,many,\n"
	o.must(201, "PUT", at+"/batches", data)
	o.refused(400, "INVALIDJOBSTATE", "PUT", at+"/batches", data)
	o.must(200, "PATCH", at, `{"state":"UploadComplete"}`)
	state := func(at string) string { return o.server.Jobs()[at[len("/jobs/ingest/"):]] }
	eventually(t, "it is done", func() bool { return state(at) == "JobComplete" })
	if a := o.must(200, "GET", at, ""); !strings.Contains(a.raw, `"numberRecordsFailed":2`) || !strings.Contains(a.raw, `"numberRecordsProcessed":4`) {
		t.Error(a.raw)
	}
	good, bad := o.must(200, "GET", at+"/successfulResults", "").raw, o.must(200, "GET", at+"/failedResults", "").raw
	if !strings.HasPrefix(good, "sf__Id,sf__Created,Upkeep_Id__c,") || strings.Count(good, ",true,") != 2 ||
		!strings.Contains(bad, "REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name --") || !strings.Contains(bad, "JSON_PARSER_ERROR") {
		t.Errorf("%s\n%s", good, bad)
	}
	o.refused(400, "INVALIDJOBSTATE", "PATCH", at, `{"state":"Aborted"}`)
	o.must(204, "DELETE", at, "")
	o.refused(404, "NOT_FOUND", "GET", at, "")

	for name, data := range map[string]string{"a header of no field": "Upkeep_Id__c,Nmae\na,b\n", "other line endings": "Upkeep_Id__c,Name\r\na,b\r\n", "no CSV": "Upkeep_Id__c,Name\n\"a\n"} {
		at := "/jobs/ingest/" + start(upsert)
		o.must(201, "PUT", at+"/batches", data)
		o.must(200, "PATCH", at, `{"state":"UploadComplete"}`)
		eventually(t, name, func() bool { return state(at) == "Failed" })
	}
	for body, code := range map[string]string{
		`{"object":"Acount","operation":"insert"}`: "INVALIDENTITY", `{"object":"Account","operation":"merge"}`: "INVALIDJOB",
		`{"object":"Account","operation":"upsert","externalIdFieldName":"Site"}`: "INVALIDJOB", `[`: "JSON_PARSER_ERROR",
	} {
		o.refused(400, code, "POST", "/jobs/ingest", body)
	}
	o.server.HoldJobs(true)
	at = "/jobs/ingest/" + start(`{"object":"Account","operation":"insert"}`)
	o.must(201, "PUT", at+"/batches", "Name\nNew\n")
	o.must(200, "PATCH", at, `{"state":"UploadComplete"}`)
	if state(at) != "UploadComplete" {
		t.Error(state(at))
	}
	o.must(200, "PATCH", at, `{"state":"Aborted"}`)
	o.server.HoldJobs(false)
	if n := o.server.Count("Account", "Name", "New"); n != 0 {
		t.Errorf("%d", n)
	}
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	o := newOrg(t, Config{})
	id := o.must(200, "POST", "/sandbox/records/Account", `{"Name":"One"}`).id()
	o.must(204, "PATCH", "/sandbox/records/Account/"+id, `{"Name":"Two"}`)
	if a := o.must(200, "GET", "/sandbox/records/account", ""); !strings.Contains(a.raw, `"Name":"Two"`) {
		t.Error(a.raw)
	}
	o.must(200, "POST", "/sandbox/records/Account", `{"Name":"Other","Upkeep_Id__c":"customer-7"}`)
	o.must(204, "PATCH", "/sandbox/records/Account/customer-7", `{"Name":"By hand"}`)
	if a := o.must(200, "GET", "/sandbox/records/account", ""); !strings.Contains(a.raw, `"Name":"By hand"`) {
		t.Error(a.raw)
	}
	if a := o.must(200, "GET", "/sandbox/records/Account/customer-7", ""); !strings.HasPrefix(a.raw, "{") || !strings.Contains(a.raw, `"Name":"By hand"`) {
		t.Error(a.raw)
	}
	o.must(404, "GET", "/sandbox/records/Account/customer-8", "")
	o.must(204, "DELETE", "/sandbox/records/Account/customer-7", "")
	o.must(400, "PATCH", "/sandbox/records/Account/customer-7", `{"Name":"By hand"}`)
	o.must(204, "DELETE", "/sandbox/records/Account/"+id, "")
	o.must(400, "DELETE", "/sandbox/records/Account/"+id, "")
	o.must(404, "GET", "/sandbox/records/Acount", "")
	o.must(400, "POST", "/sandbox/records/Account", `{}`)
	if a := o.must(200, "POST", "/sandbox/faults", `{"kind":"status","status":503,"count":1}`); !strings.Contains(a.raw, `"status":503`) {
		t.Errorf("a fault that is set is not answered: %s", a.raw)
	}
	if a := o.must(200, "GET", "/sandbox/faults", ""); !strings.Contains(a.raw, `"status":503`) {
		t.Error(a.raw)
	}
	o.must(400, "POST", "/sandbox/faults", `{"kind":"status","stauts":503}`)
	o.must(200, "DELETE", "/sandbox/faults", "")
	o.must(200, "POST", "/sandbox/release", "")
	o.must(200, "GET", "/limits", "")
	if a := o.must(200, "GET", "/sandbox/stats", ""); !strings.Contains(a.raw, `"limits":1`) {
		t.Error(a.raw)
	}
	o.must(204, "DELETE", "/sandbox/stats", "")
	o.must(200, "GET", "/sandbox/jobs", "")
	o.must(200, "GET", "/sandbox/logins", "")
	o.must(204, "DELETE", "/sandbox/sessions", "")
	o.must(401, "GET", "/limits", "")
	o.must(404, "GET", "/sandbox/nonsense", "")
	if s := o.server.Stats(); s.Unauthorized != 1 {
		t.Errorf("%+v", s)
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	o := newOrg(t, Config{})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 20 { // all workers upsert the same
				o.call("PATCH", fmt.Sprintf("/sobjects/Account/Upkeep_Id__c/a%d", i), accountBody(w))
				o.call("GET", soql("SELECT Id, Name FROM Account"), "")
			}
		})
	}
	wg.Wait()
	if n := len(o.server.Records("Account")); n != 20 {
		t.Errorf("%d accounts", n)
	}
}

func TestCloseLetsGo(t *testing.T) {
	t.Parallel()
	o := newOrg(t, Config{})
	o.fail(Fault{Kind: Hang})
	done := make(chan error, 1)
	r := o.request(http.MethodGet, "/limits", "")
	go func() {
		res, err := o.client.Do(r)
		if err == nil {
			_ = res.Body.Close()
		}
		done <- err
	}()
	eventually(t, "the request hangs", func() bool { return o.server.Stats().Faulted == 1 })
	o.server.Close()
	if err := <-done; err == nil {
		t.Error("answered")
	}
}
