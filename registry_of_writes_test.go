package upkeep_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// telling notes which registries the writes that it passes on are of.
type telling struct {
	connector.Connection
	mu  *sync.Mutex
	all *[]string
}

func (c telling) note(r connector.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Contains(*c.all, r.Registry) {
		*c.all = append(*c.all, r.Registry)
	}
}

func (c telling) Create(ctx context.Context, r connector.Record) (string, error) {
	c.note(r)
	return c.Connection.Create(ctx, r)
}

func (c telling) Update(ctx context.Context, remoteID string, r connector.Record) error {
	c.note(r)
	return c.Connection.Update(ctx, remoteID, r)
}

// After another installation, and after a restore, generations come again. What
// makes keys for idempotency has to tell such writes apart, and no others.
func TestAWriteTellsItsRegistry(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.users(2)
	var registries []string
	s.to.Connection = telling{s.to.Connection, new(sync.Mutex), &registries}
	during := func(change string, want int) {
		t.Helper()
		e := s.engine(customerSync(s.to))
		stop := s.run(e)
		s.quiet(e)
		s.exec("%s", change)
		s.quiet(e)
		stop()
		if len(registries) != want || slices.Contains(registries, "") {
			t.Errorf("the writes are of the registries %q, want %d", registries, want)
		}
	}
	during(`update users set name = 'a'`, 1)
	during(`update users set name = 'b'`, 1) // another process
	if err := s.engine(customerSync(s.to)).Uninstall(s.ctx); err != nil {
		t.Fatal(err)
	}
	during(`update users set name = 'c'`, 2)
	e := s.engine(customerSync(s.to))
	stop := s.run(e)
	s.exec(`update upkeep.settings set restored_at = '2020-01-01'`) // as if the row were put back
	s.until("that it is noticed", func() bool { at, err := e.Restored(s.ctx); return err == nil && at.Year() > 2020 })
	stop()
	s.exec(`delete from upkeep.remotes`) // as if the pause were over
	during(`update users set name = 'd'`, 3)
	during(`update users set name = 'e'`, 3)
}
