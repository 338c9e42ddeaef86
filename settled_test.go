package upkeep_test

import (
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// What waits for a record that is not to be there, and what is parked, is sent
// by nobody: neither a forecast nor a verification takes it for work.
func TestWhatStaysIsNoWork(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		s.exec(`insert into users (id, name) values (3, 'refused')`)
		s.remote.Fail(memory.Fault{On: memory.Create, ExternalID: "customer-3", Times: -1, Err: memory.Err(connector.Rejected)})
		customer := customerSync(s.to)
		customer.When = func(u User) bool { return u.ID != 2 }
		e := s.engine(customer, orderSync(s.to), fulfillmentSync(s.to))
		s.run(e)
		s.quiet(e)
		s.exec(`update orders set state = 'sent' where user_id = 2`)
		s.quiet(e)
		s.state(e, "sales_order", "12", upkeep.Waiting)
		s.state(e, "customer", "3", upkeep.Parked)
		actions := map[string]string{}
		f, err := e.Forecast(s.ctx, upkeep.ForecastOptions{Each: func(c upkeep.RecordChange) error {
			actions[c.Sync+"/"+c.Key] = c.Action
			if c.Reason == "" {
				t.Errorf("%s of %s/%s without a reason", c.Action, c.Sync, c.Key)
			}
			return nil
		}})
		if err != nil || f.Calls() != 0 || actions["sales_order/12"] != "wait" || actions["fulfillment/12"] != "wait" || actions["customer/3"] != "refuse" {
			t.Errorf("%d calls, %v, %v", f.Calls(), actions, err)
		}
		v, err := e.Verify(s.ctx, "sales_order", nil)
		if err != nil || len(v.Differences) != 0 || len(v.Waiting) != 1 || v.Waiting[0].Key != "12" {
			t.Errorf("%+v, %v", v, err)
		}
		// With another declaration all of it is looked at again, and may go.
		customer.Version, customer.When = "2", nil
		f, err = s.engine(customer, orderSync(s.to)).Forecast(s.ctx, upkeep.ForecastOptions{})
		if err != nil || f.Syncs[0].Create != 2 || f.Syncs[1].Create != 1 {
			t.Errorf("%+v, %v", f, err)
		}
	})
}
