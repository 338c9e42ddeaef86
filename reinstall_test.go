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

// A record of before is deleted with its row also when this installation has not
// sent it yet, and one that was never sent anywhere costs a look and no more.
func TestARowDeletedBeforeItWasSentTakesItsRecordOfBefore(t *testing.T) {
	for _, class := range []connector.Class{connector.Upsert, connector.Lookup} {
		t.Run(fmt.Sprint("class ", class), func(t *testing.T) {
			onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
				s := newShop(memory.Config{Class: class})
				s.users(3)
				e := s.engine(customerSync(s.to))
				stop := s.run(e)
				s.quiet(e)
				stop()
				if err := e.Uninstall(s.ctx); err != nil {
					t.Fatal(err)
				}
				e = s.engine(customerSync(s.to))
				if err := e.Install(s.ctx); err != nil {
					t.Fatal(err)
				}
				if err := e.Pause(s.ctx, upkeep.Pause{Sync: "customer"}); err != nil {
					t.Fatal(err)
				}
				s.run(e)
				s.exec(`insert into users (id, name) values (4, 'Zoe')`)
				for _, key := range []string{"2", "4"} {
					s.state(e, "customer", key, upkeep.Dirty)
				}
				s.exec(`delete from users where id in (2, 4)`)
				s.until("the deletes to be folded", func() bool {
					for _, key := range []string{"2", "4"} {
						if x, err := e.Explain(s.ctx, "customer", key); err != nil || !x.Group.DeleteSeen {
							return false
						}
					}
					return true
				})
				s.remote.Forget()
				if _, err := e.Resume(s.ctx, upkeep.Pause{Sync: "customer"}); err != nil {
					t.Fatal(err)
				}
				s.quiet(e)
				s.inSync(e, "customer")
				if n := len(s.remote.Records("customer")); n != 2 {
					t.Errorf("%d records of 2 users", n)
				}
				if n := s.remote.Calls(memory.Delete); n != 1 {
					t.Errorf("%d deletes: %+v", n, s.remote.Requests())
				}
			})
		})
	}
}
