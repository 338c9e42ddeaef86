package upkeep_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// twoAtATime is a database whose rows are so large that two composites are all that
// may be held.
type twoAtATime struct {
	upkeep.Database
	left *atomic.Int64 // for another time
}

func (d twoAtATime) Load(ctx context.Context, shape *store.Shape, keys []string) (map[string]store.Composite, []string, error) {
	now := keys[:min(len(keys), 2)]
	d.left.Add(int64(len(keys) - len(now)))
	found, _, err := d.Database.Load(ctx, shape, now)
	return found, keys[len(now):], err
}

// Where rows are so large that few can be held at a time, all of them are sent and
// looked at all the same, and none counts as one that is not there.
func TestFewAtATime(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.users(15)
		db := twoAtATime{s.open(), new(atomic.Int64)}
		customer := customerSync(s.to)
		customer.OnDelete = upkeep.Ending{Action: upkeep.Delete}
		e, err := upkeep.New(upkeep.Config{Database: db, Syncs: []upkeep.AnySync{customer}})
		if err != nil {
			t.Fatal(err)
		}
		foreseen := func() (changes int) {
			t.Helper()
			_, err := e.Forecast(s.ctx, upkeep.ForecastOptions{Each: func(upkeep.RecordChange) error { changes++; return nil }})
			if err != nil {
				t.Fatal(err)
			}
			return changes
		}
		if n := foreseen(); n != 15 {
			t.Errorf("%d changes are foreseen of 15", n)
		}
		stop := s.run(e)
		s.quiet(e)
		s.exec(`update users set name = 'Eve'; delete from users where id > 12`)
		s.quiet(e)
		for i := range 12 {
			s.field("customer", fmt.Sprint("customer-", i+1), "entityId", `"Eve"`)
		}
		if n := len(s.remote.Records("customer")); n != 12 {
			t.Errorf("%d records of 12 rows", n)
		}
		if db.left.Swap(0) == 0 {
			t.Error("the worker never asked for more than two")
		}
		s.past(`update users set name = 'missed' where id in (3, 11)`)
		if missed, err := e.Audit(s.ctx, "customer", nil); err != nil || len(missed) != 2 {
			t.Errorf("%d of 2 were missed: %v", len(missed), err)
		}
		s.quiet(e)
		stop()
		if n := foreseen(); n != 0 {
			t.Errorf("%d changes are foreseen where all is done", n)
		}
		s.inSync(e, "customer")
		if db.left.Load() < 20 {
			t.Errorf("%d only were left for another time", db.left.Load())
		}
	})
}
