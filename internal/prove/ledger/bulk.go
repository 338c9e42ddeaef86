package ledger

import (
	"context"
	"net/http"

	"github.com/upkeep-sync/upkeep/connector"
)

// about is the body of a request about a job.
type about struct {
	Job     string   `json:"job,omitempty"`
	Type    string   `json:"type,omitempty"`
	Action  string   `json:"action,omitempty"`
	Changes []Change `json:"changes,omitempty"`
}

// Bulk implements [connector.Bulker].
func (c *connection) Bulk(string) connector.Bulk { return c.settings.Jobs }

// Carries implements [connector.Bulker].
func (c *connection) Carries(string, connector.Change) bool { return true }

// StartJob implements [connector.Bulker].
func (c *connection) StartJob(ctx context.Context, recordType string, action connector.Action) (string, error) {
	a, err := c.job(ctx, StartJob, about{Type: recordType, Action: action.String()})
	return a.Job, err
}

// RunJob implements [connector.Bulker].
func (c *connection) RunJob(ctx context.Context, job, recordType string, _ connector.Action, changes []connector.Change) error {
	_, err := c.job(ctx, RunJob, about{Job: job, Changes: wired(recordType, changes)})
	return err
}

// PollJob implements [connector.Bulker].
func (c *connection) PollJob(ctx context.Context, job string) (connector.Job, error) {
	a, err := c.job(ctx, AskJob, about{Job: job})
	if err != nil {
		return connector.Job{}, err
	}
	for state := connector.JobOpen; state <= connector.JobEnded; state++ {
		if state.String() == a.State {
			return connector.Job{State: state, Processed: a.Processed, Failed: a.Failed, Message: a.Message}, nil
		}
	}
	return connector.Job{}, &connector.Error{Kind: connector.Unknown, Status: http.StatusOK, Message: "the answer names no state of the job"}
}

// JobResults implements [connector.Bulker].
func (c *connection) JobResults(ctx context.Context, job, _ string, each func(connector.JobResult) error) error {
	a, err := c.job(ctx, JobResults, about{Job: job})
	if err != nil {
		return err
	}
	for _, o := range a.Results {
		r := connector.JobResult{ExternalID: o.ExternalID, RemoteID: o.ID}
		if o.Status != http.StatusOK {
			r.Err = refusal(o.Status, o.Message)
		}
		if err := each(r); err != nil {
			return err
		}
	}
	return nil
}

// AbortJob implements [connector.Bulker].
func (c *connection) AbortJob(ctx context.Context, job string) error {
	_, err := c.job(ctx, AbortJob, about{Job: job})
	return err
}

// job makes a request about a job.
func (c *connection) job(ctx context.Context, verb string, body about) (jobAnswer, error) {
	var a jobAnswer
	err := c.post(ctx, "/jobs/"+verb, body, &a)
	if err == nil && a.Job == "" {
		err = &connector.Error{Kind: connector.Unknown, Status: http.StatusOK, Message: "the answer names no job"}
	}
	return a, err
}
