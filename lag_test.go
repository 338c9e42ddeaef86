package upkeep_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// A remote's search finds a record a while after it was made. Whose creation is in
// doubt rests for longer than that, so that it is found, and not made twice.
func TestSearchThatComesLate(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		const lag = 20 * time.Minute
		var ahead atomic.Int64
		s := newShop(memory.Config{Class: connector.Lookup, Lag: lag, Quiet: lag + time.Minute,
			Clock: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
		s.within(3 * time.Minute)
		advance := s.advance
		s.advance = func(d time.Duration) { ahead.Add(int64(d)); advance(d) }
		const users = 10
		s.users(users)
		for i := range users {
			s.remote.Fail(memory.Fault{On: memory.Create, ExternalID: fmt.Sprintf("customer-%d", i+1), Applied: true, Err: memory.Err(connector.Unknown)})
		}
		e := s.engine(customerSync(s.to))
		s.run(e)
		doubts := func(want int64) func() bool {
			return func() bool { calm, n := s.calm(e); return calm && n == want }
		}
		s.until("all answers to be lost", doubts(users))
		s.advance(lag - time.Minute) // the search knows nothing of them yet
		s.exec(`update users set name = name || ' again'`)
		s.until("the changes to be folded", doubts(users))
		if n := s.remote.Calls(memory.Create); n != users {
			t.Errorf("%d creates while nobody can know", n)
		}
		s.settle(e)
		s.quiet(e)
		s.inSync(e, "customer")
		if n, made := s.remote.Calls(memory.Create), len(s.remote.Records("customer")); n != users || made != users {
			t.Errorf("%d creates and %d records of %d rows", n, made, users)
		}
	})
}
