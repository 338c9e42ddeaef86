package upkeep_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/connector/salesforce"
	"github.com/upkeep-sync/upkeep/connector/salesforce/salesforcetest"
)

// Sessions that end under many calls at once are replaced, once each:
// nothing is parked, and the remote does not count as one that fails.
func TestSessionsEndUnderManyLanes(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		const users, every = 200, 20
		org, err := salesforcetest.New(salesforcetest.Config{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(org.Close)
		var changes, ended atomic.Int64
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/sobjects/Account/") && changes.Add(1)%every == 0 {
				ended.Add(1)
				org.ExpireSessions()
			}
			org.ServeHTTP(w, r)
		}))
		t.Cleanup(server.Close)
		conn, err := salesforce.Open(salesforce.Config{BaseURL: server.URL, Batch: 1, BulkFrom: -1, Linger: -1, Auth: salesforce.Auth{
			ClientCredentials: &salesforce.ClientCredentials{ClientID: salesforcetest.ClientID, ClientSecret: salesforcetest.ClientSecret}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		s := newShop(memory.Config{})
		s.users(users)
		e := s.engine(upkeep.Sync[contact]{Name: "account", Table: "users", To: &upkeep.Remote{Name: "salesforce", Connection: conn}, Record: "Account", Translate: func(u contact) (upkeep.Fields, error) {
			return upkeep.Fields{"Name": u.Name}, nil
		}})
		s.run(e)
		s.quiet(e)
		if _, logins := org.LoginHistory(); ended.Load() < users/every || logins > 1+int(ended.Load()) {
			t.Errorf("%d sessions ended, and there were %d logins", ended.Load(), logins)
		}
		st, err := e.Status(s.ctx)
		if err != nil || st.Syncs[0].Clean != users || st.Remotes[0].Broken {
			t.Errorf("%+v, %v", st, err)
		}
	})
}
