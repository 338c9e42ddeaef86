package upkeep_test

import (
	"context"
	"fmt"
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
	"github.com/upkeep-sync/upkeep/internal/store"
)

// When a row is gone, its external id is made from its key alone.
func TestExternalIDOfARowThatIsGone(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		customer := customerSync(s.to)
		customer.ExternalID = func(u User) string { return fmt.Sprintf("user:%d", u.ID) }
		e := s.engine(customer)
		s.run(e)
		s.exec(`begin; insert into users(id, name) values (1, 'Ada'), (2, 'Bob'); delete from users where id = 1; commit`)
		s.quiet(e)
		if x, err := e.Explain(s.ctx, "customer", "1"); err != nil || x.Group != nil && x.Group.State != upkeep.Gone {
			t.Errorf("the row came and went: %+v, %v", x, err)
		}
		s.field("customer", "user:2", "entityId", `"Bob"`)
		s.exec(`delete from users`)
		s.quiet(e)
		if _, there := s.remote.Record("customer", "user:2"); there {
			t.Error("the record is still there")
		}
	})
}

// Two syncs do not take turns with one record either, whether both make their ids
// or one makes those that the other has by default.
func TestExternalIDOfAnotherSync(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		for name, syncs := range map[string]func(a, b *upkeep.Sync[User]){
			"made": func(a, b *upkeep.Sync[User]) {
				b.Name, b.ExternalID = "person", func(u User) string { return fmt.Sprintf("customer-%d", u.ID) }
			},
			"both made": func(a, b *upkeep.Sync[User]) {
				a.ExternalID = func(u User) string { return fmt.Sprintf("u%d", u.ID) }
				b.Name, b.ExternalID = "person", a.ExternalID
			},
			"of another record type": func(a, b *upkeep.Sync[User]) {
				a.ExternalID = func(u User) string { return fmt.Sprintf("u%d", u.ID) }
				b.Name, b.Record, b.ExternalID = "person", "contact", a.ExternalID
			},
		} {
			s := newShop(memory.Config{})
			a, b := customerSync(s.to), customerSync(s.to)
			translate := b.Translate
			b.Translate = func(u User) (upkeep.Fields, error) {
				f, err := translate(u)
				f["entityId"] = u.Name + " of the second"
				return f, err
			}
			syncs(&a, &b)
			e := s.engine(a, b)
			stop := s.run(e)
			s.exec(`insert into users(id, name) values (1, 'Ada'), (2, 'Bob')`)
			s.quiet(e)
			s.exec(`update users set email = 'new@example.com'`)
			s.quiet(e)
			parked := s.parked(e)
			if a.Record != b.Record {
				if len(parked) != 0 {
					t.Errorf("%s: parked %v", name, parked)
				}
				stop()
				continue
			}
			if len(parked) != 2 || len(s.remote.Records("customer")) != 2 {
				t.Fatalf("%s: parked %v, records %v", name, parked, s.remote.Records("customer"))
			}
			for _, key := range []string{"1", "2"} {
				first, second := "customer", "person"
				if parked["customer/"+key] != "" {
					first, second = second, first
				}
				if reason := parked[second+"/"+key]; !strings.Contains(reason, "is also that of "+first+"/"+key+": two syncs can't write one record") {
					t.Errorf("%s: %s/%s: %s", name, second, key, reason)
				}
				s.state(e, first, key, upkeep.Clean)
			}
			stop()
		}
	})
}

// What another sync's records have for external ids is foreseen as refused, and is
// one cause in the log.
func TestExternalIDOfAnotherSyncIsForeseen(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.users(20)
		first := s.engine(customerSync(s.to))
		stop := s.run(first)
		s.quiet(first)
		stop()

		person := customerSync(s.to)
		person.Name, person.ExternalID = "person", func(u User) string { return fmt.Sprintf("customer-%d", u.ID) }
		log := new(safeBuffer)
		both, err := upkeep.New(upkeep.Config{Database: s.open(), Logger: slog.New(slog.NewTextHandler(log, nil)), Syncs: []upkeep.AnySync{customerSync(s.to), person}})
		if err != nil {
			t.Fatal(err)
		}
		var reason string
		f, err := both.Forecast(s.ctx, upkeep.ForecastOptions{Each: func(c upkeep.RecordChange) error {
			reason = c.Reason
			return nil
		}})
		if err != nil || f.Calls() != 0 || f.Syncs[0].Unchanged != 20 || f.Syncs[1].Refused != 20 || !strings.Contains(reason, "is also that of customer/") {
			t.Errorf("foreseen: %+v, the last for %q, %v", f, reason, err)
		}
		s.run(both)
		s.quiet(both)
		if parked := s.parked(both); len(parked) != 20 {
			t.Errorf("parked %v", parked)
		}
		s.until("all to be told", func() bool { return strings.Contains(log.String(), "groups=20 ") })
		if n := strings.Count(log.String(), "is also that of customer/"); n != 10 {
			t.Errorf("one cause is told %d times:\n%s", n, log)
		}
	})
}

// So it is where neither has made a record yet, and the forecast is what comes of it.
func TestExternalIDsThatAreNewAreForeseen(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.users(20)
		first, person, contact := customerSync(s.to), customerSync(s.to), customerSync(s.to)
		person.Name, person.ExternalID = "person", func(u User) string { return fmt.Sprintf("customer-%d", u.ID/2) }
		contact.Name, contact.Record, contact.ExternalID = "contact", "contact", func(u User) string { return fmt.Sprintf("customer-%d", u.ID) }
		e, err := upkeep.New(upkeep.Config{Database: s.open(), Syncs: []upkeep.AnySync{first, person, contact}})
		if err != nil {
			t.Fatal(err)
		}
		foreseen := func(when string) (calls int64) {
			t.Helper()
			reasons := map[string]string{}
			f, err := e.Forecast(s.ctx, upkeep.ForecastOptions{Each: func(c upkeep.RecordChange) error {
				reasons[c.Sync+"/"+c.Key] = c.Reason
				return nil
			}})
			if err != nil || f.Syncs[0].Refused != 0 || f.Syncs[1].Refused != 19 || f.Syncs[2].Refused != 0 {
				t.Fatalf("%s: %+v, %v", when, f, err)
			}
			for key, other := range map[string]string{"person/2": "customer/1: two syncs can't write one record", "person/20": "customer/10: two syncs"} {
				if !strings.Contains(reasons[key], "is also that of "+other) {
					t.Errorf("%s: %s is refused for %q", when, key, reasons[key])
				}
			}
			return f.Calls()
		}
		if calls := foreseen("before"); calls != 41 {
			t.Errorf("%d calls foreseen", calls)
		}
		s.run(e)
		s.quiet(e)
		if parked := s.parked(e); len(parked) != 19 || len(s.remote.Records("customer")) != 21 {
			t.Errorf("parked %v, %d records", parked, len(s.remote.Records("customer")))
		}
	})
}

// Two rows with one external id do not take turns with one record: the second
// is parked, with the other's name, and goes when the other is gone.
func TestExternalIDThatIsNotUnique(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		customer := customerSync(s.to)
		customer.ExternalID = func(User) string { return "same" }
		e := s.engine(customer)
		s.run(e)
		s.exec(`insert into users(id, name) values (1, 'Ada'), (2, 'Bob')`)
		s.quiet(e)
		groups, err := e.Groups(s.ctx, "customer", upkeep.Clean, upkeep.ID{}, 10)
		parked := s.parked(e)
		if err != nil || len(groups) != 1 || len(parked) != 1 {
			t.Fatalf("clean %v, parked %v, %v", groups, parked, err)
		}
		first, second := groups[0].Key, "2"
		if first == "2" {
			second = "1"
		}
		name := map[string]string{"1": `"Ada"`, "2": `"Bob"`}
		if want := `its external id is taken: "same" is also that of customer/` + first; !strings.Contains(parked["customer/"+second], want) {
			t.Errorf("parked %v, want %q", parked, want)
		}
		s.field("customer", "same", "entityId", name[first])
		s.exec(`update users set name = 'news' where id = %s`, second)
		s.quiet(e)
		if x, err := e.Explain(s.ctx, "customer", second); err != nil || x.Send != "refuse" || x.Group.State != upkeep.Parked {
			t.Errorf("explained as %+v, %v", x, err)
		}
		s.field("customer", "same", "entityId", name[first])
		s.exec(`delete from users where id = %s`, first)
		s.quiet(e)
		if n, err := e.Retry(s.ctx, "customer", second); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		s.quiet(e)
		s.field("customer", "same", "entityId", `"news"`)
	})
}

// A row that goes away and another that takes its external id, in one
// transaction: the record of the one is deleted before the other's is made.
func TestExternalIDThatIsPassedOn(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		customer := customerSync(s.to)
		customer.ExternalID = func(User) string { return "same" }
		e := s.engine(customer)
		s.run(e)
		s.exec(`insert into users(id, name) values (2, 'Ada')`)
		s.quiet(e)
		s.exec(`begin; delete from users where id = 2; insert into users(id, name) values (1, 'Bob'); commit`)
		s.quiet(e)
		s.field("customer", "same", "entityId", `"Bob"`)
		if p := s.parked(e); len(p) > 0 {
			t.Errorf("parked: %v", p)
		}
	})
}

// meeting is a connection whose first create waits for the second.
type meeting struct {
	connector.Connection
	creates atomic.Int64
	both    chan struct{}
}

func (m *meeting) Create(ctx context.Context, r connector.Record) (string, error) {
	if m.creates.Add(1) == 2 {
		close(m.both)
	}
	<-m.both
	return m.Connection.Create(ctx, r)
}

// Two processes that make one record at the same time can't know of each other
// before. Afterwards they do: none of the two groups counts as clean, and the
// record stays while one of the rows is there.
func TestExternalIDOfTwoProcesses(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		customer := customerSync(s.to)
		customer.ExternalID = func(User) string { return "same" }
		meet := &meeting{Connection: s.to.Connection, both: make(chan struct{})}
		s.to.Connection = meet
		s.exec(`insert into users(id, name) values (1, 'Ada')`)
		one, two := s.engine(customer), s.engine(customer)
		s.run(one)
		s.until("the first to be made", func() bool { return meet.creates.Load() == 1 })
		s.exec(`insert into users(id, name) values (2, 'Bob')`)
		s.run(two)
		s.until("both to be parked", func() bool { return len(s.parked(one)) == 2 })
		s.exec(`delete from users where id = 1`)
		s.until("one to be gone", func() bool {
			x, err := one.Explain(s.ctx, "customer", "1")
			return err == nil && x.Group.State == upkeep.Gone
		})
		if n := len(s.remote.Records("customer")); n != 1 {
			t.Fatalf("%d records for one user", n)
		}
		if n, err := one.Retry(s.ctx, "customer", "2"); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		s.until("the other one to be clean", func() bool { return len(s.parked(one)) == 0 })
		s.quiet(one)
		s.field("customer", "same", "entityId", `"Bob"`)
	})
}

// askedEarly is a database at which the answer about the external id of group 2
// takes until group 1, which has the same, is made, written down and done with.
type askedEarly struct {
	upkeep.Database
	first, third chan struct{} // closed: the calls of groups 1 and 3 go on
	asked, going sync.Once
	made, next   chan struct{} // closed: group 1 is recorded; the recording of group 3 begins
}

func (d *askedEarly) Namesakes(ctx context.Context, sync string, among []string, ids map[string]string) (map[string]store.Namesake, error) {
	found, err := d.Database.Namesakes(ctx, sync, among, ids)
	if _, second := ids["2"]; second {
		d.asked.Do(func() {
			d.going.Do(func() { close(d.first) })
			wait(ctx, d.made)
			close(d.third)
			wait(ctx, d.next) // who records has done with group 1
		})
	}
	return found, err
}

func (d *askedEarly) Record(ctx context.Context, rs []store.Result, hand []string) ([]store.ID, error) {
	if slices.ContainsFunc(rs, func(r store.Result) bool { return r.Key == "3" && r.Outcome == store.Synced }) {
		close(d.next)
	}
	stale, err := d.Database.Record(ctx, rs, hand)
	for _, r := range rs {
		switch {
		case r.Key == "1" && r.Outcome == store.Synced:
			close(d.made)
		case r.Key == "2" && r.Outcome == store.Released: // it found the id taken
			d.going.Do(func() { close(d.first) })
		}
	}
	return stale, err
}

func wait(ctx context.Context, c <-chan struct{}) {
	select {
	case <-c:
	case <-ctx.Done():
	}
}

// A group whose external id another one is about to be made with is not sent,
// however long what is asked about it takes.
func TestExternalIDIsTakenBeforeItIsAskedFor(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.within(3 * time.Minute)
		customer := customerSync(s.to)
		customer.ExternalID = func(u User) string {
			if u.ID == 3 {
				return "other"
			}
			return "same"
		}
		d := &askedEarly{Database: s.open(), first: make(chan struct{}), third: make(chan struct{}), made: make(chan struct{}), next: make(chan struct{})}
		s.remote.Fail(memory.Fault{On: memory.Create, ExternalID: "same", Until: d.first})
		s.remote.Fail(memory.Fault{On: memory.Create, ExternalID: "other", Until: d.third})
		e, err := upkeep.New(upkeep.Config{Database: d, Syncs: []upkeep.AnySync{customer}})
		if err != nil {
			t.Fatal(err)
		}
		s.run(e)
		s.exec(`insert into users(id, name) values (1, 'Ada'), (3, 'Eve')`)
		s.until("both calls", func() bool { return s.remote.InFlight() == 2 })
		s.exec(`insert into users(id, name) values (2, 'Bob')`)
		s.quiet(e)
		if p := s.parked(e); len(p) != 1 || p["customer/2"] == "" {
			t.Errorf("parked: %v, want customer/2 alone", p)
		}
		s.field("customer", "same", "entityId", `"Ada"`)
		if n := len(s.remote.Applied()); n != 2 {
			t.Errorf("%d writes for two records: %+v", n, s.remote.Applied())
		}
	})
}
