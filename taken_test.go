package upkeep_test

import (
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// When a row's key changes, the record of the new key may be made before that of
// the old one is deleted, which has a value that may be there only once.
func TestATakenValueIsTriedAgain(t *testing.T) {
	t.Parallel()
	taken := &connector.Error{Kind: connector.Exists, Status: 400, Message: "this number is in use"}
	for _, c := range []struct {
		name  string
		on    memory.Verb
		class connector.Class
		times int
		state upkeep.State
		said  string
	}{
		{"a create", memory.Create, connector.Lookup, 2, upkeep.Clean, "(after find: not found: no customer has the external id \"customer-1\")"},
		{"an update", memory.Update, connector.Upsert, 2, upkeep.Clean, ""},
		{"without a look-up", memory.Create, connector.Blind, 2, upkeep.Clean, ""},
		{"for good", memory.Create, connector.Lookup, -1, upkeep.Parked, ""},
		{"an update, for good", memory.Update, connector.Upsert, -1, upkeep.Parked, "exists (HTTP 400): this number is in use"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t, memory.Config{Class: c.class})
			s.exec(`insert into users(id, name) values (1, 'Ada')`)
			e := s.hasty(customerSync(s.to))
			if c.on == memory.Update {
				s.run(e)
				s.quiet(e)
			}
			s.remote.Fail(memory.Fault{On: c.on, ExternalID: "customer-1", Times: c.times, Err: taken})
			if c.on == memory.Create {
				s.run(e)
			} else {
				s.exec(`update users set name = 'Ada L.' where id = 1`)
			}
			s.quiet(e)
			x := s.state(e, "customer", "1", c.state)
			refused := 0
			for _, a := range x.Attempts {
				if strings.Contains(a.Message, "this number is in use") {
					refused++
				}
			}
			if want := max(c.times, 0) + 6*max(-c.times, 0); refused != want {
				t.Errorf("%d tries were refused, want %d: %+v", refused, want, x.Attempts)
			}
			if c.said != "" && x.Attempts[0].Message != c.said {
				t.Errorf("the last attempt says %q, want %q", x.Attempts[0].Message, c.said)
			}
			if c.state == upkeep.Clean {
				s.inSync(e, "customer")
			}
		})
	}
}

// A parent's record may be deleted before those that referred to it are sent
// without it.
func TestARefusedDeleteIsTriedAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		times, refused int
		state          upkeep.State
	}{{2, 2, upkeep.Gone}, {-1, 6, upkeep.Parked}} {
		s := newShop(t, memory.Config{})
		s.exec(`insert into users(id, name) values (1, 'Ada')`)
		sync := customerSync(s.to)
		sync.OnDelete = upkeep.Ending{Action: upkeep.Delete}
		e := s.hasty(sync)
		s.run(e)
		s.quiet(e)
		s.remote.Fail(memory.Fault{On: memory.Delete, Times: c.times, Err: &connector.Error{Kind: connector.Rejected, Message: "it has dependent records"}})
		s.exec(`delete from users where id = 1`)
		s.quiet(e)
		x := s.state(e, "customer", "1", c.state)
		refused := 0
		for _, a := range x.Attempts {
			if strings.Contains(a.Message, "it has dependent records") {
				refused++
			}
		}
		if refused != c.refused {
			t.Errorf("%d tries were refused, want %d: %+v", refused, c.refused, x.Attempts)
		}
	}
}

// A record that was refused under one external id, and so is not there, gets the
// one that the mapping makes by now.
func TestARefusedExternalIDCanBeLeft(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.Config{})
	s.exec(`insert into users(id, name) values (1, 'Ada'), (2, 'Bob')`)
	s.remote.Fail(memory.Fault{On: memory.Create, ExternalID: "customer-1", Times: -1, Err: &connector.Error{Kind: connector.Rejected, Message: "the external id has a minus"}})
	e := s.engine(customerSync(s.to))
	stop := s.run(e)
	s.quiet(e)
	s.state(e, "customer", "1", upkeep.Parked)
	stop()
	sync := customerSync(s.to)
	sync.Version = "2"
	sync.ExternalID = func(u User) string { return "c" + strconv.FormatInt(u.ID, 10) }
	e = s.engine(sync)
	s.run(e)
	s.quiet(e)
	s.state(e, "customer", "1", upkeep.Clean)
	s.field("customer", "c1", "entityId", `"Ada"`)
	s.field("customer", "customer-2", "entityId", `"Bob"`) // keeps the one that it was made with
}

// onlyOnce has the remote refuse a name that another record of it has.
func (s *shop) onlyOnce() {
	names := map[string]string{}
	s.remote.FailWhen(func(q memory.Request) *memory.Fault {
		name := string(q.Fields["entityId"])
		for record, has := range names {
			if name != "" && has == name && record != q.ExternalID {
				return &memory.Fault{Err: &connector.Error{Kind: connector.Exists, Status: 400, Message: "this name is in use"}}
			}
		}
		switch {
		case q.Verb == memory.Delete:
			delete(names, q.ExternalID)
		case name != "":
			names[q.ExternalID] = name
		}
		return nil
	})
}

// Whoever has the value may keep it for a while, and let go of it later.
func TestATakenValueIsHadWhenItIsLetGo(t *testing.T) {
	onEach(t, func(t *testing.T, shop func(memory.Config) *shop) {
		for _, c := range []struct {
			name, sql string
			class     connector.Class
		}{
			{"the other record is renamed", `update users set name = 'Ada L.' where id = 1`, connector.Upsert},
			{"the other record is deleted", `delete from users where id = 1`, connector.Lookup},
			{"and at a remote that can look nothing up", `update users set name = 'Ada L.' where id = 1`, connector.Blind},
		} {
			t.Run(c.name, func(t *testing.T) {
				s := shop(memory.Config{Class: c.class})
				s.onlyOnce()
				s.exec(`insert into users(id, name) values (1, 'Ada'), (3, 'Cyd')`)
				sync := customerSync(s.to)
				sync.OnDelete = upkeep.Ending{Action: upkeep.Delete}
				e := s.hasty(sync)
				s.run(e)
				s.quiet(e)
				s.exec(`insert into users(id, name) values (2, 'Ada')`)
				x := s.state(e, "customer", "2", upkeep.Parked)
				if want := "another record there has the value: tried again when one changes or goes"; !strings.Contains(x.Why, want) {
					t.Errorf("explain says %q, and not %q", x.Why, want)
				}
				s.exec(c.sql)
				s.state(e, "customer", "2", upkeep.Clean)
				s.field("customer", "customer-2", "entityId", `"Ada"`)
				s.quiet(e)
				s.inSync(e, "customer")
			})
		}
	})
}

// The record of a row that is gone is kept, and its value with it: one of another
// key can't be had, and explain tells where to look.
func TestAKeptRecordHasTheValue(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.Config{})
	s.onlyOnce()
	s.exec(`insert into users(id, name) values (1, 'Ada')`)
	sync := customerSync(s.to)
	sync.OnDelete = upkeep.Ending{Action: upkeep.Keep}
	e := s.hasty(sync)
	s.run(e)
	s.quiet(e)
	s.exec(`update users set id = 2`)
	x := s.state(e, "customer", "2", upkeep.Parked)
	if want := "on_delete keeps records whose rows are gone, with their values"; !strings.Contains(x.Why, want) {
		t.Errorf("explain says %q, and not %q", x.Why, want)
	}
}

// Nobody saw the other record let go: it is not ours, or whoever did is dead.
func TestATakenValueIsHadInTheEnd(t *testing.T) {
	onEach(t, func(t *testing.T, shop func(memory.Config) *shop) {
		s := shop(memory.Config{})
		s.remote.Fail(memory.Fault{ExternalID: "customer-1", Times: -1, Err: &connector.Error{Kind: connector.Exists, Message: "this name is in use"}})
		s.exec(`insert into users(id, name) values (1, 'Ada')`)
		e := s.hasty(customerSync(s.to))
		stop := s.run(e)
		s.state(e, "customer", "1", upkeep.Parked)
		stop()
		tries := s.remote.Calls(memory.Create)
		for i, rest := range []time.Duration{0, time.Minute, 3 * time.Minute} { // each of these in vain
			s.advance(rest + time.Second)
			e = s.hasty(customerSync(s.to))
			stop = s.run(e)
			s.until("one try", func() bool { return s.remote.Calls(memory.Create) == tries+i+1 })
			s.state(e, "customer", "1", upkeep.Parked)
			stop()
		}
		s.remote.Heal()
		s.advance(time.Hour)
		e = s.hasty(customerSync(s.to))
		s.run(e)
		s.state(e, "customer", "1", upkeep.Clean)
	})
}

// The key of a parent with children changes. The new record is refused, since the
// old one has its name; the old one is not deleted, since the children refer to
// it; and these wait for the new one. A person ends that with one value.
func TestAKeyChangeThatGoesInACircle(t *testing.T) {
	onEach(t, func(t *testing.T, shop func(memory.Config) *shop) {
		s := shop(memory.Config{})
		var free atomic.Bool // the old record's name
		refers := true       // under the remote's lock
		s.remote.FailWhen(func(q memory.Request) *memory.Fault {
			switch {
			case q.ExternalID == "customer-5" && !free.Load():
				return &memory.Fault{Err: &connector.Error{Kind: connector.Exists, Message: "this name is in use"}}
			case q.Type == "salesOrder" && free.Load():
				refers = false
			case q.Verb == memory.Delete && refers:
				return &memory.Fault{Err: &connector.Error{Kind: connector.Rejected, Message: "it has dependent records"}}
			}
			return nil
		})
		s.exec(`insert into users(id, name) values (1, 'Ada')`)
		s.exec(`insert into orders(id, user_id, state) values (7, 1, 'placed')`)
		customers := customerSync(s.to)
		customers.OnDelete = upkeep.Ending{Action: upkeep.Delete}
		e := s.hasty(customers, orderSync(s.to))
		s.run(e)
		s.quiet(e)
		s.exec(`insert into users(id, name) values (5, 'Ada')`)
		s.exec(`update orders set user_id = 5 where id = 7`)
		s.exec(`delete from users where id = 1`)
		s.state(e, "customer", "1", upkeep.Parked)
		s.state(e, "sales_order", "7", upkeep.Waiting)
		old, _ := s.remote.Record("customer", "customer-1")
		s.state(e, "customer", "5", upkeep.Parked)
		// The delete may be parked for a moment before it was seen.
		s.until("the circle to be told", func() bool {
			x, err := e.Explain(s.ctx, "customer", "5")
			return err == nil && !slices.ContainsFunc([]string{"it may be in a circle: sales_order/7 waits for it", "its record refers to that of customer/1", strconv.Quote(old.ID), "upkeep retry customer 5"},
				func(want string) bool { return !strings.Contains(x.Why, want) })
		})
		free.Store(true)
		if _, err := e.Retry(s.ctx, "customer", "5"); err != nil {
			t.Fatal(err)
		}
		s.state(e, "customer", "5", upkeep.Clean)
		s.state(e, "sales_order", "7", upkeep.Clean)
		s.state(e, "customer", "1", upkeep.Gone) // nobody has to let it go
		s.quiet(e)
		s.inSync(e, "customer", "sales_order")
	})
}
