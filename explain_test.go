package upkeep_test

import (
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// That a record is looked for before it is made is told.
func TestLooksAreExplained(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.Config{Class: connector.Lookup})
	s.exec(`insert into users(id, name) values (1, 'Ada')`)
	e := s.hasty(customerSync(s.to))
	if err := e.Install(s.ctx); err != nil {
		t.Fatal(err)
	}
	explained := func(key string) *upkeep.Explanation {
		t.Helper()
		x, err := e.Explain(s.ctx, "customer", key)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	if x := explained("1"); x.Send != "create" || !x.LookFirst {
		t.Errorf("before the first sweep: %s, a look first: %t", x.Send, x.LookFirst)
	}
	s.run(e)
	s.quiet(e)
	s.remote.Fail(memory.Fault{On: memory.Create, ExternalID: "customer-2", Times: -1, Err: &connector.Error{Kind: connector.Exists, Message: "taken"}})
	s.exec(`insert into users(id, name) values (2, 'Bob')`)
	s.quiet(e)
	if x := explained("1"); x.Send != "nothing" || x.LookFirst {
		t.Errorf("up to date: %s, a look first: %t", x.Send, x.LookFirst)
	}
	if x := explained("2"); x.Send != "create" || !x.LookFirst || x.Group.State != upkeep.Parked {
		t.Errorf("one that clashes: %s, a look first: %t, %s", x.Send, x.LookFirst, x.Group.State)
	}
}

// A doubt that is over, while nobody is at work, is told as such.
func TestExplainADoubtThatIsOver(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.Config{})
	s.exec(`insert into users(id, name) values (1, 'Ada')`)
	s.remote.Fail(memory.Fault{On: memory.Create, Err: memory.Err(connector.Unknown)})
	e := s.engine(customerSync(s.to))
	stop := s.run(e)
	if x := s.state(e, "customer", "1", upkeep.InDoubt); !strings.Contains(x.Why, "in doubt until ") {
		t.Errorf("it says %q", x.Why)
	}
	stop()
	e, err := upkeep.New(upkeep.Config{Database: s.open(), Clock: anHourLater{new(restless)}, Syncs: []upkeep.AnySync{customerSync(s.to)}})
	if err != nil {
		t.Fatal(err)
	}
	if x := s.state(e, "customer", "1", upkeep.InDoubt); !strings.Contains(x.Why, "nothing of before can be applied any more") {
		t.Errorf("it says %q", x.Why)
	}
}

// anHourLater is a clock that is ahead.
type anHourLater struct{ upkeep.Clock }

func (c anHourLater) Now() time.Time { return c.Clock.Now().Add(time.Hour) }
