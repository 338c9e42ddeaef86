package upkeep_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector/memory"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// A live change makes the record of a group that is in a job with the same
// external id: neither can know of the other before. When the job's results are
// there, none of the two counts as clean.
func TestBulkExternalIDBesideAJob(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(inJobs(0))
		s.within(3 * time.Minute)
		s.users(200)
		sync := customerSync(s.to)
		sync.ExternalID = func(u User) string { return fmt.Sprintf("customer-%d", u.ID%200) } // 1 and 201
		e := s.engine(sync)
		s.run(e)
		job := s.runningJob()
		s.exec(`insert into users (id, name) values (201, 'beside')`)
		s.state(e, "customer", "201", upkeep.Clean)
		s.remote.Advance(job.ID, -1)
		s.until("both to be parked", func() bool {
			p := s.parked(e)
			return len(p) == 2 && p["customer/1"] != "" && p["customer/201"] != ""
		})
	})
}

// keeping is a database that counts how often a job is kept.
type keeping struct {
	upkeep.Database
	kept atomic.Int64
}

func (d *keeping) KeepJob(ctx context.Context, j store.Job, lease time.Duration) (bool, error) {
	mine, err := d.Database.KeepJob(ctx, j, lease)
	if err == nil && mine && lease > 0 {
		d.kept.Add(1)
	}
	return mine, err
}

// A hand-over that takes longer than the lease of a job is nobody else's
// meanwhile.
func TestBulkIsKeptWhileItIsHandedOver(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(inJobs(0))
		s.within(3 * time.Minute)
		s.users(300)
		goOn := make(chan struct{})
		s.remote.Fail(memory.Fault{On: memory.RunJob, Until: goOn})
		d := &keeping{Database: s.open()}
		e, err := upkeep.New(upkeep.Config{Database: d, Clock: new(restless), Syncs: []upkeep.AnySync{customerSync(s.to)}})
		if err != nil {
			t.Fatal(err)
		}
		s.run(e)
		s.until("the hand-over", func() bool { return s.remote.InFlight() == 1 && len(s.remote.Jobs()) == 1 })
		for range 3 {
			s.advance(20 * time.Second) // the lease is half a minute
			n := d.kept.Load()
			s.until("the job to be kept", func() bool { return d.kept.Load() > n+1 })
			if j, err := d.TakeJob(s.ctx, "erp", "another", time.Minute); j != nil || err != nil {
				t.Fatalf("it can be taken over: %+v, %v", j, err)
			}
		}
		close(goOn)
		s.remote.Advance(s.runningJob().ID, -1)
		s.quiet(e)
		s.inSync(e, "customer")
		if jobs, others := s.through(); jobs != 300 || others != 0 {
			t.Errorf("%d changes in jobs, %d others", jobs, others)
		}
	})
}

// unwritten is a database that fails to write the first job down.
type unwritten struct {
	upkeep.Database
	failed atomic.Bool
}

func (d *unwritten) AddJob(ctx context.Context, j store.Job, groups []store.JobGroup, lease time.Duration) (int64, []store.ID, error) {
	if d.failed.CompareAndSwap(false, true) {
		return 0, nil, errors.New("the database was away for a moment")
	}
	return d.Database.AddJob(ctx, j, groups, lease)
}

// The groups of a job that can't be written down are given back: nobody has to
// wait for their leases, and nothing is in doubt.
func TestBulkThatIsNotWrittenDown(t *testing.T) {
	onEach(t, func(t *testing.T, newShop func(memory.Config) *shop) {
		s := newShop(inJobs(0))
		s.within(3 * time.Minute)
		s.users(300)
		e, err := upkeep.New(upkeep.Config{Database: &unwritten{Database: s.open()}, Lease: 24 * time.Hour, Syncs: []upkeep.AnySync{customerSync(s.to)}})
		if err != nil {
			t.Fatal(err)
		}
		s.run(e)
		s.remote.Advance(s.runningJob().ID, -1)
		s.quiet(e)
		s.inSync(e, "customer")
		open := 0
		for _, j := range s.remote.Jobs() {
			if !j.State.Over() {
				open++
			}
		}
		if open > 0 {
			t.Errorf("%d jobs are left open at the remote", open)
		}
	})
}
