package upkeep_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// countedClaims counts the claims that brought groups.
type countedClaims struct {
	upkeep.Database
	claims atomic.Int64
}

func (d *countedClaims) Claim(ctx context.Context, r store.ClaimRequest) ([]store.Claim, error) {
	claims, err := d.Database.Claim(ctx, r)
	if len(claims) > 0 {
		d.claims.Add(1)
	}
	return claims, err
}

// A process that has made no call yet, and so has no slots and knows no latency,
// passes over what is as it should be in large claims, not one by one.
func TestSweepWithoutCalls(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.users(600)
		e := s.engine(customerSync(s.to))
		stop := s.run(e)
		s.quiet(e)
		stop()
		s.exec(`delete from users where id > 520`)
		e = s.engine(customerSync(s.to))
		stop = s.run(e)
		s.quiet(e)
		stop()
		calls := s.remote.Calls(memory.Any)

		db := &countedClaims{Database: s.open()}
		e, err := upkeep.New(upkeep.Config{Database: db, Syncs: []upkeep.AnySync{customerSync(s.to)}})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Resync(s.ctx, upkeep.Resync{}); err != nil {
			t.Fatal(err)
		}
		s.run(e)
		s.quiet(e)
		if n := s.remote.Calls(memory.Any) - calls; n > 0 {
			t.Errorf("%d calls", n)
		}
		if n := db.claims.Load(); n > 100 {
			t.Errorf("600 groups, none of which needs a call, took %d claims", n)
		}
	})
}
