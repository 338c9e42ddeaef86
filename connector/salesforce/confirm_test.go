package salesforce_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/salesforce"
	"github.com/upkeep-sync/upkeep/connector/salesforce/salesforcetest"
)

// ways are how a change of an account reaches Salesforce, each with what became
// of it. unseen takes the user's permission to see accounts for the while.
func ways(t *testing.T, org *salesforcetest.Server, conn *salesforce.Connection) map[string]func(ch connector.Change, unseen bool) error {
	hide := func(hidden bool) {
		if err := org.Hide("Account", hidden); err != nil {
			t.Fatal(err)
		}
	}
	return map[string]func(ch connector.Change, unseen bool) error{
		"single": func(ch connector.Change, unseen bool) error {
			hide(unseen)
			defer hide(false)
			if ch.Action == connector.Delete {
				return conn.Delete(t.Context(), "Account", ch.RemoteID)
			}
			return conn.Update(t.Context(), ch.RemoteID, ch.Record)
		},
		"collection": func(ch connector.Change, unseen bool) error {
			hide(unseen)
			defer hide(false)
			return apply(t, conn, []connector.Change{ch})[0].Err
		},
		"job": func(ch connector.Change, unseen bool) error {
			org.HoldJobs(true)
			job, err := conn.StartJob(t.Context(), "Account", ch.Action)
			if err != nil {
				t.Fatal(err)
			}
			if err := conn.RunJob(t.Context(), job, "Account", ch.Action, []connector.Change{ch}); err != nil {
				t.Fatal(err)
			}
			hide(unseen)
			defer hide(false)
			org.HoldJobs(false)
			over(t, conn, job)
			result, told := outcomes(t, conn, job, "Account")[ch.RemoteID]
			if !told {
				t.Errorf("the job does not tell of %s", ch.RemoteID)
			}
			return result.Err
		},
	}
}

// Salesforce says the same of a record that is gone, of one whose object the user
// may not see, and of one that a field refers to. Only the first is gone.
func TestNotFoundIsConfirmed(t *testing.T) {
	t.Parallel()
	org, conn := sandbox(t, salesforcetest.Config{}, same, itself)
	made := apply(t, conn, creates(3))
	id, gone, never := made[0].RemoteID, made[1].RemoteID, "001000000000000AAA"
	if err := org.Remove(gone); err != nil {
		t.Fatal(err)
	}
	end := func(id, more string) connector.Change {
		return connector.Change{Action: connector.Update, RemoteID: id, Record: connector.Record{Type: "Account", ExternalID: "u", Fields: fields(`{"Site":"written"` + more + `}`)}}
	}
	remove := func(id string) connector.Change {
		return connector.Change{Action: connector.Delete, RemoteID: id, Record: connector.Record{Type: "Account", ExternalID: "u"}}
	}
	for way, send := range ways(t, org, conn) {
		for _, c := range []struct {
			what   string
			change connector.Change
			unseen bool
			want   string // its kind and words, "ok" for success
		}{
			{"an update of what was deleted", end(gone, ""), false, "not found"},
			{"an update of what never was", end(never, ""), false, "not found"},
			{"a reference to nobody", end(id, `,"OwnerId":"005000000000000AAA"`), false, "rejected: invalid cross reference id"},
			{"a reference to what was deleted", end(id, `,"ParentId":"`+gone+`"`), false, "rejected: entity is deleted"},
			{"an update of what may not be seen", end(id, ""), true, "rejected: sObject type 'Account' is not supported"},
			{"a delete of what was deleted", remove(gone), false, "ok"},
			{"a delete of what never was", remove(never), false, "ok"},
			{"a delete of what may not be seen", remove(id), true, "rejected: sObject type 'Account' is not supported"},
		} {
			err := send(c.change, c.unseen)
			got := "ok"
			if err != nil {
				got = connector.KindOf(err).String() + ": " + connector.AsError(err).Message
			}
			if !strings.HasPrefix(got, c.want) {
				t.Errorf("%s, %s: %s, want %s", way, c.what, got, c.want)
			}
		}
	}
	if n := org.Count("Account", "Site", "written"); n != 0 || len(org.Records("Account")) != 2 {
		t.Errorf("%d were written, and %d are left", n, len(org.Records("Account")))
	}
}

// A job's rows are looked for in as few queries as they fit in, and where a look-up
// fails nothing is said of them: they are asked about again.
func TestNotFoundRowsOfAJob(t *testing.T) {
	t.Parallel()
	org, conn := sandbox(t, salesforcetest.Config{}, same, itself)
	changes := make([]connector.Change, 450)
	for i := range changes {
		changes[i] = connector.Change{Action: connector.Update, RemoteID: fmt.Sprintf("001%012dAAA", i), Record: account("u", "x")}
	}
	job, _ := run(t, conn, "Account", connector.Update, changes)
	org.ResetStats()
	for id, r := range outcomes(t, conn, job, "Account") {
		if r.Err == nil || connector.KindOf(r.Err) != connector.NotFound {
			t.Errorf("%s: %v", id, r.Err)
		}
	}
	if n := org.Stats().Calls["query"]; n != 3 {
		t.Errorf("%d queries for 450 rows", n)
	}
	if err := org.Fail(salesforcetest.Fault{Kind: salesforcetest.Status, Status: 503, Op: "query", Count: 1}); err != nil {
		t.Fatal(err)
	}
	told := 0
	err := conn.JobResults(t.Context(), job, "Account", func(connector.JobResult) error { told++; return nil })
	if err == nil || connector.KindOf(err) != connector.Unavailable || told != 0 {
		t.Errorf("%v, and %d are told", err, told)
	}
	if n := len(outcomes(t, conn, job, "Account")); n != len(changes) {
		t.Errorf("%d are told afterwards", n)
	}
}
