package upkeep_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// unreferenced is a database that fails to look references up, so many times.
type unreferenced struct {
	upkeep.Database
	left atomic.Int64
}

func (d *unreferenced) Records(ctx context.Context, ids []store.ID) (map[store.ID]store.RecordState, error) {
	if d.left.Add(-1) >= 0 {
		return nil, errors.New("the connection broke")
	}
	return d.Database.Records(ctx, ids)
}

// Records that refer to nothing are sent although those that are claimed with
// them can't be looked up. They were taken for equal to nothing, and counted as
// clean.
func TestReferencesThatCannotBeLookedUp(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		db := &unreferenced{Database: s.open()}
		e, err := upkeep.New(upkeep.Config{Database: db, Syncs: []upkeep.AnySync{customerSync(s.to), orderSync(s.to)}})
		if err != nil {
			t.Fatal(err)
		}
		stop := s.run(e)
		s.quiet(e)
		stop()
		s.exec(`update users set name = 'new'; update orders set ref_no = 'new'`)
		db.left.Store(1)
		s.run(e)
		s.quiet(e)
		s.inSync(e, "customer", "sales_order")
	})
}
