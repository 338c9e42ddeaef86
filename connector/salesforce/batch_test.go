package salesforce_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/salesforce"
	"github.com/upkeep-sync/upkeep/connector/salesforce/salesforcetest"
)

func creates(n int) []connector.Change {
	changes := make([]connector.Change, n)
	for i := range changes {
		changes[i] = connector.Change{Action: connector.Create, Record: account(fmt.Sprintf("b/%d", i), fmt.Sprint("Name ", i))}
	}
	return changes
}

func apply(t *testing.T, conn *salesforce.Connection, changes []connector.Change) []connector.Result {
	t.Helper()
	results, err := conn.Apply(t.Context(), "Account", changes)
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != len(changes) {
		t.Fatalf("%d results for %d changes", len(results), len(changes))
	}
	return results
}

// kinds lists what became of changes; "ok" for success.
func kinds(results []connector.Result) string {
	var out []string
	for _, r := range results {
		if r.Err == nil {
			out = append(out, "ok")
		} else {
			out = append(out, connector.KindOf(r.Err).String())
		}
	}
	return strings.Join(out, ", ")
}

// Two hundred records are one request, whatever is done to them.
func TestCallsOfABatch(t *testing.T) {
	t.Parallel()
	org, conn := sandbox(t, salesforcetest.Config{}, same, itself)
	limit := conn.Batch("Account")
	if limit.Most != 200 || limit.Mixed {
		t.Fatalf("%+v", limit)
	}
	changes := creates(1000)
	for range 2 {
		org.ResetStats()
		for i := 0; i < len(changes); i += limit.Most {
			for n, r := range apply(t, conn, changes[i:i+limit.Most]) {
				if r.Err != nil {
					t.Fatal(r.Err)
				}
				changes[i+n].RemoteID = r.RemoteID
			}
		}
		if n := org.Stats().Requests; n != 5 {
			t.Errorf("%d requests for 1000 changes", n)
		}
		for i := range changes {
			changes[i].Action = connector.Update
		}
	}
	for i := range changes {
		changes[i].Action = connector.Delete
	}
	org.ResetStats()
	for i := 0; i < len(changes); i += limit.Most {
		apply(t, conn, changes[i:i+limit.Most])
	}
	if n := org.Stats().Requests; n != 5 || len(org.Records("Account")) != 0 {
		t.Errorf("%d requests for 1000 deletes, %d records left", n, len(org.Records("Account")))
	}
}

// What fails lands on exactly the records that failed.
func TestPartialFailure(t *testing.T) {
	t.Parallel()
	org, conn := sandbox(t, salesforcetest.Config{}, same, itself)
	changes := creates(7)
	changes[1].Record.Fields = fields(`{"Name":"x","Nmae":"x"}`)
	changes[2].Record.Fields = fields(`{"Name":"x","Site":[1]}`) // not even sent
	changes[4].Record.Fields = fields(`{}`)
	if err := org.Fail(salesforcetest.Fault{Kind: salesforcetest.Row, Code: "UNABLE_TO_LOCK_ROW", ExternalID: "b/5"}); err != nil {
		t.Fatal(err)
	}
	results := apply(t, conn, changes)
	if got := kinds(results); got != "ok, rejected, rejected, ok, rejected, busy, ok" {
		t.Errorf("%s", got)
	}
	for i, r := range results {
		if n := org.Count("Account", salesforcetest.ExternalField, fmt.Sprintf("b/%d", i)); n == 1 != (r.Err == nil) {
			t.Errorf("change %d: %d records, %v", i, n, r.Err)
		}
	}
	// Updates: one is gone, one never was, one is no id.
	org.Heal()
	if err := org.Remove(results[3].RemoteID); err != nil {
		t.Fatal(err)
	}
	update := func(id string) connector.Change {
		return connector.Change{Action: connector.Update, RemoteID: id, Record: account("u", "New")}
	}
	if got := kinds(apply(t, conn, []connector.Change{update(results[3].RemoteID), update(results[0].RemoteID[:15]), update("001000000000000AAA"), update("99"), update(results[6].RemoteID)})); got != "not found, ok, not found, not found, ok" {
		t.Errorf("updates: %s", got)
	}
	// Deletes: what is gone already is success.
	remove := func(id string) connector.Change {
		return connector.Change{Action: connector.Delete, RemoteID: id, Record: connector.Record{Type: "Account", ExternalID: "u"}}
	}
	if got := kinds(apply(t, conn, []connector.Change{remove(results[3].RemoteID), remove(results[0].RemoteID), remove("001000000000000AAA"), remove("001000000000009AAA"), remove("99")})); got != "ok, ok, ok, ok, ok" {
		t.Errorf("deletes: %s", got)
	}
	if got := kinds(apply(t, conn, []connector.Change{{Action: connector.Create, Record: account(" x", "x")}})); got != "rejected" {
		t.Errorf("nothing to send: %s", got)
	}
}

// A reply that is lost leaves all in doubt; sent again, nothing is made twice.
func TestLostReplyOfABatch(t *testing.T) {
	t.Parallel()
	org, conn := sandbox(t, salesforcetest.Config{}, same, itself)
	if err := org.Fail(salesforcetest.Fault{Kind: salesforcetest.Reset, Op: "collection", Applied: true, Count: 1}); err != nil {
		t.Fatal(err)
	}
	changes := creates(5)
	if _, err := conn.Apply(t.Context(), "Account", changes); err == nil || connector.KindOf(err) != connector.Unknown {
		t.Errorf("%v", err)
	}
	if got := kinds(apply(t, conn, changes)); got != "ok, ok, ok, ok, ok" || len(org.Records("Account")) != 5 {
		t.Errorf("%s, %d records", got, len(org.Records("Account")))
	}
}

// The request as a whole is refused: nothing was applied.
func TestRefusedBatch(t *testing.T) {
	t.Parallel()
	org, conn := sandbox(t, salesforcetest.Config{}, func(c *salesforce.Config) {
		c.ExternalID = map[string]string{"Contact": "Nonesuch__c", "Account": "Legacy_Id__c"}
	}, itself)
	for recordType, changes := range map[string][]connector.Change{
		"Contact": {{Record: connector.Record{Type: "Contact", ExternalID: "a", Fields: fields(`{"LastName":"x"}`)}}},
		"Acount":  creates(2),
		"Account": {{Record: account("a", "x")}, {Record: account("A", "x")}}, // one for a field that is blind to case
	} {
		if _, err := conn.Apply(t.Context(), recordType, changes); err == nil || connector.KindOf(err) != connector.Rejected {
			t.Errorf("%s: %v", recordType, err)
		}
	}
	mixed := append(creates(1), connector.Change{Action: connector.Delete, RemoteID: "001000000000000AAA"})
	if _, err := conn.Apply(t.Context(), "Account", mixed); err == nil || connector.KindOf(err) != connector.Rejected {
		t.Errorf("mixed: %v", err)
	}
	if n := len(org.Stats().Written); n != 0 {
		t.Errorf("%v", org.Stats().Written)
	}
}

// An answer that is not as long as the request, or about other records, says
// nothing of those that it does not name.
func TestAnswersThatMakeNoSense(t *testing.T) {
	t.Parallel()
	const a, b, c = "001000000000001AAA", "001000000000002AAA", "001000000000003AAA"
	ok := func(id string) string { return `{"id":"` + id + `","success":true,"errors":[]}` }
	const bad = `{"success":false,"errors":[{"statusCode":"STRING_TOO_LONG","message":"m","fields":[]}]}`
	list := func(rows ...string) string { return "[" + strings.Join(rows, ",") + "]" }
	for _, x := range []struct {
		action connector.Action
		answer string
		want   string
	}{
		{connector.Create, list(ok(a), bad, ok(c)), "ok, rejected, ok"},
		{connector.Create, list(ok(a), ok(b)), "outcome unknown, outcome unknown, outcome unknown"}, // of which two?
		{connector.Create, list(ok(a), ok(b), ok(c), ok(c)), "outcome unknown, outcome unknown, outcome unknown"},
		{connector.Create, list(ok(a), ok(b), ok(b)), "ok, outcome unknown, outcome unknown"}, // one record can't be two
		{connector.Create, list(ok(a), ok("1"), `{"success":true}`), "ok, outcome unknown, outcome unknown"},
		{connector.Create, list(ok(a), `{"success":false,"errors":[]}`, `{}`), "ok, outcome unknown, outcome unknown"},
		{connector.Create, `{"id":1}`, "outcome unknown, outcome unknown, outcome unknown"},
		{connector.Create, `[null,null,null]`, "outcome unknown, outcome unknown, outcome unknown"},
		{connector.Create, `[`, "outcome unknown, outcome unknown, outcome unknown"},
		{connector.Update, list(ok(a), bad, ok(c)), "ok, rejected, ok"},
		{connector.Update, list(ok(c), ok(b), ok(a)), "ok, ok, ok"},
		{connector.Update, list(ok(a), ok(c)), "ok, outcome unknown, ok"},
		{connector.Update, list(ok(a), bad), "ok, outcome unknown, outcome unknown"}, // whose?
		{connector.Update, list(ok("001000000000009AAA"), ok(b), ok(c)), "outcome unknown, ok, ok"},
		{connector.Delete, list(ok(a), ok(b), `{"id":"`+c+`","success":false,"errors":[{"statusCode":"ENTITY_IS_DELETED","message":"m"}]}`), "ok, ok, ok"},
	} {
		_, conn := sandbox(t, salesforcetest.Config{}, same, func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !strings.Contains(r.URL.Path, "/composite/") {
					h.ServeHTTP(w, r)
					return
				}
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprint(w, x.answer)
			})
		})
		changes := creates(3)
		for i, id := range []string{a, b, c} {
			changes[i].Action = x.action
			if x.action != connector.Create {
				changes[i].RemoteID = id
			}
		}
		if got := kinds(apply(t, conn, changes)); got != x.want {
			t.Errorf("%s, %s: %s, want %s", x.action, x.answer, got, x.want)
		}
	}
}

// The org's own short answer.
func TestShortAnswer(t *testing.T) {
	t.Parallel()
	org, conn := sandbox(t, salesforcetest.Config{}, same, itself)
	made := apply(t, conn, creates(3))
	if err := org.Fail(salesforcetest.Fault{Kind: salesforcetest.Short, Op: "collection"}); err != nil {
		t.Fatal(err)
	}
	changes := creates(3)
	for i := range changes {
		changes[i].Action, changes[i].RemoteID = connector.Update, made[i].RemoteID
	}
	if got := kinds(apply(t, conn, changes)); got != "ok, ok, outcome unknown" {
		t.Errorf("%s", got)
	}
}

func FuzzBatchAnswer(f *testing.F) {
	f.Add([]byte(`[{"id":"001000000000001AAA","success":true,"errors":[]},{"success":false,"errors":[{"statusCode":"STRING_TOO_LONG","message":"m"}]}]`))
	f.Add([]byte(`[{}]`))
	f.Add([]byte(`{"errorCode":"X"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, action := range []connector.Action{connector.Create, connector.Update, connector.Delete} {
			results := salesforce.Take(action, []string{"001000000000001AAA", "001000000000002AAA"}, body)
			for _, r := range results {
				if r.Err == nil && action == connector.Create && len(r.RemoteID) < 15 {
					t.Errorf("a create without an id: %q", r.RemoteID)
				}
				if r.Err != nil && !json.Valid(fmt.Appendf(nil, "%q", connector.AsError(r.Err).Code)) {
					t.Errorf("%v", r.Err)
				}
			}
		}
	})
}
