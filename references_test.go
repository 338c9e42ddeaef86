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

// outdated is a database whose records are made anew right after they were
// looked up for the first time.
type outdated struct {
	upkeep.Database
	once atomic.Bool
}

func (d *outdated) Records(ctx context.Context, ids []store.ID) (map[store.ID]store.RecordState, error) {
	found, err := d.Database.Records(ctx, ids)
	for id, x := range found {
		if x.RemoteID != "" && d.once.CompareAndSwap(false, true) {
			x.RemoteID = "deleted"
			found[id] = x
		}
	}
	return found, err
}

// A record that is sent with a reference to one that is made anew meanwhile is
// sent again: it was not known yet to refer to it, so nobody touched it.
func TestReferenceToARecordMadeAnew(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		db := &outdated{Database: s.open()}
		e, err := upkeep.New(upkeep.Config{Database: db, Syncs: []upkeep.AnySync{customerSync(s.to), orderSync(s.to)}})
		if err != nil {
			t.Fatal(err)
		}
		s.run(e)
		s.quiet(e)
		s.inSync(e, "customer", "sales_order")
		if !db.once.Load() {
			t.Error("nothing was looked up")
		}
	})
}
