package upkeep_test

import (
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// What is paused is left alone by a running engine, other syncs are not, and
// nothing that changed meanwhile is lost.
func TestPausedSyncWaitsForResume(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		e := s.engine(customerSync(s.to), orderSync(s.to))
		s.run(e)
		s.quiet(e)
		s.remote.Forget()
		s.pause(e, upkeep.Pause{Sync: "customer", Reason: "month end"})
		s.exec(`update users set name = name || '!' where id = 1`)
		s.exec(`update orders set ref_no = ref_no || '!' where id = 10`)
		s.until("the other sync", func() bool { return s.remote.Calls(memory.Update) == 1 })
		s.quiet(e) // what is paused does not count
		x, err := e.Explain(s.ctx, "customer", "1")
		if err != nil {
			t.Fatal(err)
		}
		if x.Paused == nil || x.Paused.Reason != "month end" || x.Send != "update" || x.Group.State != upkeep.Dirty {
			t.Errorf("state %s, to be sent %s, paused %+v", x.Group.State, x.Send, x.Paused)
		}
		s.resume(e, upkeep.Pause{Sync: "customer"})
		s.quiet(e)
		s.inSync(e, "customer", "sales_order")
		if err := e.Pause(s.ctx, upkeep.Pause{Sync: "nothing"}); err == nil {
			t.Error("an unknown sync was paused")
		}
	})
}

func TestPausedRemoteGetsNoCall(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		e := s.engine(customerSync(s.to), orderSync(s.to))
		if err := e.Install(s.ctx); err != nil {
			t.Fatal(err)
		}
		s.pause(e, upkeep.Pause{Remote: s.to.Name})
		s.run(e)
		s.quiet(e)
		if n := s.remote.Calls(memory.Any); n != 0 {
			t.Errorf("%d calls to a paused remote", n)
		}
		s.resume(e, upkeep.Pause{Remote: s.to.Name})
		s.quiet(e)
		s.inSync(e, "customer", "sales_order")

		// A running engine sees it too, soon.
		s.pause(e, upkeep.Pause{Remote: s.to.Name})
		s.until("the pause to be seen", func() bool {
			before := s.remote.Calls(memory.Update)
			s.exec(`update users set name = name || '!' where id = 1`)
			s.quiet(e)
			x, err := e.Explain(s.ctx, "customer", "1")
			return err == nil && x.Send == "update" && s.remote.Calls(memory.Update) == before
		})
	})
}

func (s *shop) pause(e *upkeep.Engine, p upkeep.Pause) {
	s.t.Helper()
	if err := e.Pause(s.ctx, p); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) resume(e *upkeep.Engine, p upkeep.Pause) {
	s.t.Helper()
	if was, err := e.Resume(s.ctx, p); err != nil || !was {
		s.t.Fatal(was, err)
	}
}
