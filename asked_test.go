package upkeep_test

import (
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// A remote that asks for years, by a slip of its own or of its connector, is tried
// again after an hour, and a person is told what it asked for.
func TestRemoteThatAsksForYears(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		for _, kind := range []connector.Kind{connector.RateLimited, connector.Busy} {
			s := newShop(memory.Config{})
			s.within(3 * time.Minute)
			s.exec(`insert into users(id, name) values (1, 'u')`)
			s.remote.Fail(memory.Fault{On: memory.Create, Times: 1, Err: &connector.Error{Kind: kind, Status: 429, RetryAfter: 3 * 365 * 24 * time.Hour}})
			e := s.engine(customerSync(s.to))
			s.run(e)
			var reason string
			var wait time.Duration
			s.until("the pause", func() bool {
				st, err := e.Status(s.ctx)
				if err != nil {
					t.Fatal(err)
				}
				reason, wait = st.Remotes[0].Reason, st.Remotes[0].PausedFor
				if x, err := e.Explain(s.ctx, "customer", "1"); err == nil && kind == connector.Busy && x.Group != nil && x.Group.Reason != "" {
					reason, wait = x.Group.Reason, time.Until(x.Group.DueAt)
				}
				return wait > 0
			})
			if wait > time.Hour || !strings.Contains(reason, "asked to be left alone for 26280h; it is tried again after 1h") {
				t.Errorf("%v: it waits for %v, and says %q", kind, wait, reason)
			}
		}
	})
}
