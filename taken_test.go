package upkeep_test

import (
	"strconv"
	"strings"
	"testing"

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
