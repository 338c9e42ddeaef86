package salesforce

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
)

const (
	// mostInJob keeps a job's results and data in proportion. Salesforce itself
	// works in batches of 10,000.
	mostInJob = 50_000
	// mostBytes is what Salesforce advises: its limit of 150 MB is of the data
	// in base64.
	mostBytes = 100_000_000
	// mostInCell is the most characters of a field in a job.
	mostInCell = 32_000
	pollEvery  = 10 * time.Second
	jobsPath   = "/jobs/ingest"
	// clearCell is the cell that makes a field null; an empty one leaves it.
	clearCell = "#N/A"
)

// Bulk says from how many changes on a job of Bulk API 2.0 is worthwhile.
func (c *Connection) Bulk(string) connector.Bulk {
	if c.config.BulkFrom < 0 {
		return connector.Bulk{}
	}
	return connector.Bulk{From: c.config.BulkFrom, Most: mostInJob, Poll: pollEvery}
}

var operations = map[connector.Action]string{connector.Create: "upsert", connector.Update: "update", connector.Delete: "delete"}

// StartJob makes an ingest job that is open: creates are upserts by external
// id, updates and deletes go by id.
func (c *Connection) StartJob(ctx context.Context, recordType string, action connector.Action) (string, error) {
	if !apiName.MatchString(recordType) {
		return "", rejected("%q is not a record type", recordType)
	}
	q := map[string]string{"object": recordType, "operation": operations[action], "contentType": "CSV", "lineEnding": "LF"}
	if action == connector.Create {
		q["externalIdFieldName"] = c.config.externalField(recordType)
	}
	body, err := encodeJSON(q)
	if err != nil {
		return "", rejected("the job can't be encoded: %v", err)
	}
	a, fail := c.do(ctx, request{verb: examine, method: http.MethodPost, path: jobsPath, body: body})
	if fail != nil {
		if fail.Kind == connector.NotFound || fail.Kind == connector.Exists {
			fail.Kind = connector.Rejected
		}
		return "", fail
	}
	var got jobInfo
	if json.Unmarshal(a.Body, &got) != nil || !recordID.MatchString(got.ID) {
		return "", unexpected(a)
	}
	return got.ID, nil
}

// RunJob uploads the changes as CSV, made as it is sent, and starts the job.
func (c *Connection) RunJob(ctx context.Context, job, recordType string, action connector.Action, changes []connector.Change) error {
	if !recordID.MatchString(job) {
		return rejected("%q is not the id of a job", job)
	}
	table, err := c.table(ctx, recordType, action, changes)
	if err != nil {
		return err
	}
	size, fail := io.Copy(io.Discard, table.reader())
	if fail != nil {
		return rejected("the data of the job can't be encoded: %v", fail)
	}
	if size > c.mostUpload {
		return rejected("the data of the job has %d bytes, and Salesforce takes %d: send fewer records in one", size, c.mostUpload)
	}
	a, err := c.do(ctx, request{verb: examine, method: http.MethodPut, path: jobsPath + "/" + job + "/batches", upload: table.reader, size: size})
	if err != nil {
		if err.Kind == connector.Unknown {
			// It is not told to run before the next request.
			err.Kind, err.Message = connector.Unavailable, "the upload of the job broke, and it was not started: "+err.Message
		}
		return noRecord(err)
	}
	if a.Status != http.StatusCreated { // a portal says 200 to everything
		e := unexpected(a)
		e.Kind = connector.Unavailable
		return e
	}
	return c.moveJob(ctx, job, "UploadComplete")
}

// noRecord: a job's errors name no record.
func noRecord(err *connector.Error) *connector.Error {
	if err.Kind == connector.NotFound || err.Kind == connector.Exists {
		err.Kind = connector.Rejected
	}
	return err
}

// moveJob changes a job's state.
func (c *Connection) moveJob(ctx context.Context, job, state string) error {
	a, err := c.do(ctx, request{verb: examine, method: http.MethodPatch, path: jobsPath + "/" + job, body: []byte(`{"state":"` + state + `"}`)})
	if err != nil {
		return noRecord(err)
	}
	var got jobInfo
	if json.Unmarshal(a.Body, &got) != nil || got.ID == "" || got.State == "" {
		return unexpected(a)
	}
	return nil
}

// jobInfo is what Salesforce says of a job.
type jobInfo struct {
	ID        string `json:"id"`
	Operation string `json:"operation"`
	State     string `json:"state"`
	Processed int    `json:"numberRecordsProcessed"`
	Failed    int    `json:"numberRecordsFailed"`
	Message   string `json:"errorMessage"`
}

var states = map[string]connector.JobState{
	"Open": connector.JobOpen, "UploadComplete": connector.JobRunning, "InProgress": connector.JobRunning,
	"JobComplete": connector.JobDone, "Failed": connector.JobEnded, "Aborted": connector.JobEnded,
}

func (c *Connection) job(ctx context.Context, job string) (jobInfo, connector.JobState, *connector.Error) {
	var got jobInfo
	if !recordID.MatchString(job) {
		return got, 0, &connector.Error{Kind: connector.NotFound, Message: fmt.Sprintf("%q is not the id of a job", job)}
	}
	a, err := c.do(ctx, request{verb: examine, method: http.MethodGet, path: jobsPath + "/" + job})
	if err != nil {
		return got, 0, err
	}
	state, known := connector.JobOpen, false
	if json.Unmarshal(a.Body, &got) == nil && sameID(got.ID, job) {
		state, known = states[got.State]
	}
	if !known {
		return got, 0, unexpected(a)
	}
	return got, state, nil
}

// PollJob tells how a job is.
func (c *Connection) PollJob(ctx context.Context, job string) (connector.Job, error) {
	got, state, err := c.job(ctx, job)
	if err != nil {
		return connector.Job{}, err
	}
	return connector.Job{State: state, Processed: got.Processed, Failed: got.Failed, Message: got.Message}, nil
}

// AbortJob ends a job that is not over.
func (c *Connection) AbortJob(ctx context.Context, job string) error {
	err := c.moveJob(ctx, job, "Aborted")
	if err == nil || connector.KindOf(err) != connector.Rejected {
		return err
	}
	_, state, missing := c.job(ctx, job)
	switch {
	case missing != nil && missing.Kind == connector.NotFound, missing == nil && state.Over():
		return nil
	case missing != nil:
		return missing
	}
	return err
}

// JobResults reads the three lists of a job that is over. Their order is not
// that of the upload: a row is known by its external id, or by its id.
func (c *Connection) JobResults(ctx context.Context, job, recordType string, each func(connector.JobResult) error) error {
	info, state, err := c.job(ctx, job)
	switch {
	case err != nil:
		return err
	case !state.Over():
		return &connector.Error{Kind: connector.Busy, Message: "the job is not over"}
	}
	v := map[string]verb{"upsert": create, "update": update, "delete": remove}[info.Operation]
	for _, list := range []string{"successfulResults", "failedResults", "unprocessedrecords"} {
		var stopped error
		_, err := c.do(ctx, request{verb: examine, method: http.MethodGet, path: jobsPath + "/" + job + "/" + list, results: func(body io.Reader) error {
			return readResults(body, list, v, c.config.externalField(recordType), func(r connector.JobResult) error {
				stopped = each(r)
				return stopped
			})
		}})
		switch {
		case stopped != nil:
			return stopped
		case err != nil:
			return err
		}
	}
	return nil
}
