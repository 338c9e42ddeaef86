package upkeep_test

import (
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// Processes whose clocks are an hour off either way work as any other: leases and
// pauses go by the database's clock, and doctor tells of the difference.
func TestClocksOfProcessesDiffer(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{Class: connector.Lookup})
		s.users(30)
		s.remote.Fail(memory.Fault{On: memory.Create, Times: 5, Err: &connector.Error{Kind: connector.RateLimited, Status: 429, RetryAfter: 20 * time.Millisecond}})
		var both []*upkeep.Engine
		for name, by := range map[string]time.Duration{"ahead": time.Hour, "behind": -time.Hour} {
			clock := new(jumping)
			clock.by.Store(int64(by))
			e, err := upkeep.New(upkeep.Config{Name: name, Database: s.open(), Clock: clock, Syncs: []upkeep.AnySync{customerSync(s.to)}})
			if err != nil {
				t.Fatal(err)
			}
			stop := s.run(e)
			s.exec(`update users set name = name || ' %s'`, name)
			s.quiet(e)
			s.inSync(e, "customer")
			found, err := e.Doctor(s.ctx)
			if err != nil {
				t.Fatal(err)
			}
			told := false
			for _, f := range found {
				told = told || f.Subject == "clock" && f.Severity == upkeep.Problem && strings.Contains(f.Message, "the database's clock is") && strings.Contains(f.Fix, "NTP")
			}
			if !told {
				t.Errorf("doctor of the one %s: %+v", name, found)
			}
			stop()
			both = append(both, e)
		}
		for _, e := range both {
			s.run(e)
		}
		for range 5 {
			s.exec(`update users set name = name || '!'`)
		}
		s.quiet(both[0])
		s.inSync(both[0], "customer")
		if _, one := s.remote.MaxInFlight(); one != 1 {
			t.Errorf("%d calls at once for one record", one)
		}
	})
}

// The database's clock is set back by an hour while calls are under way: what they
// bring is recorded, later changes go out at once and under the remote's rate, and
// what waited for its time is sent when the clock has come to it, once.
func TestRegistrysClockIsSetBack(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{Class: connector.Lookup})
		s.to.Rate, s.to.Burst = 20, 2
		s.users(10)
		e := s.engine(customerSync(s.to))
		s.run(e)
		s.quiet(e)
		s.remote.Fail(memory.Fault{On: memory.Update, ExternalID: "customer-10", Applied: true, Err: memory.Err(connector.Unknown)})
		s.exec(`update users set name = 'in doubt' where id = 10`)
		s.state(e, "customer", "10", upkeep.State("in doubt"))
		release := s.held()
		s.exec(`update users set name = 'one ' || id where id < 10`)
		s.until("calls under way", func() bool { return s.remote.InFlight() > 0 })
		s.advance(-time.Hour)
		release()
		settled := func(name string) {
			t.Helper()
			s.until("the records to be "+name, func() bool {
				return s.remote.Text("customer", "customer-1", "entityId") == `"`+name+` 1"` && s.remote.Text("customer", "customer-2", "entityId") == `"`+name+` 2"`
			})
		}
		for _, name := range []string{"two", "three", "four", "five"} {
			s.exec(`update users set name = '%s ' || id where id in (1, 2)`, name)
			settled(name)
		}
		s.state(e, "customer", "10", upkeep.State("in doubt")) // too long, and not too short
		s.advance(time.Hour)
		s.settle(e)
		s.quiet(e)
		s.inSync(e, "customer")
		if _, one := s.remote.MaxInFlight(); one != 1 {
			t.Errorf("%d calls at once for one record", one)
		}
	})
}
