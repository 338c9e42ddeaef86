package upkeep_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// What a plan and a forecast say before anything is there is what an engine
// then does; afterwards there is nothing left to do.
func TestPlanAndForecastSayWhatHappens(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.fill()
		syncs := []upkeep.AnySync{customerSync(s.to), orderSync(s.to), fulfillmentSync(s.to)}
		e := s.engine(syncs...)
		p := s.plan(e)
		if !p.Create || !p.Pending() || p.Syncs[0].Change != "new" || len(p.Tables) != 5 || len(p.Tables[0].Triggers) == 0 {
			t.Errorf("before: %+v", p)
		}
		at := slices.IndexFunc(p.Tables, func(t upkeep.PlannedTable) bool { return t.Table == "public.users" || t.Table == "main.users" })
		if at < 0 || !slices.ContainsFunc(p.Tables[at].Columns, func(c upkeep.PlannedColumn) bool {
			return c.Column == "customer_id" && slices.Contains(c.Why, "customer.Customer: belongs_to")
		}) {
			t.Errorf("why users.customer_id is watched is not said: %+v", p.Tables)
		}
		var changes []upkeep.RecordChange
		f, err := e.Forecast(s.ctx, upkeep.ForecastOptions{Each: func(c upkeep.RecordChange) error {
			changes = append(changes, c)
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		if f.Calls() != 5 || len(changes) != 5 || len(f.Remotes) != 1 || f.Remotes[0].Calls != 5 || f.Remotes[0].Takes < f.Remotes[0].Latency {
			t.Errorf("forecast %+v of %+v", f, changes)
		}
		if n := s.remote.Calls(memory.Any); n != 0 {
			t.Errorf("a forecast made %d calls", n)
		}
		s.run(e)
		s.quiet(e)
		if n := s.remote.Calls(memory.Any); int64(n) != f.Calls() {
			t.Errorf("%d calls, the forecast was %d", n, f.Calls())
		}
		if p := s.plan(e); p.Pending() {
			t.Errorf("after: %+v", p)
		}
		if f, err := e.Forecast(s.ctx, upkeep.ForecastOptions{}); err != nil || f.Calls() != 0 || !f.Remotes[0].Observed {
			t.Errorf("after: %+v, %v", f, err)
		}
		changed := s.engine(customerSync(s.to))
		if p := s.plan(changed); !p.Pending() || len(p.Syncs) != 3 || p.Syncs[1].Change != "removed" || len(p.Drop) == 0 {
			t.Errorf("without two syncs: %+v", p)
		}
	})
}

// A partition is not the whole of what it belongs to: rows come and go by an
// UPDATE.
func TestPartitionIsNoRoot(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.exec(`create table readings (id int primary key) partition by range (id); create table readings_1 partition of readings for values from (1) to (9)`)
	e := s.engine(upkeep.Mapping{Name: "reading", From: &upkeep.Relation{Table: "readings_1"}, To: s.to, Record: "reading",
		Translate: func(upkeep.Row) (upkeep.Fields, error) { return upkeep.Fields{}, nil }})
	if _, err := e.Plan(s.ctx); err == nil || !strings.Contains(err.Error(), "name public.readings instead") {
		t.Errorf("a plan of a partition: %v", err)
	}
}

// unchecked has only what every connection has.
type unchecked struct{ connector.Connection }

func TestCheckSaysWhatWasNotTried(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.Config{})
	s.to.Connection = unchecked{s.to.Connection}
	found, err := s.engine(customerSync(s.to)).Check(s.ctx)
	if err != nil || len(found) != 1 || found[0].Severity != upkeep.Note || found[0].Subject != "erp" || !strings.HasPrefix(found[0].Message, "not tried: ") {
		t.Errorf("a remote that can't be checked: %+v, %v", found, err)
	}
}

func (s *shop) plan(e *upkeep.Engine) *upkeep.Plan {
	s.t.Helper()
	p, err := e.Plan(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// At a remote that looks records up, the first look at what is not to be there costs a
// call for each: an earlier installation may have made its record.
func TestForecastCountsWhatIsLookedFor(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{Class: connector.Lookup})
		s.users(5)
		m := upkeep.Mapping{Name: "user", To: s.to, Record: "user", From: &upkeep.Relation{Table: "users", Columns: []string{"id", "name"}},
			When: func(r upkeep.Row) (bool, error) { return fmt.Sprint(r["id"]) == "1", nil }, WhenFalse: upkeep.Ending{Action: upkeep.Delete},
			Translate: func(r upkeep.Row) (upkeep.Fields, error) { return upkeep.Fields{"name": r["name"]}, nil }}
		e := s.engine(m)
		f, err := e.Forecast(s.ctx, upkeep.ForecastOptions{})
		if err != nil {
			t.Fatal(err)
		}
		s.run(e)
		s.quiet(e)
		if n := int64(s.remote.Calls(memory.Any)); n != f.Calls() || n != 6 {
			t.Errorf("%d calls were made, %d were foreseen; want two for the one that is there and one for each other", n, f.Calls())
		}
		if f, err := e.Forecast(s.ctx, upkeep.ForecastOptions{}); err != nil || f.Calls() != 0 {
			t.Errorf("afterwards %d calls are foreseen, %v", f.Calls(), err)
		}
	})
}

// A record that refers to one that will not be there waits, also when nothing is
// there yet: the row is missing, is left out or is refused, or what it refers to waits itself.
func TestForecastOfWhatWouldWait(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.exec(`create table v (id integer primary key, name text, up integer)`)
		s.exec(`create table w (id integer primary key, v integer)`)
		s.exec(`insert into v values (1, 'a', null), (2, 'out', null), (3, 'bad', null), (4, 'b', 99), (5, 'c', 4), (6, 'd', 1)`)
		s.exec(`insert into w values (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6), (7, 77)`)
		syncs := []upkeep.AnySync{
			upkeep.Mapping{Name: "v", To: s.to, Record: "v", RefersTo: []string{"v"}, From: &upkeep.Relation{Table: "v", Columns: []string{"name", "up"}},
				When: func(r upkeep.Row) (bool, error) { return r["name"] != "out", nil },
				Translate: func(r upkeep.Row) (upkeep.Fields, error) {
					if r["name"] == "bad" {
						return nil, errors.New("no such name")
					}
					f := upkeep.Fields{"name": r["name"]}
					if r["up"] != nil {
						f["up"] = upkeep.Ref("v", r["up"])
					}
					return f, nil
				}}, keySyncs(s.to, false)[1],
		}
		e := s.engine(syncs...)
		forecast := func(when string, v, w upkeep.ForecastSync) {
			v.Sync, w.Sync = "v", "w"
			// Of a group that waits, and that a worker has just now, it can't be told.
			s.until(fmt.Sprintf("the forecast %s: %+v and %+v", when, v, w), func() bool {
				f, err := e.Forecast(s.ctx, upkeep.ForecastOptions{})
				if err != nil {
					t.Fatal(err)
				}
				for i := range f.Syncs {
					f.Syncs[i].Unchanged = 0 // those that nothing becomes of are groups, once something waits for them
				}
				return f.Syncs[0] == v && f.Syncs[1] == w
			})
		}
		forecast("before anything is installed", upkeep.ForecastSync{Create: 2, Waits: 2, Refused: 1}, upkeep.ForecastSync{Create: 2, Waits: 5})
		s.run(e)
		s.quiet(e)
		if n := s.remote.Calls(memory.Any); n != 4 {
			t.Errorf("%d calls, the forecast was 4", n)
		}
		forecast("afterwards", upkeep.ForecastSync{Waits: 2, Refused: 1}, upkeep.ForecastSync{Waits: 5})
	})
}
