package upkeep_test

import (
	"context"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// withoutNets is a clock on which no pause of seconds ever ends: what waits so
// long has to be woken.
type withoutNets struct{}

func (withoutNets) Now() time.Time { return time.Now() }

func (withoutNets) Sleep(ctx context.Context, d time.Duration) error {
	if d >= 5*time.Second {
		<-ctx.Done()
		return ctx.Err()
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// An idle process asks one thing, and learns from it of what becomes due by
// itself and of what others began.
func TestIdleIsWoken(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		e, err := upkeep.New(upkeep.Config{Database: s.open(), Syncs: []upkeep.AnySync{customerSync(s.to), orderSync(s.to)}, Clock: withoutNets{}})
		if err != nil {
			t.Fatal(err)
		}
		s.run(e)
		s.quiet(e)
		s.remote.Fail(memory.Fault{Err: memory.Err(connector.Busy)})
		s.exec(`update users set name = 'tried again' where id = 1`)
		s.quiet(e)
		s.inSync(e, "customer", "sales_order")
		s.remote.Forget()
		other := s.engine(customerSync(s.to), orderSync(s.to))
		if err := other.Resync(s.ctx, upkeep.Resync{Sync: "customer", Force: true}); err != nil {
			t.Fatal(err)
		}
		s.until("the records to be sent again", func() bool { return s.remote.Calls(memory.Any) == 2 })
	})
}

// The same for the lane that goes in jobs.
func TestIdleBulkIsWoken(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(inJobs(1000))
		e, err := upkeep.New(upkeep.Config{Database: s.open(), Syncs: []upkeep.AnySync{customerSync(s.to)}, Clock: withoutNets{}})
		if err != nil {
			t.Fatal(err)
		}
		s.run(e)
		s.quiet(e)
		s.users(3000) // live changes, which go as always
		s.quiet(e)
		before := len(s.remote.Jobs())
		if err := s.engine(customerSync(s.to)).Resync(s.ctx, upkeep.Resync{Sync: "customer", Force: true}); err != nil {
			t.Fatal(err)
		}
		s.until("a job of the sweep", func() bool { return len(s.remote.Jobs()) > before })
		s.quiet(e)
		s.inSync(e, "customer")
	})
}
