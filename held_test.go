package upkeep_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// restless is a clock on which no pause is longer than a moment, and that
// counts those that were to be long.
type restless struct{ long atomic.Int64 }

func (*restless) Now() time.Time { return time.Now() }

func (c *restless) Sleep(ctx context.Context, d time.Duration) error {
	if d > 300*time.Millisecond {
		c.long.Add(1)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(min(d, 20*time.Millisecond)):
		return nil
	}
}

// safeBuffer is a log that is read while it is written.
type safeBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *safeBuffer) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// Tables that a mapping no longer fits: the cause is logged once, though it is
// tried again and again, and the other syncs go on.
func TestMappingNoLongerFits(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		alter string
		says  []string
	}{
		"renamed": {`alter table line_items rename column price to cost`,
			[]string{"load failed; the sync is held until it works, the others go on", "the configuration no longer fits the tables, upkeep check says where"}},
		"dropped": {`alter table line_items drop column price cascade`,
			[]string{"capture was altered; installing it again and sweeping", "care failed; trying again", "install triggers on public.line_items", "the configuration no longer fits the tables, upkeep check says where"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := makeShop(t, memory.Config{}, (*shop).onPostgres)
			s.fill()
			log, clock := new(safeBuffer), new(restless)
			e, err := upkeep.New(upkeep.Config{Database: s.open(), Clock: clock, Logger: slog.New(slog.NewTextHandler(log, nil)),
				Syncs: []upkeep.AnySync{customerSync(s.to), orderSync(s.to)}})
			if err != nil {
				t.Fatal(err)
			}
			s.run(e)
			s.quiet(e)
			s.exec(test.alter)
			s.exec(`update orders set ref_no = 'after' where id = 10`)
			for _, what := range test.says {
				s.until(what, func() bool { return strings.Contains(log.String(), what) })
			}
			s.exec(`update users set name = 'Ada after' where id = 1`)
			s.until("the other sync to go on", func() bool { return s.remote.Text("customer", "customer-1", "entityId") == `"Ada after"` })
			tries := clock.long.Load()
			s.until("more tries", func() bool { return clock.long.Load() > tries+40 })
			for _, what := range test.says[:1] {
				if n := strings.Count(log.String(), what); n != 1 {
					t.Errorf("%q was logged %d times", what, n)
				}
			}
			found, err := e.Capture(s.ctx)
			if err != nil || len(found) != 1 || found[0].Subject != "sales_order" || !strings.Contains(found[0].Message, `has no column "price"`) {
				t.Errorf("capture: %+v, %v", found, err)
			}
		})
	}
}

// A column is renamed under a process that watches it: the application writes on,
// also when the process has looked at its triggers, and nothing is lost.
func TestColumnRenamedAtWork(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.within(3 * time.Minute)
		s.fill()
		log, clock := new(safeBuffer), new(restless)
		e, err := upkeep.New(upkeep.Config{Database: s.open(), Clock: clock, Logger: slog.New(slog.NewTextHandler(log, nil)),
			Syncs: []upkeep.AnySync{customerSync(s.to), orderSync(s.to)}})
		if err != nil {
			t.Fatal(err)
		}
		s.run(e)
		s.quiet(e)
		s.exec(`alter table line_items rename column price to cost`)
		tries := clock.long.Load()
		s.until("looks at the triggers", func() bool { return clock.long.Load() > tries+40 })
		s.exec(`insert into line_items values (777, 10, 'renamed', 1, 2)`)
		s.exec(`update line_items set cost = cost + 1 where id = 777`)
		s.exec(`delete from line_items where id <> 777`)
		s.exec(`alter table line_items rename column cost to price`)
		s.quiet(e)
		s.inSync(e, "customer", "sales_order")
		if !strings.Contains(s.remote.Text("salesOrder", "sales_order-10", "item"), "renamed") {
			t.Error("the new line is not at the remote")
		}
	})
}

// A process says what it replaces, and when all rows were looked at; one with
// the same configuration replaces nothing.
func TestSaysWhatItInstalls(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		const replaces = "this configuration is another than the one that was installed"
		for i, syncs := range [][]upkeep.AnySync{{customerSync(s.to)}, {customerSync(s.to)}, {customerSync(s.to), orderSync(s.to)}} {
			log := new(safeBuffer)
			e, err := upkeep.New(upkeep.Config{Database: s.open(), Logger: slog.New(slog.NewTextHandler(log, nil)), Syncs: syncs})
			if err != nil {
				t.Fatal(err)
			}
			stop := s.run(e)
			s.quiet(e)
			stop()
			if said := strings.Contains(log.String(), replaces); said != (i == 2) {
				t.Errorf("start %d: it says that it replaces another: %v\n%s", i, said, log)
			}
			if finished := strings.Contains(log.String(), `msg="backfill finished: all rows were looked at"`); finished != (i != 1) {
				t.Errorf("start %d: a backfill finished: %v\n%s", i, finished, log)
			}
		}
	})
}

// A sync that is held says so, and why, in every process.
func TestHeldSyncIsTold(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		e, err := upkeep.New(upkeep.Config{Database: s.open(), Syncs: []upkeep.AnySync{customerSync(s.to), orderSync(s.to)}})
		if err != nil {
			t.Fatal(err)
		}
		other, err := upkeep.New(upkeep.Config{Database: s.open(), Syncs: []upkeep.AnySync{customerSync(s.to), orderSync(s.to)}})
		if err != nil {
			t.Fatal(err)
		}
		s.run(e)
		s.quiet(e)
		s.exec(`alter table line_items rename column price to cost`)
		s.exec(`update orders set ref_no = 'after' where id = 10`)
		ctx, cancel := context.WithTimeout(s.ctx, time.Minute)
		defer cancel()
		err = other.Quiet(ctx, func(st *upkeep.Status) {
			for _, c := range st.Syncs {
				if c.Held == "" {
					continue
				}
				if cancel(); c.Sync != "sales_order" || !strings.Contains(c.Held, "price") {
					t.Errorf("%s is held: %s", c.Sync, c.Held)
				}
			}
		})
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "sales_order is held, since its groups can't be loaded: ") || !strings.Contains(err.Error(), "price") {
			t.Errorf("quiet: %v", err)
		}
		found, err := other.Doctor(s.ctx)
		if err != nil || !slices.ContainsFunc(found, func(f upkeep.Finding) bool {
			return f.Severity == upkeep.Problem && f.Subject == "sales_order" && strings.HasPrefix(f.Message, "it is held, since its groups can't be loaded: ") && f.Fix != ""
		}) {
			t.Errorf("doctor: %+v, %v", found, err)
		}
		s.exec(`alter table line_items rename column cost to price`)
		s.quiet(e)
		st, err := other.Status(s.ctx)
		if err != nil || slices.ContainsFunc(st.Syncs, func(c upkeep.Counts) bool { return c.Held != "" }) {
			t.Errorf("status of a sync that goes on: %+v, %v", st, err)
		}
	})
}

// Who has mended a remote need not wait until its breaker is tried again.
func TestRetryAndResumeProbeABrokenRemote(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		db := s.open()
		e := s.engine(customerSync(s.to))
		s.run(e)
		s.quiet(e)
		resume := func(p upkeep.Pause) func() error {
			return func() error { _, err := e.Resume(s.ctx, p); return err }
		}
		retry := func(sync string) func() error {
			return func() error { _, err := e.Retry(s.ctx, sync, ""); return err }
		}
		for i, mended := range []func() error{resume(upkeep.Pause{Remote: "erp"}), resume(upkeep.Pause{Sync: "customer"}), retry(""), retry("customer")} {
			s.remote.Fail(memory.Fault{Times: -1, Err: &connector.Error{Kind: connector.Unauthorized, Status: 401}})
			s.exec(`insert into users(id, name) values (%d, 'u')`, i+1)
			s.until("the breaker to open", func() bool {
				st, err := e.Status(s.ctx)
				return err == nil && st.Remotes[0].Broken && st.Remotes[0].Breaks > 0
			})
			if err := db.Break(s.ctx, "erp", time.Hour, "wrong credentials"); err != nil {
				t.Fatal(err)
			}
			s.remote.Heal()
			if err := mended(); err != nil {
				t.Fatal(err)
			}
			s.until("the record", func() bool { return len(s.remote.Records("customer")) == i+1 })
			s.quiet(e)
		}
	})
}

// Who waits for a remote that is broken is told so.
func TestQuietTellsOfABrokenRemote(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		db := s.open()
		e, err := upkeep.New(upkeep.Config{Database: db, Syncs: []upkeep.AnySync{customerSync(s.to)}})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Install(s.ctx); err != nil {
			t.Fatal(err)
		}
		if err := db.Break(s.ctx, "erp", time.Hour, "no such host"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(s.ctx, time.Minute)
		defer cancel()
		err = e.Quiet(ctx, func(*upkeep.Status) { cancel() })
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "the breaker of erp is open: no such host") {
			t.Errorf("quiet: %v", err)
		}
	})
}
