package upkeep_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// A record that somebody changed at the remote is found field by field, and
// sent again; while workers hold the slots, reads go on one at a time.
func TestVerifyFindsAndFixes(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		e := s.engine(customerSync(s.to))
		s.run(e)
		s.quiet(e)
		r, _ := s.remote.Record("customer", "customer-1")
		if err := s.to.Connection.Delete(s.ctx, "customer", r.ID); err != nil {
			t.Fatal(err)
		}
		v, err := e.Verify(s.ctx, "customer", nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(v.Differences) != 1 || v.Differences[0].Key != "1" || v.Differences[0].State != upkeep.Clean || v.More {
			t.Fatalf("found %+v", v)
		}
		if n, err := e.Fix(s.ctx, v.Differences); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		s.quiet(e)
		s.inSync(e, "customer")
		s.pause(e, upkeep.Pause{Remote: s.to.Name, Reason: "month end"})
		if _, err := e.Verify(s.ctx, "customer", nil); err == nil {
			t.Error("a paused remote was read")
		}
	})
}

// told passes on what a log says.
type told chan string

func (c told) Write(b []byte) (int, error) {
	select {
	case c <- string(b):
	default:
	}
	return len(b), nil
}

// With one slot, which a worker has, a read waits, and says so.
func TestVerifySaysThatItWaits(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.Config{})
	s.fill()
	s.to.Concurrency = 1
	e := s.engine(customerSync(s.to))
	stop := s.run(e)
	s.quiet(e)
	stop()
	db := s.open()
	hold := func(slots int) {
		if _, _, err := db.Hold(s.ctx, s.to.Name, "worker", slots, 1, time.Minute); err != nil {
			t.Error(err)
		}
	}
	hold(1)
	says := make(told, 1)
	reader, err := upkeep.New(upkeep.Config{Database: db, Syncs: []upkeep.AnySync{customerSync(s.to)}, Logger: slog.New(slog.NewTextHandler(says, nil))})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := reader.Verify(s.ctx, "customer", nil)
		done <- err
	}()
	select {
	case line := <-says:
		if !strings.Contains(line, "waiting for a slot of remote erp") {
			t.Errorf("it says %s", line)
		}
	case err := <-done:
		t.Fatalf("it read without a slot: %v", err)
	}
	hold(0)
	if err := <-done; err != nil {
		t.Error(err)
	}
}
