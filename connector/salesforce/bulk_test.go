package salesforce_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/salesforce"
	"github.com/upkeep-sync/upkeep/connector/salesforce/salesforcetest"
)

// run makes a job of changes and returns it when it is over.
func run(t *testing.T, conn *salesforce.Connection, recordType string, action connector.Action, changes []connector.Change) (string, connector.Job) {
	t.Helper()
	job, err := conn.StartJob(t.Context(), recordType, action)
	if err != nil {
		t.Fatal(err)
	}
	if j, err := conn.PollJob(t.Context(), job); err != nil || j.State != connector.JobOpen {
		t.Fatalf("a new job: %+v, %v", j, err)
	}
	if err := conn.RunJob(t.Context(), job, recordType, action, changes); err != nil {
		t.Fatal(err)
	}
	return job, over(t, conn, job)
}

// over waits until a job is.
func over(t *testing.T, conn *salesforce.Connection, job string) connector.Job {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		j, err := conn.PollJob(t.Context(), job)
		if err != nil {
			t.Fatal(err)
		}
		if j.State.Over() {
			return j
		}
		if time.Now().After(end) {
			t.Fatalf("the job does not end: %+v", j)
		}
	}
}

// outcomes are the results of a job by external id or id.
func outcomes(t *testing.T, conn *salesforce.Connection, job, recordType string) map[string]connector.JobResult {
	t.Helper()
	out := map[string]connector.JobResult{}
	err := conn.JobResults(t.Context(), job, recordType, func(r connector.JobResult) error {
		key := r.ExternalID
		if key == "" {
			key = r.RemoteID
		}
		if _, twice := out[key]; twice || key == "" {
			t.Errorf("%q is told twice, or of nobody", key)
		}
		out[key] = r
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func change(externalID, text string) connector.Change {
	return connector.Change{Action: connector.Create, Record: connector.Record{Type: "Account", ExternalID: externalID, Fields: fields(text)}}
}

// Rows are told apart by their external id, whatever order they come back in;
// each that fails has its own words.
func TestBulkCreates(t *testing.T) {
	t.Parallel()
	org, conn := sandbox(t, salesforcetest.Config{Seed: 1}, same, itself)
	if _, err := org.Add("Account", []byte(`{"Name":"Acme","Upkeep_Id__c":"acme","Site":"old","Phone":"1"}`)); err != nil {
		t.Fatal(err)
	}
	changes := []connector.Change{
		change("plain", `{"Name":"Plain","Score__c":12.50,"Active__c":true,"Since__c":"2026-01-31"}`),
		change(`odd, "quoted"`, `{"Name":"two\nlines, \"quoted\" and #N/A inside"}`),
		change("child", `{"Name":"Child","Parent":{"Upkeep_Id__c":"acme"},"Tags__c":["a","b"]}`),
		change("acme", `{"Name":"Acme 2","Site":null}`), // is there: an update that clears, and leaves the phone
		change("long", `{"Name":"x","Site":"`+strings.Repeat("x", 300)+`"}`),
		change("orphan", `{"Name":"x","Parent":{"Upkeep_Id__c":"nobody"}}`),
		change("nameless", `{"Site":"x"}`),
		change("locked", `{"Name":"x"}`),
		change("loose", `{"Name":"x","Parent":null}`),
	}
	if err := org.Fail(salesforcetest.Fault{Kind: salesforcetest.Row, Code: "UNABLE_TO_LOCK_ROW", ExternalID: "locked"}); err != nil {
		t.Fatal(err)
	}
	for i := range 500 {
		changes = append(changes, change(fmt.Sprint("many-", i), fmt.Sprintf(`{"Name":"Number %d"}`, i)))
	}
	job, j := run(t, conn, "Account", connector.Create, changes)
	if j.State != connector.JobDone || j.Processed != len(changes) || j.Failed != 4 {
		t.Errorf("%+v", j)
	}
	got := outcomes(t, conn, job, "Account")
	if len(got) != len(changes) {
		t.Errorf("%d results for %d changes", len(got), len(changes))
	}
	want := map[string]string{"long": "data value too large", "orphan": "not under this external id", "nameless": "Required fields are missing", "locked": "busy (UNABLE_TO_LOCK_ROW)"}
	byID := map[string]map[string]any{}
	for _, r := range org.Records("Account") {
		byID[r["Id"].(string)] = r
	}
	for _, c := range changes {
		ext := c.Record.ExternalID
		r := got[ext]
		if says, fails := want[ext]; fails {
			if r.Err == nil || !strings.Contains(r.Err.Error(), says) {
				t.Errorf("%s: %v, want %q", ext, r.Err, says)
			}
			continue
		}
		if r.Err != nil || byID[r.RemoteID]["Upkeep_Id__c"] != ext {
			t.Errorf("%s: %+v is %v", ext, r, byID[r.RemoteID]["Upkeep_Id__c"])
		}
	}
	show := func(ext, field string) any { return byID[got[ext].RemoteID][field] }
	if show("acme", "Site") != nil || show("acme", "Phone") != "1" || show("acme", "Name") != "Acme 2" || show("child", "ParentId") != got["acme"].RemoteID ||
		show("child", "Tags__c") != "a;b" || fmt.Sprint(show("plain", "Score__c")) != "12.5" || show("plain", "Active__c") != true ||
		show(`odd, "quoted"`, "Name") != "two\nlines, \"quoted\" and #N/A inside" {
		t.Errorf("%v\n%v\n%v", byID[got["acme"].RemoteID], byID[got["child"].RemoteID], byID[got["plain"].RemoteID])
	}
	// Told again, it is the same; told no more, it stops.
	if again := outcomes(t, conn, job, "Account"); len(again) != len(got) {
		t.Errorf("%d results", len(again))
	}
	enough := errors.New("enough")
	if err := conn.JobResults(t.Context(), job, "Account", func(connector.JobResult) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("%v", err)
	}
}

func TestBulkUpdatesAndDeletes(t *testing.T) {
	t.Parallel()
	org, conn := sandbox(t, salesforcetest.Config{}, same, itself)
	made := apply(t, conn, creates(4))
	if err := org.Remove(made[3].RemoteID); err != nil {
		t.Fatal(err)
	}
	changes := creates(4)
	for i := range changes {
		changes[i].Action, changes[i].RemoteID = connector.Update, made[i].RemoteID
		changes[i].Record.Fields = fields(fmt.Sprintf(`{"Site":"site %d"}`, i))
	}
	job, j := run(t, conn, "Account", connector.Update, changes)
	got := outcomes(t, conn, job, "Account")
	if j.State != connector.JobDone || len(got) != 4 || connector.KindOf(got[made[3].RemoteID].Err) != connector.NotFound || org.Count("Account", "Site", "site 2") != 1 {
		t.Errorf("%+v, %v", j, got)
	}
	for i := range changes {
		changes[i].Action, changes[i].Record.Fields = connector.Delete, nil
	}
	job, _ = run(t, conn, "Account", connector.Delete, changes)
	got = outcomes(t, conn, job, "Account")
	for i := range changes {
		if r, ok := got[made[i].RemoteID]; !ok || r.Err != nil {
			t.Errorf("delete %d: %+v", i, r)
		}
	}
	if n := len(org.Records("Account")); n != 0 {
		t.Errorf("%d left", n)
	}
}

// A job that ends before its time tells which rows it never came to.
func TestBulkJobThatFails(t *testing.T) {
	t.Parallel()
	org, conn := sandbox(t, salesforcetest.Config{}, same, itself)
	if err := org.Fail(salesforcetest.Fault{Kind: salesforcetest.FailJob, Skip: 2}); err != nil {
		t.Fatal(err)
	}
	changes := creates(5)
	job, j := run(t, conn, "Account", connector.Create, changes)
	if j.State != connector.JobEnded || j.Message == "" {
		t.Errorf("%+v", j)
	}
	applied := 0
	for _, r := range outcomes(t, conn, job, "Account") {
		if r.Err == nil {
			applied++
		} else if connector.KindOf(r.Err) != connector.Busy {
			t.Errorf("%v", r.Err)
		}
	}
	if applied != 2 || len(org.Records("Account")) != 2 {
		t.Errorf("%d applied, %d are there", applied, len(org.Records("Account")))
	}
	// A column that is none fails all of it, before anything is applied.
	org.Heal()
	job, j = run(t, conn, "Account", connector.Create, []connector.Change{change("a", `{"Name":"x","Nmae":"x"}`)})
	if j.State != connector.JobEnded || !strings.Contains(j.Message, "Nmae") {
		t.Errorf("%+v", j)
	}
	if err := conn.AbortJob(t.Context(), job); err != nil {
		t.Errorf("abort of what is over: %v", err)
	}
}

// What another process finds after a crash, at each place.
func TestBulkAfterACrash(t *testing.T) {
	t.Parallel()
	org, conn := sandbox(t, salesforcetest.Config{}, same, itself)
	start := func() string {
		t.Helper()
		job, err := conn.StartJob(t.Context(), "Account", connector.Create)
		if err != nil {
			t.Fatal(err)
		}
		return job
	}
	state := func(job string) connector.JobState {
		t.Helper()
		j, err := conn.PollJob(t.Context(), job)
		if err != nil {
			t.Fatal(err)
		}
		return j.State
	}
	// Before RunJob.
	job := start()
	if err := conn.AbortJob(t.Context(), job); err != nil || state(job) != connector.JobEnded {
		t.Errorf("abort of an open job: %v, %v", err, state(job))
	}
	// The upload broke, or a portal took it: it does not run.
	for _, kind := range []string{salesforcetest.Reset, salesforcetest.HTML} {
		job = start()
		if err := org.Fail(salesforcetest.Fault{Kind: kind, Method: "PUT", Op: "job", Applied: true, Count: 1}); err != nil {
			t.Fatal(err)
		}
		err := conn.RunJob(t.Context(), job, "Account", connector.Create, creates(3))
		if err == nil || connector.KindOf(err) != connector.Unavailable || state(job) != connector.JobOpen {
			t.Errorf("a broken upload: %v, %v", err, state(job))
		}
		if err := conn.AbortJob(t.Context(), job); err != nil || len(org.Records("Account")) != 0 {
			t.Errorf("%v", err)
		}
	}
	// The answer to the start got lost: it runs.
	job = start()
	org.HoldJobs(true)
	if err := org.Fail(salesforcetest.Fault{Kind: salesforcetest.Reset, Method: "PATCH", Op: "job", Applied: true, Count: 1}); err != nil {
		t.Fatal(err)
	}
	err := conn.RunJob(t.Context(), job, "Account", connector.Create, creates(3))
	if err == nil || connector.KindOf(err) != connector.Unknown || state(job) != connector.JobRunning {
		t.Errorf("a lost answer: %v, %v", err, state(job))
	}
	err = conn.JobResults(t.Context(), job, "Account", func(connector.JobResult) error { return nil })
	if err == nil || connector.KindOf(err) != connector.Busy {
		t.Errorf("results before the end: %v", err)
	}
	org.HoldJobs(false)
	if j := over(t, conn, job); j.State != connector.JobDone || len(outcomes(t, conn, job, "Account")) != 3 {
		t.Errorf("%+v", j)
	}
	// Aborted while it waited: nothing was applied, and all rows are told.
	job = start()
	org.HoldJobs(true)
	if err := conn.RunJob(t.Context(), job, "Account", connector.Create, creates(3)); err != nil {
		t.Fatal(err)
	}
	if err := conn.AbortJob(t.Context(), job); err != nil || state(job) != connector.JobEnded {
		t.Errorf("%v", err)
	}
	// The org forgot it.
	org.ForgetJobs()
	if _, err := conn.PollJob(t.Context(), job); err == nil || connector.KindOf(err) != connector.NotFound {
		t.Errorf("forgotten: %v", err)
	}
	if err := conn.AbortJob(t.Context(), job); err != nil {
		t.Errorf("abort of a forgotten job: %v", err)
	}
	if _, err := conn.StartJob(t.Context(), "Acount", connector.Create); err == nil || connector.KindOf(err) != connector.Rejected {
		t.Errorf("no such object: %v", err)
	}
}

// What CSV has no words for goes another way.
func TestCarries(t *testing.T) {
	t.Parallel()
	_, conn := sandbox(t, salesforcetest.Config{}, same, itself)
	for text, want := range map[string]bool{
		`{"Name":"x","Site":null,"Score__c":1.5,"Active__c":false,"Tags__c":["a"]}`: true,
		`{"Name":"#N/A"}`: false, `{"Name":"a #N/A"}`: true, `{"Name":""}`: true, `{"Name":"a\r\nb"}`: false, `{"Name":"a\nb"}`: true,
		`{"Description":"` + strings.Repeat("ü", 32_000) + `"}`: true, `{"Description":"` + strings.Repeat("ü", 32_001) + `"}`: false,
		`{"Parent":{"Upkeep_Id__c":"x"}}`: true, `{"Parent":{"Upkeep_Id__c":"#N/A"}}`: false, `{"Parent":{}}`: false,
		`{"What":{"attributes":{"type":"Account"},"Upkeep_Id__c":"x"}}`: false, `{"Site":[1]}`: false, `{"a b":1}`: false, `{"Id":"x"}`: false,
	} {
		if got := conn.Carries("Account", change("a", text)); got != want {
			t.Errorf("%.80s: %v", text, got)
		}
	}
	for ext, want := range map[string]bool{"a": true, "#N/A": false, " a": false, "a\r": false} {
		if got := conn.Carries("Account", change(ext, `{}`)); got != want {
			t.Errorf("external id %q: %v", ext, got)
		}
	}
	if conn.Carries("Account", connector.Change{Action: connector.Delete, RemoteID: "1"}) {
		t.Error("a delete of what is no id")
	}
	off, err := salesforce.Open(salesforce.Config{MyDomain: "acme", Auth: auths()["jwt"], BulkFrom: -1})
	if err != nil || off.Bulk("Account").Most != 0 || conn.Bulk("Account").Most == 0 {
		t.Errorf("%v, %+v", err, off.Bulk("Account"))
	}
}

// The data is made as it is sent: its length is known before, and it is not
// held as a whole.
func TestUploadStreams(t *testing.T) {
	t.Parallel()
	var uploaded atomic.Int64
	_, conn := sandbox(t, salesforcetest.Config{}, same, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut {
				n, err := io.Copy(io.Discard, r.Body)
				if err != nil || n != r.ContentLength {
					t.Errorf("%d bytes of %d: %v", n, r.ContentLength, err)
				}
				uploaded.Store(n)
				w.WriteHeader(http.StatusCreated)
				return
			}
			h.ServeHTTP(w, r)
		})
	})
	changes := make([]connector.Change, 200)
	value := `{"Name":"x","Description":"` + strings.Repeat("y", 10_000) + `"}`
	for i := range changes {
		changes[i] = change(fmt.Sprint("e", i), `{}`)
		changes[i].Record.Fields = fields(value)
	}
	job, err := conn.StartJob(t.Context(), "Account", connector.Create)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.RunJob(t.Context(), job, "Account", connector.Create, changes); err != nil {
		t.Fatal(err)
	}
	if n := uploaded.Load(); n < 2_000_000 {
		t.Errorf("%d bytes", n)
	}
	salesforce.LimitUpload(conn, uploaded.Load()-1)
	err = conn.RunJob(t.Context(), job, "Account", connector.Create, changes)
	if err == nil || connector.KindOf(err) != connector.Rejected || !strings.Contains(err.Error(), "fewer records") {
		t.Errorf("too much: %v", err)
	}
}

func TestResultsThatBreakOff(t *testing.T) {
	t.Parallel()
	read := func(list, body string) (n int, err error) {
		err = salesforce.ReadResults(list, connector.Create, strings.NewReader(body), func(connector.JobResult) error { n++; return nil })
		return n, err
	}
	const header = "sf__Id,sf__Created,Upkeep_Id__c\n"
	for _, c := range []struct {
		list, body string
		n          int
		good       bool
	}{
		{"successfulResults", header, 0, true},
		{"successfulResults", header + "001000000000001AAA,true,a\n", 1, true},
		{"successfulResults", "\ufeff" + header + "001000000000001AAA,true,a\n", 1, true},
		{"successfulResults", header + "001000000000001AAA,true,a\n001000000000002AAA,true,\"b", 1, false},
		{"successfulResults", header + "001000000000001AAA,true,a\n0010", 1, false},
		{"successfulResults", header + ",true,a\n001000000000001AAA,true,\n", 0, true}, // nobody's
		{"successfulResults", "", 0, false},
		{"successfulResults", "<html><body>Maintenance</body></html>", 0, false},
		{"failedResults", "sf__Id,sf__Error,Upkeep_Id__c\n,STRING_TOO_LONG:m:F --,a\n", 1, true},
		{"unprocessedrecords", "", 0, true},
		{"unprocessedrecords", "Upkeep_Id__c,Name\na,x\n", 1, true},
	} {
		if n, err := read(c.list, c.body); n != c.n || (err == nil) != c.good {
			t.Errorf("%s %q: %d, %v", c.list, c.body, n, err)
		}
	}
}

func FuzzResults(f *testing.F) {
	f.Add("sf__Id,sf__Created,Upkeep_Id__c,Name\n001000000000001AAA,true,a,\"x\ny\"\n")
	f.Add("sf__Id,sf__Error,Upkeep_Id__c\n,STRING_TOO_LONG:m:F --,a\n")
	f.Add("\"sf__Id\",\"sf__Error\",\"Id\"\n")
	f.Fuzz(func(t *testing.T, body string) {
		for _, list := range []string{"successfulResults", "failedResults", "unprocessedrecords"} {
			for _, action := range []connector.Action{connector.Create, connector.Update, connector.Delete} {
				_ = salesforce.ReadResults(list, action, strings.NewReader(body), func(r connector.JobResult) error {
					if r.ExternalID == "" && r.RemoteID == "" {
						t.Errorf("a result of nobody: %+v", r)
					}
					return nil
				})
			}
		}
	})
}

func FuzzErrorAnswer(f *testing.F) {
	f.Add(400, []byte(`[{"errorCode":"STRING_TOO_LONG","message":"m","fields":["A"]}]`))
	f.Add(300, []byte(`["/services/data/v68.0/sobjects/Account/001"]`))
	f.Add(503, []byte(`<html>`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		e := salesforce.Classify(status, body)
		if e.Message == "" || len(e.Error()) > 4096 {
			t.Errorf("%v", e)
		}
	})
}
