package upkeep_test

import (
	"context"
	"sync"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// hearing keeps the writes that it passes on.
type hearing struct {
	connector.Connection
	mu  *sync.Mutex
	all *[]connector.Record
}

func (c hearing) hear(r connector.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*c.all = append(*c.all, r)
}

func (c hearing) Create(ctx context.Context, r connector.Record) (string, error) {
	c.hear(r)
	return c.Connection.Create(ctx, r)
}

func (c hearing) Update(ctx context.Context, remoteID string, r connector.Record) error {
	c.hear(r)
	return c.Connection.Update(ctx, remoteID, r)
}

// A remote can tell the versions of a record apart, and which is the later one,
// also when several came before anything was sent, and after another installation.
func TestVersionsTellTheirOrder(t *testing.T) {
	onEach(t, func(t *testing.T, shop func(memory.Config) *shop) {
		s := shop(memory.Config{})
		s.tickets(1)
		var heard []connector.Record
		s.to.Connection = hearing{s.to.Connection, new(sync.Mutex), &heard}
		deliver := func(first, last int) {
			t.Helper()
			e := s.engine(byHand(ticketSync(s.to)))
			if err := e.Install(s.ctx); err != nil {
				t.Fatal(err)
			}
			for v := first; v <= last; v++ {
				s.exec(`update tickets set version = %d where id = 1`, v)
				if err := e.Command(s.ctx, nil, "ticket", 1); err != nil {
					t.Fatal(err)
				}
			}
			stop := s.run(e)
			s.quiet(e)
			stop()
			if err := e.Uninstall(s.ctx); err != nil {
				t.Fatal(err)
			}
		}
		deliver(1, 3)
		deliver(4, 5)
		generations := map[int64]bool{}
		for i, r := range heard {
			generations[r.Generation] = true
			if r.Command == 0 || r.Registry == "" {
				t.Errorf("write %d is of command %d of registry %q", i, r.Command, r.Registry)
			}
			if i == 0 {
				continue
			}
			before := heard[i-1]
			if r.Version <= before.Version {
				t.Errorf("write %d has the version %d, the one before %d", i, r.Version, before.Version)
			}
			if r.Registry == before.Registry && r.Command <= before.Command {
				t.Errorf("write %d has the command %d, the one before %d", i, r.Command, before.Command)
			}
		}
		if len(heard) != 5 || heard[2].Registry == heard[3].Registry || len(generations) == len(heard) {
			t.Errorf("%d writes of generations %v: %+v; want 5, in two registries, of which some share a generation", len(heard), generations, heard)
		}
	})
}
