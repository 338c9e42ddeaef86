package upkeep_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// settle waits until nothing is under way, and lets the time pass after which
// no old request can land any more. A group in doubt is tried again meanwhile:
// a lease that the passing of time cuts off leaves a doubt in its turn.
func (s *shop) settle(e *upkeep.Engine) {
	s.t.Helper()
	var passed time.Time
	s.until("all doubts to be settled", func() bool {
		calm, doubts := s.calm(e)
		switch {
		case !calm:
		case doubts == 0 && !passed.IsZero():
			return true
		case time.Since(passed) > 3*time.Second: // long enough for what is over to be seen
			s.advance(time.Hour)
			passed = time.Now()
		}
		return false
	})
}

// calm says whether nothing is claimed or left to send, and how many groups are in doubt.
func (s *shop) calm(e *upkeep.Engine) (calm bool, doubts int64) {
	st, err := e.Status(s.ctx)
	if err != nil || st.Pending > 0 {
		return false, 0
	}
	calm = true
	for _, c := range st.Syncs {
		calm = calm && c.Claimed+c.Dirty == 0
		doubts += c.InDoubt
	}
	return calm, doubts
}

func TestUnknownOutcomes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		class connector.Class
		fault memory.Fault
	}{
		{"create applied, answer lost", connector.Upsert, memory.Fault{On: memory.Create, Applied: true, Err: memory.Err(connector.Unknown)}},
		{"create lost", connector.Upsert, memory.Fault{On: memory.Create, Err: memory.Err(connector.Unknown)}},
		{"create lands late", connector.Upsert, memory.Fault{On: memory.Create, Late: true}},
		{"create applied, answer lost, keys not unique", connector.Lookup, memory.Fault{On: memory.Create, Applied: true, Err: memory.Err(connector.Unknown)}},
		{"create lost, keys not unique", connector.Lookup, memory.Fault{On: memory.Create, Err: memory.Err(connector.Unknown)}},
		{"create lands late, keys not unique", connector.Lookup, memory.Fault{On: memory.Create, Late: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t, memory.Config{Class: c.class})
			s.fill()
			c.fault.ExternalID = "customer-1"
			s.remote.Fail(c.fault)
			e := s.engine(customerSync(s.to))
			s.run(e)
			s.until("the answer to be lost", func() bool {
				x, err := e.Explain(s.ctx, "customer", "1")
				return err == nil && x.Group != nil && !x.Group.InDoubtUntil.IsZero()
			})
			if st, _ := e.Status(s.ctx); st.Syncs[0].Clean == 2 {
				t.Error("a group in doubt counts as clean")
			}
			s.remote.Land(-1)
			s.settle(e)
			s.quiet(e)
			s.inSync(e, "customer")
			if n := len(s.remote.Records("customer")); n != 2 {
				t.Errorf("%d records for 2 users", n)
			}
		})
	}
}

// An old request that lands after a newer one is overwritten once nothing can
// land any more.
func TestLateUpdateIsOverwritten(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		e := s.engine(customerSync(s.to))
		s.run(e)
		s.quiet(e)
		s.remote.Fail(memory.Fault{On: memory.Update, Late: true})
		s.exec(`update users set name = 'old' where id = 1`)
		s.until("the late request", func() bool { return len(s.remote.Late()) == 1 })
		s.exec(`update users set name = 'Ada' where id = 1`) // back to what was acknowledged
		s.until("the newer state to be sent", func() bool { return s.remote.Calls(memory.Update) >= 2 })
		s.state(e, "customer", "1", upkeep.State("in doubt"))
		s.remote.Land(-1)
		s.field("customer", "customer-1", "entityId", `"old"`)
		s.settle(e)
		s.quiet(e)
		s.field("customer", "customer-1", "entityId", `"Ada"`)
	})
}

// A record that was deleted while its creation was in doubt does not come back
// when the creation lands late.
func TestLateCreateOfADeletedRow(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		s.remote.Fail(memory.Fault{On: memory.Create, ExternalID: "customer-2", Late: true})
		sync := customerSync(s.to)
		sync.ExternalID = func(u User) string { return "customer-" + string(rune('0'+u.ID)) }
		e := s.engine(sync)
		s.run(e)
		s.until("the late request", func() bool { return len(s.remote.Late()) == 1 })
		s.exec(`delete from line_items where order_id = 12; delete from orders where user_id = 2; delete from users where id = 2`)
		s.until("the row's deletion to be handled", func() bool {
			x, err := e.Explain(s.ctx, "customer", "2")
			return err == nil && x.Group != nil && x.Group.Generation == x.Group.SyncedGeneration
		})
		s.remote.Land(-1)
		s.settle(e)
		s.quiet(e)
		if _, there := s.remote.Record("customer", "customer-2"); there {
			t.Error("the late creation was not removed")
		}
	})
}

// nameless forgets the ids of what it finds and makes, as a connector does that
// takes any 200 for an answer.
type nameless struct {
	connector.Connection
	forgets atomic.Bool
}

func (n *nameless) Create(ctx context.Context, r connector.Record) (string, error) {
	return n.id(n.Connection.Create(ctx, r))
}

func (n *nameless) Find(ctx context.Context, recordType, externalID string) (string, error) {
	return n.id(n.Connection.Find(ctx, recordType, externalID))
}

func (n *nameless) id(id string, err error) (string, error) {
	if n.forgets.Load() {
		id = ""
	}
	return id, err
}

// A success without an id says nothing: the record is in doubt, and neither
// clean nor made a second time.
func TestASuccessWithoutAnIDIsInDoubt(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.Config{Class: connector.Lookup})
	s.fill()
	n := &nameless{Connection: s.remote.Connect()}
	n.forgets.Store(true)
	e := s.engine(customerSync(&upkeep.Remote{Name: "erp", Connection: n, Quiet: time.Millisecond}))
	s.run(e)
	s.until("a second look at the record", func() bool {
		s.advance(time.Minute)
		x, err := e.Explain(s.ctx, "customer", "1")
		return err == nil && len(x.Attempts) > 1
	})
	x, err := e.Explain(s.ctx, "customer", "1")
	if err != nil || x.Group.State == upkeep.Clean || x.Attempts[0].Outcome != connector.Unknown.String() {
		t.Errorf("state %v, last attempt %+v, %v", x.Group, x.Attempts, err)
	}
	n.forgets.Store(false)
	s.until("the record to be clean", func() bool {
		s.advance(time.Minute)
		x, err := e.Explain(s.ctx, "customer", "1")
		return err == nil && x.Group.State == upkeep.Clean
	})
	made := 0
	for _, r := range s.remote.Records("customer") {
		if r.ExternalID == "customer-1" {
			made++
		}
	}
	if made != 1 {
		t.Errorf("%d records of one row", made)
	}
}

func TestRejectedIsParkedInTheRemotesWords(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.Config{})
	s.fill()
	s.remote.Fail(memory.Fault{On: memory.Create, ExternalID: "customer-1", Times: -1, Err: &connector.Error{Kind: connector.Rejected, Status: 400, Message: "email is on the black list"}})
	e := s.engine(customerSync(s.to))
	s.run(e)
	s.quiet(e)
	x := s.state(e, "customer", "1", "parked")
	if !strings.Contains(x.Why, "email is on the black list") || len(x.Attempts) != 1 || x.Attempts[0].Status != 400 {
		t.Errorf("why %q, attempts %+v", x.Why, x.Attempts)
	}
	s.state(e, "customer", "2", "clean") // it delays no other
	s.remote.Heal()
	if n, err := e.Retry(s.ctx, "customer", ""); n != 1 || err != nil {
		t.Errorf("retry: %d, %v", n, err)
	}
	s.quiet(e)
	s.inSync(e, "customer")
}

func TestRateLimitCostsNoAttempt(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		s.remote.Fail(memory.Fault{On: memory.Create, Times: 3, Err: &connector.Error{Kind: connector.RateLimited, Status: 429, RetryAfter: 20 * time.Millisecond}})
		e := s.engine(customerSync(s.to))
		s.run(e)
		s.until("the records", func() bool { return len(s.remote.Records("customer")) == 2 })
		s.quiet(e)
		for _, key := range []string{"1", "2"} {
			if x := s.state(e, "customer", key, "clean"); x.Group.Attempts != 0 {
				t.Errorf("customer %s: %d attempts", key, x.Group.Attempts)
			}
		}
	})
}

func TestBrokenRemoteIsProbed(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		for i := range 40 {
			s.exec(`insert into users(id, name) values (%d, 'u')`, i+1)
		}
		s.remote.Fail(memory.Fault{Times: -1, Err: &connector.Error{Kind: connector.Unauthorized, Status: 401, Message: "Invalid login attempt."}})
		e := s.engine(customerSync(s.to))
		s.run(e)
		s.until("the breaker to open", func() bool {
			st, err := e.Status(s.ctx)
			return err == nil && st.Remotes[0].Broken
		})
		if n := s.remote.Calls(memory.Any); n > 20 {
			t.Errorf("%d calls to a remote that is broken", n)
		}
		s.remote.Heal()
		s.until("the records", func() bool { return len(s.remote.Records("customer")) == 40 })
		s.quiet(e)
		if st, _ := e.Status(s.ctx); st.Remotes[0].Broken || st.Syncs[0].Parked > 0 {
			t.Errorf("after the remote came back: %+v", st)
		}
	})
}

func TestPanicAndErrorInTranslateHitOneGroup(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.Config{})
	s.fill()
	sync := customerSync(s.to)
	plain := sync.Translate
	sync.Translate = func(u User) (upkeep.Fields, error) {
		if u.Name == "Bob" {
			var none *User
			return upkeep.Fields{"x": none.Name}, nil
		}
		if u.Name == "Eve" {
			return nil, errors.New("no Eves")
		}
		return plain(u)
	}
	e := s.engine(sync)
	s.run(e)
	s.exec(`insert into users(id, name) values (3, 'Eve')`)
	if x := s.state(e, "customer", "2", "parked"); !strings.Contains(x.Why, "nil pointer") || !strings.Contains(x.Why, "faults_test.go") {
		t.Errorf("why: %s", x.Why)
	}
	if x := s.state(e, "customer", "3", "parked"); !strings.Contains(x.Why, "no Eves") {
		t.Errorf("why: %s", x.Why)
	}
	s.state(e, "customer", "1", "clean")
}

// "Not there" is not "deleted": a row that vanished while nobody watched does
// not delete its record until a person says so.
func TestUnseenDeleteDeletesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		e := s.engine(customerSync(s.to))
		stop := s.run(e)
		s.quiet(e)
		stop()
		s.blind()
		s.exec(`delete from line_items where order_id = 12; delete from orders where user_id = 2; delete from users where id = 2`)
		e = s.engine(customerSync(s.to))
		s.run(e)
		if err := e.Resync(s.ctx, upkeep.Resync{Sync: "customer"}); err != nil {
			t.Fatal(err)
		}
		x := s.state(e, "customer", "2", "parked")
		if !strings.Contains(x.Why, "resync --deleted customer 2") {
			t.Errorf("why: %s", x.Why)
		}
		if _, there := s.remote.Record("customer", "customer-2"); !there {
			t.Fatal("the record was deleted")
		}
		if err := e.Resync(s.ctx, upkeep.Resync{Sync: "customer", Key: "1", Deleted: true}); err == nil || !strings.Contains(err.Error(), "the row is there") {
			t.Errorf("the deletion of a row that is there was taken as observed: %v", err)
		}
		if err := e.Resync(s.ctx, upkeep.Resync{Sync: "customer", Key: "2", Deleted: true}); err != nil {
			t.Fatal(err)
		}
		s.state(e, "customer", "2", "gone")
		if _, there := s.remote.Record("customer", "customer-2"); there {
			t.Error("the record is still there")
		}
	})
}

func TestRecordLostAtTheRemoteIsMadeAgain(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.Config{})
	s.fill()
	e := s.engine(customerSync(s.to), orderSync(s.to), fulfillmentSync(s.to))
	s.run(e)
	s.quiet(e)
	s.remote.Remove("customer", "customer-1")
	s.remote.Remove("itemFulfillment", "fulfillment-12")
	s.exec(`update users set name = 'x' where id = 1; update orders set ref_no = 'y' where id = 12`)
	s.quiet(e)
	s.inSync(e, "customer", "sales_order", "fulfillment") // the order refers to the new record, too
}

func TestExistingRecordIsAdopted(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.Config{Class: connector.Lookup})
	s.fill()
	s.remote.Add(connector.Record{Type: "customer", ExternalID: "customer-1", Fields: connector.Fields{"entityId": []byte(`"by hand"`)}})
	s.remote.Fail(memory.Fault{On: memory.Create, ExternalID: "customer-1", Err: memory.Err(connector.Exists)})
	e := s.engine(customerSync(s.to))
	s.run(e)
	s.quiet(e)
	s.inSync(e, "customer")
}

func TestEndings(t *testing.T) {
	t.Parallel()
	archive := upkeep.Ending{Action: upkeep.Set, Fields: upkeep.Fields{"isInactive": true}}
	for _, c := range []struct {
		name             string
		onDelete, when   upkeep.Ending
		there            bool // the record, after the row's deletion
		inactiveUnnamed  string
		inactiveDeleted  string
		thereWhenUnnamed bool
	}{
		{name: "the defaults: delete on delete, keep when false", thereWhenUnnamed: true},
		{name: "keep", onDelete: upkeep.Ending{Action: upkeep.Keep}, when: upkeep.Ending{Action: upkeep.Keep}, there: true, thereWhenUnnamed: true},
		{name: "delete", onDelete: upkeep.Ending{Action: upkeep.Delete}, when: upkeep.Ending{Action: upkeep.Delete}},
		{name: "set", onDelete: archive, when: archive, there: true, thereWhenUnnamed: true, inactiveUnnamed: "true", inactiveDeleted: "true"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t, memory.Config{})
			s.fill()
			sync := customerSync(s.to)
			sync.OnDelete, sync.WhenFalse = c.onDelete, c.when
			sync.When = func(u User) bool { return u.Name != "" }
			translate := sync.Translate
			sync.Translate = func(u User) (upkeep.Fields, error) {
				f, err := translate(u)
				if c.when.Action == upkeep.Set {
					f["isInactive"] = false
				}
				return f, err
			}
			e := s.engine(sync)
			s.run(e)
			s.quiet(e)
			s.exec(`update users set name = '' where id = 2`)
			s.quiet(e)
			if _, there := s.remote.Record("customer", "customer-2"); there != c.thereWhenUnnamed {
				t.Errorf("when false: there %v", there)
			}
			s.field("customer", "customer-2", "isInactive", c.inactiveUnnamed)
			s.exec(`update users set name = 'Bob again' where id = 2`)
			s.quiet(e)
			s.inSync(e, "customer")
			if c.when.Action == upkeep.Set {
				s.field("customer", "customer-2", "isInactive", "false")
			}
			s.exec(`delete from line_items where order_id = 12; delete from orders where user_id = 2; delete from users where id = 2`)
			s.quiet(e)
			if _, there := s.remote.Record("customer", "customer-2"); there != c.there {
				t.Errorf("deleted: there %v", there)
			}
			s.field("customer", "customer-2", "isInactive", c.inactiveDeleted)
			// A sweep of what has ended changes nothing and parks nothing.
			s.remote.Forget()
			if err := e.Resync(s.ctx, upkeep.Resync{}); err != nil {
				t.Fatal(err)
			}
			s.quiet(e)
			if n := s.remote.Calls(memory.Any); n != 0 {
				t.Errorf("%d calls in a sweep of what is in sync: %+v", n, s.remote.Requests())
			}
			if st, _ := e.Status(s.ctx); st.Syncs[0].Parked != 0 {
				t.Errorf("parked: %+v", st.Syncs[0])
			}
		})
	}
}

// A row that comes back must not keep what its record was ended with. A mapping that
// does not say what that is else is refused at its first record; the next version does.
func TestARowComesBackFromItsEnding(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.exec(`insert into users(id, name) values (1, 'Ada'), (2, 'Bob')`)
		sync := customerSync(s.to)
		sync.OnDelete = upkeep.Ending{Action: upkeep.Set, Fields: upkeep.Fields{"isInactive": true, "email": "gone"}}
		e := s.engine(sync)
		stop := s.run(e)
		s.quiet(e)
		if x := s.state(e, "customer", "2", upkeep.Parked); !strings.Contains(x.Group.Reason, "translate: nothing says what becomes of isInactive, which OnDelete") {
			t.Error(x.Group.Reason)
		}
		if n := s.remote.Calls(memory.Any); n != 0 {
			t.Errorf("%d calls", n)
		}
		stop()
		translate := sync.Translate
		sync.Version, sync.Translate = "2", func(u User) (upkeep.Fields, error) {
			f, err := translate(u)
			f["isInactive"] = false
			return f, err
		}
		e = s.engine(sync)
		s.run(e)
		s.quiet(e)
		s.exec(`delete from users where id = 2`)
		s.quiet(e)
		s.field("customer", "customer-2", "isInactive", "true")
		s.field("customer", "customer-2", "email", `"gone"`)
		s.exec(`insert into users(id, name) values (2, 'Bob is back')`)
		s.quiet(e)
		s.state(e, "customer", "2", upkeep.Clean)
		s.field("customer", "customer-2", "isInactive", "false")
		s.field("customer", "customer-2", "entityId", `"Bob is back"`)
		s.inSync(e, "customer")
	})
}

func TestCreateFieldsAreSentOnce(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.Config{})
	s.fill()
	sync := customerSync(s.to)
	sync.CreateFields = func(u User) (upkeep.Fields, error) { return upkeep.Fields{"subsidiary": "1"}, nil }
	e := s.engine(sync)
	s.run(e)
	s.quiet(e)
	s.field("customer", "customer-1", "subsidiary", `"1"`)
	s.remote.Edit("customer", "customer-1", connector.Fields{"subsidiary": []byte(`"7"`)})
	s.exec(`update users set name = 'x'`)
	s.quiet(e)
	s.field("customer", "customer-1", "subsidiary", `"7"`)
}

// The remote would keep what it was made with, and count as up to date with
// what Translate says.
func TestCreateFieldsAreNoneOfTranslates(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.Config{})
	s.fill()
	sync := customerSync(s.to)
	sync.CreateFields = func(u User) (upkeep.Fields, error) {
		if u.ID != 1 {
			return upkeep.Fields{"subsidiary": "1"}, nil
		}
		return upkeep.Fields{"subsidiary": "1", "entityId": "created"}, nil
	}
	e := s.engine(sync)
	s.run(e)
	s.quiet(e)
	if x := s.state(e, "customer", "1", upkeep.Parked); !strings.Contains(x.Group.Reason, "create fields: Translate makes entityId too; ") {
		t.Error(x.Group.Reason)
	}
	s.state(e, "customer", "2", upkeep.Clean)
}

func TestChangedMappingIsSwept(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.Config{})
	s.fill()
	sync := customerSync(s.to)
	e := s.engine(sync)
	stop := s.run(e)
	s.quiet(e)
	stop()
	s.remote.Forget()
	plain := sync.Translate
	sync.Version = "2"
	sync.Translate = func(u User) (upkeep.Fields, error) {
		f, err := plain(u)
		if u.ID == 1 {
			f["entityId"] = "Dr. " + u.Name
		}
		return f, err
	}
	e = s.engine(sync)
	s.run(e)
	s.until("the sweep", func() bool { return s.remote.Calls(memory.Update) == 1 })
	s.quiet(e)
	s.inSync(e, "customer")
	if n := s.remote.Calls(memory.Any); n > 1+2 { // and Verify's two reads
		t.Errorf("%d calls for one record whose representation changed", n)
	}
}

func TestTwoEnginesShareTheWork(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{Limit: 4, Concurrency: 4})
		for i := range 300 {
			s.exec(`insert into users(id, name) values (%d, 'u%d')`, i+1, i)
		}
		a, b := s.engine(customerSync(s.to)), s.engine(customerSync(s.to))
		s.run(a)
		s.run(b)
		for i := range 100 {
			s.exec(`update users set name = 'v%d' where id %% 7 = %d`, i, i%7)
		}
		s.quiet(a)
		s.inSync(a, "customer")
		if _, one := s.remote.MaxInFlight(); one != 1 {
			t.Errorf("%d calls at once for one record", one)
		}
		for _, r := range s.remote.Requests() {
			if r.Err != nil && connector.KindOf(r.Err) == connector.RateLimited {
				t.Error("the two together went over the remote's limit")
				break
			}
		}
	})
}

// A clean stop sends what is under way, records it, and leaves nothing in
// doubt or claimed.
func TestStopDrains(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		hold := make(chan struct{})
		s.remote.Fail(memory.Fault{On: memory.Create, Times: -1, Until: hold})
		e := s.engine(customerSync(s.to), orderSync(s.to))
		stop := s.run(e)
		s.until("calls under way", func() bool { return s.remote.InFlight() == 2 })
		stopped := make(chan struct{})
		go func() { stop(); close(stopped) }()
		close(hold)
		<-stopped
		st, err := e.Status(s.ctx)
		if err != nil {
			t.Fatal(err)
		}
		if c := st.Syncs[0]; c.InDoubt != 0 || c.Claimed != 0 || c.Clean != 2 {
			t.Errorf("after a clean stop: %+v", c)
		}
	})
}

// A record that was made anew under another id, by an older creation that came
// late, is deleted with its row.
func TestDeleteOfARecordThatCameLate(t *testing.T) {
	t.Parallel()
	for _, class := range []connector.Class{connector.Upsert, connector.Lookup} {
		s := newShop(t, memory.Config{Class: class})
		s.fill()
		e := s.engine(customerSync(s.to))
		stop := s.run(e)
		s.quiet(e)
		stop()
		s.remote.Remove("customer", "customer-2")
		s.remote.Add(connector.Record{Type: "customer", ExternalID: "customer-2"})
		s.exec(`delete from line_items where order_id = 12; delete from orders where user_id = 2; delete from users where id = 2;
			update upkeep_groups set generation = generation + 1, forced_generation = generation + 1, due_at = 0 where key = '2'`) // as if it were settled
		e = s.engine(customerSync(s.to))
		stop = s.run(e)
		s.quiet(e)
		stop()
		if _, there := s.remote.Record("customer", "customer-2"); there {
			t.Errorf("%v: the record is still there", class)
		}
	}
}
