package memory

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/upkeep-sync/upkeep/connector"
)

// Job is a bulk job as the remote has it.
type Job struct {
	ID     string
	Type   string
	Action connector.Action
	// Changes are those that RunJob handed over, in their order.
	Changes []connector.Change
	connector.Job

	results []connector.JobResult
}

func (c *connection) Bulk(string) connector.Bulk { return c.remote.config.Bulk }

func (c *connection) Carries(recordType string, change connector.Change) bool {
	return c.remote.config.Carries == nil || c.remote.config.Carries(recordType, change)
}

func (c *connection) StartJob(ctx context.Context, recordType string, action connector.Action) (string, error) {
	a, err := c.call(ctx, Request{Verb: StartJob, Type: recordType, Action: action})
	return a.job.ID, err
}

func (c *connection) RunJob(ctx context.Context, job, recordType string, action connector.Action, changes []connector.Change) error {
	_, err := c.call(ctx, Request{Verb: RunJob, Job: job, Type: recordType, Action: action, Changes: changes})
	return err
}

func (c *connection) PollJob(ctx context.Context, job string) (connector.Job, error) {
	a, err := c.call(ctx, Request{Verb: PollJob, Job: job})
	return a.job.Job, err
}

func (c *connection) JobResults(ctx context.Context, job, recordType string, each func(connector.JobResult) error) error {
	a, err := c.call(ctx, Request{Verb: JobResults, Job: job, Type: recordType})
	if err != nil {
		return err
	}
	for _, res := range slices.Backward(a.job.results) { // in no order that anybody may count on
		if err := each(res); err != nil {
			return err
		}
	}
	return nil
}

func (c *connection) AbortJob(ctx context.Context, job string) error {
	_, err := c.call(ctx, Request{Verb: AbortJob, Job: job})
	return err
}

// Jobs returns copies of all jobs, oldest first.
func (r *Remote) Jobs() []Job {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Job, len(r.jobs))
	for i, j := range r.jobs {
		all[i] = *j
	}
	return all
}

// Advance lets a running job apply its next n changes (all: negative), and be
// done when it is through. It returns how many it applied or failed.
func (r *Remote) Advance(job string, n int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	j := r.job(job)
	if j == nil {
		return 0
	}
	return r.advance(j, n)
}

// EndJob ends a job before its time, as an administrator might: what it has
// applied stays, and what it did not come to is Busy.
func (r *Remote) EndJob(job, message string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if j := r.job(job); j != nil {
		r.end(j, message)
	}
}

// ForgetJob removes a job with its results, as a remote does after some time.
func (r *Remote) ForgetJob(job string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.jobs = slices.DeleteFunc(r.jobs, func(j *Job) bool { return j.ID == job })
}

func (r *Remote) job(id string) *Job {
	for _, j := range r.jobs {
		if j.ID == id {
			return j
		}
	}
	return nil
}

// ofJob does what a request about a job asks. The caller holds the lock.
func (r *Remote) ofJob(q Request) (answer, error) {
	if q.Verb == StartJob {
		r.lastJob++
		j := &Job{ID: "job-" + strconv.Itoa(r.lastJob), Type: q.Type, Action: q.Action}
		r.jobs = append(r.jobs, j)
		return answer{job: *j}, nil
	}
	j := r.job(q.Job)
	if j == nil {
		return answer{}, &connector.Error{Kind: connector.NotFound, Message: fmt.Sprintf("there is no job %q", q.Job)}
	}
	switch q.Verb {
	case RunJob:
		if j.State != connector.JobOpen {
			return answer{}, &connector.Error{Kind: connector.Rejected, Message: "job " + j.ID + " is " + j.State.String()}
		}
		j.Changes, j.State = q.Changes, connector.JobRunning
	case PollJob:
		if r.config.Pace > 0 {
			r.advance(j, r.config.Pace)
		}
	case JobResults:
		if !j.State.Over() {
			return answer{}, &connector.Error{Kind: connector.Rejected, Message: "job " + j.ID + " is " + j.State.String()}
		}
	case AbortJob:
		r.end(j, "aborted")
	}
	return answer{job: *j}, nil
}

func (r *Remote) advance(j *Job, n int) int {
	if j.State != connector.JobRunning {
		return 0
	}
	left := len(j.Changes) - j.Processed
	if n < 0 || n > left {
		n = left
	}
	for _, c := range j.Changes[j.Processed : j.Processed+n] {
		q := Request{Verb: verbs[c.Action], Type: j.Type, Job: j.ID, ExternalID: c.Record.ExternalID, RemoteID: c.RemoteID, Fields: cloneFields(c.Record.Fields)}
		res, told := r.applyOne(q)
		if res.Err != nil {
			j.Failed++
		}
		if told {
			j.results = append(j.results, jobResult(c, res))
		}
	}
	if j.Processed += n; j.Processed == len(j.Changes) {
		j.State = connector.JobDone
	}
	return n
}

func (r *Remote) end(j *Job, message string) {
	if j.State.Over() {
		return
	}
	j.State, j.Message = connector.JobEnded, message
	for _, c := range j.Changes[j.Processed:] {
		j.results = append(j.results, jobResult(c, connector.Result{Err: &connector.Error{Kind: connector.Busy, Message: "the job ended before it"}}))
	}
}

// jobResult names the record as a remote does: by its external id if that is
// how the change was made, otherwise by its own id.
func jobResult(c connector.Change, res connector.Result) connector.JobResult {
	if c.Action == connector.Create {
		return connector.JobResult{ExternalID: c.Record.ExternalID, RemoteID: res.RemoteID, Err: res.Err}
	}
	return connector.JobResult{RemoteID: c.RemoteID, Err: res.Err}
}
