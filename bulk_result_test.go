package upkeep_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// Records that are gone when a job updates them are made again, and those that
// a mapping ends are deleted in a job, also when they are gone already.
func TestBulkRecordsThatAreGone(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(inJobs(400))
		s.users(250)
		users := func(version string, keep func(u User) bool) upkeep.Sync[User] {
			sync := customerSync(s.to)
			translate := sync.Translate
			sync.Version, sync.When, sync.WhenFalse, sync.DeleteLimit = version, keep, upkeep.Ending{Action: upkeep.Delete}, -1
			sync.Translate = func(u User) (upkeep.Fields, error) {
				f, err := translate(u)
				f["entityId"] = version + " " + u.Name
				return f, err
			}
			return sync
		}
		all := func(User) bool { return true }
		for _, c := range []struct {
			version string
			keep    func(User) bool
			records int
			jobs    int // changes in them
		}{
			{"1", all, 250, 250},
			{"2", all, 250, 249}, // one is gone
			{"2", func(u User) bool { return u.ID <= 100 }, 100, 149},
		} {
			s.remote.Remove("customer", "customer-200")
			s.remote.Forget()
			sync := users(c.version, c.keep)
			sync.Version = fmt.Sprint(c.version, c.records)
			e := s.engine(sync)
			stop := s.run(e)
			s.comesToRest(e)
			s.inSync(e, "customer")
			if jobs, _ := s.through(); len(s.remote.Records("customer")) != c.records || jobs != c.jobs {
				t.Errorf("%d records, %d changes in jobs; want %d and %d", len(s.remote.Records("customer")), jobs, c.records, c.jobs)
			}
			stop()
		}
	})
}

// Of very many records that are gone, no job is asked twice: each is looked at
// by itself and made again.
func TestBulkManyRecordsThatAreGone(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(inJobs(400))
		s.users(250)
		stop := s.run(s.engine(customerSync(s.to)))
		s.quiet(s.engine(customerSync(s.to)))
		stop()
		for i := 1; i <= 150; i++ {
			s.remote.Remove("customer", fmt.Sprintf("customer-%d", i))
		}
		made := s.remote.Calls(memory.StartJob)
		changed := customerSync(s.to)
		translate := changed.Translate
		changed.Version = "2"
		changed.Translate = func(u User) (upkeep.Fields, error) {
			f, err := translate(u)
			f["entityId"] = "2 " + u.Name
			return f, err
		}
		e := s.engine(changed)
		s.run(e)
		s.comesToRest(e)
		s.inSync(e, "customer")
		s.field("customer", "customer-7", "entityId", `"2 user 7"`)
		if jobs, n := s.remote.Calls(memory.StartJob)-made, len(s.remote.Records("customer")); jobs != 1 || n != 250 {
			t.Errorf("%d jobs, and %d records of 250 are there", jobs, n)
		}
	})
}

// The limit of deletes holds for jobs too.
func TestBulkDeletesAreLimited(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(inJobs(400))
		s.users(300)
		e := s.engine(customerSync(s.to))
		stop := s.run(e)
		s.quiet(e)
		stop()
		fewer := customerSync(s.to)
		fewer.Version, fewer.When, fewer.DeleteLimit = "2", func(u User) bool { return u.ID <= 100 }, 120
		fewer.WhenFalse = upkeep.Ending{Action: upkeep.Delete}
		e = s.engine(fewer)
		s.run(e)
		s.quiet(e)
		held, err := e.HeldDeletes(s.ctx)
		if n := len(s.remote.Records("customer")); n != 180 || err != nil || len(held) != 1 || held[0].Held != 80 {
			t.Errorf("%d records are left, want 180; held are %+v, %v", n, held, err)
		}
	})
}

// robbed is a database in which the first group of a job loses its claim before
// the job is written down.
type robbed struct{ upkeep.Database }

func (d robbed) AddJob(ctx context.Context, j store.Job, groups []store.JobGroup, lease time.Duration) (int64, []store.ID, error) {
	groups[0].Epoch--
	return d.Database.AddJob(ctx, j, groups, lease)
}

// A group whose claim was lost is not in the job that it was filled into: who
// has the claim now sends it.
func TestBulkLostClaim(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(inJobs(0))
		s.users(200)
		e, err := upkeep.New(upkeep.Config{Database: robbed{s.open()}, Syncs: []upkeep.AnySync{customerSync(s.to)}})
		if err != nil {
			t.Fatal(err)
		}
		s.run(e)
		job := s.runningJob()
		if n, held := len(job.Changes), s.jobOf(e).Rows; n != 199 || held != 199 {
			t.Errorf("%d changes in a job of %d groups", n, held)
		}
		s.remote.Advance(job.ID, -1)
		s.advance(2 * time.Minute) // its lease has run out
		s.comesToRest(e)
		s.inSync(e, "customer")
	})
}

// Two groups with one external id are a mistake of the mapping; they are never
// in one job.
func TestBulkOneExternalIDTwice(t *testing.T) {
	s := newShop(t, inJobs(0))
	s.users(200)
	sync := customerSync(s.to)
	sync.ExternalID = func(u User) string { return fmt.Sprintf("customer-%d", max(u.ID, 2)) }
	e := s.engine(sync)
	s.run(e)
	named := map[string]int{}
	for _, c := range s.runningJob().Changes {
		named[c.Record.ExternalID]++
	}
	if len(named) != 199 || named["customer-2"] != 1 {
		t.Errorf("%d records in the job, %d times customer-2", len(named), named["customer-2"])
	}
}

// A job whose results can't be read after its limit is closed: what they did
// not tell is in doubt.
func TestBulkResultsThatCannotBeRead(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(inJobs(0))
		s.users(300)
		stop := s.run(s.engine(customerSync(s.to)))
		job := s.runningJob()
		stop()
		if j := s.jobOf(s.engine(customerSync(s.to))); j.Holder != "" || j.Left != 300 {
			t.Errorf("after a stop the job is %+v", j)
		}
		s.remote.Advance(job.ID, -1)
		s.remote.Fail(memory.Fault{On: memory.JobResults, Err: memory.Err(connector.Rejected), Times: -1})
		s.advance(24*time.Hour + 5*time.Minute)
		e := s.engine(customerSync(s.to))
		s.run(e)
		s.state(e, "customer", "7", upkeep.State("in doubt"))
		s.comesToRest(e)
		s.inSync(e, "customer")
	})
}
