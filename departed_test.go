package upkeep_test

import (
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// Who refers to a record that has gone stays as it was sent until it is looked
// at, and then waits for it: as docs/operations.md says.
func TestRecordThatOthersReferToGoes(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.Config{})
	s.fill()
	customer := customerSync(s.to)
	customer.When = func(u User) bool { return u.Name != "gone" }
	customer.WhenFalse = upkeep.Ending{Action: upkeep.Delete}
	e := s.engine(customer, orderSync(s.to))
	s.run(e)
	s.quiet(e)
	s.exec(`update users set name = 'gone' where id = 1`)
	s.quiet(e)
	s.state(e, "customer", "1", upkeep.Gone)
	if x := s.state(e, "sales_order", "10", upkeep.Clean); !strings.Contains(x.Why, "the record that it refers to has gone since: customer/1; it waits for that once") {
		t.Error(x.Why)
	}
	if err := e.Resync(s.ctx, upkeep.Resync{Sync: "sales_order", Key: "10"}); err != nil {
		t.Fatal(err)
	}
	s.state(e, "sales_order", "10", upkeep.Waiting)
}
