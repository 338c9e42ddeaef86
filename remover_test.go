package upkeep_test

import (
	"context"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// remover wants to know which record a delete is of.
type remover struct {
	connector.Connection
	removed chan connector.Record
}

func (r *remover) Remove(ctx context.Context, remoteID string, rec connector.Record) error {
	r.removed <- rec
	return r.Connection.Delete(ctx, rec.Type, remoteID)
}

func TestADeleteTellsItsRecord(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		r := &remover{s.to.Connection, make(chan connector.Record, 9)}
		s.to.Connection = r
		e := s.engine(customerSync(s.to))
		s.run(e)
		s.quiet(e)
		s.exec(`delete from line_items where order_id = 12; delete from orders where user_id = 2; delete from users where id = 2`)
		s.quiet(e)
		if _, there := s.remote.Record("customer", "customer-2"); there {
			t.Error("the record is still there")
		}
		if rec := <-r.removed; rec.Type != "customer" || rec.ExternalID != "customer-2" || rec.Fields != nil {
			t.Errorf("removed %+v", rec)
		}
	})
}
