package upkeep_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// mortal is a process that dies at a point: from then on it gets nothing done,
// neither in the database nor at the remote.
type mortal struct {
	point string // "before AddJob"
	times int    // at which passing; 0: the first
	dead  chan struct{}

	mu   sync.Mutex
	died bool
}

var errDead = errors.New("this process has died")

func (m *mortal) reach(point string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.died {
		return errDead
	}
	if point != m.point {
		return nil
	}
	if m.times > 0 {
		m.times--
		return nil
	}
	m.died = true
	close(m.dead)
	return errDead
}

// around reaches the points before and after f.
func (m *mortal) around(name string, f func() error) error {
	if err := m.reach("before " + name); err != nil {
		return err
	}
	return errors.Join(f(), m.reach("after "+name))
}

type mortalStore struct {
	store.Store
	*mortal
}

func (s mortalStore) Claim(ctx context.Context, r store.ClaimRequest) (claims []store.Claim, err error) {
	err = s.around("Claim", func() (err error) { claims, err = s.Store.Claim(ctx, r); return err })
	return claims, err
}

func (s mortalStore) Record(ctx context.Context, results []store.Result, byHand []string) (stale []store.ID, err error) {
	err = s.around("Record", func() (err error) { stale, err = s.Store.Record(ctx, results, byHand); return err })
	return stale, err
}

func (s mortalStore) AddJob(ctx context.Context, j store.Job, groups []store.JobGroup, lease time.Duration) (id int64, stale []store.ID, err error) {
	err = s.around("AddJob", func() (err error) { id, stale, err = s.Store.AddJob(ctx, j, groups, lease); return err })
	return id, stale, err
}

func (s mortalStore) TakeJob(ctx context.Context, remote, holder string, lease time.Duration) (j *store.Job, err error) {
	err = s.around("TakeJob", func() (err error) { j, err = s.Store.TakeJob(ctx, remote, holder, lease); return err })
	return j, err
}

func (s mortalStore) KeepJob(ctx context.Context, j store.Job, lease time.Duration) (mine bool, err error) {
	err = s.around("KeepJob", func() (err error) { mine, err = s.Store.KeepJob(ctx, j, lease); return err })
	return mine, err
}

func (s mortalStore) LeaveJob(ctx context.Context, job int64, keys []string) error {
	return s.around("LeaveJob", func() error { return s.Store.LeaveJob(ctx, job, keys) })
}

func (s mortalStore) EndJob(ctx context.Context, job int64) error {
	return s.around("EndJob", func() error { return s.Store.EndJob(ctx, job) })
}

// mortalConnection has jobs and single calls, no batches.
type mortalConnection struct {
	connector.Connection
	*mortal
}

func (c mortalConnection) jobs() connector.Bulker { return c.Connection.(connector.Bulker) }

func (c mortalConnection) Bulk(recordType string) connector.Bulk { return c.jobs().Bulk(recordType) }

func (c mortalConnection) Carries(recordType string, ch connector.Change) bool {
	return c.jobs().Carries(recordType, ch)
}

func (c mortalConnection) StartJob(ctx context.Context, recordType string, a connector.Action) (id string, err error) {
	err = c.around("StartJob", func() (err error) { id, err = c.jobs().StartJob(ctx, recordType, a); return err })
	return id, err
}

func (c mortalConnection) RunJob(ctx context.Context, job, recordType string, a connector.Action, changes []connector.Change) error {
	return c.around("RunJob", func() error { return c.jobs().RunJob(ctx, job, recordType, a, changes) })
}

func (c mortalConnection) PollJob(ctx context.Context, job string) (j connector.Job, err error) {
	err = c.around("PollJob", func() (err error) { j, err = c.jobs().PollJob(ctx, job); return err })
	return j, err
}

func (c mortalConnection) JobResults(ctx context.Context, job, recordType string, each func(connector.JobResult) error) error {
	return c.around("JobResults", func() error { return c.jobs().JobResults(ctx, job, recordType, each) })
}

func (c mortalConnection) AbortJob(ctx context.Context, job string) error {
	return c.around("AbortJob", func() error { return c.jobs().AbortJob(ctx, job) })
}

func (c mortalConnection) Create(ctx context.Context, r connector.Record) (string, error) {
	if err := c.reach("before Create"); err != nil {
		return "", err
	}
	return c.Connection.Create(ctx, r)
}

// dieAt runs an engine on the shop until it has died at the point.
func (s *shop) dieAt(point string, times int) {
	s.t.Helper()
	m := &mortal{point: point, times: times, dead: make(chan struct{})}
	to := &upkeep.Remote{Name: s.to.Name, Connection: mortalConnection{s.remote.Connect(), m}}
	e, err := upkeep.New(upkeep.Config{Database: mortalStore{s.open(), m}, Syncs: []upkeep.AnySync{customerSync(to)}, Drain: time.Millisecond})
	if err != nil {
		s.t.Fatal(err)
	}
	stop := s.run(e)
	select {
	case <-m.dead:
	case <-s.ctx.Done():
		s.t.Fatalf("it never came to the point %s", point)
	}
	stop()
}

// Wherever a process dies, the next one goes on from there: every record gets
// there, once, with what changed meanwhile, and no job is left.
func TestBulkCrash(t *testing.T) {
	for _, c := range []struct {
		point string
		times int
		then  string // where the second process dies
		jobs  int    // changes that go in jobs, and no others but the live one
	}{
		{point: "before StartJob"},
		{point: "after StartJob"},
		{point: "before AddJob"},
		{point: "after AddJob"},
		{point: "before RunJob"},
		{point: "before RunJob", then: "before AbortJob"},
		{point: "before RunJob", then: "after AbortJob"},
		{point: "before RunJob", then: "after Record"},
		{point: "after RunJob", jobs: 300},
		{point: "after RunJob", then: "after TakeJob", jobs: 300},
		{point: "before PollJob", jobs: 300},
		{point: "after PollJob", jobs: 300},
		{point: "after PollJob", times: 2, jobs: 300},
		{point: "before JobResults", jobs: 300},
		{point: "after JobResults", jobs: 300},
		{point: "before Record", jobs: 300},
		{point: "after Record", jobs: 300},
		{point: "before LeaveJob", jobs: 300},
		{point: "after LeaveJob", jobs: 300},
		{point: "after Record", times: 1, jobs: 300},
		{point: "after LeaveJob", times: 1, jobs: 300},
		{point: "before EndJob", jobs: 300},
		{point: "after EndJob", jobs: 300},
		{point: "after LeaveJob", then: "after LeaveJob", jobs: 300},
	} {
		t.Run(c.point+" "+string(rune('1'+c.times))+" "+c.then, func(t *testing.T) {
			onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
				s := newShop(inJobs(120))
				s.users(300)
				s.dieAt(c.point, c.times)
				s.exec(`update users set name = 'changed meanwhile' where id = 7`)
				s.advance(2 * time.Minute) // all leases have run out
				if c.then != "" {
					s.dieAt(c.then, 0)
					s.advance(2 * time.Minute)
				}
				e := s.engine(customerSync(s.to))
				s.run(e)
				s.comesToRest(e)
				s.inSync(e, "customer")
				s.field("customer", "customer-7", "entityId", `"changed meanwhile"`)
				if jobs, others := s.through(); c.jobs > 0 && (jobs != c.jobs || others < 1) || jobs+others < 300 {
					t.Errorf("%d changes went in jobs and %d otherwise", jobs, others)
				}
				for _, q := range s.remote.Applied() {
					if c.jobs > 0 && c.then == "" && q.Job == "" && q.ExternalID != "customer-7" {
						t.Errorf("%s went by itself, and only the live change was to", q.ExternalID)
					}
				}
				for _, j := range s.remote.Jobs() {
					if j.State == connector.JobRunning || j.State == connector.JobOpen && len(j.Changes) > 0 {
						t.Errorf("left behind: %s is %s", j.ID, j.State)
					}
				}
			})
		})
	}
}

// comesToRest lets the time pass that failures and doubts take, until there is
// nothing left to do.
func (s *shop) comesToRest(e *upkeep.Engine) {
	s.t.Helper()
	for {
		var st *upkeep.Status
		s.until("no call and no job", func() bool {
			var err error
			st, err = e.Status(s.ctx)
			return err == nil && len(st.Syncs) > 0 && !st.Syncs[0].Backfill.Running && st.Syncs[0].Groups > 0 && st.Syncs[0].Claimed == 0 && len(st.Jobs) == 0
		})
		if st.Syncs[0].InDoubt+st.Syncs[0].Dirty == 0 {
			s.quiet(e)
			return
		}
		s.advance(time.Minute)
	}
}

// A stop leaves the job running, and the next process goes on with it at once.
func TestBulkStop(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(inJobs(0))
		s.users(300)
		stop := s.run(s.engine(customerSync(s.to)))
		job := s.runningJob()
		stop()
		s.remote.Advance(job.ID, -1)
		e := s.engine(customerSync(s.to))
		s.run(e)
		s.quiet(e)
		s.inSync(e, "customer")
		if jobs, others := s.through(); jobs != 300 || others != 0 {
			t.Errorf("%d changes in jobs and %d others", jobs, others)
		}
		if n := s.remote.Calls(memory.RunJob); n != 1 {
			t.Errorf("%d jobs were run", n)
		}
	})
}

// Of two processes that share the registry one follows the job, and the other
// takes it over when the first is gone.
func TestBulkTakenOver(t *testing.T) {
	s := newShop(t, inJobs(0))
	s.users(300)
	stop := s.run(s.engine(customerSync(s.to)))
	job := s.runningJob()
	e := s.engine(customerSync(s.to))
	s.run(e)
	first := s.jobOf(e).Holder
	stop()
	s.until("another follower", func() bool { j := s.jobOf(e); return j.Holder != "" && j.Holder != first })
	s.remote.Advance(job.ID, -1)
	s.quiet(e)
	s.inSync(e, "customer")
}

// jobOf is the only job.
func (s *shop) jobOf(e *upkeep.Engine) upkeep.Job {
	s.t.Helper()
	st, err := e.Status(s.ctx)
	if err != nil || len(st.Jobs) != 1 {
		s.t.Fatalf("jobs: %+v, %v", st, err)
	}
	return st.Jobs[0]
}

// A job that takes too long is ended, and what it did not come to goes its
// usual way.
func TestBulkJobLimit(t *testing.T) {
	s := newShop(t, inJobs(0))
	s.users(300)
	e, err := upkeep.New(upkeep.Config{Database: s.open(), Syncs: []upkeep.AnySync{customerSync(s.to)}, JobLimit: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	s.run(e)
	s.until("the job's end", func() bool {
		jobs := s.remote.Jobs()
		return len(jobs) == 1 && jobs[0].State == connector.JobEnded
	})
	s.until("its results", func() bool {
		st, err := e.Status(s.ctx)
		return err == nil && len(st.Jobs) == 0
	})
	s.comesToRest(e)
	s.inSync(e, "customer")
}
