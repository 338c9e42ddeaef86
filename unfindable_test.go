package upkeep_test

import (
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// unfindable keeps keys unique and looks nothing up.
type unfindable struct{ connector.Connection }

func (unfindable) Finds(string) bool { return false }

// What is gone stays gone when all is sent again, though the remote can't be
// asked for it: the registry knows that nothing is there.
func TestForcedAndGoneAtARemoteWithoutALookUp(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		s.to.Connection = unfindable{s.to.Connection}
		e := s.engine(customerSync(s.to))
		s.run(e)
		s.quiet(e)
		s.exec(`delete from line_items where order_id = 12; delete from orders where user_id = 2; delete from users where id = 2`)
		s.quiet(e)
		for _, r := range []upkeep.Resync{{Sync: "customer", Key: "2", Force: true}, {Sync: "customer", Force: true}} {
			updates := s.remote.Calls(memory.Update)
			if err := e.Resync(s.ctx, r); err != nil {
				t.Fatal(err)
			}
			if r.Key == "" {
				s.until("all to be sent again", func() bool { return s.remote.Calls(memory.Update) > updates })
			}
			s.quiet(e)
			s.state(e, "customer", "2", upkeep.Gone)
		}
		if n := s.remote.Calls(memory.Find); n > 0 {
			t.Errorf("%d look-ups at a remote that has none", n)
		}
	})
}

// A delete whose answer was lost: an older create may land after it, so a
// person is asked, and says what is there.
func TestDoubtfulAndGoneAtARemoteWithoutALookUp(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.users(2)
		s.to.Connection = unfindable{s.to.Connection}
		e := s.engine(customerSync(s.to))
		s.run(e)
		s.quiet(e)
		s.remote.Fail(memory.Fault{On: memory.Delete, Applied: true, Err: memory.Err(connector.Unknown)})
		s.exec(`delete from users where id = 2`)
		x := s.state(e, "customer", "2", upkeep.Parked)
		if !strings.Contains(x.Group.Reason, "an older request may have made") || !strings.Contains(x.Group.Reason, "--not-there") {
			t.Errorf("parked: %s", x.Group.Reason)
		}
		s.settle(e)
		s.quiet(e)
		s.until("it to be said", func() bool { return e.NotThere(s.ctx, "customer", "2") == nil })
		s.state(e, "customer", "2", upkeep.Gone)
		if n := s.remote.Calls(memory.Find); n > 0 {
			t.Errorf("%d look-ups at a remote that has none", n)
		}
	})
}
