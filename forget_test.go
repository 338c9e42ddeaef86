package upkeep_test

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/internal/registrytext"
)

// Of a row and a record that are gone nothing stays in the registry, if that is asked for;
// and of nothing else.
func TestForget(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		const key, other = "7700123", "7700456"
		s := newShop(memory.Config{}).in(t)
		s.exec(`insert into users (id, name) values (%s, 'Ada'), (%s, 'Bob'), (1, 'Cid')`, key, other)
		customer := customerSync(s.to)
		customer.OnDelete = upkeep.Ending{Action: upkeep.Delete}
		customer.When = func(u User) bool { return u.Name != "off" }
		e := s.engine(customer)
		s.run(e)
		s.quiet(e)
		forget := func(key string, want error, says string) {
			t.Helper()
			err := e.Forget(s.ctx, upkeep.Forget{Sync: "customer", Key: key})
			if !errors.Is(err, want) || err != nil && !strings.Contains(err.Error(), says) {
				t.Errorf("forget %s: %v, want %v: %s", key, err, want, says)
			}
		}
		forget(key, upkeep.ErrNotGone, "the row of customer/7700123 is there")
		forget("99", upkeep.ErrNoGroup, "customer/99")
		if err := e.Forget(s.ctx, upkeep.Forget{Sync: "custmer", Key: key}); !errors.Is(err, upkeep.ErrNoSync) {
			t.Errorf("forget of a sync that nobody has: %v", err)
		}
		if err := e.Resync(s.ctx, upkeep.Resync{Sync: "customer", Key: key, Force: true}); err != nil {
			t.Fatal(err)
		}
		s.exec(`update users set name = 'off' where id = 1`) // its record is kept
		s.quiet(e)
		s.exec(`delete from users where id in (%s, 1)`, key)
		s.quiet(e)
		s.state(e, "customer", key, upkeep.Gone)
		forget(key, nil, "")
		if found := s.traces(key); len(found) > 0 {
			t.Errorf("left of it: %q", found)
		}
		if found := s.traces(other); len(found) == 0 {
			t.Error("of the other one nothing is left, or this can't be seen")
		}
		forget(key, upkeep.ErrNoGroup, "")
		all, err := e.Interventions(s.ctx, "customer", "", 100)
		if err != nil {
			t.Fatal(err)
		}
		var did []string
		for _, i := range all {
			did = append(did, fmt.Sprint(i.Did, " ", i.Key, " ", i.Detail))
		}
		if got := strings.Join(did, "; "); !strings.Contains(got, "forget  a group that is gone") || !strings.Contains(got, "resync  forgotten") {
			t.Errorf("done by hand: %s", got)
		}
		// It is a new row for all that is known.
		s.exec(`insert into users (id, name) values (%s, 'Ada')`, key)
		s.quiet(e)
		s.inSync(e, "customer")
	})
}

// A record that is kept at the remote is known, unless that is asked for.
func TestForgetOfAKeptRecord(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{}).in(t)
		s.exec(`insert into users (id, name) values (7700123, 'Ada')`)
		customer := customerSync(s.to)
		customer.OnDelete = upkeep.Ending{Action: upkeep.Keep}
		e := s.engine(customer)
		s.run(e)
		s.quiet(e)
		s.exec(`delete from users where id = 7700123`)
		s.quiet(e)
		err := e.Forget(s.ctx, upkeep.Forget{Sync: "customer", Key: "7700123"})
		if !errors.Is(err, upkeep.ErrNotGone) || !strings.Contains(err.Error(), "may be made twice") {
			t.Errorf("forget: %v", err)
		}
		if err := e.Forget(s.ctx, upkeep.Forget{Sync: "customer", Key: "7700123", Kept: true}); err != nil {
			t.Error(err)
		}
		if found := s.traces("7700123"); len(found) > 0 {
			t.Errorf("left of it: %q", found)
		}
		s.oneCustomer()
	})
}

// What is gone goes with the history, by itself; what is not stays.
func TestGoneIsForgottenWithTheHistory(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{}).in(t)
		s.exec(`insert into users (id, name) values (7700123, 'Ada'), (7700456, 'Bob')`)
		customer := customerSync(s.to)
		customer.OnDelete = upkeep.Ending{Action: upkeep.Delete}
		first := s.engine(customer)
		stop := s.run(first)
		s.quiet(first)
		s.exec(`delete from users where id = 7700123`)
		s.quiet(first)
		s.state(first, "customer", "7700123", upkeep.Gone)
		stop()
		s.advance(31 * 24 * time.Hour)
		s.run(s.engine(customer))
		s.until("it to be forgotten", func() bool { return len(s.traces("7700123")) == 0 })
		if found := s.traces("7700456"); len(found) == 0 {
			t.Error("what is there is forgotten, too")
		}
	})
}

// A version of a transaction from before its end may come for a day after a group ended
// whose every version is delivered.
func TestForgetOfDeliveredVersions(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.tickets(1)
	sync := ticketSync(s.to)
	sync.OnDelete = upkeep.Ending{Action: upkeep.Delete}
	e := s.engine(sync)
	s.run(e)
	s.quiet(e)
	s.exec(`delete from notes; delete from tickets`)
	s.quiet(e)
	s.state(e, "ticket", "1", upkeep.Gone)
	forget := upkeep.Forget{Sync: "ticket", Key: "1"}
	if err := e.Forget(s.ctx, forget); !errors.Is(err, upkeep.ErrNotGone) || !strings.Contains(err.Error(), "one more version") {
		t.Errorf("forget at once: %v", err)
	}
	s.advance(25 * time.Hour)
	if err := e.Forget(s.ctx, forget); err != nil {
		t.Errorf("forget after a day: %v", err)
	}
}

// traces are the tables of Upkeep that have a text.
func (s *shop) traces(text string) (found []string) {
	s.t.Helper()
	postgres := strings.HasPrefix(s.url, "postgres")
	driver, source := "sqlite", "file:"+s.url+"?_pragma=busy_timeout(10000)"
	if postgres {
		driver, source = "pgx", s.url
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	tables, err := registrytext.Read(s.ctx, db, postgres)
	if err != nil {
		s.t.Fatal(err)
	}
	for name, rows := range tables {
		if strings.Contains(rows, text) {
			found = append(found, name)
		}
	}
	return found
}
