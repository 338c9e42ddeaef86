package connector

import (
	"context"
	"time"
)

// Bulk says what a remote takes in one job.
type Bulk struct {
	// From is how many changes must wait for a job to be worthwhile: below it
	// batches are quicker or cheaper.
	From int
	// Most changes in one job. Zero: there are no jobs for the record type.
	Most int
	// Poll is how long to wait between two looks at a running job. Zero: ten
	// seconds.
	Poll time.Duration
}

// JobState is how far a job is.
type JobState int

const (
	// JobOpen: it was never told to run. It holds no, some or all of its
	// changes, and applied none: it can be aborted.
	JobOpen JobState = iota
	// JobRunning: it applies changes now, or will.
	JobRunning
	// JobDone: it has been through all its changes, of which any number may
	// have failed.
	JobDone
	// JobEnded: it was aborted, or failed as a whole. Changes that came before
	// that may have been applied: the results tell.
	JobEnded
)

// String is the word used in logs and on the command line.
func (s JobState) String() string { return [...]string{"open", "running", "done", "ended"}[s] }

// Over tells that the job applies nothing any more, so that its results are
// final.
func (s JobState) Over() bool { return s == JobDone || s == JobEnded }

// Job is how a job is.
type Job struct {
	State JobState
	// Processed is how many changes the job has been through, and Failed how
	// many of these failed, as far as the remote says.
	Processed, Failed int
	// Message is the remote's own words on why a job ended before its time.
	Message string
}

// JobResult is what became of one change of a job.
type JobResult struct {
	// ExternalID and RemoteID name the record. Of a change that made or updated
	// it by external id, ExternalID is set; otherwise RemoteID is, as it was
	// in [Change]. Never both empty; RemoteID also tells the new record's id.
	ExternalID, RemoteID string
	// Err is nil if the change was applied. Its kinds are those of [Result]: a
	// change that the job never came to is [Busy].
	Err error
}

// Bulker is a [Connection] that takes very many changes as a job, which runs by
// itself at the remote: for backfills. A job is made, filled and started, looked
// at until it is over, and asked what became of each change:
//
//	StartJob, (write the id down), RunJob, PollJob ..., JobResults
//
// # After a crash
//
// The caller writes the job's id down before RunJob, together with which
// records it is about. Whoever finds the id afterwards asks PollJob, and goes
// on from there:
//
//   - [JobOpen]: AbortJob. Nothing was applied, and once AbortJob succeeded
//     nothing will be: the changes are free to go another way.
//   - [JobRunning]: wait. A job can't be taken back while it runs.
//   - [JobDone], [JobEnded]: JobResults. A change of which they say nothing has
//     the outcome [Unknown]. What a job that ended before its time did not come
//     to goes another way: the next job may end as this one did.
//   - an error of kind [NotFound]: the remote forgot the job. The outcome of
//     all its changes is Unknown.
//
// # Order
//
// A remote applies a job at its own pace and may repeat parts of it. While a
// job that holds a change of a record is not over, no other call may write that
// record: an older value could land on a newer one. The same holds for a job
// whose RunJob had an Unknown outcome. A job that was refused as a whole, or
// aborted while it was open, needs no waiting.
//
// # Idempotency
//
// A Create in a job is by external id, as [Connection.Create] of class [Upsert]:
// changes whose outcome is Unknown can be sent again, by a job or otherwise.
type Bulker interface {
	// Bulk says how large a job of a record type may be. It does no input or
	// output and always answers the same.
	Bulk(recordType string) Bulk

	// Carries tells whether a job can hold the change: the form of a job may
	// have no words for some values. A change that it can't carry goes by
	// itself or in a batch. It does no input or output.
	Carries(recordType string, c Change) bool

	// StartJob makes a job to which nothing was applied yet, and returns its
	// id, never empty: a short text that is safe to write down. A job that was
	// made and whose id got lost applies nothing, ever.
	StartJob(ctx context.Context, recordType string, action Action) (job string, err error)

	// RunJob hands over the changes, all of the job's record type and action,
	// no two of one external id, and starts the job. It is called once for a
	// job. Nil: the job runs. After [Unknown] it may run: PollJob tells. After
	// any other kind it does not run; abort it, and the changes were surely not
	// applied. [Rejected] is also for changes that are too large together: fewer
	// may pass, as in [Batcher.Apply].
	//
	// The changes may be many: RunJob keeps no second copy of all of them, and
	// may take much longer than [Traits.Timeout] says of other calls; ctx is
	// what bounds it.
	RunJob(ctx context.Context, job, recordType string, action Action, changes []Change) error

	// PollJob tells how a job is.
	PollJob(ctx context.Context, job string) (Job, error)

	// JobResults tells what became of the changes of a job that is over, in any
	// order, one call of each for each; an error of each ends it and is
	// returned. It can be asked again and again, as long as the remote keeps
	// the job. What was told before an error stands.
	JobResults(ctx context.Context, job, recordType string, each func(JobResult) error) error

	// AbortJob ends a job. One that is over already is success. Of a job that
	// was open, nothing will be applied when it returns nil; one that runs may
	// have applied some changes.
	AbortJob(ctx context.Context, job string) error
}
