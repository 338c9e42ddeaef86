package upkeep_test

import (
	"bytes"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/internal/prove/nemesis"
)

// The way between one process and PostgreSQL freezes while its calls are under way:
// nothing is closed, and nothing comes through. Another process takes over when the
// leases are over; what the frozen one wrote and arrives late changes nothing; it
// says that it is not ready, and goes on when the way is free.
func TestFrozenWayToPostgres(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{Class: connector.Lookup, Concurrency: 4}, (*shop).onPostgres)
	s.within(3 * time.Minute)
	s.users(4)
	direct, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	way, err := nemesis.OpenProxy(direct.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(way.Close)
	through := *direct
	through.Host = way.Addr()

	clock, log := new(jumping), new(safeBuffer)
	s.url = through.String()
	frozen, err := upkeep.New(upkeep.Config{Name: "frozen", Database: s.open(), Clock: clock, Logger: slog.New(slog.NewTextHandler(log, nil)), Syncs: []upkeep.AnySync{customerSync(s.to)}})
	if err != nil {
		t.Fatal(err)
	}
	s.url = direct.String()
	other, _ := s.restlessEngine(customerSync(s.to))

	s.run(frozen)
	s.quiet(frozen)
	release := s.held()
	s.exec(`update users set name = name || ' by the frozen one'`)
	s.until("calls under way", func() bool { return s.remote.InFlight() == 4 })
	way.Freeze()
	release() // their answers can't be written down
	s.until("the calls to be done", func() bool { return s.remote.InFlight() == 0 })
	s.exec(`update users set name = 'newer ' || id`)
	stop := s.run(other)
	s.state(other, "customer", "1", upkeep.Claimed)
	s.advance(time.Hour) // the leases end
	s.settle(other)
	s.quiet(other)
	stop()
	s.inSync(other, "customer")
	clock.by.Add(int64(61 * time.Second))
	if err := frozen.Ready(); err == nil || !strings.Contains(err.Error(), "the database does not answer") {
		t.Errorf("the frozen one: %v", err)
	}
	before := s.registry()
	way.Mend()
	s.until("the frozen one to be ready", func() bool { return frozen.Ready() == nil })
	s.until("its answers to be refused", func() bool {
		return strings.Count(log.String(), "answer came after the lease had ended; it was discarded") >= 4
	})
	if after := s.registry(); !bytes.Equal(before, after) {
		t.Errorf("what came late changed\n%s to\n%s", before, after)
	}
	s.inSync(frozen, "customer")
	s.exec(`update users set name = 'last ' || id`)
	s.quiet(frozen)
	s.inSync(frozen, "customer")
	s.field("customer", "customer-1", "entityId", `"last 1"`)
}

// registry is what the groups' rows say of their records.
func (s *shop) registry() []byte {
	s.t.Helper()
	r := connect(s.t, s.ctx, s.url).ExecParams(s.ctx, `select string_agg(concat_ws(' ', key, generation, synced_generation, epoch, remote_id, digests, in_doubt_until), E'\n' order by key) from upkeep.groups`, nil, nil, nil, nil).Read()
	if r.Err != nil {
		s.t.Fatal(r.Err)
	}
	return r.Rows[0][0]
}
