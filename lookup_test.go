package upkeep_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// lookedUp is the failed look-up in a group's history, and the group after it.
func (s *shop) lookedUp(e *upkeep.Engine, key string) *upkeep.Explanation {
	s.t.Helper()
	var x *upkeep.Explanation
	s.until("the look-up of "+key, func() bool {
		var err error
		if x, err = e.Explain(s.ctx, "customer", key); err != nil {
			s.t.Fatal(err)
		}
		for _, a := range x.Attempts {
			if a.Action == "find" && a.Outcome != "ok" || strings.Contains(a.Message, "find: outcome unknown") {
				return true
			}
		}
		return false
	})
	return x
}

// oncePanics panics in its first look-up.
type oncePanics struct {
	connector.Connection
	done atomic.Bool
}

func (o *oncePanics) Find(ctx context.Context, recordType, externalID string) (string, error) {
	if !o.done.Swap(true) {
		panic("no look-up")
	}
	return o.Connection.Find(ctx, recordType, externalID)
}

// firstLookUps has the first look-up of each record tell nothing, and the creates
// before it end as the case says.
func (s *shop) firstLookUps(creates error) {
	failed := map[string]bool{}
	s.remote.FailWhen(func(q memory.Request) *memory.Fault {
		switch {
		case failed[q.ExternalID]:
		case q.Verb == memory.Create && creates != nil:
			return &memory.Fault{Err: creates}
		case q.Verb == memory.Find:
			failed[q.ExternalID] = true
			return &memory.Fault{Err: memory.Err(connector.Unknown)}
		}
		return nil
	})
}

// A look-up writes nothing: one that nobody knows the outcome of is tried again, and
// puts nothing in doubt.
func TestALookUpBeginsNoDoubt(t *testing.T) {
	exists := memory.Err(connector.Exists)
	for name, c := range map[string]struct {
		config  memory.Config
		creates error
		panics  bool
	}{
		"before a create":              {config: memory.Config{Class: connector.Lookup}},
		"before one in a batch":        {config: memory.Config{Class: connector.Lookup, Batch: 100}},
		"after a create that is there": {creates: exists},
		"after one in a batch":         {config: many(), creates: exists},
		"in a connector that panics":   {config: memory.Config{Class: connector.Lookup}, panics: true},
	} {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
				s := newShop(c.config)
				s.users(3)
				if c.panics {
					s.to.Connection = &oncePanics{Connection: s.to.Connection}
				} else {
					s.firstLookUps(c.creates)
				}
				e := s.engine(customerSync(s.to))
				s.within(time.Minute) // a doubt is longer
				s.run(e)
				for _, key := range []string{"1", "2", "3"} {
					if c.panics {
						break // only one of them meets the panic
					}
					if x := s.lookedUp(e, key); !x.Group.InDoubtUntil.IsZero() || strings.Contains(x.Why, "in doubt") {
						t.Fatalf("%s is in doubt until %v: %s", key, x.Group.InDoubtUntil, x.Why)
					}
				}
				s.quiet(e)
				for _, key := range []string{"1", "2", "3"} {
					s.state(e, "customer", key, upkeep.Clean)
				}
				if n := len(s.remote.Records("customer")); n != 3 {
					t.Errorf("%d records", n)
				}
			})
		})
	}
}

// A doubt that a write began is neither ended by a look-up of unknown outcome, nor
// prolonged, nor put down to it.
func TestALookUpLeavesADoubtAsItWas(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.users(1)
		e := s.engine(customerSync(s.to))
		s.run(e)
		s.quiet(e)
		s.remote.Fail(memory.Fault{On: memory.Update, Late: true})
		s.exec(`update users set name = 'other'`)
		var began time.Time
		s.until("the doubt", func() bool {
			x, err := e.Explain(s.ctx, "customer", "1")
			if err != nil {
				t.Fatal(err)
			}
			began = x.Group.InDoubtUntil
			return !began.IsZero()
		})
		s.remote.Fail(memory.Fault{On: memory.Find, Times: -1, Err: memory.Err(connector.Unknown)})
		s.exec(`delete from users`)
		x := s.lookedUp(e, "1")
		if !x.Group.InDoubtUntil.Equal(began) {
			t.Errorf("in doubt until %v, was %v", x.Group.InDoubtUntil, began)
		}
		if strings.Contains(x.Why, "the find of") {
			t.Error(x.Why)
		}
		s.remote.Heal()
		s.remote.Land(-1)
		s.settle(e)
		s.state(e, "customer", "1", upkeep.Gone)
		if _, there := s.remote.Record("customer", "customer-1"); there {
			t.Error("the record is still there")
		}
	})
}
