package upkeep_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/internal/store"
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
		if _, _, err := db.Hold(s.ctx, s.to.Name, "worker", store.Ask{Slots: slots, Limit: 1, TTL: time.Minute}); err != nil {
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

// changing does something before each read.
type changing struct {
	connector.Connection
	before func(remoteID string)
}

func (c changing) Read(ctx context.Context, recordType, id string, want connector.Fields) (connector.Fields, error) {
	c.before(id)
	return c.Connection.(connector.Reader).Read(ctx, recordType, id, want)
}

// A row that is changed, and sent, between the load and the read is no
// difference; one for which that happens each time is told apart.
func TestVerifyWhileRowsChange(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		for _, always := range []bool{false, true} {
			s := newShop(memory.Config{})
			s.fill()
			e := s.engine(customerSync(s.to))
			s.run(e)
			s.quiet(e)
			// What somebody changed at the remote shows beside it.
			if !always && !s.remote.Edit("customer", "customer-2", connector.Fields{"email": []byte(`"else"`)}) {
				t.Fatal("there is no customer 2")
			}
			first, _ := s.remote.Record("customer", "customer-1")
			to := *s.to
			n := 0
			var mu sync.Mutex
			to.Connection = changing{s.to.Connection, func(id string) {
				mu.Lock()
				defer mu.Unlock()
				if id != first.ID || (n > 0 && !always) {
					return
				}
				n++
				s.exec("update users set name = 'Name %d' where id = 1", n)
				s.quiet(e)
			}}
			verifier := s.engine(customerSync(&to))
			v, err := verifier.Verify(s.ctx, "customer", nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range v.Differences {
				if d.Key == "1" {
					t.Errorf("a false difference: %+v", d)
				}
			}
			if changing := len(v.Changing) == 1 && v.Changing[0].Key == "1"; changing != always {
				t.Errorf("always %v: changing are %v", always, v.Changing)
			}
			if real := len(v.Differences) == 1 && v.Differences[0].Key == "2"; real == always {
				t.Errorf("always %v: differences are %+v", always, v.Differences)
			}
		}
	})
}

// What is changed while nothing folds shows as behind, not as clean.
func TestVerifyFoldsWhatWaits(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		e := s.engine(customerSync(s.to))
		stop := s.run(e)
		s.quiet(e)
		stop()
		s.exec("update users set name = 'Ada L.' where id = 1")
		v, err := s.engine(customerSync(s.to)).Verify(s.ctx, "customer", nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(v.Differences) != 1 || v.Differences[0].State != upkeep.Dirty {
			t.Errorf("found %+v", v.Differences)
		}
	})
}

// Of a few groups only these are read, however their keys are spelled; one that
// is not there is said before anything is read.
func TestVerifyOfKeys(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		e := s.engine(customerSync(s.to))
		s.run(e)
		s.quiet(e)
		for _, id := range []string{"customer-1", "customer-2"} {
			r, _ := s.remote.Record("customer", id)
			if err := s.to.Connection.Delete(s.ctx, "customer", r.ID); err != nil {
				t.Fatal(err)
			}
		}
		told := 0
		v, err := e.Verify(s.ctx, "customer", func(done int) { told = done }, "02", "2")
		if err != nil || v.Groups != 1 || told != 1 || len(v.Differences) != 1 || v.Differences[0].Key != "2" {
			t.Errorf("found %+v, %v; %d were told", v, err, told)
		}
		for _, c := range []struct {
			sync string
			keys []string
			want string
		}{
			{"customer", []string{"1", "998", "999"}, "customer/999: there is no record to compare; see: upkeep explain customer 999"},
			{"customer", []string{"x"}, `"x" can be no key of `},
			{"", []string{"1"}, "keys without a sync"},
		} {
			if _, err := e.Verify(s.ctx, c.sync, nil, c.keys...); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q %q: %v", c.sync, c.keys, err)
			}
		}
	})
}

// A group whose rows refer to a record that is not there is left out, whether it
// waits, has a record of before, or counts as clean: nothing can be compared, and
// Fix has nothing to do.
func TestVerifyLeavesOutWhatRefersToNothing(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		customer := customerSync(s.to)
		customer.When = func(u User) bool { return u.Name != "nobody" }
		customer.WhenFalse = upkeep.Ending{Action: upkeep.Delete}
		e := s.engine(customer, orderSync(s.to))
		s.run(e)
		s.quiet(e)
		s.exec("insert into users (id, name) values (9, 'nobody')")
		left := map[string]upkeep.State{}
		look := func(state upkeep.State) {
			v, err := e.Verify(s.ctx, "sales_order", nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range v.Differences {
				t.Errorf("%s: a difference that nothing can be done about: %+v", state, d)
			}
			for _, id := range v.Waiting {
				g, err := s.open().Group(s.ctx, id)
				if err != nil {
					t.Fatal(err)
				}
				if g.RemoteID == "" {
					t.Errorf("%s has no record", id)
				}
				left[id.Key] = g.State
			}
		}
		// 10 counts as clean: its own rows did not change.
		s.exec("update users set name = 'nobody' where id = 1")
		s.quiet(e)
		look(upkeep.Clean)
		if len(left) == 0 {
			t.Fatal("none was left out")
		}
		for key, state := range left {
			if state != upkeep.Clean {
				t.Errorf("order %s is %s, want it clean", key, state)
			}
			s.exec("update orders set user_id = 9 where id = " + key)
		}
		s.until("the orders to wait", func() bool {
			status, err := e.Status(s.ctx)
			return err == nil && status.Syncs[1].Waiting == int64(len(left))
		})
		look(upkeep.Waiting)
		for key, state := range left {
			if state != upkeep.Waiting {
				t.Errorf("order %s is %s, want it waiting", key, state)
			}
		}
	})
}
