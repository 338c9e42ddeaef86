package upkeep_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/internal/store"
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

// interrupted is a database whose first answer to a claim comes when the engine
// is being stopped, and to nobody if nobody waits for it any more.
type interrupted struct {
	store.Store
	stop func()
	once atomic.Bool
}

func (d *interrupted) Claim(ctx context.Context, r store.ClaimRequest) ([]store.Claim, error) {
	claims, err := d.Store.Claim(ctx, r)
	if len(claims) == 0 || !d.once.CompareAndSwap(false, true) {
		return claims, err
	}
	d.stop()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(time.Second): // the answer
		return claims, err
	}
}

// A stop while a claim is under way leaves nothing held, and so nothing in doubt.
func TestStopDuringAClaim(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.users(3)
		ctx, stop := context.WithCancel(s.ctx)
		db := &interrupted{Store: s.open(), stop: stop}
		e, err := upkeep.New(upkeep.Config{Database: db, Syncs: []upkeep.AnySync{customerSync(s.to)}})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Run(ctx); err != nil {
			t.Fatal(err)
		}
		groups, err := e.Groups(s.ctx, "customer", "", upkeep.ID{}, 10)
		if err != nil || len(groups) != 3 {
			t.Fatalf("%d groups, %v", len(groups), err)
		}
		for _, g := range groups {
			if g.State != upkeep.Dirty {
				t.Errorf("%s is %s after the stop", g.Key, g.State)
			}
		}
	})
}
