package upkeep_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/connector/netsuite/netsuitetest"
)

// What the remote will never take is left out: the record stays, what changes from
// then on is sent, and nothing of it counts as clean.
func TestSkip(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		for name, c := range map[string]memory.Config{"alone": {}, "batches": many()} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := newShop(c).in(t)
				s.users(2)
				e := s.engine(customerSync(s.to))
				s.run(e)
				s.quiet(e)
				var closed atomic.Bool
				closed.Store(true)
				s.remote.FailWhen(func(q memory.Request) *memory.Fault {
					if _, email := q.Fields["email"]; q.Verb == memory.Update && email && closed.Load() {
						return &memory.Fault{Err: &connector.Error{Kind: connector.Rejected, Message: "email can't be written any more"}}
					}
					return nil
				})
				wantLeft := func(when string, want ...string) {
					t.Helper()
					x := s.state(e, "customer", "1", upkeep.Skipped)
					if !slices.Equal(x.Left, want) || x.Send != "nothing" || !strings.Contains(x.Why, "left as it is at the remote: "+strings.Join(want, ", ")) {
						t.Errorf("%s: left is %q, and %q would be done: %s", when, x.Left, x.Send, x.Why)
					}
				}
				s.exec(`update users set email = 'new@example.com' where id = 1`)
				if x := s.state(e, "customer", "1", upkeep.Parked); !strings.Contains(x.Why, "upkeep skip customer 1") {
					t.Errorf("nothing says how to leave it: %s", x.Why)
				}
				s.skip(e, "customer", "1")
				wantLeft("skipped", "email")
				s.field("customer", "customer-1", "email", "")
				calls := s.remote.Calls(memory.Any)

				// Nothing that is no change of it sends it.
				if err := e.Touch(s.ctx, nil, "customer", 1); err != nil {
					t.Fatal(err)
				}
				s.quiet(e)
				wantLeft("touched", "email")
				if n := s.remote.Calls(memory.Any); n != calls {
					t.Errorf("%d calls for what was left out", n-calls)
				}
				s.exec(`update users set name = 'Eve' where id = 1`)
				s.quiet(e)
				s.field("customer", "customer-1", "entityId", `"Eve"`)
				wantLeft("another field sent", "email")

				v, err := e.Verify(s.ctx, "customer", nil)
				if err != nil || len(v.Differences) != 1 || !v.Differences[0].Skipped || v.Differences[0].Field != "email" {
					t.Fatalf("verify: %+v, %v", v, err)
				}
				if n, err := e.Fix(s.ctx, v.Differences); n != 0 || err != nil {
					t.Errorf("%d fixed, %v", n, err)
				}
				st, err := e.Status(s.ctx)
				if err != nil || st.Syncs[0].Skipped != 1 || st.Syncs[0].Clean != 1 {
					t.Errorf("status: %+v, %v", st.Syncs, err)
				}

				// A change of it does, and a person who asks.
				s.exec(`update users set email = 'newer@example.com' where id = 1`)
				s.state(e, "customer", "1", upkeep.Parked)
				s.skip(e, "customer", "1")
				wantLeft("skipped again", "email")
				closed.Store(false)
				if err := e.Resync(s.ctx, upkeep.Resync{Sync: "customer", Key: "1", Force: true}); err != nil {
					t.Fatal(err)
				}
				s.state(e, "customer", "1", upkeep.Clean)
				s.inSync(e, "customer")
			})
		}
	})
}

// skip waits until a worker has left what it had parked. A delete that was refused is
// tried again by itself, and is no refused one meanwhile.
func (s *shop) skip(e *upkeep.Engine, sync, key string) {
	s.t.Helper()
	s.until("the refused one to be left out", func() bool {
		_, err := e.Skip(s.ctx, sync, key)
		if err != nil && !errors.Is(err, upkeep.ErrNothingToSkip) && !errors.Is(err, upkeep.ErrClaimed) {
			s.t.Fatal(err)
		}
		return err == nil
	})
	s.quiet(e)
}

// refuseAll has the remote refuse all of one kind, until again is called.
func (s *shop) refuseAll(verb memory.Verb) (again func()) {
	var takes atomic.Bool
	s.remote.FailWhen(func(q memory.Request) *memory.Fault {
		if q.Verb != verb || takes.Load() {
			return nil
		}
		return &memory.Fault{Err: memory.Err(connector.Rejected)}
	})
	return func() { takes.Store(true) }
}

// refused parks customer/1, whose update the remote takes no more than this once, and
// stops the engine.
func (s *shop) refused(customer upkeep.Sync[User]) *upkeep.Engine {
	s.t.Helper()
	s.users(1)
	e := s.engine(customer)
	stop := s.run(e)
	s.quiet(e)
	s.remote.Fail(memory.Fault{On: memory.Update, Err: memory.Err(connector.Rejected)})
	s.exec(`update users set email = 'bad'`)
	s.state(e, "customer", "1", upkeep.Parked)
	stop()
	return e
}

// What was touched since the person looked is tried: it may be taken.
func TestSkipIsOfWhatWasRefused(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		e := s.refused(customerSync(s.to))
		if _, err := e.Skip(s.ctx, "customer", "1"); err != nil {
			t.Fatal(err)
		}
		if x, err := e.Explain(s.ctx, "customer", "1"); err != nil || x.Send != "nothing" || !strings.Contains(x.Why, "upkeep skip") {
			t.Errorf("while nobody is at work: %+v, %v", x, err)
		}
		s.exec(`update users set email = 'good@example.com'`)
		s.run(e)
		s.quiet(e)
		s.state(e, "customer", "1", upkeep.Clean)
		s.inSync(e, "customer")
	})
}

// What is left is known after a bulk job too, which another process may end.
func TestSkippedGoesInAJob(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(inJobs(400))
		s.users(150)
		e := s.engine(customerSync(s.to))
		stop := s.run(e)
		s.quiet(e)
		s.remote.Fail(memory.Fault{On: memory.Update, Err: memory.Err(connector.Rejected)})
		s.exec(`update users set email = 'bad' where id = 1`)
		s.state(e, "customer", "1", upkeep.Parked)
		s.skip(e, "customer", "1")
		s.state(e, "customer", "1", upkeep.Skipped)
		stop()
		changed := customerSync(s.to)
		changed.Version = "2"
		changed.Translate = func(u User) (upkeep.Fields, error) {
			return upkeep.Fields{"entityId": u.Name + "!", "email": u.Email}, nil
		}
		was, _ := s.through()
		e = s.engine(changed)
		s.run(e)
		s.quiet(e)
		if now, _ := s.through(); now != was+150 {
			t.Errorf("%d changes in jobs", now-was)
		}
		s.state(e, "customer", "1", upkeep.Skipped)
		s.field("customer", "customer-1", "email", "")
	})
}

// Who changes his mind before a worker has come is heard, and what was committed
// before the command and is not folded yet was not refused.
func TestSkipTakenBack(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		for name, back := range map[string]func(s *shop, e *upkeep.Engine) error{
			"force": func(s *shop, e *upkeep.Engine) error {
				return e.Resync(s.ctx, upkeep.Resync{Sync: "customer", Key: "1", Force: true})
			},
			"retry": func(s *shop, e *upkeep.Engine) error { _, err := e.Retry(s.ctx, "customer", "1"); return err },
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := newShop(memory.Config{}).in(t)
				e := s.refused(customerSync(s.to))
				if _, err := e.Skip(s.ctx, "customer", "1"); err != nil {
					t.Fatal(err)
				}
				if err := back(s, e); err != nil {
					t.Fatal(err)
				}
				if _, err := e.Verify(s.ctx, "customer", nil); err != nil { // folds, before anybody claims
					t.Fatal(err)
				}
				s.run(e)
				s.quiet(e)
				s.state(e, "customer", "1", upkeep.Clean)
				s.inSync(e, "customer")
			})
		}
	})
}

func TestSkipOfWhatNobodyRefused(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		customer := customerSync(s.to)
		customer.OnDelete = upkeep.Ending{Action: upkeep.Delete}
		e := s.refused(customer)
		s.exec(`delete from users`)
		if _, err := e.Skip(s.ctx, "customer", "1"); !errors.Is(err, upkeep.ErrNothingToSkip) {
			t.Errorf("the delete was left out: %v", err)
		}
		s.run(e)
		s.until("the record to go", func() bool { return len(s.remote.Records("customer")) == 0 })
	})
}

// A delete that the remote refuses is left out too: the record stays, until its row
// is there again or a person asks once more.
func TestSkipADelete(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.users(1)
		customer := customerSync(s.to)
		customer.OnDelete = upkeep.Ending{Action: upkeep.Delete}
		e, err := upkeep.New(upkeep.Config{Database: s.open(), Syncs: []upkeep.AnySync{customer}, MaxAttempts: 1})
		if err != nil {
			t.Fatal(err)
		}
		s.run(e)
		s.quiet(e)
		again := s.refuseAll(memory.Delete)
		s.exec(`delete from users`)
		s.state(e, "customer", "1", upkeep.Parked)
		s.skip(e, "customer", "1")
		if x := s.state(e, "customer", "1", upkeep.Skipped); !strings.Contains(x.Why, "its record stays, though it is to be deleted") {
			t.Error(x.Why)
		}
		if err := e.Resync(s.ctx, upkeep.Resync{Sync: "customer"}); err != nil {
			t.Fatal(err)
		}
		s.quiet(e)
		s.state(e, "customer", "1", upkeep.Skipped)
		if v, err := e.Verify(s.ctx, "customer", nil); err != nil || len(v.Differences) != 1 || !v.Differences[0].Skipped {
			t.Fatalf("verify: %+v, %v", v, err)
		}
		s.exec(`insert into users(id, name) values (1, 'Ada')`)
		s.quiet(e)
		s.state(e, "customer", "1", upkeep.Clean)
		s.inSync(e, "customer")
		again()
		s.exec(`delete from users`)
		s.until("the record to go", func() bool { return len(s.remote.Records("customer")) == 0 })
	})
}

// There has to be something that can be left.
func TestSkipOfNothing(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.users(2)
		customer := customerSync(s.to)
		translate := customer.Translate
		customer.Translate = func(u User) (upkeep.Fields, error) {
			if u.Name == "" {
				return nil, errors.New("no name")
			}
			return translate(u)
		}
		s.remote.Fail(memory.Fault{On: memory.Create, ExternalID: "customer-2", Err: memory.Err(connector.Rejected)})
		e := s.engine(customer)
		s.run(e)
		s.state(e, "customer", "2", upkeep.Parked)
		s.state(e, "customer", "1", upkeep.Clean)
		for key, says := range map[string]string{
			"1": "there is nothing to leave out: customer/1 is clean",
			"2": "customer/2 has no record at the remote that could be left as it is",
			"9": "customer/9",
		} {
			if _, err := e.Skip(s.ctx, "customer", key); err == nil || key != "9" && !errors.Is(err, upkeep.ErrNothingToSkip) || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v, want %q", key, err, says)
			}
		}
		s.exec(`update users set name = '' where id = 1`)
		s.state(e, "customer", "1", upkeep.Parked)
		if _, err := e.Skip(s.ctx, "customer", "1"); err == nil || !strings.Contains(err.Error(), "can't be made of its rows now") {
			t.Error(err)
		}
	})
}

// The lines of an order were in doubt, and it was fulfilled before the doubt was
// over: NetSuite refuses them for good, and a person leaves them as they are.
func TestSkipLinesOfFulfilledOrder(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.Config{})
	sandbox, to := account(t)
	s.exec(`insert into users(id, name) values (1, 'Ada'); insert into orders(id, user_id, state, ref_no) values (1, 1, 'placed', 'R1');
		insert into line_items values (1, 1, '201', 3, 9.90), (2, 1, '202', 1, 5)`)
	e := s.engine(netsuiteSyncs(to)...)
	s.run(e)
	s.quiet(e)
	if err := sandbox.Fail(netsuitetest.Fault{Kind: netsuitetest.Status, Status: 500, Applied: true, Op: "update", Type: "salesOrder", Count: 1}); err != nil {
		t.Fatal(err)
	}
	s.exec(`update line_items set qty = 4 where id = 1`)
	s.until("the fault", func() bool { return sandbox.Stats().Faulted == 1 })
	s.settleButFulfil(e)
	x := s.state(e, "sales_order", "1", upkeep.Parked)
	if len(x.Changed) != 1 || x.Changed[0] != "item" {
		t.Fatalf("%q would be sent: %s", x.Changed, x.Why)
	}
	s.skip(e, "sales_order", "1")
	s.state(e, "sales_order", "1", upkeep.Skipped)
	s.exec(`update orders set ref_no = 'R2'`)
	s.quiet(e)
	s.state(e, "sales_order", "1", upkeep.Skipped)
	if got := fmt.Sprint(sandbox.Records("salesOrder")[0]["otherRefNum"]); got != "R2" {
		t.Errorf("the other field is %s", got)
	}
}

// settleButFulfil fulfils the order as long as it is in doubt.
func (s *shop) settleButFulfil(e *upkeep.Engine) {
	s.t.Helper()
	s.until("the doubt", func() bool {
		calm, doubts := s.calm(e)
		return calm && doubts > 0
	})
	s.exec(`update orders set state = 'sent'`)
	s.settle(e)
}
