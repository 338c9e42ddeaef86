package upkeep_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// What an earlier installation made is found again, also where the remote would
// take a second record of the same external id.
func TestASecondInstallationMakesNothingTwice(t *testing.T) {
	for _, batch := range []int{0, 50} {
		t.Run(fmt.Sprint("batch ", batch), func(t *testing.T) {
			onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
				s := newShop(memory.Config{Class: connector.Lookup, Batch: batch})
				s.users(120)
				e := s.engine(customerSync(s.to))
				stop := s.run(e)
				s.quiet(e)
				stop()
				if err := e.Uninstall(s.ctx); err != nil {
					t.Fatal(err)
				}
				s.exec(`update users set name = 'new' where id = 7; insert into users (id, name) values (121, 'Zoe')`)
				e = s.engine(customerSync(s.to))
				s.run(e)
				s.quiet(e)
				s.inSync(e, "customer")
				if n := len(s.remote.Records("customer")); n != 121 {
					t.Errorf("%d records of 121 users", n)
				}
				// From then on nothing is looked for before it is made.
				s.remote.Forget()
				s.exec(`insert into users (id, name) values (122, 'Yan')`)
				s.quiet(e)
				if n := s.remote.Calls(memory.Any); n != 1 {
					t.Errorf("%d calls for a new row: %+v", n, s.remote.Requests())
				}
			})
		})
	}
}

// late sweeps only when it is let.
type late struct {
	upkeep.Database
	let chan struct{}
}

func (l late) Backfill(ctx context.Context, shape *store.Shape, limit int) (bool, error) {
	select {
	case <-l.let:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	return l.Database.Backfill(ctx, shape, limit)
}

// A row that changes before the first sweep comes to it has a record of before.
func TestAChangeBeforeTheFirstSweepMakesNothingTwice(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{Class: connector.Lookup})
		s.users(3)
		e := s.engine(customerSync(s.to))
		stop := s.run(e)
		s.quiet(e)
		stop()
		if err := e.Uninstall(s.ctx); err != nil {
			t.Fatal(err)
		}
		let := make(chan struct{})
		e, err := upkeep.New(upkeep.Config{Database: late{s.open(), let}, Syncs: []upkeep.AnySync{customerSync(s.to)}})
		if err != nil {
			t.Fatal(err)
		}
		s.run(e)
		s.exec(`update users set name = 'early' where id = 2`)
		s.state(e, "customer", "2", upkeep.Clean)
		close(let)
		s.quiet(e)
		s.inSync(e, "customer")
		if n := len(s.remote.Records("customer")); n != 3 {
			t.Errorf("%d records of 3 users", n)
		}
	})
}
