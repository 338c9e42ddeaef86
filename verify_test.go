package upkeep_test

import (
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// A record that somebody changed at the remote is found field by field, and
// sent again; while workers hold the slots, reads go on one at a time.
func TestVerifyFindsAndFixes(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		e := s.engine(customerSync(s.to))
		s.run(e)
		s.quiet(e)
		r, _ := s.remote.Record("customer", "customer-1")
		if err := s.to.Connection.Delete(s.ctx, "customer", r.ID); err != nil {
			t.Fatal(err)
		}
		v, err := e.Verify(s.ctx, "customer", nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(v.Differences) != 1 || v.Differences[0].Key != "1" || v.Differences[0].State != upkeep.Clean || v.More {
			t.Fatalf("found %+v", v)
		}
		if n, err := e.Fix(s.ctx, v.Differences); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		s.quiet(e)
		s.inSync(e, "customer")
		s.pause(e, upkeep.Pause{Remote: s.to.Name, Reason: "month end"})
		if _, err := e.Verify(s.ctx, "customer", nil); err == nil {
			t.Error("a paused remote was read")
		}
	})
}
