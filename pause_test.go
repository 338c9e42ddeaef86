package upkeep_test

import (
	"testing"
	"time"

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
		if err := e.Pause(s.ctx, upkeep.Pause{Remote: "erb"}); err == nil || err.Error() != `there is no remote "erb" (did you mean erp?); there are: erp` {
			t.Errorf("an unknown remote: %v", err)
		}
		if was, err := e.Resume(s.ctx, upkeep.Pause{Remote: "erb"}); was || err != nil {
			t.Errorf("Resume of a remote that is not declared: %v, %v", was, err)
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

// stopped is a clock that stands still, so that what was looked up once never
// counts as old.
type stopped struct{ upkeep.Clock }

func (stopped) Now() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

// The engine that is told of a pause does not look it up to know of it: not one
// call begins when Pause has returned, and the next change goes out after Resume.
func TestPauseHoldsWhenItReturns(t *testing.T) {
	for kind, p := range map[string]upkeep.Pause{"remote": {Remote: "erp"}, "sync": {Sync: "customer"}} {
		t.Run(kind, func(t *testing.T) {
			onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
				s := newShop(memory.Config{})
				s.within(time.Minute)
				s.fill()
				other := memory.New(memory.Config{})
				beside := customerSync(&upkeep.Remote{Name: "beside", Connection: other.Connect()})
				beside.Name = "beside"
				e, err := upkeep.New(upkeep.Config{Database: s.open(), Clock: stopped{new(restless)}, Syncs: []upkeep.AnySync{customerSync(s.to), beside}})
				if err != nil {
					t.Fatal(err)
				}
				s.run(e)
				s.quiet(e)
				for range 4 {
					s.pause(e, p)
					before := s.remote.Calls(memory.Any)
					for range 3 { // by the time these have come to the other remote, they would have come to this one
						sent := other.Calls(memory.Update)
						s.exec(`update users set name = name || '!' where id = 1`)
						s.until("the other remote's call", func() bool { return other.Calls(memory.Update) > sent })
					}
					if n := s.remote.Calls(memory.Any) - before; n != 0 {
						t.Errorf("%d calls after the pause", n)
					}
					s.resume(e, p)
					s.until("the call after the pause", func() bool { return s.remote.Calls(memory.Any) > before })
					s.quiet(e)
				}
				if got, want := s.remote.Text("customer", "customer-1", "entityId"), other.Text("customer", "beside-1", "entityId"); got != want {
					t.Errorf("it has %s, and the one beside it %s", got, want)
				}
			})
		})
	}
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
