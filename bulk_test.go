package upkeep_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
)

// inJobs is a remote for which 100 changes are worth a job, and that does so
// many of them at each look; none: only when told.
func inJobs(pace int) memory.Config {
	return memory.Config{Batch: 50, Concurrency: 2, Pace: pace, Bulk: connector.Bulk{From: 100, Most: 1000, Poll: 5 * time.Millisecond}}
}

// runningJob waits until there is a job that runs at the remote.
func (s *shop) runningJob() memory.Job {
	s.t.Helper()
	var job memory.Job
	s.until("a job to run", func() bool {
		for _, j := range s.remote.Jobs() {
			if j.State == connector.JobRunning {
				job = j
				return true
			}
		}
		return false
	})
	return job
}

// through are the changes that went in jobs, and those that did not.
func (s *shop) through() (jobs, others int) {
	for _, q := range s.remote.Applied() {
		if q.Job != "" {
			jobs++
		} else {
			others++
		}
	}
	return jobs, others
}

// A backfill goes in jobs; so does a sweep that finds differences, of which it
// sends no others. What changes afterwards goes as always.
func TestBulkBackfill(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(inJobs(400))
		s.users(2500)
		e := s.engine(customerSync(s.to))
		stop := s.run(e)
		s.quiet(e)
		calls := s.remote.Calls(memory.Any)
		s.inSync(e, "customer")
		jobs, others := s.through()
		if jobs != 2500 || others != 0 || len(s.remote.Records("customer")) != 2500 {
			t.Errorf("%d changes in jobs and %d others made %d records", jobs, others, len(s.remote.Records("customer")))
		}
		t.Logf("%d jobs, %.1f calls for 1000 records", len(s.remote.Jobs()), float64(calls)/2.5)
		if calls > 40 {
			t.Errorf("%d calls", calls)
		}
		x, err := e.Explain(s.ctx, "customer", "7")
		if err != nil || x.Group.RemoteID == "" || len(x.Attempts) != 1 || x.Attempts[0].Message != "job job-1" {
			t.Errorf("history: %+v, %v", x, err)
		}
		if st, err := e.Status(s.ctx); err != nil || int(st.Syncs[0].Calls) != calls || len(st.Jobs) != 0 {
			t.Errorf("%d calls are counted as %+v, %v", calls, st, err)
		}
		stop()

		s.remote.Forget()
		s.exec(`update users set email = 'x@example.com' where id <= 5`) // live
		changed := customerSync(s.to)
		translate := changed.Translate
		changed.Version = "2"
		changed.Translate = func(u User) (upkeep.Fields, error) {
			f, err := translate(u)
			if u.ID > 300 {
				f["entityId"] = "customer " + u.Name
			}
			return f, err
		}
		e = s.engine(changed)
		s.run(e)
		s.quiet(e)
		s.inSync(e, "customer")
		jobs, others = s.through()
		if jobs != 2200 || others != 5 {
			t.Errorf("%d changes in jobs and %d others, want 2200 and 5", jobs, others)
		}
	})
}

// A few groups are not worth a job.
func TestBulkBelowTheThreshold(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(inJobs(400))
		s.users(99)
		e := s.engine(customerSync(s.to))
		s.run(e)
		s.quiet(e)
		if n := len(s.remote.Jobs()); n != 0 || len(s.remote.Records("customer")) != 99 {
			t.Errorf("%d jobs", n)
		}
	})
}

// What fails in a job is what failed, and no other is sent again.
func TestBulkFailsInPart(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(inJobs(400))
		s.users(300)
		s.remote.Fail(memory.Fault{On: memory.Create, ExternalID: "customer-7", Err: memory.Err(connector.Busy)})
		s.remote.Fail(memory.Fault{On: memory.Create, ExternalID: "customer-8", Late: true}) // the results do not tell of it
		s.remote.Fail(memory.Fault{On: memory.Create, ExternalID: "customer-9", Err: memory.Err(connector.Rejected)})
		s.remote.Fail(memory.Fault{On: memory.Create, ExternalID: "customer-10", Err: memory.Err(connector.Unknown), Applied: true})
		e := s.engine(customerSync(s.to))
		s.run(e)
		s.state(e, "customer", "9", upkeep.State("parked"))
		s.state(e, "customer", "8", upkeep.State("in doubt"))
		s.state(e, "customer", "10", upkeep.State("in doubt"))
		s.remote.Land(-1)
		s.until("the others to be sent", func() bool { calm, _ := s.calm(e); return calm })
		s.advance(2 * time.Minute) // the doubts are settled
		s.quiet(e)
		applied := map[string]int{}
		for _, q := range s.remote.Applied() {
			applied[q.ExternalID]++
		}
		for i := 1; i <= 300; i++ {
			least, most := 1, 1
			switch i {
			case 8, 10:
				least, most = 2, 4 // a lease may end as the clock is moved
			case 9:
				least, most = 0, 0
			}
			if n := applied[fmt.Sprint("customer-", i)]; n < least || n > most {
				t.Errorf("customer %d was applied %d times, want %d to %d", i, n, least, most)
			}
		}
		if n := len(s.remote.Jobs()); n != 1 {
			t.Errorf("%d jobs: what failed goes by itself", n)
		}
		if dup := s.remote.Duplicates(); len(dup) > 0 {
			t.Error(dup)
		}
	})
}

// A change of a group that is in a job comes after it; other groups go beside
// it.
func TestBulkBesideLiveChanges(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(inJobs(0))
		s.users(300)
		e := s.engine(customerSync(s.to))
		s.run(e)
		job := s.runningJob()
		s.advance(time.Hour) // no lease of its groups runs out
		s.exec(`update users set name = 'changed in the job' where id = 7`)
		s.exec(`insert into users (id, name) values (1000, 'beside it')`)
		s.state(e, "customer", "1000", upkeep.Clean)
		s.remote.Advance(job.ID, 299)
		if st, err := e.Status(s.ctx); err != nil || len(st.Jobs) != 1 || st.Jobs[0].Rows != 300 || st.Syncs[0].Claimed != 300 {
			t.Errorf("status: %+v, %v", st, err)
		}
		x, err := e.Explain(s.ctx, "customer", "7")
		if err != nil || x.Job == nil || x.Job.RemoteJob != job.ID || x.Group.State != upkeep.Claimed {
			t.Errorf("explain: %+v, %v", x, err)
		}
		s.remote.Advance(job.ID, -1)
		s.quiet(e)
		s.inSync(e, "customer")
		s.field("customer", "customer-7", "entityId", `"changed in the job"`)
		if jobs, others := s.through(); jobs != 300 || others != 2 {
			t.Errorf("%d changes in jobs and %d others", jobs, others)
		}
	})
}

// What is referred to goes first, also in jobs.
func TestBulkWaitsForReferences(t *testing.T) {
	s := newShop(t, inJobs(1000))
	s.users(200)
	s.exec(`insert into orders (id, user_id, state) select id, id, 'placed' from users`)
	e := s.engine(customerSync(s.to), orderSync(s.to))
	s.run(e)
	s.quiet(e)
	s.inSync(e, "customer", "sales_order")
	if jobs, others := s.through(); jobs < 300 || jobs+others != 400 {
		t.Errorf("%d changes in jobs and %d others", jobs, others)
	}
}

// A record that a job makes refers to one that is made anew while the job runs:
// it is sent again, as nobody knew yet that the two are tied.
func TestBulkReferenceToARecordMadeAnew(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(inJobs(0))
		s.users(5)
		s.exec(`with recursive n(i) as (select 1 union all select i + 1 from n where i < 200)
			insert into orders (id, user_id, state) select i, 1 + i % 5, 'placed' from n`)
		e := s.engine(customerSync(s.to))
		stop := s.run(e)
		s.quiet(e)
		stop()
		e = s.engine(customerSync(s.to), orderSync(s.to)) // the orders are backfilled
		s.run(e)
		job := s.runningJob()
		s.remote.Remove("customer", "customer-3")
		s.exec(`update users set name = 'made anew' where id = 3`)
		s.until("another record", func() bool { return s.remote.Text("customer", "customer-3", "entityId") != "" })
		s.state(e, "customer", "3", upkeep.Clean)
		s.remote.Advance(job.ID, -1)
		s.quiet(e)
		s.inSync(e, "customer", "sales_order")
	})
}

// A job is a remote's to end, to forget or to refuse.
func TestBulkJobsThatComeToNothing(t *testing.T) {
	for _, c := range []struct {
		name  string
		fail  memory.Fault
		after func(s *shop)
		pace  int // of jobs; 0: they stand still until after
		jobs  int // changes applied in jobs, at least
		doubt bool
	}{
		{name: "ended half-way", after: func(s *shop) {
			j := s.runningJob()
			s.remote.Advance(j.ID, 100)
			s.remote.EndJob(j.ID, "an administrator's will")
		}, jobs: 100},
		{name: "forgotten", doubt: true, after: func(s *shop) {
			j := s.runningJob()
			s.remote.Advance(j.ID, -1)
			s.remote.ForgetJob(j.ID)
		}},
		{name: "not made", fail: memory.Fault{On: memory.StartJob, Err: memory.Err(connector.Rejected), Times: -1}},
		{name: "not made at first", fail: memory.Fault{On: memory.StartJob, Err: memory.Err(connector.RateLimited)}, pace: 400, jobs: 300},
		{name: "not run", fail: memory.Fault{On: memory.RunJob, Err: memory.Err(connector.Rejected), Times: -1}},
		{name: "run, and nobody said so", fail: memory.Fault{On: memory.RunJob, Err: memory.Err(connector.Unknown), Applied: true}, pace: 400, jobs: 300},
		{name: "not run, and nobody said so", fail: memory.Fault{On: memory.RunJob, Err: memory.Err(connector.Unknown)}, pace: 400, jobs: 300},
		{name: "hard to reach", fail: memory.Fault{On: memory.PollJob, Err: memory.Err(connector.Unknown), Times: 2}, pace: 400, jobs: 300},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t, inJobs(c.pace))
			s.users(300)
			if c.fail.On != memory.Any {
				s.remote.Fail(c.fail)
			}
			e := s.engine(customerSync(s.to))
			s.run(e)
			if c.after != nil {
				c.after(s)
			}
			if c.doubt {
				s.state(e, "customer", "7", upkeep.State("in doubt"))
			}
			s.comesToRest(e)
			s.inSync(e, "customer")
			if jobs, _ := s.through(); jobs < c.jobs*2/3 || c.jobs == 0 && !c.doubt && jobs > 0 {
				t.Errorf("%d changes went in jobs, want most of %d", jobs, c.jobs)
			}
		})
	}
}

// A pause keeps jobs from being made.
func TestBulkPaused(t *testing.T) {
	for _, what := range []upkeep.Pause{{Sync: "customer"}, {Remote: "erp"}} {
		s := newShop(t, inJobs(400))
		s.users(300)
		e := s.engine(customerSync(s.to))
		if err := e.Install(s.ctx); err != nil {
			t.Fatal(err)
		}
		if err := e.Pause(s.ctx, what); err != nil {
			t.Fatal(err)
		}
		s.run(e)
		s.until("the backfill", func() bool {
			st, err := e.Status(s.ctx)
			return err == nil && st.Syncs[0].Groups == 300 && !st.Syncs[0].Backfill.Running
		})
		s.quiet(e)
		if n := s.remote.Calls(memory.StartJob); n != 0 {
			t.Errorf("%d jobs while %+v is paused", n, what)
		}
		if _, err := e.Resume(s.ctx, what); err != nil {
			t.Fatal(err)
		}
		s.quiet(e)
		s.inSync(e, "customer")
	}
}

// withoutJobs is a connection that has none, and no batches.
type withoutJobs struct {
	connector.Connection
	connector.Reader
}

// A job about which nobody can be asked keeps its groups for as long as it may
// run. Then they go again, and are not clean before it could not change them
// any more.
func TestBulkJobsGivenUp(t *testing.T) {
	for _, c := range []struct {
		name   string
		before func(s *shop) *upkeep.Engine // what comes after the process that made the job
		says   string                       // doctor, meanwhile
	}{
		{"no jobs any more", func(s *shop) *upkeep.Engine {
			return s.engine(customerSync(&upkeep.Remote{Name: "erp", Connection: withoutJobs{s.to.Connection, s.to.Connection.(connector.Reader)}}))
		}, "its remote has no jobs any more"},
		{"neither polls nor aborts", func(s *shop) *upkeep.Engine {
			s.remote.Fail(memory.Fault{On: memory.PollJob, Err: memory.Err(connector.Unavailable), Times: -1})
			s.remote.Fail(memory.Fault{On: memory.AbortJob, Err: memory.Err(connector.Unavailable), Times: -1})
			return s.engine(customerSync(s.to))
		}, ""},
		{"no polls", func(s *shop) *upkeep.Engine {
			s.remote.Fail(memory.Fault{On: memory.PollJob, Err: memory.Err(connector.Rejected), Times: -1})
			return s.engine(customerSync(s.to))
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
				s := newShop(inJobs(0))
				s.users(300)
				stop := s.run(s.engine(customerSync(s.to)))
				job := s.runningJob()
				stop()
				e := c.before(s)
				stop = s.run(e)
				s.exec(`update users set name = 'meanwhile' where id = 7`)
				s.until("a touch", func() bool {
					x, err := e.Explain(s.ctx, "customer", "7")
					return err == nil && x.Group != nil && x.Group.Generation > 1
				})
				s.state(e, "customer", "7", upkeep.Claimed)
				s.doctorSays(e, c.says)
				stop()

				s.advance(24*time.Hour + 5*time.Minute)
				e = c.before(s)
				s.run(e)
				x := s.state(e, "customer", "7", upkeep.State("in doubt"))
				if left := time.Until(x.Group.InDoubtUntil); left < 47*time.Hour { // a day has passed
					t.Errorf("in doubt for %s", left-24*time.Hour)
				}
				s.until("all changes", func() bool { return len(s.remote.Records("customer")) == 300 })
				s.field("customer", "customer-7", "entityId", `"meanwhile"`)
				s.remote.Advance(job.ID, -1) // it was not ended, and comes last
				s.advance(25 * time.Hour)
				s.comesToRest(e)
				s.inSync(e, "customer")
				s.field("customer", "customer-7", "entityId", `"meanwhile"`)
			})
		})
	}
}

// doctorSays waits until a finding contains the words.
func (s *shop) doctorSays(e *upkeep.Engine, words string) {
	s.t.Helper()
	s.until("doctor to say: "+words, func() bool {
		findings, err := e.Doctor(s.ctx)
		if err != nil {
			s.t.Fatal(err)
		}
		return words == "" || slices.ContainsFunc(findings, func(f upkeep.Finding) bool { return strings.Contains(f.Message, words) && f.Fix != "" })
	})
}
