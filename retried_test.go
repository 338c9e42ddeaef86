package upkeep_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// counting notes of which generations the creates are that it passes on.
type counting struct {
	connector.Connection
	mu  *sync.Mutex
	all *[]int64
}

func (c counting) Create(ctx context.Context, r connector.Record) (string, error) {
	c.mu.Lock()
	*c.all = append(*c.all, r.Generation)
	c.mu.Unlock()
	return c.Connection.Create(ctx, r)
}

// A remote that keeps its answers by a key for idempotency would refuse for good
// what it refused once: after a person's retry the write is another one. Of a
// request whose outcome is not known it is the same, since that may have arrived.
func TestARetryIsAnotherWriteUnlessInDoubt(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		kind connector.Kind
		more int64
	}{"refused": {connector.Rejected, 1}, "in doubt": {connector.Unknown, 0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t, memory.Config{})
			s.users(1)
			var mu sync.Mutex
			var all []int64
			s.to.Connection = counting{s.to.Connection, &mu, &all}
			s.remote.Fail(memory.Fault{On: memory.Create, Err: memory.Err(x.kind)})
			e, err := upkeep.New(upkeep.Config{Database: s.open(), Syncs: []upkeep.AnySync{customerSync(s.to)}, MaxAttempts: 1})
			if err != nil {
				t.Fatal(err)
			}
			s.run(e)
			s.state(e, "customer", "1", upkeep.Parked)
			if n, err := e.Retry(s.ctx, "customer", "1"); n != 1 || err != nil {
				t.Fatalf("retried %d: %v", n, err)
			}
			s.until("the record", func() bool { return len(s.remote.Records("customer")) == 1 })
			mu.Lock()
			defer mu.Unlock()
			if want := []int64{all[0], all[0] + x.more}; !slices.Equal(all, want) {
				t.Errorf("the creates are of the generations %d, want %d", all, want)
			}
		})
	}
}
