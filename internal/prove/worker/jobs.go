package worker

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// Jobs lists the names of the points around bulk jobs.
//
//	job.start                  a job is made at the remote; nothing is written down
//	job.write                  it is written down with its groups
//	job.run                    it is filled and told to run
//	job.state job.note         it is asked how it is; that is written down
//	job.results                it is asked what became of its changes
//	job.groups                 the groups are read that results belong to
//	job.record                 results are recorded
//	job.leave job.end          groups are taken out of it; it is over
//	job.take job.abort         (the second process) it is taken over; it is ended while it is open
//	job.write.sql job.record.sql   between two statements inside (PostgreSQL)
func Jobs(driver string) []string {
	var all []string
	for _, stage := range []string{"start", "write", "run", "state", "note", "results", "groups", "record", "leave", "end", "take", "abort"} {
		all = append(all, "job."+stage+".before", "job."+stage+".after")
	}
	if driver == Postgres {
		all = append(all, "job.write.sql", "job.record.sql")
	}
	return all
}

// hasty has all waits shorter, so that a proof need not wait for what the
// engine looks at twice a second.
type hasty struct{}

func (hasty) Now() time.Time { return time.Now() }

func (hasty) Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d / 10)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// bulker is a connection that has jobs too, with points around their calls.
type bulker struct {
	*referring
	jobs connector.Bulker
}

func (b *bulker) Bulk(recordType string) connector.Bulk { return b.jobs.Bulk(recordType) }

func (b *bulker) Carries(recordType string, c connector.Change) bool {
	return b.jobs.Carries(recordType, c)
}

func (b *bulker) StartJob(ctx context.Context, recordType string, action connector.Action) (string, error) {
	return around(ctx, b.points, "job.start", func(ctx context.Context) (string, error) { return b.jobs.StartJob(ctx, recordType, action) })
}

func (b *bulker) RunJob(ctx context.Context, job, recordType string, action connector.Action, changes []connector.Change) error {
	_, err := around(ctx, b.points, "job.run", func(ctx context.Context) (any, error) {
		return nil, b.jobs.RunJob(ctx, job, recordType, action, changes)
	})
	return err
}

func (b *bulker) PollJob(ctx context.Context, job string) (connector.Job, error) {
	return around(ctx, b.points, "job.state", func(ctx context.Context) (connector.Job, error) { return b.jobs.PollJob(ctx, job) })
}

func (b *bulker) JobResults(ctx context.Context, job, recordType string, each func(connector.JobResult) error) error {
	_, err := around(ctx, b.points, "job.results", func(ctx context.Context) (any, error) {
		return nil, b.jobs.JobResults(ctx, job, recordType, each)
	})
	return err
}

func (b *bulker) AbortJob(ctx context.Context, job string) error {
	_, err := around(ctx, b.points, "job.abort", func(ctx context.Context) (any, error) { return nil, b.jobs.AbortJob(ctx, job) })
	return err
}

func (s *pointed) AddJob(ctx context.Context, j store.Job, groups []store.JobGroup, lease time.Duration) (int64, []store.ID, error) {
	type added struct {
		id    int64
		stale []store.ID
	}
	a, err := around(ctx, s.points, "job.write", func(ctx context.Context) (a added, err error) {
		a.id, a.stale, err = s.Store.AddJob(ctx, j, groups, lease)
		return a, err
	})
	return a.id, a.stale, err
}

// TakeJob is looked at all the time: it counts after it only when there was a
// job, and before it when there is one.
func (s *pointed) TakeJob(ctx context.Context, remote, holder string, lease time.Duration) (*store.Job, error) {
	if jobs, err := s.Store.Jobs(ctx); err == nil && len(jobs) > 0 {
		s.points.Hit("job.take.before")
	}
	j, err := s.Store.TakeJob(ctx, remote, holder, lease)
	if j != nil {
		s.points.Hit("job.take.after")
	}
	return j, err
}

func (s *pointed) KeepJob(ctx context.Context, j store.Job, lease time.Duration) (bool, error) {
	return around(ctx, s.points, "job.note", func(ctx context.Context) (bool, error) { return s.Store.KeepJob(ctx, j, lease) })
}

func (s *pointed) JobGroups(ctx context.Context, job int64, names store.JobNames, limit int) ([]store.JobGroup, error) {
	return around(ctx, s.points, "job.groups", func(ctx context.Context) ([]store.JobGroup, error) {
		return s.Store.JobGroups(ctx, job, names, limit)
	})
}

func (s *pointed) LeaveJob(ctx context.Context, job int64, keys []string) error {
	_, err := around(ctx, s.points, "job.leave", func(ctx context.Context) (any, error) { return nil, s.Store.LeaveJob(ctx, job, keys) })
	return err
}

func (s *pointed) EndJob(ctx context.Context, job int64) error {
	_, err := around(ctx, s.points, "job.end", func(ctx context.Context) (any, error) { return nil, s.Store.EndJob(ctx, job) })
	return err
}

// ofJob says whether results are those of a job.
func ofJob(results []store.Result) bool {
	return slices.ContainsFunc(results, func(r store.Result) bool {
		return r.Attempt != nil && strings.HasPrefix(r.Attempt.Message, "job ")
	})
}
