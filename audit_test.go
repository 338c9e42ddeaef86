package upkeep_test

import (
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// What is written while the triggers are gone is found, named and sent.
func TestAuditFindsMissedChanges(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		e := s.engine(customerSync(s.to))
		stop := s.run(e)
		s.quiet(e)
		if missed, err := e.Audit(s.ctx, "customer", nil); err != nil || len(missed) != 0 {
			t.Fatalf("nothing was missed: %v, %v", missed, err)
		}
		stop() // or its first look at the triggers might find them gone, and sweep
		s.blind()
		s.exec(`update users set email = 'unseen@example.com' where id = 1`)
		s.exec(`insert into users (id, name) values (3, 'Unseen')`)
		missed, err := e.Audit(s.ctx, "customer", nil)
		if err != nil || len(missed) != 2 {
			t.Fatalf("%+v, %v", missed, err)
		}
		for _, m := range missed {
			switch m.Key {
			case "1":
				if !reflect.DeepEqual(m.Fields, []string{"email"}) || len(m.Columns) != 1 || !strings.HasSuffix(m.Columns[0], ".users.email") {
					t.Errorf("%+v", m)
				}
			case "3":
			default:
				t.Errorf("%+v", m)
			}
		}
		if st, err := e.Status(s.ctx); err != nil || st.Pending != 2 {
			t.Errorf("the missed changes are to be sent: %d touches, %v", st.Pending, err)
		}
		s.run(e)
		s.quiet(e)
		s.field("customer", "customer-1", "email", `"unseen@example.com"`)
		s.field("customer", "customer-3", "entityId", `"Unseen"`)
		if again, err := e.Missed(s.ctx, 10); err != nil || len(again) != 2 || again[0].At.IsZero() {
			t.Errorf("%+v, %v", again, err)
		}
		findings, err := e.Doctor(s.ctx)
		if err != nil || !strings.Contains(fmt.Sprint(findings), "a change was missed") {
			t.Errorf("%v, %v", findings, err)
		}
	})
}

// A translation that reads more than its row is found out.
func TestAuditFindsImpureTranslation(t *testing.T) {
	s := newShop(t, memory.Config{})
	s.fill()
	var rate atomic.Int64
	sync := customerSync(s.to)
	sync.Translate = func(u User) (upkeep.Fields, error) {
		return upkeep.Fields{"entityId": u.Name, "rate": rate.Load()}, nil
	}
	e := s.engine(sync)
	s.run(e)
	s.quiet(e)
	rate.Store(7)
	about, err := e.Explain(s.ctx, "customer", "1")
	if err != nil || about.Send != "update" || !strings.Contains(about.Why, "nothing has touched it") || !strings.Contains(about.Why, "a change was missed") ||
		!strings.Contains(about.Why, "Translate") || strings.Contains(about.Why, "folded yet") {
		t.Errorf("%+v, %v", about, err)
	}
	missed, err := e.Audit(s.ctx, "customer", nil)
	if err != nil || len(missed) != 2 || !reflect.DeepEqual(missed[0].Fields, []string{"rate"}) {
		t.Errorf("%+v, %v", missed, err)
	}
}

// A change that is on its way was not missed.
func TestAuditLeavesWhatIsOnItsWay(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.users(50)
		e := s.engine(customerSync(s.to))
		s.run(e)
		s.quiet(e)
		for i := range 20 {
			s.exec(`update users set name = name || '%d' where id %% 5 = %d`, i, i%5)
			if missed, err := e.Audit(s.ctx, "customer", nil); err != nil || len(missed) != 0 {
				t.Fatalf("round %d: %+v, %v", i, missed, err)
			}
		}
	})
}

// Without an engine that runs, an audit brings the log forward itself: it does
// not wait for somebody who is not there.
func TestAuditAlone(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		e := s.engine(customerSync(s.to))
		stop := s.run(e)
		s.quiet(e)
		stop()
		s.blind()
		s.exec(`update users set email = 'unseen@example.com' where id = 1`)
		for i, want := range []int{1, 0} { // the second finds what the first has touched
			missed, err := e.Audit(s.ctx, "customer", nil)
			if err != nil || len(missed) != want {
				t.Fatalf("audit %d: %+v, %v", i, missed, err)
			}
			s.exec(`update users set email = 'again@example.com' where id = 1`)
		}
		if err := e.Touch(s.ctx, nil, "customer", 2); err != nil {
			t.Fatal(err)
		}
		s.exec(`update users set email = 'late@example.com' where id = 2`)
		if missed, err := e.Audit(s.ctx, "customer", nil); err != nil || len(missed) != 0 {
			t.Fatalf("a touch is on its way: %+v, %v", missed, err)
		}
		if err := e.Touch(s.ctx, nil, "customer", 2, "eu"); err == nil || !strings.Contains(err.Error(), "2 values are given for the key of ") {
			t.Error(err)
		}
	})
}

// Why a record differs is told as far as it is known: what the log has may
// touch it, and a sweep may not have come to it.
func TestExplainOfWhatDiffers(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		e := s.engine(customerSync(s.to))
		stop := s.run(e)
		s.quiet(e)
		stop()
		says := func(e *upkeep.Engine, key, why string) {
			t.Helper()
			about, err := e.Explain(s.ctx, "customer", key)
			if err != nil || about.Send != "update" || !strings.Contains(about.Why, why) {
				t.Errorf("%+v, %v; want %q", about, err, why)
			}
		}
		s.exec(`update users set email = 'new@example.com' where id = 1`)
		says(e, "1", "touches wait in the log (1)")
		other := customerSync(s.to)
		other.Version = "2"
		other.Translate = func(u User) (upkeep.Fields, error) { return upkeep.Fields{"entityId": u.Name + "!"}, nil }
		says(s.engine(other), "2", "its declaration is not the one that is installed")
		if err := e.Resync(s.ctx, upkeep.Resync{Sync: "customer"}); err != nil {
			t.Fatal(err)
		}
		says(e, "1", "a backfill or a sweep was asked for, and has not come to it yet")
	})
}

// A row that went without a trigger having seen it left its record: that is
// told, nothing is sent, and a person says so for all of them at once.
func TestAuditFindsRowsThatAreGone(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.users(12)
		e := s.engine(customerSync(s.to))
		stop := s.run(e)
		s.quiet(e)
		stop()
		s.exec(`delete from users where id = 12`) // seen
		s.blind()
		s.exec(`delete from users where id > 2`)
		missed, err := e.Audit(s.ctx, "customer", nil)
		if err != nil || len(missed) != 9 || !missed[0].RowGone() {
			t.Fatalf("%+v, %v", missed, err)
		}
		if again, err := e.Missed(s.ctx, 20); err != nil || len(again) != 9 || !again[0].RowGone() {
			t.Errorf("%+v, %v", again, err)
		}
		s.run(e)
		s.quiet(e)
		if n := len(s.remote.Records("customer")); n != 11 {
			t.Errorf("%d records, want what was there but for the one that was seen", n)
		}
		findings, err := e.Doctor(s.ctx)
		if err != nil || !strings.Contains(fmt.Sprint(findings), "rows are not there, and no trigger saw them go: 9,") {
			t.Errorf("%v, %v", findings, err)
		}
		s.exec(`insert into users (id, name) values (3, 'Back')`)
		s.quiet(e)
		for _, wrong := range []int{0, 7, 9} {
			if err := e.Resync(s.ctx, upkeep.Resync{Sync: "customer", Deleted: true, Missing: wrong}); err == nil || wrong > 0 && !strings.Contains(err.Error(), "there are 8, not ") {
				t.Errorf("%d: %v", wrong, err)
			}
		}
		if err := e.Resync(s.ctx, upkeep.Resync{Sync: "customer", Deleted: true, Missing: 8}); err != nil {
			t.Fatal(err)
		}
		s.quiet(e)
		if n := len(s.remote.Records("customer")); n != 3 {
			t.Errorf("%d records are left, want 3", n)
		}
		findings, err = e.Doctor(s.ctx)
		if err != nil || strings.Contains(fmt.Sprint(findings), "rows are not there") {
			t.Errorf("when they are settled: %v, %v", findings, err)
		}
	})
}
