package upkeep_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// What was left as it is at the remote is forgotten once the record is written whole,
// or is not wanted any more: it counts as skipped no longer than it is.
func TestSkipEnds(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		for name, end := range map[string]func(s *shop){
			"an ending":     func(s *shop) { s.exec(`delete from users`) },
			"made again":    func(s *shop) { s.remote.Remove("customer", "customer-1"); s.exec(`update users set name = 'Eve'`) },
			"another value": func(s *shop) { s.exec(`update users set email = 'good@example.com'`) },
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := newShop(memory.Config{}).in(t)
				customer := customerSync(s.to)
				customer.OnDelete = upkeep.Ending{Action: upkeep.Set, Fields: upkeep.Fields{"entityId": "gone"}}
				e := s.refused(customer)
				s.run(e)
				s.skip(e, "customer", "1")
				s.state(e, "customer", "1", upkeep.Skipped)
				end(s)
				s.quiet(e)
				if x, err := e.Explain(s.ctx, "customer", "1"); err != nil || len(x.Left) > 0 || x.Group.State == upkeep.Skipped {
					t.Errorf("%q is left: %s, %v", x.Left, x.Why, err)
				}
			})
		}
	})
}

// A delete that was left is over when the record is to stay anyway.
func TestSkippedDeleteIsKept(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.users(1)
		customer := customerSync(s.to)
		customer.OnDelete = upkeep.Ending{Action: upkeep.Delete}
		customer.When = func(u User) bool { return u.Name != "kept" }
		customer.WhenFalse = upkeep.Ending{Action: upkeep.Keep}
		e, err := upkeep.New(upkeep.Config{Database: s.open(), Syncs: []upkeep.AnySync{customer}, MaxAttempts: 1})
		if err != nil {
			t.Fatal(err)
		}
		s.run(e)
		s.quiet(e)
		s.refuseAll(memory.Delete)
		s.exec(`delete from users`)
		s.state(e, "customer", "1", upkeep.Parked)
		s.skip(e, "customer", "1")
		s.state(e, "customer", "1", upkeep.Skipped)
		s.exec(`insert into users (id, name) values (1, 'kept')`)
		s.quiet(e)
		if x := s.state(e, "customer", "1", upkeep.Clean); !strings.Contains(x.Why, "its record is kept") {
			t.Error(x.Why)
		}
	})
}

// Nobody has refused a version that came after the state was: it is not dropped.
func TestSkipDropsNoLaterVersion(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.tickets(1)
	e := s.engine(ticketSync(s.to))
	stop := s.run(e)
	s.quiet(e)
	s.remote.Fail(memory.Fault{On: memory.Update, Err: memory.Err(connector.Rejected)})
	if err := e.Resync(s.ctx, upkeep.Resync{Sync: "ticket", Key: "1", Force: true}); err != nil {
		t.Fatal(err)
	}
	s.state(e, "ticket", "1", upkeep.Parked)
	stop()
	s.exec(`update tickets set state = 'later', version = version + 1`)
	if _, err := e.Verify(s.ctx, "ticket", nil); err != nil { // folds
		t.Fatal(err)
	}
	if c, err := e.Skip(s.ctx, "ticket", "1"); !errors.Is(err, upkeep.ErrNothingToSkip) {
		t.Errorf("command %d was dropped, %v", c.Number, err)
	}
	s.run(e)
	s.quiet(e)
	s.wantDelivered("ticket-1", `0 "new"`, `1 "later"`)
}

// Another mapping than the installed one would leave out something else than what
// was refused.
func TestSkipByAnotherMapping(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.refused(customerSync(s.to))
		changed := customerSync(s.to)
		changed.Version = "2"
		changed.Translate = func(u User) (upkeep.Fields, error) { return upkeep.Fields{"entityId": u.Name}, nil }
		e := s.engine(changed)
		if _, err := e.Skip(s.ctx, "customer", "1"); err == nil || !strings.Contains(err.Error(), "is not the one that is installed") {
			t.Errorf("skipped by a mapping that is not installed: %v", err)
		}
	})
}
