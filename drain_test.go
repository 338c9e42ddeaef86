package upkeep_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// deaf is a connector that goes on with a call when its context has ended.
type deaf struct {
	connector.Connection
	external string
	called   chan struct{}
	end      chan struct{} // the call's
}

func (d deaf) Create(ctx context.Context, rec connector.Record) (string, error) {
	if rec.ExternalID == d.external {
		close(d.called)
		<-d.end
	}
	return d.Connection.Create(context.WithoutCancel(ctx), rec)
}

// runUndrained runs an engine that gives its calls no time when it is stopped.
func (s *shop) runUndrained(db upkeep.Database, to *upkeep.Remote) (stop func(), done <-chan error) {
	s.t.Helper()
	e, err := upkeep.New(upkeep.Config{Database: db, Syncs: []upkeep.AnySync{customerSync(to)}, Drain: time.Millisecond})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(s.ctx)
	s.t.Cleanup(stop)
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	return stop, ended
}

// A stop does not wait for a call that does not end, and says whose it is.
func TestStopLeavesACallThatDoesNotEnd(t *testing.T) {
	onEach(t, func(t *testing.T, shop func(memory.Config) *shop) {
		s := shop(memory.Config{})
		s.exec(`insert into users(id, name) values (1, 'Ada'), (2, 'Bob')`)
		d := deaf{s.remote.Connect(), "customer-1", make(chan struct{}), make(chan struct{})}
		to := &upkeep.Remote{Name: "erp", Connection: d}
		stop, done := s.runUndrained(s.open(), to)
		<-d.called
		s.until("the other group", func() bool {
			g, err := s.open().Group(s.ctx, upkeep.ID{Sync: "customer", Key: "2"})
			return err == nil && g.State == upkeep.Clean
		})
		stop()
		var err error
		select {
		case err = <-done:
		case <-time.After(time.Minute):
			close(d.end)
			t.Fatal("Run waits for a call that does not end")
		}
		if err == nil {
			t.Fatal("no error tells of the call")
		}
		for _, want := range []string{"the connector of erp does not end when its context does", "calls for customer/1 are still under way", "in doubt"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("the error %q does not say %q", err, want)
			}
		}
		// Its lease ends by itself, and it is sent again.
		s.advance(time.Hour)
		next := s.engine(customerSync(s.to))
		s.run(next)
		s.state(next, "customer", "1", upkeep.InDoubt)
		close(d.end)
		s.advance(time.Hour)
		s.state(next, "customer", "1", upkeep.Clean)
		s.quiet(next)
		s.inSync(next, "customer")
	})
}

// mute is a database that takes a result only when it is to.
type mute struct {
	store.Store
	asked, take chan struct{}
}

func (m mute) Record(ctx context.Context, results []store.Result, byHand []string) ([]store.ID, error) {
	close(m.asked)
	<-m.take
	return m.Store.Record(context.WithoutCancel(ctx), results, byHand)
}

// A database that does not answer at a stop is no call that does not end: it is
// waited for, and no connector is blamed.
func TestStopWaitsForWhatIsWritten(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.Config{})
	s.users(1)
	db := mute{s.open(), make(chan struct{}), make(chan struct{})}
	stop, done := s.runUndrained(db, s.to)
	<-db.asked
	stop()
	var err error
	select {
	case err = <-done:
		t.Errorf("Run ended with %v while a result was being written", err)
	case <-time.After(13 * time.Second): // longer than calls that do not end are waited for
	}
	close(db.take)
	if err == nil {
		err = <-done
	}
	if err != nil {
		t.Error(err)
	}
}
