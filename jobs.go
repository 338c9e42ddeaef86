package upkeep

import (
	"context"
	"fmt"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Job is a bulk job at a remote, with groups whose results are not all recorded
// yet.
//
//	ID         int64         // in the registry
//	Remote     string        // the remote's name
//	RemoteJob  string        // the job's id there
//	Sync       string
//	RecordType string
//	Action     string        // create update delete
//	State      string        // open running done ended: as the remote said last
//	Rows       int           // groups that it was made with
//	Left       int           // of them, those whose result is not recorded
//	Processed  int           // by the remote, as far as it says
//	Failed     int           // of those
//	Message    string        // the remote's own words
//	Holder     string        // the process that follows it; empty: none
//	Since      time.Time     // when it was made
//	Age        time.Duration // since then
type Job = store.Job

// jobOf finds the job that a group is in; nil when it is in none.
func (e *Engine) jobOf(ctx context.Context, g *Group) (*Job, error) {
	if g == nil || g.State != store.Claimed || !g.LeaseUntil.IsZero() {
		return nil, nil
	}
	jobs, err := e.db.Jobs(ctx)
	if err != nil {
		return nil, err
	}
	for _, j := range jobs {
		if j.Sync == g.Sync && g.Holder == store.JobHolder(j.RemoteJob) {
			return &j, nil
		}
	}
	return nil, nil
}

// describeJob is a job in words.
func describeJob(j Job) string {
	s := fmt.Sprintf("job %s at %s since %s, with %d others: it is %s, %d of %d through", j.RemoteJob, j.Remote,
		j.Since.Format("2006-01-02 15:04:05"), j.Rows-1, j.State, j.Processed, j.Rows)
	if j.Message != "" {
		s += " (" + j.Message + ")"
	}
	return s
}
