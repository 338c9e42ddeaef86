package upkeep_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/connector/salesforce"
	"github.com/upkeep-sync/upkeep/connector/salesforce/salesforcetest"
)

// soon looks at jobs more often than at a real org.
type soon struct{ *salesforce.Connection }

func (c soon) Bulk(recordType string) connector.Bulk {
	b := c.Connection.Bulk(recordType)
	b.Poll = 20 * time.Millisecond
	return b
}

// openOrg is an org over HTTP, with jobs from so many changes on.
func openOrg(t *testing.T, bulkFrom int) (*salesforcetest.Server, *salesforce.Connection) {
	t.Helper()
	org, err := salesforcetest.New(salesforcetest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(org.Close)
	server := httptest.NewServer(org)
	t.Cleanup(server.Close)
	conn, err := salesforce.Open(salesforce.Config{BaseURL: server.URL, BulkFrom: bulkFrom, Linger: -1, Auth: salesforce.Auth{
		ClientCredentials: &salesforce.ClientCredentials{ClientID: salesforcetest.ClientID, ClientSecret: salesforcetest.ClientSecret}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return org, conn
}

type contact struct {
	ID    int64   `db:"id,key"`
	Name  string  `db:"name"`
	Phone *string `db:"phone"`
}

// A backfill into a Salesforce org over HTTP: one job, in which some rows fail
// and are parked with Salesforce's words, while a live change goes beside it.
func TestSalesforceBackfill(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		org, conn := openOrg(t, 500)
		s := newShop(memory.Config{})
		s.users(1000)
		s.exec(`update users set phone = '%0300d' where id in (17, 60)`, 1) // longer than a site may be
		to := &upkeep.Remote{Name: "salesforce", Connection: soon{conn}}
		e := s.engine(upkeep.Sync[contact]{Name: "account", Table: "users", To: to, Record: "Account", Translate: func(u contact) (upkeep.Fields, error) {
			return upkeep.Fields{"Name": u.Name, "Site": u.Phone}, nil
		}})
		org.HoldJobs(true)
		s.run(e)
		s.until("the job", func() bool {
			st, err := e.Status(s.ctx)
			return err == nil && len(st.Jobs) == 1 && st.Jobs[0].State == "running" && st.Jobs[0].Rows == 1000
		})
		s.exec(`insert into users (id, name) values (2000, 'beside it')`)
		s.state(e, "account", "2000", upkeep.Clean)
		org.HoldJobs(false)
		s.quiet(e)
		there := map[any]int{}
		for _, r := range org.Records("Account") {
			there[r[salesforcetest.ExternalField]]++
		}
		for i := range 1000 {
			key, want := fmt.Sprint(i+1), 1
			if key == "17" || key == "60" {
				want = 0
				if x := s.state(e, "account", key, upkeep.Parked); x.Group.Reason == "" {
					t.Errorf("%s is parked without a reason", key)
				}
			}
			if n := there["account-"+key]; n != want {
				t.Errorf("%d accounts for user %s, want %d", n, key, want)
			}
		}
		st, err := e.Status(s.ctx)
		if err != nil || st.Syncs[0].Parked != 2 || st.Syncs[0].Clean != 999 {
			t.Fatalf("status: %+v, %v", st, err)
		}
		t.Logf("%d calls for 1001 records, of which the engine counts %d", org.Stats().Requests, st.Syncs[0].Calls)
	})
}

// An ending that sets fields, when the user may not see the object any more:
// Salesforce says "not found" of records that are there. They are not gone, and
// nothing may say so; with the right given back the ending takes place.
func TestSalesforceEndingUnseen(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.Config{})
	s.within(3 * time.Minute)
	org, conn := openOrg(t, -1)
	s.users(8)
	to := &upkeep.Remote{Name: "salesforce", Connection: conn}
	e := s.engine(upkeep.Sync[contact]{Name: "account", Table: "users", To: to, Record: "Account",
		OnDelete: upkeep.Ending{Action: upkeep.Set, Fields: upkeep.Fields{"Active__c": false}},
		Translate: func(u contact) (upkeep.Fields, error) {
			return upkeep.Fields{"Name": u.Name, "Active__c": true}, nil
		}})
	active := func() (n int) {
		for _, r := range org.Records("Account") {
			if r["Active__c"] == true {
				n++
			}
		}
		return n
	}
	stop := s.run(e)
	s.quiet(e)
	if n := active(); n != 8 {
		t.Fatalf("%d accounts are active", n)
	}
	stop()
	if err := org.Hide("Account", true); err != nil {
		t.Fatal(err)
	}
	s.exec(`delete from users where id <= 5`) // as a batch
	stop = s.run(e)
	s.quiet(e)
	s.exec(`delete from users where id = 6`) // by itself
	s.quiet(e)
	for key := 1; key <= 6; key++ {
		x := s.state(e, "account", fmt.Sprint(key), upkeep.Parked)
		if !strings.Contains(x.Group.Reason, "sObject type 'Account' is not supported") {
			t.Errorf("%d: %s", key, x.Group.Reason)
		}
	}
	if n := active(); n != 8 {
		t.Errorf("%d accounts are active", n)
	}
	if err := org.Hide("Account", false); err != nil {
		t.Fatal(err)
	}
	if n, err := e.Retry(s.ctx, "account", ""); err != nil || n != 6 {
		t.Errorf("%d go again, %v", n, err)
	}
	s.quiet(e)
	if n := active(); n != 2 {
		t.Errorf("%d accounts are active, want those of 2 users", n)
	}
	s.inSync(e, "account")
	stop()
}

// A trigger that gets through 20 records in one transaction, and fails all when
// there are more: what goes in batches of 200, or in a job, arrives in smaller
// ones, and none of it is parked.
func TestSalesforceGovernorLimit(t *testing.T) {
	t.Parallel()
	for way, bulkFrom := range map[string]int{"collections": -1, "a job": 100} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			s := newShop(t, memory.Config{})
			s.within(3 * time.Minute)
			org, conn := openOrg(t, bulkFrom)
			if err := org.Fail(salesforcetest.Fault{Kind: salesforcetest.Overload, Type: "Account", Skip: 20}); err != nil {
				t.Fatal(err)
			}
			s.users(300)
			to := &upkeep.Remote{Name: "salesforce", Connection: soon{conn}}
			e := s.engine(upkeep.Sync[contact]{Name: "account", Table: "users", To: to, Record: "Account", Translate: func(u contact) (upkeep.Fields, error) {
				return upkeep.Fields{"Name": u.Name}, nil
			}})
			stop := s.run(e)
			s.quiet(e)
			stop()
			st, err := e.Status(s.ctx)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(org.Records("Account")); n != 300 || st.Syncs[0].Parked != 0 {
				t.Errorf("%d accounts for 300 users, %d are parked", n, st.Syncs[0].Parked)
			}
		})
	}
}
