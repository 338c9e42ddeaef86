package upkeep_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// probed counts how often a process looked at how its remote does, and got leave
// to probe it.
type probed struct {
	upkeep.Database
	looks, got *atomic.Int64
}

func (d probed) Health(ctx context.Context, remote string) (store.Health, error) {
	defer d.looks.Add(1)
	return d.Database.Health(ctx, remote)
}

func (d probed) Probe(ctx context.Context, remote, process string, pause time.Duration) (bool, error) {
	mine, err := d.Database.Probe(ctx, remote, process, pause)
	if mine {
		d.got.Add(1)
	}
	return mine, err
}

// While a remote is down all processes together have one call under way that sees
// whether it still is, and make one for each leave to probe.
func TestOneProbeOverAllProcesses(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{Concurrency: 8, Timeout: 3 * time.Minute})
		s.users(60)
		var counted atomic.Bool
		var calls atomic.Int64
		var answer atomic.Pointer[chan struct{}]
		s.remote.FailWhen(func(memory.Request) *memory.Fault {
			f := &memory.Fault{Err: memory.Err(connector.Unavailable)}
			if counted.Load() {
				calls.Add(1)
				f.Until = *answer.Load()
			}
			return f
		})
		var dbs []probed
		var e *upkeep.Engine
		for range 3 {
			db := probed{s.open(), new(atomic.Int64), new(atomic.Int64)}
			var err error
			e, err = upkeep.New(upkeep.Config{Database: db, Syncs: []upkeep.AnySync{customerSync(s.to)}, Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			s.run(e)
			dbs = append(dbs, db)
		}
		each := func(what string, looks int64) {
			var from []int64
			for _, db := range dbs {
				from = append(from, db.looks.Load())
			}
			s.until("each process to "+what, func() bool {
				for i, db := range dbs {
					if db.looks.Load() < from[i]+looks {
						return false
					}
				}
				return true
			})
		}
		s.until("the breaker to open", func() bool {
			st, err := e.Status(s.ctx)
			return err == nil && st.Remotes[0].Broken
		})
		each("see that it is", 2)
		hold := make(chan struct{})
		answer.Store(&hold)
		counted.Store(true)
		s.until("a probe", func() bool { return calls.Load() > 0 })
		each("look again", 3)
		if n := calls.Load(); n != 1 {
			t.Errorf("%d calls beside each other to a remote that is down", n)
		}
		leaves := func() (n int64) {
			for _, db := range dbs {
				n += db.got.Load()
			}
			return n
		}
		before := leaves()
		close(hold)
		s.until("one more probe", func() bool { return leaves() > before })
		if n, most := calls.Load(), 1+leaves()-before; n > most {
			t.Errorf("%d calls with leave for %d", n, most)
		}
		s.remote.Heal()
		s.quiet(e)
		if st, err := e.Status(s.ctx); err != nil || st.Remotes[0].Broken || st.Syncs[0].Clean != 60 {
			t.Errorf("after the remote came back: %+v, %v", st, err)
		}
	})
}

// A call that has hung since before the breaker opened keeps nobody from seeing that
// the remote is back.
func TestAProbeBesideACallThatHangs(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{Concurrency: 8, Timeout: 3 * time.Minute})
		s.users(1)
		hang := make(chan struct{})
		var hung, up atomic.Bool
		s.remote.FailWhen(func(q memory.Request) *memory.Fault {
			switch {
			case q.ExternalID == "customer-1":
				hung.Store(true)
				return &memory.Fault{Until: hang}
			case up.Load():
				return nil
			}
			return &memory.Fault{Err: memory.Err(connector.Unavailable)}
		})
		e := s.engine(customerSync(s.to))
		s.run(e)
		s.until("a call to hang", hung.Load)
		s.exec(`insert into users (id, name) select id + 1, 'one more' from users`)
		for range 4 {
			s.exec(`insert into users (id, name) select id + (select max(id) from users), 'one more' from users`)
		}
		remote := func() (st upkeep.RemoteStatus, clean int64) {
			status, err := e.Status(s.ctx)
			if err != nil {
				t.Fatal(err)
			}
			return status.Remotes[0], status.Syncs[0].Clean
		}
		s.until("the breaker to open", func() bool { st, _ := remote(); return st.Broken })
		up.Store(true)
		s.until("all others to be sent", func() bool { _, clean := remote(); return clean == 31 })
		close(hang)
		s.quiet(e)
		s.inSync(e, "customer")
	})
}
