package upkeep_test

import (
	"slices"
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// What a plan and a forecast say before anything is there is what an engine
// then does; afterwards there is nothing left to do.
func TestPlanAndForecastSayWhatHappens(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		syncs := []upkeep.AnySync{customerSync(s.to), orderSync(s.to), fulfillmentSync(s.to)}
		e := s.engine(syncs...)
		p := s.plan(e)
		if !p.Create || !p.Pending() || p.Syncs[0].Change != "new" || len(p.Tables) != 5 || len(p.Tables[0].Triggers) == 0 {
			t.Errorf("before: %+v", p)
		}
		at := slices.IndexFunc(p.Tables, func(t upkeep.PlannedTable) bool { return t.Table == "public.users" || t.Table == "main.users" })
		if at < 0 || !slices.ContainsFunc(p.Tables[at].Columns, func(c upkeep.PlannedColumn) bool {
			return c.Column == "customer_id" && slices.Contains(c.Why, "customer.Customer: belongs_to")
		}) {
			t.Errorf("why users.customer_id is watched is not said: %+v", p.Tables)
		}
		var changes []upkeep.RecordChange
		f, err := e.Forecast(s.ctx, upkeep.ForecastOptions{Each: func(c upkeep.RecordChange) error {
			changes = append(changes, c)
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		if f.Calls() != 5 || len(changes) != 5 || len(f.Remotes) != 1 || f.Remotes[0].Calls != 5 || f.Remotes[0].Takes <= 0 {
			t.Errorf("forecast %+v of %+v", f, changes)
		}
		if n := s.remote.Calls(memory.Any); n != 0 {
			t.Errorf("a forecast made %d calls", n)
		}
		s.run(e)
		s.quiet(e)
		if n := s.remote.Calls(memory.Any); int64(n) != f.Calls() {
			t.Errorf("%d calls, the forecast was %d", n, f.Calls())
		}
		if p := s.plan(e); p.Pending() {
			t.Errorf("after: %+v", p)
		}
		if f, err := e.Forecast(s.ctx, upkeep.ForecastOptions{}); err != nil || f.Calls() != 0 || !f.Remotes[0].Observed {
			t.Errorf("after: %+v, %v", f, err)
		}
		changed := s.engine(customerSync(s.to))
		if p := s.plan(changed); !p.Pending() || len(p.Syncs) != 3 || p.Syncs[1].Change != "removed" || len(p.Drop) == 0 {
			t.Errorf("without two syncs: %+v", p)
		}
	})
}

func (s *shop) plan(e *upkeep.Engine) *upkeep.Plan {
	s.t.Helper()
	p, err := e.Plan(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}
