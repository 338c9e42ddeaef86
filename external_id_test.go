package upkeep_test

import (
	"fmt"
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// When a row is gone, its external id is made from its key alone.
func TestExternalIDOfARowThatIsGone(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		customer := customerSync(s.to)
		customer.ExternalID = func(u User) string { return fmt.Sprintf("user:%d", u.ID) }
		e := s.engine(customer)
		s.run(e)
		s.exec(`begin; insert into users(id, name) values (1, 'Ada'), (2, 'Bob'); delete from users where id = 1; commit`)
		s.quiet(e)
		if x, err := e.Explain(s.ctx, "customer", "1"); err != nil || x.Group != nil && x.Group.State != upkeep.Gone {
			t.Errorf("the row came and went: %+v, %v", x, err)
		}
		s.field("customer", "user:2", "entityId", `"Bob"`)
		s.exec(`delete from users`)
		s.quiet(e)
		if _, there := s.remote.Record("customer", "user:2"); there {
			t.Error("the record is still there")
		}
	})
}
