package upkeep_test

import (
	"fmt"
	"net/http/httptest"
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

type contact struct {
	ID    int64   `db:"id,key"`
	Name  string  `db:"name"`
	Phone *string `db:"phone"`
}

// A backfill into a Salesforce org over HTTP: one job, in which some rows fail
// and are parked with Salesforce's words, while a live change goes beside it.
func TestSalesforceBackfill(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		org, err := salesforcetest.New(salesforcetest.Config{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(org.Close)
		server := httptest.NewServer(org)
		t.Cleanup(server.Close)
		conn, err := salesforce.Open(salesforce.Config{BaseURL: server.URL, BulkFrom: 500, Auth: salesforce.Auth{
			ClientCredentials: &salesforce.ClientCredentials{ClientID: salesforcetest.ClientID, ClientSecret: salesforcetest.ClientSecret}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
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
