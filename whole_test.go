package upkeep_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/connector/netsuite/netsuitetest"
)

// NetSuite lets nobody send the lines of a fulfilled order again that have no
// key. A change of its other fields whose outcome is not known goes whole, and
// is no reason to park the order: it gets what it lacks.
func TestFulfilledOrderOutlivesADoubt(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]*netsuitetest.Fault{
		"500":                 {Kind: netsuitetest.Status, Status: 500},
		"500 after applying":  {Kind: netsuitetest.Status, Status: 500, Applied: true},
		"HTML after applying": {Kind: netsuitetest.HTML, Applied: true},
		"lands late":          {Kind: netsuitetest.Late},
		"forced":              nil,
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
			if f == nil {
				if err := e.Resync(s.ctx, upkeep.Resync{Sync: "sales_order", Key: "1", Force: true}); err != nil {
					t.Fatal(err)
				}
			} else {
				f.Op, f.Type, f.Count = "update", "salesOrder", 1
				if err := sandbox.Fail(*f); err != nil {
					t.Fatal(err)
				}
				s.exec(`update orders set ref_no = 'R2'`)
				s.until("the fault", func() bool { return sandbox.Stats().Faulted == 1 })
				sandbox.Release()
			}
			s.settle(e)
			s.quiet(e)
			x := s.state(e, "sales_order", "1", upkeep.Clean)
			if x.Group.Attempts != 0 || len(x.Attempts) == 0 {
				t.Errorf("%d failures in a row, tries: %+v", x.Group.Attempts, x.Attempts)
			}
			if tries, err := json.Marshal(x.Attempts); err != nil || !strings.Contains(string(tries), "after update: ") {
				t.Errorf("the tries don't say that the whole record was refused: %s, %v", tries, err)
			}
			v, err := e.Verify(s.ctx, "sales_order", nil)
			if err != nil || len(v.Differences) > 0 {
				t.Errorf("%+v, %v", v, err)
			}
		})
	}
}

// A record that goes whole and is refused so gets the fields in which it differs,
// alone or in a batch; one whose refused field differs is parked, with the words
// of the remote.
func TestRefusedWhole(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		for name, c := range map[string]memory.Config{"alone": {}, "batches": many()} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := newShop(c)
				s.users(5)
				e := s.engine(customerSync(s.to))
				s.run(e)
				s.quiet(e)
				s.remote.FailWhen(func(q memory.Request) *memory.Fault {
					if _, closed := q.Fields["email"]; closed && q.Verb == memory.Update {
						return &memory.Fault{Err: &connector.Error{Kind: connector.Rejected, Message: "email can't be written any more"}}
					}
					return nil
				})
				if !s.remote.Edit("customer", "customer-2", connector.Fields{"entityId": []byte(`"by hand"`)}) {
					t.Fatal("there is no customer-2")
				}
				s.remote.Forget()
				if err := e.Resync(s.ctx, upkeep.Resync{Sync: "customer", Force: true}); err != nil {
					t.Fatal(err)
				}
				s.quiet(e)
				s.inSync(e, "customer")
				for _, q := range s.remote.Applied() {
					if q.ExternalID != "customer-2" && q.Verb != memory.Read {
						t.Errorf("%v of %s: nothing in it differs", q.Verb, q.ExternalID)
					}
				}
				s.exec(`update users set email = 'new@example.com', name = 'new' where id = 3`)
				if x := s.state(e, "customer", "3", upkeep.Parked); !strings.Contains(x.Group.Reason, "email can't be written any more") {
					t.Errorf("the reason is %q", x.Group.Reason)
				}
				if err := e.Resync(s.ctx, upkeep.Resync{Sync: "customer", Key: "3", Force: true}); err != nil {
					t.Fatal(err)
				}
				s.quiet(e)
				if x := s.state(e, "customer", "3", upkeep.Parked); !strings.Contains(x.Group.Reason, "email can't be written any more") {
					t.Errorf("forced, the reason is %q", x.Group.Reason)
				}
			})
		}
	})
}
