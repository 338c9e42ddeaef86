package upkeep_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// jumping is a clock that goes on by itself, and jumps when it is told to, as
// it does for a process that was stopped for a while.
type jumping struct{ by atomic.Int64 }

func (c *jumping) Now() time.Time { return time.Now().Add(time.Duration(c.by.Load())) }

func (c *jumping) Sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A process that slept between its claim and its call does not call: the group
// may be another's by now.
func TestNothingIsSentAfterTheLease(t *testing.T) {
	type user struct {
		ID   int64  `db:"id,key"`
		Name string `db:"name"`
	}
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.users(1)
		clock := &jumping{}
		var translated, atCall atomic.Int64
		s.remote.FailWhen(func(memory.Request) *memory.Fault {
			atCall.CompareAndSwap(0, translated.Load())
			return nil
		})
		e, err := upkeep.New(upkeep.Config{Database: s.open(), Clock: clock, Syncs: []upkeep.AnySync{upkeep.Sync[user]{
			Name: "user", Table: "users", To: s.to, Record: "customer",
			Translate: func(u user) (upkeep.Fields, error) {
				if translated.Add(1) == 1 {
					clock.by.Add(int64(time.Hour))
				}
				return upkeep.Fields{"companyName": u.Name}, nil
			}}}})
		if err != nil {
			t.Fatal(err)
		}
		s.run(e)
		s.quiet(e)
		if n := atCall.Load(); n != 2 {
			t.Errorf("the first call was made after %d translations, want 2: that of the claim whose lease was over, and that of the next", n)
		}
	})
}
