package store

import (
	"context"
	"time"
)

// Jobs are the bulk jobs that remotes have been given and whose results are
// not all recorded yet.
//
// The groups in a job are the job's: nobody claims them until their results
// are recorded, however long the job runs and whoever dies meanwhile. What has
// a lease is the job itself, so that one process at a time follows it.
type Jobs interface {
	// Backlog counts, up to most, the groups in a sync's backfill lane that are
	// due.
	Backlog(ctx context.Context, sync string, most int) (int, error)
	// AddJob writes a job down with the groups that are in it, all of j.Sync,
	// for j.Holder to follow. A group whose claim is no longer the one that is
	// given is left out, and returned as stale.
	AddJob(ctx context.Context, j Job, groups []JobGroup, lease time.Duration) (id int64, stale []ID, err error)
	// TakeJob makes holder follow a job of the remote that nobody follows: one
	// that was given back, or whose lease has run out. Nil: there is none.
	TakeJob(ctx context.Context, remote, holder string, lease time.Duration) (*Job, error)
	// KeepJob extends the lease of the job that j.Holder follows, and writes
	// down its state, what it has processed and its message. With no lease the
	// job is given back. False: somebody else follows it, or it is over.
	KeepJob(ctx context.Context, j Job, lease time.Duration) (bool, error)
	// Jobs lists all jobs, oldest first.
	Jobs(ctx context.Context) ([]Job, error)
	// JobGroups returns groups that are in a job: those with one of the names,
	// or, if no name is given, any, limit at most.
	JobGroups(ctx context.Context, job int64, names JobNames, limit int) ([]JobGroup, error)
	// LeaveJob takes groups out of a job, whose results are recorded.
	LeaveJob(ctx context.Context, job int64, keys []string) error
	// EndJob forgets a job. It is an error while groups are in it; a job that
	// is not there is none.
	EndJob(ctx context.Context, job int64) error
}

// Job is a bulk job at a remote.
type Job struct {
	ID         int64  // in the registry
	Remote     string // the remote's name
	RemoteJob  string // the job's id there
	Sync       string
	RecordType string
	Action     string // create update delete
	State      string // open running done ended: as the remote said last
	Rows       int    // groups that it was made with
	Left       int    // of them, those whose result is not recorded
	Processed  int    // by the remote, as far as it says, and Failed of these
	Failed     int
	Message    string    // the remote's own words
	Holder     string    // who follows it; empty: nobody
	Since      time.Time // when it was written down
	Age        time.Duration
}

// JobGroup is a group in a job, with all that recording its result takes.
type JobGroup struct {
	Key               string
	Epoch, Generation int64
	ExternalID        string
	RemoteID          string // empty: it is being made
	Digests           []byte
	Refs              []ID
	Sent              map[ID]string // as Result has it
	Attempts          int           // of the group; read only
}

// JobNames are what results call records by.
type JobNames struct{ External, Remote []string }

// JobHolder is the holder of the groups in a job.
func JobHolder(remoteJob string) string { return "job " + remoteJob }
