package upkeep_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// Ticket has a version that each transaction raises.
type Ticket struct {
	ID      int64  `db:"id"`
	Version int    `db:"version"`
	State   string `db:"state"`
	UserID  *int64 `db:"user_id"`
	Notes   []Note `has_many:"notes.ticket_id" order:"id"`
}

type Note struct {
	ID   int64  `db:"id"`
	Text string `db:"text"`
}

func ticketSync(to *upkeep.Remote) upkeep.Sync[Ticket] {
	return upkeep.Sync[Ticket]{
		Name: "ticket", Table: "tickets", To: to, Record: "ticket", Deliver: upkeep.Every,
		Translate: func(t Ticket) (upkeep.Fields, error) {
			notes := []string{}
			for _, n := range t.Notes {
				notes = append(notes, n.Text)
			}
			return upkeep.Fields{"version": t.Version, "state": t.State, "notes": notes}, nil
		},
	}
}

func byHand(s upkeep.Sync[Ticket]) upkeep.Sync[Ticket] {
	s.ByHand = true
	return s
}

// tickets makes n of them.
func (s *shop) tickets(n int) {
	s.t.Helper()
	s.exec(`create table tickets (id integer primary key, version integer not null default 0, state text not null default 'new', user_id integer references users(id));
		create table notes (id integer primary key, ticket_id integer not null references tickets(id), text text not null default '');
		create index notes_ticket on notes(ticket_id)`)
	for i := 1; i <= n; i++ {
		s.exec(`insert into tickets (id) values (%d); insert into notes (id, ticket_id) values (%d, %d), (%d, %d)`, i, 10*i+1, i, 10*i+2, i)
	}
}

// delivered lists what a record was at the remote, one after the other: its
// version and state after each write that was applied, repetitions left out.
func (s *shop) delivered(id string) []string {
	s.t.Helper()
	now, list := map[string]string{}, []string{}
	note := func(v memory.Verb, r connector.Fields) {
		for name, value := range r {
			now[name] = string(value)
		}
		what := now["version"] + " " + now["state"]
		if v == memory.Delete {
			what = "deleted"
		}
		if len(list) == 0 || list[len(list)-1] != what {
			list = append(list, what)
		}
	}
	for _, q := range s.remote.Applied() {
		if q.ExternalID == id || q.RemoteID != "" && q.RemoteID == s.remoteID(id) {
			note(q.Verb, q.Fields)
		}
	}
	return list
}

func (s *shop) remoteID(externalID string) string {
	for _, q := range s.remote.Applied() {
		if q.Verb == memory.Create && q.ExternalID == externalID {
			return q.RemoteID
		}
	}
	return ""
}

func (s *shop) wantDelivered(id string, want ...string) {
	s.t.Helper()
	if got := s.delivered(id); !slices.Equal(got, want) {
		s.t.Errorf("%s was at the remote\n\t%v\nwant\n\t%v", id, got, want)
	}
}

// Several processes deliver what many connections commit, through a remote
// that fails: each version of each record, in the order of the commits.
func TestEveryVersionIsDelivered(t *testing.T) {
	t.Parallel()
	for _, batch := range []int{0, 10} {
		t.Run(fmt.Sprint("batch of ", batch), func(t *testing.T) {
			t.Parallel()
			s := makeShop(t, memory.Config{Batch: batch}, (*shop).onPostgres)
			const tickets, writers, rounds = 4, 5, 25
			s.tickets(tickets)
			random := rand.New(rand.NewPCG(7, uint64(batch)))
			s.remote.FailWhen(func(q memory.Request) *memory.Fault { // called under the remote's lock
				switch random.IntN(12) {
				case 0:
					return &memory.Fault{Err: memory.Err(connector.Unknown), Applied: true}
				case 1:
					return &memory.Fault{Err: memory.Err(connector.Unknown)}
				case 2:
					return &memory.Fault{Err: memory.Err(connector.Busy)}
				}
				return nil
			})
			engines := []*upkeep.Engine{s.hasty(ticketSync(s.to)), s.hasty(ticketSync(s.to)), s.hasty(ticketSync(s.to))}
			for _, e := range engines {
				s.run(e)
			}
			var mu sync.Mutex
			want := map[int][]string{}
			var writing sync.WaitGroup
			for w := range writers {
				writing.Go(func() {
					random := rand.New(rand.NewPCG(uint64(w), 1))
					for range rounds {
						id := 1 + random.IntN(tickets)
						tx := s.begin()
						// The row's lock is held until the commit: versions are in its order.
						err := tx.exec(s.ctx, fmt.Sprintf(`update notes set text = text || 'x' where id = %d`, 10*id+1+random.IntN(2)))
						if err == nil {
							err = tx.exec(s.ctx, fmt.Sprintf(`update tickets set version = version + 1, state = 's' || (version %% 2) where id = %d`, id))
						}
						commit := random.IntN(6) > 0
						if err == nil {
							err = tx.end(commit)
						}
						if err != nil {
							t.Errorf("a transaction of the application failed: %v", err)
							return
						}
						if commit {
							mu.Lock()
							v := len(want[id])
							want[id] = append(want[id], fmt.Sprintf(`%d "s%d"`, v+1, v%2))
							mu.Unlock()
						}
					}
				})
			}
			writing.Wait()
			s.remote.Heal()
			s.settled(engines[0])
			for id, versions := range want {
				got := s.delivered(fmt.Sprint("ticket-", id))
				if len(got) > 0 && got[0] == `0 "new"` { // of the backfill
					got = got[1:]
				}
				if !slices.Equal(got, versions) {
					t.Errorf("ticket %d was at the remote\n\t%v\nwant\n\t%v", id, got, versions)
				}
			}
			s.inSync(engines[0], "ticket")
		})
	}
}

// settled waits until all is clean, and lets the time of doubts pass. A claim
// that this cuts off is in doubt in its turn, and sends again.
func (s *shop) settled(e *upkeep.Engine) {
	s.t.Helper()
	var passed time.Time
	s.until("all to be clean", func() bool {
		st, err := e.Status(s.ctx)
		if err != nil || st.Pending > 0 {
			return false
		}
		c := st.Syncs[0]
		if c.InDoubt > 0 && c.Claimed+c.Dirty == 0 && time.Since(passed) > 3*time.Second {
			s.advance(time.Hour)
			passed = time.Now()
		}
		return c.Clean == c.Groups && c.Commands == 0
	})
}

func (tx *appTx) exec(ctx context.Context, text string) (err error) {
	switch h := tx.handle.(type) {
	case pgx.Tx:
		_, err = h.Exec(ctx, text)
	case *sql.Tx:
		_, err = h.ExecContext(ctx, text)
	}
	return err
}

// hasty is an engine that tries again soon.
func (s *shop) hasty(syncs ...upkeep.AnySync) *upkeep.Engine {
	s.t.Helper()
	e, err := upkeep.New(upkeep.Config{Database: s.open(), Syncs: syncs, Random: func() float64 { return -0.49 }, MaxAttempts: 1000})
	if err != nil {
		s.t.Fatal(err)
	}
	return e
}

// A version that is refused stops its own group, and the group alone, until a
// person decides; a later one is no reason to try again.
func TestRefusedVersion(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.tickets(2)
	s.remote.FailWhen(func(q memory.Request) *memory.Fault {
		if string(q.Fields["state"]) == `"bad"` {
			return &memory.Fault{Err: &connector.Error{Kind: connector.Rejected, Message: "bad is no state"}}
		}
		return nil
	})
	e := s.engine(ticketSync(s.to))
	stop := s.run(e)
	s.quiet(e)
	for _, state := range []string{"one", "bad", "two", "bad", "three"} {
		s.exec(`update tickets set state = '%s', version = version + 1 where id = 1`, state)
	}
	s.exec(`update tickets set state = 'fine' where id = 2`)
	x := s.state(e, "ticket", "1", upkeep.Parked)
	s.until("the other group to go on", func() bool { return s.remote.Text("ticket", "ticket-2", "state") == `"fine"` })
	s.wantDelivered("ticket-1", `0 "new"`, `1 "one"`)
	if len(x.Commands) != 4 || !strings.Contains(x.Commands[0].Refused, "bad is no state") || x.Commands[1].Refused != "" ||
		!strings.Contains(x.Why, fmt.Sprintf("command %d of ", x.Commands[0].Number)) || !strings.Contains(x.Why, "upkeep skip ticket 1") {
		t.Errorf("explained: %s\n%+v", x.Why, x.Commands)
	}

	calls := s.remote.Calls(memory.Any)
	s.exec(`update tickets set state = 'four', version = version + 1 where id = 1`)
	s.until("the touch to be folded", func() bool {
		st, err := e.Status(s.ctx)
		return err == nil && st.Pending == 0 && st.Syncs[0].Commands == 5
	})
	s.state(e, "ticket", "1", upkeep.Parked)
	if got := s.remote.Calls(memory.Any); got != calls {
		t.Errorf("%d calls for a version behind one that is refused", got-calls)
	}
	if n, err := e.Retry(s.ctx, "ticket", "1"); n != 1 || err != nil {
		t.Errorf("retry: %d, %v", n, err)
	}
	s.until("the second try", func() bool { return s.remote.Calls(memory.Any) == calls+1 })
	s.state(e, "ticket", "1", upkeep.Parked)

	c, err := e.Skip(s.ctx, "ticket", "1")
	if err != nil || c.Number != x.Commands[0].Number {
		t.Errorf("skipped %+v, %v", c, err)
	}
	s.until("the next one to be refused", func() bool {
		x, err := e.Explain(s.ctx, "ticket", "1")
		return err == nil && x.Group.State == upkeep.Parked && len(x.Commands) == 3
	})
	s.wantDelivered("ticket-1", `0 "new"`, `1 "one"`, `3 "two"`)

	// Another mapping is a reason to try again.
	stop()
	mended := ticketSync(s.to)
	mended.Version = "2"
	mended.Translate = func(k Ticket) (upkeep.Fields, error) {
		return upkeep.Fields{"version": k.Version, "state": strings.Replace(k.State, "bad", "good", 1)}, nil
	}
	e = s.engine(mended)
	s.run(e)
	s.state(e, "ticket", "1", upkeep.Clean)
	s.wantDelivered("ticket-1", `0 "new"`, `1 "one"`, `3 "two"`, `4 "good"`, `5 "three"`, `6 "four"`)
	history, err := e.Explain(s.ctx, "ticket", "1")
	if err != nil || !slices.ContainsFunc(history.Attempts, func(a upkeep.Attempt) bool { return a.Action == "skip" }) {
		t.Errorf("the history does not say what was skipped: %+v, %v", history.Attempts, err)
	}
}

// dying is a database whose process dies before it has recorded an answer.
type dying struct {
	upkeep.Database
	died chan struct{}
	once *sync.Once
}

func (d dying) Record(ctx context.Context, results []store.Result, byHand []string) ([]store.ID, error) {
	for _, r := range results {
		if r.Command != 0 {
			d.once.Do(func() { close(d.died) })
			return nil, errors.New("the process died")
		}
	}
	return d.Database.Record(ctx, results, byHand)
}

// A version whose answer was lost with its process goes again, before the
// next one.
func TestVersionOfAProcessThatDied(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.tickets(1)
	d := dying{s.open(), make(chan struct{}), new(sync.Once)}
	e, err := upkeep.New(upkeep.Config{Database: d, Syncs: []upkeep.AnySync{ticketSync(s.to)}, Drain: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	stop := s.run(e)
	s.quiet(e)
	s.exec(`update tickets set version = 1, state = 'one' where id = 1`)
	s.exec(`update tickets set version = 2, state = 'two' where id = 1`)
	<-d.died
	stop()
	s.wantDelivered("ticket-1", `0 "new"`, `1 "one"`)
	other := s.engine(ticketSync(s.to))
	s.run(other)
	s.advance(time.Hour) // the lease ends
	s.state(other, "ticket", "1", upkeep.InDoubt)
	s.settled(other)
	s.state(other, "ticket", "1", upkeep.Clean)
	s.wantDelivered("ticket-1", `0 "new"`, `1 "one"`, `2 "two"`)
	writes := 0
	for _, q := range s.remote.Applied() {
		if string(q.Fields["version"]) == "1" {
			writes++
		}
	}
	if writes != 2 {
		t.Errorf("the version whose answer was lost was written %d times, want 2", writes)
	}
}

// A version that was given up may land late. The next one does not go before
// it can't any more, so that none lands over a newer one.
func TestLateVersion(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.tickets(1)
	e := s.engine(ticketSync(s.to))
	s.run(e)
	s.quiet(e)
	s.remote.Fail(memory.Fault{On: memory.Update, ExternalID: "ticket-1", Late: true})
	s.exec(`update tickets set version = 1, state = 'one' where id = 1`)
	s.state(e, "ticket", "1", upkeep.InDoubt)
	s.exec(`update tickets set version = 2, state = 'two' where id = 1`)
	s.until("nothing to be done before the doubt ends", func() bool {
		x, err := e.Explain(s.ctx, "ticket", "1")
		return err == nil && x.Group.State == upkeep.InDoubt && !x.Group.DueAt.Before(x.Group.InDoubtUntil)
	})
	s.remote.Land(-1)
	s.advance(time.Hour)
	s.state(e, "ticket", "1", upkeep.Clean)
	s.quiet(e)
	s.wantDelivered("ticket-1", `0 "new"`, `1 "one"`, `2 "two"`)
}

// meanwhile is a database to which something happens just before rows are
// loaded.
type meanwhile struct {
	upkeep.Database
	happens func()
}

func (d meanwhile) Load(ctx context.Context, shape *store.Shape, keys []string) (map[string]store.Composite, []string, error) {
	d.happens()
	return d.Database.Load(ctx, shape, keys)
}

// Versions that are committed while the state is loaded go before it.
func TestStateDoesNotOvertake(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.tickets(1)
	e, err := upkeep.New(upkeep.Config{Database: meanwhile{s.open(), sync.OnceFunc(func() {
		s.exec(`update tickets set version = 1`)
		s.exec(`update tickets set version = 2`)
	})}, Syncs: []upkeep.AnySync{ticketSync(s.to)}})
	if err != nil {
		t.Fatal(err)
	}
	s.run(e)
	s.quiet(e)
	s.wantDelivered("ticket-1", `1 "new"`, `2 "new"`)
}

// A program appends commands itself, in its own transactions.
func TestCommandsByHand(t *testing.T) {
	onEach(t, func(t *testing.T, shop func(memory.Config) *shop) {
		s := shop(memory.Config{})
		s.tickets(2)
		e := s.engine(byHand(ticketSync(s.to)))
		if err := e.Install(s.ctx); err != nil {
			t.Fatal(err)
		}
		for v := 1; v <= 3; v++ {
			tx := s.begin()
			if err := tx.exec(s.ctx, fmt.Sprintf(`update tickets set version = %d where id = 1`, v)); err != nil {
				t.Fatal(err)
			}
			if err := e.Command(s.ctx, tx.handle, "ticket", 1); err != nil {
				t.Fatal(err)
			}
			if err := tx.end(v != 2); err != nil {
				t.Fatal(err)
			}
		}
		s.exec(`delete from notes where ticket_id = 1; delete from tickets where id = 1`)
		if err := e.Command(s.ctx, nil, "ticket", 1); err != nil {
			t.Fatal(err)
		}
		s.run(e)
		s.quiet(e)
		s.wantDelivered("ticket-1", `1 "new"`, `3 "new"`, "deleted")
		s.wantDelivered("ticket-2")
		if err := e.Command(s.ctx, nil, "nothing", 1); err == nil {
			t.Error("a command of an unknown sync")
		}
		tx := s.begin()
		for _, handle := range []any{nil, tx.handle} {
			if err := e.Command(s.ctx, handle, "ticket", "one"); !errors.Is(err, upkeep.ErrKey) {
				t.Errorf("a command of a key that is none: %v", err)
			}
		}
		if err := tx.end(true); err != nil {
			t.Fatal(err)
		}
		captured := s.engine(ticketSync(s.to))
		if err := captured.Command(s.ctx, nil, "ticket", 1); err == nil || !strings.Contains(err.Error(), "ByHand") {
			t.Errorf("a command by hand of a sync whose commands are captured: %v", err)
		}
	})
}

// SQLite can't see each version, and says so.
func TestEveryVersionOnSQLite(t *testing.T) {
	t.Parallel()
	s := newShop(t, memory.Config{})
	s.tickets(1)
	e := s.engine(ticketSync(s.to))
	if err := e.Install(s.ctx); err == nil || !strings.Contains(err.Error(), "no trigger at the commit") {
		t.Errorf("install: %v", err)
	}
}

// A version that was captured while its row was there, and one that says it is
// gone, are both delivered; so is what comes after.
func TestVersionsOfDeletedRows(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.tickets(1)
	e := s.engine(ticketSync(s.to))
	if err := e.Install(s.ctx); err != nil {
		t.Fatal(err)
	}
	s.exec(`update tickets set version = 1`)
	s.exec(`begin; delete from notes; delete from tickets; commit`)
	s.exec(`insert into tickets (id, version) values (1, 7)`)
	s.exec(`update tickets set version = 8`)
	s.run(e)
	s.quiet(e)
	s.wantDelivered("ticket-1", `1 "new"`, "deleted", `7 "new"`, `8 "new"`)
	s.inSync(e, "ticket")
}

// A version that says the same as the one before is sent all the same, and
// whole, under a number of its own.
func TestVersionThatSaysTheSame(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.tickets(1)
	sync := ticketSync(s.to)
	sync.Translate = func(k Ticket) (upkeep.Fields, error) {
		return upkeep.Fields{"state": k.State, "even": k.Version%1 == 0}, nil
	}
	e := s.engine(sync)
	s.run(e)
	s.quiet(e)
	before := len(s.remote.Applied())
	s.exec(`update tickets set version = 1`)
	s.exec(`update tickets set version = 2`)
	s.quiet(e)
	applied := s.remote.Applied()[before:]
	if len(applied) != 2 || len(applied[0].Fields) != 2 || len(applied[1].Fields) != 2 {
		t.Errorf("two versions were written as %+v", applied)
	}
}

// A version that refers to a record waits for it, and those after it with it.
func TestVersionThatWaits(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.tickets(1)
	s.exec(`insert into users (id, name) values (1, 'Ann')`)
	sync := ticketSync(s.to)
	sync.RefersTo = []string{"customer"}
	sync.Translate = func(k Ticket) (upkeep.Fields, error) {
		return upkeep.Fields{"version": k.Version, "state": k.State, "entity": upkeep.Ref("customer", k.UserID)}, nil
	}
	customer := customerSync(s.to)
	customer.ByHand = true
	e := s.engine(customer, sync)
	s.run(e)
	s.quiet(e)
	s.exec(`update tickets set version = 1, user_id = 1`)
	s.exec(`update tickets set version = 2, user_id = null`)
	s.state(e, "ticket", "1", upkeep.Waiting)
	s.wantDelivered("ticket-1", `0 "new"`)
	if err := e.Register(s.ctx, nil, "customer", 1); err != nil {
		t.Fatal(err)
	}
	s.state(e, "ticket", "1", upkeep.Clean)
	s.wantDelivered("ticket-1", `0 "new"`, `1 "new"`, `2 "new"`)
}

// A row that came and went, or went on to another key, before anybody looked
// at the log has its versions delivered all the same, its end the last.
func TestVersionsOfShortLives(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.tickets(0)
	s.exec(`insert into tickets (id) values (2)`)
	e := s.engine(ticketSync(s.to))
	stop := s.run(e)
	s.quiet(e)
	stop()
	s.exec(`insert into tickets (id, version) values (1, 1)`)
	s.exec(`update tickets set version = 2 where id = 1`)
	s.exec(`delete from tickets where id = 1`)
	s.exec(`update tickets set id = 3, version = 3 where id = 2`)
	s.exec(`update tickets set version = 4 where id = 3`)
	s.exec(`update tickets set id = 4 where id = 3`)
	s.exec(`insert into tickets (id, version) values (6, 6)`)
	s.exec(`truncate tickets cascade`)
	s.exec(`insert into tickets (id, version) values (7, 7)`)
	s.run(e)
	s.quiet(e)
	s.wantDelivered("ticket-1", `1 "new"`, `2 "new"`, "deleted")
	s.wantDelivered("ticket-2", `0 "new"`, "deleted")
	s.wantDelivered("ticket-3", `3 "new"`, `4 "new"`, "deleted")
	s.wantDelivered("ticket-4", `4 "new"`, "deleted")
	s.wantDelivered("ticket-6", `6 "new"`, "deleted")
	s.wantDelivered("ticket-7", `7 "new"`)
	st, err := e.Status(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if c := st.Syncs[0]; c.Commands != 0 || c.Clean != 1 || c.Gone != c.Groups-1 {
		t.Errorf("when nothing is left to do: %+v", c)
	}
}

// The same where the touches are answered by a sweep, as they are when nobody
// can tell which groups they lead to.
func TestVersionsOfShortLivesAreSwept(t *testing.T) {
	t.Parallel()
	s := makeShop(t, memory.Config{}, (*shop).onPostgres)
	s.tickets(1)
	e := s.engine(ticketSync(s.to))
	stop := s.run(e)
	s.quiet(e)
	stop()
	s.exec(`insert into tickets (id, version) values (5, 1)`)
	s.exec(`delete from tickets where id = 5`)
	s.exec(`delete from upkeep.touch`)
	if err := e.Resync(s.ctx, upkeep.Resync{Sync: "ticket"}); err != nil {
		t.Fatal(err)
	}
	s.run(e)
	s.quiet(e)
	s.wantDelivered("ticket-5", `1 "new"`, "deleted")
	s.state(e, "ticket", "5", upkeep.Gone)
}
