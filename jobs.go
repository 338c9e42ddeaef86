package upkeep

import (
	"context"
	"fmt"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/moment"
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
		moment.Of(j.Since), j.Rows-1, j.State, j.Processed, j.Rows)
	if j.Message != "" {
		s += " (" + j.Message + ")"
	}
	return s
}

// jobPatience is how long after it was made a job is given up about which
// nobody can be asked, and how long its groups are in doubt from then on:
// should it apply them after all, they are sent again afterwards, in full.
func (e *Engine) jobPatience() time.Duration {
	quiet := time.Duration(0)
	for _, d := range e.defs {
		quiet = max(quiet, d.traits.Quiet)
	}
	return e.cfg.JobLimit + quiet + stall
}

func (r *Remote) hasJobs() bool {
	_, ok := r.Connection.(connector.Bulker)
	return ok
}

// giveUpJobs gives up what jobs are left of remotes that have none now.
func (e *Engine) giveUpJobs(ctx context.Context) error {
	jobs, err := e.db.Jobs(ctx)
	if err != nil {
		return err
	}
	without := map[string]bool{}
	for _, j := range jobs {
		if j.Age > e.jobPatience() {
			without[j.Remote] = true
		}
	}
	for _, r := range e.remotes {
		if r.hasJobs() {
			delete(without, r.Name) // see takeOver
		}
	}
	for name := range without {
		for {
			j, err := e.db.TakeJob(ctx, name, e.cfg.Name, jobLease)
			if err != nil {
				return err
			}
			if j == nil {
				break
			}
			if j.Age <= e.jobPatience() { // so are those that were made after it
				if _, err := e.db.KeepJob(ctx, *j, 0); err != nil {
					return err
				}
				break
			}
			if err := e.giveUpJob(ctx, *j); err != nil {
				return err
			}
		}
	}
	return nil
}

// giveUpJob lets the groups of a job go that this configuration can't follow,
// once it should have been over long ago.
func (e *Engine) giveUpJob(ctx context.Context, j Job) error {
	if j.Age <= e.jobPatience() {
		return nil
	}
	e.log.Error("a job is given up, as its sync or its remote's jobs are not in the configuration any more; its groups are in doubt", "sync", j.Sync, "remote", j.Remote, "job", j.RemoteJob, "groups", j.Left)
	return e.emptyJob(ctx, j.ID, func(groups []store.JobGroup) error {
		results, keys := make([]store.Result, len(groups)), make([]string, len(groups))
		for i, g := range groups {
			unknown := "job " + j.RemoteJob + ": nobody can ask what became of it"
			keys[i] = g.Key
			results[i] = store.Result{ID: store.ID{Sync: j.Sync, Key: g.Key}, Epoch: g.Epoch, Generation: g.Generation, Outcome: store.Doubtful,
				RemoteID: g.RemoteID, ExternalID: g.ExternalID, After: e.backoff(1), Doubt: e.jobPatience(), Reason: unknown,
				Attempt: &store.Attempt{Epoch: g.Epoch, Action: j.Action, Outcome: connector.Unknown.String(), Message: unknown}}
		}
		if _, err := e.db.Record(ctx, results, e.byHand()); err != nil {
			return fmt.Errorf("give up job %s: %w", j.RemoteJob, err)
		}
		return e.db.LeaveJob(ctx, j.ID, keys)
	})
}

// emptyJob has all groups recorded and taken out that are left in a job, and
// ends it.
func (e *Engine) emptyJob(ctx context.Context, job int64, record func([]store.JobGroup) error) error {
	for {
		groups, err := e.db.JobGroups(ctx, job, store.JobNames{}, jobPiece)
		if err != nil {
			return err
		}
		if len(groups) == 0 {
			return e.db.EndJob(ctx, job)
		}
		if err := record(groups); err != nil {
			return err
		}
	}
}

// jobFindings tells of jobs that keep their groups longer than they should.
func (e *Engine) jobFindings(s *Status) []Finding {
	var found []Finding
	for _, j := range s.Jobs {
		f := Finding{Severity: Warning, Subject: j.Sync, Message: fmt.Sprintf("job %s at %s holds groups that nobody else may send: %d; ", j.RemoteJob, j.Remote, j.Left)}
		switch d := e.byName[j.Sync]; {
		case d == nil:
			f.Message += "its sync is not in the configuration"
		case d.To.Name != j.Remote:
			f.Message += "its sync goes to " + d.To.Name + " now"
		case !d.To.hasJobs():
			f.Message += "its remote has no jobs any more"
		case j.Age > e.cfg.JobLimit:
			f.Severity, f.Message = Problem, f.Message+fmt.Sprintf("it takes longer than %s, and could not be ended; it is %s", moment.Span(e.cfg.JobLimit), j.State)
			f.Fix = "see at the remote what keeps it, and end it there: what it did not come to is sent again"
		default:
			continue
		}
		if f.Fix == "" {
			f.Fix = fmt.Sprintf("configure it as it was, to have its results read; otherwise it is given up %s after it was made, and its groups are sent again", moment.Span(e.jobPatience()))
		}
		found = append(found, f)
	}
	return found
}
