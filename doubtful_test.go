package upkeep_test

import (
	"context"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/connector/netsuite/netsuitetest"
)

// NetSuite lets nobody send the lines of a fulfilled order again that have no
// key. A change of its other fields whose outcome is not known goes again without
// them: they are surely there.
func TestFulfilledOrderOutlivesADoubt(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]netsuitetest.Fault{
		"500":                 {Kind: netsuitetest.Status, Status: 500, Count: 1},
		"500 after applying":  {Kind: netsuitetest.Status, Status: 500, Applied: true, Count: 3},
		"HTML after applying": {Kind: netsuitetest.HTML, Applied: true, Count: 1},
		"lands late":          {Kind: netsuitetest.Late, Count: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t, memory.Config{})
			sandbox, to := account(t)
			s.exec(`insert into users(id, name) values (1, 'Ada'); insert into orders(id, user_id, state, ref_no) values (1, 1, 'placed', 'R1');
				insert into line_items values (1, 1, '201', 3, 9.90), (2, 1, '202', 1, 5)`)
			e := s.engine(netsuiteSyncs(to)...)
			s.run(e)
			s.quiet(e)
			s.exec(`update orders set state = 'sent'`)
			s.until("the fulfillment", func() bool { return len(sandbox.Records("itemFulfillment")) == 1 })
			s.quiet(e)
			f.Op, f.Type = "update", "salesOrder"
			if err := sandbox.Fail(f); err != nil {
				t.Fatal(err)
			}
			s.exec(`update orders set ref_no = 'R2'`)
			s.until("the fault", func() bool { return sandbox.Stats().Faulted == f.Count })
			sandbox.Release()
			s.settle(e)
			s.quiet(e)
			x, err := e.Explain(s.ctx, "sales_order", "1")
			if err != nil || x.Group.State != upkeep.Clean {
				t.Fatalf("%v, %+v", err, x)
			}
			v, err := e.Verify(s.ctx, "sales_order", nil)
			if err != nil || len(v.Differences) > 0 {
				t.Errorf("%+v, %v", v, err)
			}
		})
	}
}

// What a call in doubt did not carry is not sent again because of it, alone or in a
// batch; what it may have written is. What is forced goes whole.
func TestOnlyTheDoubtfulGoesAgain(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		for name, c := range map[string]memory.Config{"alone": {}, "batches": many()} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := newShop(c)
				s.users(5)
				e := s.engine(customerSync(s.to))
				s.run(e)
				s.quiet(e)
				var closed, lost atomic.Bool
				s.remote.FailWhen(func(q memory.Request) *memory.Fault {
					_, email := q.Fields["email"]
					switch {
					case q.Verb == memory.Update && email && closed.Load():
						return &memory.Fault{Err: &connector.Error{Kind: connector.Rejected, Message: "email can't be written any more"}}
					case q.Verb == memory.Update && lost.Load():
						return &memory.Fault{Late: true}
					}
					return nil
				})
				inDoubt := func() bool {
					_, doubts := s.calm(e)
					return doubts == 5
				}

				// The doubt is about another field.
				closed.Store(true)
				lost.Store(true)
				s.exec(`update users set name = name || '!'`)
				s.until("all to be in doubt", inDoubt)
				s.remote.Land(100)
				lost.Store(false)
				s.settle(e)
				s.quiet(e)
				s.inSync(e, "customer")

				// It is about the field itself, which is what it was again.
				closed.Store(false)
				lost.Store(true)
				s.exec(`update users set email = 'new@example.com'`)
				s.until("all to be in doubt", inDoubt)
				s.exec(`update users set email = null`)
				closed.Store(true)
				lost.Store(false)
				s.remote.Land(100)
				if x := s.state(e, "customer", "3", upkeep.Parked); !strings.Contains(x.Group.Reason, "email can't be written any more") {
					t.Errorf("the reason is %q", x.Group.Reason)
				}
				closed.Store(false)
				if _, err := e.Retry(s.ctx, "customer", ""); err != nil {
					t.Fatal(err)
				}
				s.settle(e)
				if _, err := e.Retry(s.ctx, "customer", ""); err != nil { // those that the first one came too early for
					t.Fatal(err)
				}
				s.quiet(e)
				s.inSync(e, "customer")

				// A person asks for it.
				closed.Store(true)
				if err := e.Resync(s.ctx, upkeep.Resync{Sync: "customer", Key: "3", Force: true}); err != nil {
					t.Fatal(err)
				}
				s.state(e, "customer", "3", upkeep.Parked)
			})
		}
	})
}

// upserts is a remote whose update makes a record that is gone anew, of the fields
// that it carries.
type upserts struct {
	mu      sync.Mutex
	records map[string]connector.Fields
	lose    bool // the next answer
}

func (u *upserts) Traits() connector.Traits {
	return connector.Traits{Class: connector.Upsert, Concurrency: 1, Timeout: time.Second, Quiet: time.Second}
}

func (u *upserts) Remakes(string) bool { return true }

func (u *upserts) Close() error { return nil }

func (u *upserts) Create(_ context.Context, r connector.Record) (string, error) {
	_, err := u.put(r.ExternalID, r.Fields)
	return r.ExternalID, err
}

func (u *upserts) Update(_ context.Context, id string, r connector.Record) error {
	made, err := u.put(id, r.Fields)
	if err == nil && made {
		err = &connector.Error{Kind: connector.NotFound, Message: "it was gone"}
	}
	return err
}

func (u *upserts) put(id string, fields connector.Fields) (made bool, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	made = u.records[id] == nil
	if made {
		u.records[id] = connector.Fields{}
	}
	maps.Copy(u.records[id], fields)
	if u.lose {
		u.lose = false
		return made, &connector.Error{Kind: connector.Unknown, Message: "the answer was lost"}
	}
	return made, nil
}

func (u *upserts) Find(_ context.Context, _, id string) (string, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.records[id] == nil {
		return "", &connector.Error{Kind: connector.NotFound}
	}
	return id, nil
}

func (u *upserts) Delete(_ context.Context, _, id string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.records, id)
	return nil
}

// Somebody deletes a record there; an update makes it anew, of one field, and its
// answer is lost. The other fields follow.
func TestRemadeInDoubt(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.Config{})
	remote := &upserts{records: map[string]connector.Fields{}}
	s.users(1)
	e := s.engine(customerSync(&upkeep.Remote{Name: "api", Connection: remote}))
	s.run(e)
	s.quiet(e)
	if err := remote.Delete(s.ctx, "customer", "customer-1"); err != nil {
		t.Fatal(err)
	}
	remote.mu.Lock()
	remote.lose = true
	remote.mu.Unlock()
	s.exec(`update users set name = 'Eve'`)
	s.settle(e)
	s.quiet(e)
	remote.mu.Lock()
	defer remote.mu.Unlock()
	if got := remote.records["customer-1"]; len(got) != 4 || string(got["entityId"]) != `"Eve"` {
		t.Errorf("the record has %s", got)
	}
}
