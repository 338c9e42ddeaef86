package oracle_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/prove/ledger"
	"github.com/upkeep-sync/upkeep/internal/prove/oracle"
	"github.com/upkeep-sync/upkeep/internal/prove/provetest"
	"github.com/upkeep-sync/upkeep/internal/prove/shop"
	"github.com/upkeep-sync/upkeep/internal/prove/worker"
	"github.com/upkeep-sync/upkeep/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// An oracle that never says no proves nothing. Each mutant breaks one rule of
// the engine's or of the database's, and the oracle has to notice; without the
// mutant the same story ends well.
func TestMutantsAreNoticed(t *testing.T) {
	t.Parallel()
	for _, m := range []struct {
		name    string
		class   connector.Class // of the remote
		falsify func(*provetest.Place)
		story   func(*story)
		noticed func(*oracle.Verdict) int
	}{
		{"synced = now", connector.Upsert, lying(&syncedIsNow{}), changeDuringCall, lost},
		{"no doubt after a timeout", connector.Upsert, lying(&noDoubt{}), lateUpdate, lost},
		{"a second create without a look", connector.Lookup, blindTrust, lostAnswer, duplicates},
		{"not visible is deleted", connector.Upsert, lying(&hides{}), touchAll, deletes},
		{"what is left out settles a doubt", connector.Upsert, lying(&settles{}), keptInDoubt, lost},
		{"what is left out is sent", connector.Upsert, lying(&shows{}), hidden, lost},
		{"what is left out is deleted", connector.Upsert, lying(&loses{}), hidden, deletes},
		{"a touch is lost", connector.Upsert, none, lostTouch, lost},
		{"a lease that ends while it is held", connector.Upsert, lying(&hurries{}), changePastLease, crowded},
		{"a write of the application fails", connector.Upsert, none, refusedWrite, appErrors},
		{"a secret in the registry", connector.Upsert, none, leak, leaked},
		{"a job does not hold its groups", connector.Upsert, lying(&unheld{}), changeDuringJob, overtaken},
		{"a group that is stuck", connector.Upsert, none, stuck, unsettled},
	} {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			for _, broken := range []bool{false, true} {
				s := &story{t: t, p: provetest.New(t, worker.SQLite, m.class, 1), broken: broken}
				s.ctx, s.cancel = context.WithTimeout(context.Background(), 2*time.Minute)
				s.ok(s.p.Heal(s.ctx)) // all is sent once
				if broken {
					m.falsify(s.p)
				}
				m.story(s)
				v, err := s.p.Judge(s.ctx, s.appErrors...)
				s.ok(err)
				if n := m.noticed(v); broken && n == 0 {
					t.Errorf("not noticed; the verdict: %+v", v)
				}
				if !broken {
					s.ok(v.Err())
				}
				s.cancel()
			}
		})
	}
}

func lost(v *oracle.Verdict) int       { return v.Lost }
func duplicates(v *oracle.Verdict) int { return v.Duplicates }
func deletes(v *oracle.Verdict) int    { return v.Deletes }
func leaked(v *oracle.Verdict) int     { return v.Leaked }
func unsettled(v *oracle.Verdict) int  { return v.Unsettled }
func crowded(v *oracle.Verdict) int    { return v.Crowded }
func overtaken(v *oracle.Verdict) int  { return v.Overtaken }
func appErrors(v *oracle.Verdict) int  { return v.AppErrors }

// story is what happens, with or without a mutant.
type story struct {
	t      *testing.T
	p      *provetest.Place
	ctx    context.Context
	cancel context.CancelFunc
	broken bool

	appErrors []error
}

func (s *story) ok(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *story) exec(query string) {
	s.t.Helper()
	_, err := s.p.App.ExecContext(s.ctx, query)
	s.ok(err)
}

func (s *story) until(ok func() bool) {
	s.t.Helper()
	for !ok() {
		select {
		case <-s.ctx.Done():
			s.t.Fatal("waited in vain")
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// applied says whether the remote has applied a change with that name.
func (s *story) applied(name string) bool {
	return slices.ContainsFunc(s.p.Remote.Applied(0), func(e ledger.Entry) bool { return string(e.Fields["name"]) == `"`+name+`"` })
}

func none(*provetest.Place) {}

func lying(liar interface {
	over(upkeep.Database) upkeep.Database
}) func(*provetest.Place) {
	return func(p *provetest.Place) { p.Worker.Falsify = liar.over }
}

// changeDuringCall changes a row while its record is on the way.
func changeDuringCall(s *story) { s.changeTwice(func() bool { return true }) }

// changePastLease is the same with an answer that waits, with the mutant, until the
// second change was sent, too.
func changePastLease(s *story) {
	s.changeTwice(func() bool { return !s.broken || s.applied("two") })
}

func (s *story) changeTwice(answered func() bool) {
	s.p.Worker.Timeout, s.p.Worker.Lease = time.Minute, 3*time.Minute
	answer := make(chan struct{})
	release := sync.OnceFunc(func() { close(answer) })
	defer release()
	s.p.Remote.Fail(ledger.Fault{Kind: ledger.Delay, Verb: "update", Until: answer, Times: 1})
	e, err := s.p.Run(s.ctx)
	s.ok(err)
	s.exec("update customers set name = 'one' where id = 1")
	s.until(func() bool { return s.p.Remote.Struck(ledger.Delay) == 1 })
	s.exec("update customers set name = 'two' where id = 1")
	s.until(func() bool { n, err := e.Store.Pending(s.ctx, 1); return err == nil && n == 0 })
	s.until(answered)
	release()
	s.until(func() bool { return s.applied("one") })
	s.ok(e.Stop())
	s.ok(s.p.Heal(s.ctx))
}

// syncedIsNow records the generation of the moment instead of the claimed one.
type syncedIsNow struct{ upkeep.Database }

func (d syncedIsNow) over(db upkeep.Database) upkeep.Database { return syncedIsNow{db} }

func (d syncedIsNow) Record(ctx context.Context, rs []store.Result, byHand []string) ([]store.ID, error) {
	for i := range rs {
		if g, err := d.Group(ctx, rs[i].ID); err == nil {
			rs[i].Generation = g.Generation
		}
	}
	return d.Database.Record(ctx, rs, byHand)
}

// hurries has leases end at the database long before their holders think so.
type hurries struct{ upkeep.Database }

func (d hurries) over(db upkeep.Database) upkeep.Database { return hurries{db} }

func (d hurries) Claim(ctx context.Context, r store.ClaimRequest) ([]store.Claim, error) {
	r.Lease = time.Millisecond
	return d.Database.Claim(ctx, r)
}

// lateUpdate lets an old update land after a newer one.
func lateUpdate(s *story) {
	s.p.Worker.Timeout = 200 * time.Millisecond
	s.p.Remote.Fail(ledger.Fault{Kind: ledger.Late, Verb: "update", Times: 1})
	e, err := s.p.Run(s.ctx)
	s.ok(err)
	s.exec("update customers set name = 'old' where id = 1")
	s.until(func() bool { return s.p.Remote.Waiting() == 1 })
	s.exec("update customers set name = 'new' where id = 1")
	s.until(func() bool { return s.applied("new") })
	s.ok(e.Stop())
	s.p.Remote.Land()
	s.ok(s.p.Heal(s.ctx))
}

// noDoubt takes an unknown outcome for a plain failure.
type noDoubt struct{ upkeep.Database }

func (d noDoubt) over(db upkeep.Database) upkeep.Database { return noDoubt{db} }

func (d noDoubt) Record(ctx context.Context, rs []store.Result, byHand []string) ([]store.ID, error) {
	for i := range rs {
		if rs[i].Outcome == store.Doubtful {
			rs[i].Outcome, rs[i].Doubt = store.Retry, 0
		}
	}
	return d.Database.Record(ctx, rs, byHand)
}

// lostAnswer breaks the connection after a create was applied.
func lostAnswer(s *story) {
	s.p.Remote.Fail(ledger.Fault{Kind: ledger.Reset, Verb: "create", Applied: true, Times: 1})
	s.exec("insert into customers(id, name) values (100, 'x')")
	s.ok(s.p.Heal(s.ctx))
}

// blindTrust takes the remote for one that keeps keys unique.
func blindTrust(p *provetest.Place) { p.Worker.Class = connector.Upsert }

// touchAll looks at every group again.
func touchAll(s *story) {
	s.exec("insert into customers(id, name) values (100, 'x')")
	liar := s.p.Worker.Falsify
	s.p.Worker.Falsify = nil
	s.ok(s.p.Heal(s.ctx))
	s.p.Worker.Falsify = liar
	s.ok(s.p.Sweep(s.ctx))
	s.ok(s.p.Heal(s.ctx))
}

// hides does not see one customer, and says that it was deleted.
type hides struct{ upkeep.Database }

func (d hides) over(db upkeep.Database) upkeep.Database { return hides{db} }

func (d hides) Claim(ctx context.Context, r store.ClaimRequest) ([]store.Claim, error) {
	claims, err := d.Database.Claim(ctx, r)
	for i := range claims {
		claims[i].DeleteSeen = true
	}
	return claims, err
}

func (d hides) Load(ctx context.Context, s *store.Shape, keys []string) (map[string]store.Composite, []string, error) {
	found, rest, err := d.Database.Load(ctx, s, keys)
	if s.Sync == "customer" {
		delete(found, "100")
	}
	return found, rest, err
}

// keptInDoubt leaves a row out while an update of its record may still land, and
// lets it pass again as it was acknowledged before.
func keptInDoubt(s *story) {
	s.exec("insert into labels(id, text, shown) values (100, 'one', 1)")
	s.ok(s.p.Heal(s.ctx))
	s.p.Worker.Timeout = 200 * time.Millisecond
	s.p.Remote.Fail(ledger.Fault{Kind: ledger.Late, Verb: "update", Times: 1})
	e, err := s.p.Run(s.ctx)
	s.ok(err)
	s.exec("update labels set text = 'two' where id = 100")
	s.until(func() bool { return s.p.Remote.Waiting() == 1 })
	s.exec("update labels set text = 'hidden', shown = 0 where id = 100")
	s.until(func() bool { // it was looked at while the update may still land
		n, err := e.Store.Pending(s.ctx, 1)
		s.ok(err)
		g, err := e.Store.Group(s.ctx, store.ID{Sync: "label", Key: "100"})
		s.ok(err)
		return n == 0 && g.Holder == "" && (g.SyncedGeneration == g.Generation || g.DueAt.After(time.Now().Add(s.p.Worker.Ahead+time.Second)))
	})
	s.ok(e.Stop())
	s.p.Remote.Land()
	s.ok(s.p.Heal(s.ctx))
	s.exec("update labels set text = 'one', shown = 1 where id = 100")
	s.ok(s.p.Heal(s.ctx))
}

// settles forgets the doubt of a record that is kept, and what of it a try may have
// written: either is enough to have it sent again.
type settles struct{ upkeep.Database }

func (d settles) over(db upkeep.Database) upkeep.Database { return settles{db} }

func (d settles) Record(ctx context.Context, rs []store.Result, byHand []string) ([]store.ID, error) {
	for i := range rs {
		rs[i].Unsettled = false
		if rs[i].Outcome == store.Doubtful {
			rs[i].Digests = nil
		}
	}
	return d.Database.Record(ctx, rs, byHand)
}

// hidden leaves a row out.
func hidden(s *story) {
	s.exec("update labels set text = 'hidden', shown = 0 where id = 1")
	s.ok(s.p.Heal(s.ctx))
}

// shows lets each label pass.
type shows struct{ upkeep.Database }

func (d shows) over(db upkeep.Database) upkeep.Database { return shows{db} }

func (d shows) Load(ctx context.Context, s *store.Shape, keys []string) (map[string]store.Composite, []string, error) {
	found, rest, err := d.Database.Load(ctx, s, keys)
	for _, c := range found {
		if s.Sync == "label" {
			c.Row["shown"] = int64(1)
		}
	}
	return found, rest, err
}

// loses takes a label that is not shown for one that was deleted.
type loses struct{ hides }

func (d loses) over(db upkeep.Database) upkeep.Database { return loses{hides{db}} }

func (d loses) Load(ctx context.Context, s *store.Shape, keys []string) (map[string]store.Composite, []string, error) {
	found, rest, err := d.Database.Load(ctx, s, keys)
	for key, c := range found {
		if s.Sync == "label" && c.Row["shown"] == int64(0) {
			delete(found, key)
		}
	}
	return found, rest, err
}

// changeDuringJob changes rows whose records are in a job that runs, for longer
// than a lease.
func changeDuringJob(s *story) {
	for id := range 20 {
		s.exec(fmt.Sprintf("insert into customers(id, name) values (%d, 'quiet')", 2000+id))
	}
	s.ok(s.p.Heal(s.ctx))
	s.p.Worker.Jobs = connector.Bulk{From: 2, Most: 8, Poll: 20 * time.Millisecond}
	s.p.Remote.Pace(500 * time.Millisecond)
	s.ok(s.p.SendAll(s.ctx))
	e, err := s.p.Run(s.ctx)
	s.ok(err)
	s.until(func() bool { running, _ := s.p.Remote.Jobs(); return running > 0 })
	s.p.Hurried = true
	s.ok(s.p.Advance(s.ctx, time.Minute))
	s.exec("update customers set name = 'changed' where id >= 2000")
	some := len(s.p.Remote.Applied(0)) + 3
	s.until(func() bool { // with the mutant: until it has done its harm
		return len(s.p.Remote.Applied(0)) > some && (!s.broken || len(s.p.Remote.Overtaken()) > 0)
	})
	s.p.Remote.Pace(time.Millisecond)
	s.ok(e.Stop())
	if !s.broken { // a job whose groups nobody knows never ends
		s.ok(s.p.Heal(s.ctx))
	}
}

// unheld writes jobs down without what is in them.
type unheld struct{ upkeep.Database }

func (d unheld) over(db upkeep.Database) upkeep.Database { return unheld{db} }

func (d unheld) AddJob(ctx context.Context, j store.Job, _ []store.JobGroup, lease time.Duration) (int64, []store.ID, error) {
	return d.Database.AddJob(ctx, j, nil, lease)
}

func lostTouch(s *story) {
	s.exec("update customers set name = 'unseen' where id = 1")
	if s.broken {
		s.exec("delete from upkeep_touch")
	}
	s.ok(s.p.Heal(s.ctx))
}

// refusedWrite lets the application write while the log takes nothing.
func refusedWrite(s *story) {
	if s.broken {
		s.exec("create trigger full before insert on upkeep_touch begin select raise(abort, 'the log is full'); end")
	}
	if err := s.p.Writer.Update(s.ctx); err != nil {
		s.appErrors = append(s.appErrors, err)
	}
	s.exec("drop trigger if exists full")
	s.ok(s.p.Heal(s.ctx))
}

func leak(s *story) {
	if s.broken {
		s.exec("update upkeep_groups set external_id = external_id || '" + shop.Canary + "' where key = '1'")
	}
}

func stuck(s *story) {
	if s.broken {
		s.exec("update upkeep_groups set generation = generation + 1 where key = '1'")
	}
}
