package upkeep_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/connector/netsuite"
	"github.com/upkeep-sync/upkeep/connector/netsuite/netsuitetest"
)

// account is a NetSuite sandbox with a remote that is connected to it.
func account(t *testing.T) (*netsuitetest.Server, *upkeep.Remote) {
	t.Helper()
	sandbox, err := netsuitetest.New(netsuitetest.Config{Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sandbox)
	conn, err := netsuite.Open(netsuite.Config{Account: netsuitetest.Account, BaseURL: server.URL, Auth: netsuite.Auth{OAuth1: &netsuite.OAuth1{
		ConsumerKey: netsuitetest.ConsumerKey, ConsumerSecret: netsuitetest.ConsumerSecret,
		TokenID: netsuitetest.TokenID, TokenSecret: netsuitetest.TokenSecret,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(); sandbox.Close(); server.Close() })
	return sandbox, &upkeep.Remote{Name: "netsuite", Connection: conn, Timeout: 2 * time.Second}
}

// netsuiteSyncs are the shop's syncs in the forms that NetSuite has.
func netsuiteSyncs(to *upkeep.Remote) []upkeep.AnySync {
	customer, order, fulfillment := customerSync(to), orderSync(to), fulfillmentSync(to)
	customer.Translate = func(u User) (upkeep.Fields, error) {
		f := upkeep.Fields{"entityId": fmt.Sprintf("U%d", u.ID), "companyName": u.Name, "email": u.Email, "custentity_orders": u.Orders, "isInactive": false}
		if u.Customer != nil {
			f["custentity_segment"] = u.Customer.Segment
		}
		return f, nil
	}
	customer.OnDelete = upkeep.Ending{Action: upkeep.Set, Fields: upkeep.Fields{"isInactive": true}}
	order.CreateFields = func(Order) (upkeep.Fields, error) { return upkeep.Fields{"orderStatus": "B"}, nil }
	order.Translate = func(o Order) (upkeep.Fields, error) {
		lines := []upkeep.Fields{}
		for _, l := range o.Lines {
			lines = append(lines, upkeep.Fields{"item": upkeep.Fields{"id": l.SKU}, "quantity": l.Qty, "rate": l.Price})
		}
		return upkeep.Fields{"entity": upkeep.Ref("customer", o.UserID), "otherRefNum": o.RefNo, "item": lines}, nil
	}
	return []upkeep.AnySync{customer, order, fulfillment}
}

// The whole way to NetSuite while the remote fails in every way it can: after
// it heals there is one record for each row, and it is right.
func TestNetSuiteThroughFaults(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		sandbox, to := account(t)
		const n = 25
		for i := 1; i <= n; i++ {
			s.exec(`insert into users(id, name) values (%[1]d, 'user %[1]d');
				insert into orders(id, user_id, state, ref_no) values (%[1]d, %[1]d, 'placed', 'R%[1]d');
				insert into line_items values (%[1]d, %[1]d, '20%[2]d', 3, 9.90), (%[3]d, %[1]d, '201', 1, 0.10)`, i, i%5+1, i+1000)
		}
		for _, f := range []netsuitetest.Fault{
			{Kind: netsuitetest.Status, Status: 500, Applied: true},
			{Kind: netsuitetest.Status, Status: 503},
			{Kind: netsuitetest.Reset, Applied: true},
			{Kind: netsuitetest.Late, Drop: true},
			{Kind: netsuitetest.HTML, Applied: true},
			{Kind: netsuitetest.Status, Status: 429},
			{Kind: netsuitetest.Hang, Count: 2},
		} {
			f.Probability = 0.06
			if err := sandbox.Fail(f); err != nil {
				t.Fatal(err)
			}
		}
		e := s.engine(netsuiteSyncs(to)...)
		s.run(e)
		for i := 1; i <= n; i++ {
			s.exec(`update users set name = 'user %[1]d, renamed' where id = %[1]d;
				update line_items set qty = qty + 1 where order_id = %[1]d`, i)
			if i%3 == 0 {
				s.exec(`update orders set state = 'sent' where id = %d`, i)
			}
		}
		s.until("enough trouble", func() bool { return sandbox.Stats().Faulted > 15 })
		sandbox.Heal()
		sandbox.Release()
		s.settle(e)
		s.quiet(e)
		for _, sync := range []string{"customer", "sales_order", "fulfillment"} {
			v, err := e.Verify(s.ctx, sync, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range v.Differences {
				t.Errorf("%s %s %s: want %s, got %s", d.Sync, d.Key, d.Field, d.Want, d.Got)
			}
		}
		for recordType, want := range map[string]int{"customer": n, "salesOrder": n, "itemFulfillment": n / 3} {
			if got := len(sandbox.Records(recordType)); got != want {
				t.Errorf("%d records of %s, want %d", got, recordType, want)
			}
		}
		if d := sandbox.Duplicates(); len(d) > 0 {
			t.Errorf("duplicates: %v", d)
		}
		if most := sandbox.Stats().MaxInFlight; most > 5 {
			t.Errorf("%d requests at once, the account takes 5", most)
		}
	})
}

// A transform makes a new record each time: its lost answer must not make two.
func TestLostTransformMakesOneRecord(t *testing.T) {
	t.Parallel()
	for _, f := range []netsuitetest.Fault{
		{Kind: netsuitetest.Reset, Applied: true}, {Kind: netsuitetest.Status, Status: 500, Applied: true},
		{Kind: netsuitetest.Late, Drop: true}, {Kind: netsuitetest.Empty, Applied: true}, {Kind: netsuitetest.Status, Status: 502},
	} {
		t.Run(fmt.Sprint(f.Kind, f.Status), func(t *testing.T) {
			t.Parallel()
			s := newShop(t, memory.Config{})
			sandbox, to := account(t)
			f.Op, f.Type, f.Count = "transform", "itemFulfillment", 1
			if err := sandbox.Fail(f); err != nil {
				t.Fatal(err)
			}
			s.exec(`insert into users(id, name) values (1, 'Ada'); insert into orders(id, user_id, state, ref_no) values (1, 1, 'sent', 'R1');
				insert into line_items values (1, 1, '201', 3, 9.90)`)
			e := s.engine(netsuiteSyncs(to)...)
			s.run(e)
			s.until("the lost answer", func() bool { return sandbox.Stats().Faulted == 1 })
			sandbox.Release()
			s.until("the record", func() bool { return len(sandbox.Records("itemFulfillment")) == 1 })
			s.settle(e)
			s.quiet(e)
			if got := len(sandbox.Records("itemFulfillment")); got != 1 {
				t.Errorf("%d fulfillments of one order", got)
			}
			if x := s.state(e, "fulfillment", "1", "clean"); x.Group.RemoteID == "" {
				t.Error("the fulfillment's id is not known")
			}
		})
	}
}

// The lines of a transform go once: after a lost answer the record is left as it
// was made, and lines that would have to go again are parked, with what to do.
func TestLinesOfALostTransformGoOnce(t *testing.T) {
	t.Parallel()
	list := func(Order) (upkeep.Fields, error) {
		return upkeep.Fields{"item": []upkeep.Fields{{"orderLine": 1, "quantity": 1}}}, nil
	}
	for state, fulfillment := range map[upkeep.State]func(*upkeep.Sync[Order]){
		"clean":  func(f *upkeep.Sync[Order]) { f.CreateFields = list },
		"parked": func(f *upkeep.Sync[Order]) { f.Translate = list },
	} {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			s := newShop(t, memory.Config{})
			sandbox, to := account(t)
			if err := sandbox.Fail(netsuitetest.Fault{Kind: netsuitetest.Reset, Applied: true, Op: "transform", Count: 1}); err != nil {
				t.Fatal(err)
			}
			s.exec(`insert into users(id, name) values (1, 'Ada'); insert into orders(id, user_id, state, ref_no) values (1, 1, 'sent', 'R1');
				insert into line_items values (1, 1, '201', 3, 9.90), (2, 1, '202', 5, 9.90)`)
			syncs := netsuiteSyncs(to)
			lists := fulfillmentSync(to)
			fulfillment(&lists)
			syncs[2] = lists
			e := s.engine(syncs...)
			s.run(e)
			s.until("the lost answer", func() bool { return sandbox.Stats().Faulted == 1 })
			s.settle(e)
			x := s.state(e, "fulfillment", "1", state)
			if state == "parked" && !strings.Contains(x.Group.Reason, "put it into create_fields") {
				t.Errorf("the reason is %q", x.Group.Reason)
			}
			made := sandbox.Records("itemFulfillment")
			if lines := fmt.Sprint(made); len(made) != 1 || !strings.Contains(lines, "orderLine:1") || strings.Contains(lines, "orderLine:2") {
				t.Errorf("the account has %v", made)
			}
		})
	}
}

func TestWrongCredentialsSayWhatToDo(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.Config{})
	s.fill()
	sandbox, to := account(t)
	conn, err := netsuite.Open(netsuite.Config{Account: netsuitetest.Account, BaseURL: "http://127.0.0.1:1", Auth: netsuite.Auth{OAuth1: &netsuite.OAuth1{ConsumerKey: "a", ConsumerSecret: "b", TokenID: "c", TokenSecret: "d"}}})
	if err != nil {
		t.Fatal(err)
	}
	to.Connection = conn
	_ = sandbox
	e := s.engine(netsuiteSyncs(to)...)
	findings, err := e.Check(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(findings) == 0 {
		t.Error("a remote that can't be reached is no finding")
	}
	if k := connector.KindOf(conn.Delete(s.ctx, "customer", "1")); k != connector.Unavailable {
		t.Errorf("kind %v", k)
	}
}
