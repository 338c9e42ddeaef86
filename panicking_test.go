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

// panicky panics for one record.
type panicky struct {
	connector.Connection
	panics *atomic.Int32
}

func (p panicky) Create(ctx context.Context, rec connector.Record) (string, error) {
	if rec.ExternalID == "customer-1" {
		p.panics.Add(1)
		panic("oh")
	}
	return p.Connection.Create(ctx, rec)
}

// A connector that panics for one record delays no other: each call that ends so
// gives its slot back. It stands in the history as any other call.
func TestPanicGivesItsSlotBack(t *testing.T) {
	s := newShop(t, memory.Config{Class: connector.Upsert, Concurrency: 2})
	panics := new(atomic.Int32)
	s.to.Connection = panicky{s.to.Connection, panics}
	s.within(3 * time.Minute)
	s.exec(`insert into users (id, name) values (1, 'poison')`)
	e := s.engine(customerSync(s.to))
	s.run(e)
	s.until("two panics", func() bool { return panics.Load() >= 2 })
	s.exec(`insert into users (id, name) values (2, 'fine')`)
	s.state(e, "customer", "2", upkeep.Clean)
	x, err := e.Explain(s.ctx, "customer", "1")
	if err != nil {
		t.Fatal(err)
	}
	if len(x.Attempts) == 0 {
		t.Fatal("the history has nothing of the panics")
	}
	for _, said := range []string{"the connector panicked: oh, at ", "panicking_test.go:"} {
		if a := x.Attempts[0]; a.Action != "create" || !strings.Contains(a.Message, said) {
			t.Errorf("the history has %+v, want a create that says %q", a, said)
		}
	}
}
