package upkeep_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
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

// A person has a team and a mentor, and a team has a lead: references of two
// syncs, in circles of any length. There are no foreign keys, so that rows may
// come in any order.
const teamSchema = `
create table teams (id integer primary key, name text not null, lead_id integer);
create table people (id integer primary key, name text not null, team_id integer, mentor_id integer);
`

type Team struct {
	ID   int64  `db:"id,key"`
	Name string `db:"name"`
	Lead *int64 `db:"lead_id"`
}

type Person struct {
	ID     int64  `db:"id,key"`
	Name   string `db:"name"`
	Team   *int64 `db:"team_id"`
	Mentor *int64 `db:"mentor_id"`
}

func teamSync(to *upkeep.Remote) upkeep.Sync[Team] {
	return upkeep.Sync[Team]{
		Name: "team", Table: "teams", To: to, Record: "team", RefersTo: []string{"person"},
		Translate: func(t Team) (upkeep.Fields, error) {
			return upkeep.Fields{"name": t.Name, "lead": upkeep.Ref("person", t.Lead)}, nil
		},
	}
}

func personSync(to *upkeep.Remote) upkeep.Sync[Person] {
	return upkeep.Sync[Person]{
		Name: "person", Table: "people", To: to, Record: "person", RefersTo: []string{"team", "person"},
		Translate: func(p Person) (upkeep.Fields, error) {
			return upkeep.Fields{"name": p.Name, "team": upkeep.Fields{"of": upkeep.Ref("team", p.Team)}, "mentor": upkeep.Ref("person", p.Mentor)}, nil
		},
	}
}

// onTeams runs a test on each database, with and without batches.
func onTeams(t *testing.T, test func(t *testing.T, s *shop)) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		for name, c := range map[string]memory.Config{"alone": {}, "batches": many()} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := newShop(c).in(t)
				s.exec(teamSchema)
				test(t, s)
			})
		}
	})
}

// refuse makes the remote refuse records whose creation a rule refuses, in
// a batch or alone.
func (s *shop) refuse(rule func(q memory.Request) bool) {
	s.remote.FailWhen(func(q memory.Request) *memory.Fault {
		if q.Verb == memory.Create && rule(q) {
			return &memory.Fault{Err: &connector.Error{Kind: connector.Rejected, Status: 400, Message: "no, " + q.ExternalID}}
		}
		return nil
	})
}

// refers checks a reference at the remote.
func (s *shop) refers(from, field, to string) {
	s.t.Helper()
	id := "null"
	if to != "" {
		r, there := s.remote.Record(strings.Split(to, "-")[0], to)
		if !there {
			s.t.Errorf("there is no %s", to)
			return
		}
		id = `{"id":` + strconv.Quote(r.ID) + `}`
	}
	got := s.remote.Text(strings.Split(from, "-")[0], from, field)
	if field == "team" {
		id = `{"of":` + id + `}`
	}
	if got != id {
		s.t.Errorf("%s has %s %s, want %s (%s)", from, field, got, id, to)
	}
}

// creates counts the records that the remote made.
func (s *shop) creates() (n int) {
	for _, q := range s.remote.Applied() {
		if q.Verb == memory.Create {
			n++
		}
	}
	return n
}

// Two records that refer to each other: one is made without the reference and
// patched when the other is there. That costs three calls.
func TestPairIsMadeAndPatched(t *testing.T) {
	onTeams(t, func(t *testing.T, s *shop) {
		s.exec(`insert into teams values (1, 'red', 7); insert into people values (7, 'Ada', 1, null)`)
		e := s.engine(teamSync(s.to), personSync(s.to))
		s.run(e)
		s.quiet(e)
		s.refers("team-1", "lead", "person-7")
		s.refers("person-7", "team", "team-1")
		s.inSync(e, "team", "person")
		if n := len(s.remote.Applied()); n != 3 {
			t.Errorf("%d writes for a pair: %+v", n, s.remote.Applied())
		}
		left := false
		for _, q := range s.remote.Applied() {
			if q.Verb == memory.Create {
				_, lead := q.Fields["lead"]
				_, team := q.Fields["team"]
				left = left || !lead && !team // not sent, and not sent as null
			}
		}
		if !left {
			t.Errorf("neither was made without its reference: %+v", s.remote.Applied())
		}
		s.remote.Forget()
		if err := e.Resync(s.ctx, upkeep.Resync{}); err != nil {
			t.Fatal(err)
		}
		s.quiet(e)
		if n := s.remote.Calls(memory.Any); n != 0 {
			t.Errorf("%d calls in a sweep of what is in sync", n)
		}
		// Both go, in whatever order.
		s.exec(`delete from teams; delete from people`)
		s.quiet(e)
		if n := len(s.remote.Records("team")) + len(s.remote.Records("person")); n != 0 {
			t.Errorf("%d records after all rows were deleted", n)
		}
	})
}

// A record that refers to itself is the smallest circle. Made again after it
// was lost at the remote, it refers to the new one.
func TestRecordThatRefersToItself(t *testing.T) {
	onTeams(t, func(t *testing.T, s *shop) {
		s.exec(`insert into people values (7, 'Ada', null, 7)`)
		e := s.engine(teamSync(s.to), personSync(s.to))
		s.run(e)
		s.quiet(e)
		s.refers("person-7", "mentor", "person-7")
		old, _ := s.remote.Record("person", "person-7")
		s.remote.Remove("person", "person-7")
		s.exec(`update people set name = 'Ada L.'`)
		s.quiet(e)
		s.refers("person-7", "mentor", "person-7")
		s.inSync(e, "person")
		if now, _ := s.remote.Record("person", "person-7"); now.ID == old.ID {
			t.Error("it was not made again")
		}
		for _, q := range s.remote.Applied() {
			if q.Verb == memory.Create && q.Fields["mentor"] != nil {
				t.Errorf("made with a reference to what was not there: %s", q.Fields["mentor"])
			}
		}
	})
}

// Whichever of a longer circle comes first, it is taken apart at one place.
func TestLongCircle(t *testing.T) {
	onTeams(t, func(t *testing.T, s *shop) {
		e := s.engine(teamSync(s.to), personSync(s.to))
		s.run(e)
		for _, i := range []int{3, 5, 1, 4, 2, 6} {
			s.exec(`insert into people values (%d, 'p', null, %d)`, i, i%6+1)
			s.quiet(e)
		}
		for i := range 6 {
			s.refers(fmt.Sprintf("person-%d", i+1), "mentor", fmt.Sprintf("person-%d", (i+1)%6+1))
		}
		if n := len(s.remote.Applied()); n != 7 {
			t.Errorf("%d writes for a circle of six: %+v", n, s.remote.Applied())
		}
	})
}

// The one that the remote takes without its reference is made first, whichever
// was tried first.
func TestCircleWithARequiredField(t *testing.T) {
	onTeams(t, func(t *testing.T, s *shop) {
		s.refuse(func(q memory.Request) bool {
			return q.Type == "team" && q.Fields["lead"] == nil || q.Fields["name"] != nil && strings.Contains(string(q.Fields["name"]), "Bad") && q.Fields["team"] == nil
		})
		for i := range 4 {
			s.exec(`insert into teams values (%[1]d, 'red', %[1]d); insert into people values (%[1]d, 'Ada', %[1]d, null)`, i+1)
		}
		s.exec(`insert into people values (9, 'Bad', 9, null); insert into teams values (9, 'red', 9)`)
		e := s.engine(personSync(s.to), teamSync(s.to))
		s.run(e)
		for i := range 4 {
			s.state(e, "team", fmt.Sprint(i+1), upkeep.Clean)
			s.state(e, "person", fmt.Sprint(i+1), upkeep.Clean)
			s.refers(fmt.Sprintf("team-%d", i+1), "lead", fmt.Sprintf("person-%d", i+1))
			s.refers(fmt.Sprintf("person-%d", i+1), "team", fmt.Sprintf("team-%d", i+1))
		}
		// Both of the last pair are refused: both say why.
		for _, c := range []struct{ sync, other, field string }{{"team", "person", "lead"}, {"person", "team", "team"}} {
			x := s.state(e, c.sync, "9", upkeep.Parked)
			for _, part := range []string{"it and " + c.other + "/9 refer to each other", "make " + c.field + " optional", "no, " + c.sync + "-9"} {
				if !strings.Contains(x.Group.Reason, part) {
					t.Errorf("%s: the reason lacks %q: %s", c.sync, part, x.Group.Reason)
				}
			}
		}
		// One of them is mended: that frees the other.
		s.exec(`update people set name = 'Good' where id = 9`)
		s.state(e, "team", "9", upkeep.Clean)
		s.state(e, "person", "9", upkeep.Clean)
		s.quiet(e)
		s.inSync(e, "team", "person")
		if n := s.creates(); n != 10 {
			t.Errorf("%d records made, want 10", n)
		}
	})
}

// What is sent only at the creation can't be sent later: the other one goes
// first.
func TestCircleThroughACreateField(t *testing.T) {
	onTeams(t, func(t *testing.T, s *shop) {
		team := teamSync(s.to)
		team.Translate = func(t Team) (upkeep.Fields, error) { return upkeep.Fields{"name": t.Name}, nil }
		team.CreateFields = func(t Team) (upkeep.Fields, error) {
			return upkeep.Fields{"lead": upkeep.Ref("person", t.Lead)}, nil
		}
		s.exec(`insert into teams values (1, 'red', 7); insert into people values (7, 'Ada', 1, null)`)
		e := s.engine(personSync(s.to), team)
		s.run(e)
		s.state(e, "team", "1", upkeep.Clean)
		s.state(e, "person", "7", upkeep.Clean)
		s.refers("team-1", "lead", "person-7")
		s.refers("person-7", "team", "team-1")
	})
}

// What is made from a record can't come before it.
func TestInitializeInACircle(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.Config{})
	s.exec(teamSchema)
	made := upkeep.Sync[Team]{Name: "team", Table: "teams", To: s.to, Record: "team", RefersTo: []string{"person"},
		Initialize: func(t Team) upkeep.Reference { return upkeep.Ref("person", t.Lead) },
		Translate:  func(t Team) (upkeep.Fields, error) { return upkeep.Fields{"name": t.Name}, nil }}
	_, err := upkeep.New(upkeep.Config{Database: s.open(), Syncs: []upkeep.AnySync{made, personSync(s.to)}})
	if err == nil || !strings.Contains(err.Error(), `sync "team" initializes its record from one of sync "person", which refers to it in turn`) {
		t.Errorf("New: %v", err)
	}
	// With a reference to a third sync it can't be told before there are rows.
	made.RefersTo = []string{"person", "customer"}
	s.exec(`insert into teams values (1, 'red', 7); insert into people values (7, 'Ada', 1, null)`)
	e := s.engine(made, personSync(s.to), customerSync(s.to))
	s.run(e)
	s.until("the person to be made without its team, and the team to say why it can't be made", func() bool {
		x, err := e.Explain(s.ctx, "team", "1")
		_, there := s.remote.Record("person", "person-7")
		return err == nil && there && strings.Contains(x.Why, "parked: it is made from one that refers to it in turn, and so is never up to date before: person/7")
	})
}

// A parked record shows whom it blocks, and who waits for it, however far off,
// shows what it comes down to.
func TestWhatBlocksWhom(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.exec(teamSchema)
		s.refuse(func(q memory.Request) bool { return q.ExternalID == "person-1" })
		s.exec(`insert into people values (1, 'a', null, null), (2, 'b', null, 1), (3, 'c', null, 2), (4, 'd', null, 3), (5, 'e', null, 3)`)
		e := s.engine(teamSync(s.to), personSync(s.to))
		s.run(e)
		for i := range 4 {
			s.state(e, "person", fmt.Sprint(i+2), upkeep.Waiting)
		}
		x := s.state(e, "person", "5", upkeep.Waiting)
		var chain []string
		for _, l := range x.Chain {
			chain = append(chain, l.String())
		}
		if got, want := strings.Join(chain, "; "), "person/3 is waiting for person/2; person/2 is waiting for person/1; person/1 is parked: rejected (HTTP 400): no, person-1"; got != want {
			t.Errorf("chain:\n%s, want\n%s", got, want)
		}
		if !strings.Contains(x.Why, "waiting for the record of person/3, which is not at the remote; person/1 is parked: rejected (HTTP 400): no") {
			t.Error(x.Why)
		}
		x = s.state(e, "person", "1", upkeep.Parked)
		if fmt.Sprint(x.Blocks, x.BlocksDirect, x.BlocksAll) != "[person/2] 1 4" {
			t.Error(x.Blocks, x.BlocksDirect, x.BlocksAll)
		}
		blockers, err := e.Blockers(s.ctx, 1)
		if err != nil || len(blockers) != 1 || blockers[0].Key != "1" || blockers[0].Direct != 1 || blockers[0].All != 4 {
			t.Errorf("%+v, %v", blockers, err)
		}
	})
}

// Any graph of references comes right, whatever the order in which its rows
// come, however many processes are at work, and whatever is refused on the way.
func TestAnyGraphConverges(t *testing.T) {
	onTeams(t, func(t *testing.T, s *shop) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		const n = 25 // teams, and as many people
		var mu sync.Mutex
		bad := map[string]bool{}
		s.refuse(func(q memory.Request) bool {
			mu.Lock()
			defer mu.Unlock()
			return bad[q.ExternalID]
		})
		ref := func() string {
			if random.IntN(4) == 0 {
				return "null"
			}
			return fmt.Sprint(random.IntN(n))
		}
		var rows []string
		for i := range n {
			rows = append(rows, fmt.Sprintf(`insert into teams values (%d, 'n', %s)`, i, ref()),
				fmt.Sprintf(`insert into people values (%d, 'n', %s, %s)`, i, ref(), ref()))
			for _, name := range []string{"team", "person"} {
				if random.IntN(5) == 0 {
					bad[fmt.Sprintf("%s-%d", name, i)] = true
				}
			}
		}
		random.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		var engines []*upkeep.Engine
		for range 2 {
			e := s.engine(teamSync(s.to), personSync(s.to))
			s.run(e)
			engines = append(engines, e)
		}
		for len(rows) > 0 { // in transactions of one row and more
			k := min(1+random.IntN(12), len(rows))
			s.exec("begin; %s; commit", strings.Join(rows[:k], "; "))
			rows = rows[k:]
			if random.IntN(6) == 0 {
				s.quiet(engines[0])
			}
			if random.IntN(3) == 0 {
				s.exec(`update people set mentor_id = %s where id = %d`, ref(), random.IntN(n))
			}
		}
		s.quiet(engines[0])
		mu.Lock()
		clear(bad)
		mu.Unlock()
		if _, err := engines[1].Retry(s.ctx, "", ""); err != nil {
			t.Fatal(err)
		}
		s.until("all of it to be at the remote", func() bool {
			st, err := engines[0].Status(s.ctx)
			return err == nil && st.Pending == 0 && st.Syncs[0].Clean == n && st.Syncs[1].Clean == n
		})
		s.inSync(engines[0], "team", "person")
		made := map[string]int{}
		for _, q := range s.remote.Applied() {
			if q.Verb == memory.Create {
				made[q.ExternalID]++
			}
		}
		for id, times := range made {
			if times != 1 {
				t.Errorf("%s was made %d times", id, times)
			}
		}
		if len(made) != 2*n {
			t.Errorf("%d records made, want %d", len(made), 2*n)
		}
	})
}

// Customers who are each other's parent, and one who is its own, at an account
// over HTTP.
func TestNetSuiteCircle(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.Config{})
	s.exec(teamSchema)
	_, to := account(t)
	customer := upkeep.Sync[Person]{
		Name: "customer", Table: "people", To: to, Record: "customer", RefersTo: []string{"customer"},
		Translate: func(p Person) (upkeep.Fields, error) {
			return upkeep.Fields{"entityId": p.Name, "companyName": p.Name, "parent": upkeep.Ref("customer", p.Mentor)}, nil
		},
	}
	s.exec(`insert into people values (1, 'Ada', null, 2), (2, 'Bob', null, 1), (3, 'Eve', null, 3)`)
	e := s.engine(customer)
	s.run(e)
	s.quiet(e)
	for i := range 3 {
		s.state(e, "customer", fmt.Sprint(i+1), upkeep.Clean)
	}
	s.inSync(e, "customer")
}

// slowToWait is a database at which what is read of who waits takes until
// something else has happened, once armed.
type slowToWait struct {
	upkeep.Database
	armed   atomic.Bool
	looking chan struct{} // closed when it was read
	goOn    chan struct{}
}

func (d *slowToWait) Waits(ctx context.Context, ids []store.ID, limit int) (map[store.ID][]store.ID, error) {
	waits, err := d.Database.Waits(ctx, ids, limit)
	if d.armed.CompareAndSwap(true, false) {
		close(d.looking)
		select {
		case <-d.goOn:
		case <-ctx.Done():
		}
	}
	return waits, err
}

// A person looks for the second time whether its team waits for it in turn, and
// reads so before the team begins to. The team is refused without its lead while
// the person is still being looked at, so that it can't wake it: the person looks
// again soon.
func TestCircleThatIsMissedTwice(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(memory.Config{})
		s.within(3 * time.Minute)
		s.exec(teamSchema)
		s.refuse(func(q memory.Request) bool { return q.Type == "team" && q.Fields["lead"] == nil })
		d := &slowToWait{Database: s.open(), looking: make(chan struct{}), goOn: make(chan struct{})}
		one, err := upkeep.New(upkeep.Config{Database: d, Syncs: []upkeep.AnySync{teamSync(s.to), personSync(s.to)}})
		if err != nil {
			t.Fatal(err)
		}
		s.run(one)
		s.quiet(one)
		s.exec(`insert into people values (7, 'Ada', 1, null)`)
		first := s.state(one, "person", "7", upkeep.Waiting)
		d.armed.Store(true)
		s.advance(5 * time.Second) // more than the net of the first look
		select {
		case <-d.looking:
		case <-s.ctx.Done():
			t.Fatal("the person is not looked at a second time")
		}
		two := s.engine(teamSync(s.to), personSync(s.to))
		s.run(two)
		s.exec(`insert into teams values (1, 'red', 7)`)
		s.state(two, "team", "1", upkeep.Parked)
		close(d.goOn)
		if x := s.state(two, "person", "7", upkeep.Waiting); x.Group.Epoch == first.Group.Epoch {
			t.Fatal("the person was not claimed a second time")
		}
		s.advance(time.Minute) // much less than the net of those that are in no circle
		s.state(two, "person", "7", upkeep.Clean)
		s.state(two, "team", "1", upkeep.Clean)
		s.refers("team-1", "lead", "person-7")
		s.refers("person-7", "team", "team-1")
	})
}
