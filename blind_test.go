package upkeep_test

import (
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// Remotes that neither keep a key unique nor look one up.

func TestBlindCreateIsNotRepeated(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.Config{Class: connector.Blind})
	s.fill()
	s.remote.Fail(memory.Fault{On: memory.Create, ExternalID: "customer-1", Applied: true, Err: memory.Err(connector.Unknown)})
	e := s.engine(customerSync(s.to))
	s.run(e)
	x := s.state(e, "customer", "1", "parked")
	if !strings.Contains(x.Why, "look for it there") {
		t.Errorf("why: %s", x.Why)
	}
	s.until("the other record", func() bool { return len(s.remote.Records("customer")) > 1 })
	// Nor is it when the row changes, however much later.
	s.exec(`update users set name = 'new' where id = 1`)
	s.settle(e)
	s.quiet(e)
	s.state(e, "customer", "1", "parked")
	if n := len(s.remote.Records("customer")); n != 2 {
		t.Errorf("%d records", n)
	}
	if n := s.remote.Calls(memory.Find); n != 0 {
		t.Errorf("%d look-ups at a remote that has none", n)
	}
}

// A person who looked says what is there; nothing is made twice, whatever
// happens to the row meanwhile.
func TestBlindCreateIsSettledByHand(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{Class: connector.Blind})
		s.users(4)
		for id, applied := range map[string]bool{"customer-1": true, "customer-2": false, "customer-3": true, "customer-4": false} {
			s.remote.Fail(memory.Fault{On: memory.Create, ExternalID: id, Applied: applied, Err: memory.Err(connector.Unknown)})
		}
		e := s.engine(customerSync(s.to))
		s.run(e)
		for _, key := range []string{"1", "2", "3", "4"} {
			s.state(e, "customer", key, upkeep.Parked)
		}
		if err := e.NotThere(s.ctx, "customer", "2"); err == nil || !strings.Contains(err.Error(), "an older request may still make the record") {
			t.Errorf("said too early: %v", err)
		}
		s.exec(`update users set name = 'new' where id = 1; delete from users where id > 2`)
		s.settle(e)
		s.quiet(e)
		if err := e.Adopt(s.ctx, "customer", "1", s.remoteID("customer-1")); err != nil {
			t.Error(err)
		}
		err := e.Adopt(s.ctx, "customer", "2", s.remoteID("customer-1"))
		if err == nil || !strings.Contains(err.Error(), "that is the record of customer/1") {
			t.Errorf("one record for two groups: %v", err)
		}
		for key, id := range map[string]string{"2": "", "3": s.remoteID("customer-3"), "4": ""} {
			var err error
			if id != "" {
				err = e.Adopt(s.ctx, "customer", key, id)
			} else {
				err = e.NotThere(s.ctx, "customer", key)
			}
			if err != nil {
				t.Error(err)
			}
		}
		s.quiet(e)
		s.inSync(e, "customer")
		s.field("customer", "customer-1", "entityId", `"new"`)
		s.state(e, "customer", "3", upkeep.Gone)
		s.state(e, "customer", "4", upkeep.Gone)
		if n := len(s.remote.Records("customer")); n != 2 {
			t.Errorf("%d records", n)
		}
		if n := s.remote.Calls(memory.Create); n != 5 {
			t.Errorf("%d creates, want the 4 that were in doubt, and the one that was not there", n)
		}
		if err := e.Adopt(s.ctx, "customer", "1", "other"); err == nil || !strings.Contains(err.Error(), "has a record at the remote") {
			t.Errorf("adopted twice: %v", err)
		}
	})
}

// A create that surely was not applied is repeated also where nothing can be
// looked up.
func TestBlindCreateAfterARefusalForNow(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.Config{Class: connector.Blind})
	s.fill()
	s.remote.Fail(memory.Fault{On: memory.Create, ExternalID: "customer-1", Err: &connector.Error{Kind: connector.RateLimited, Status: 429, RetryAfter: 20 * time.Millisecond}})
	e := s.engine(customerSync(s.to))
	s.run(e)
	s.quiet(e)
	s.inSync(e, "customer")
}
