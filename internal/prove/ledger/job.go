package ledger

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
)

// What a request about a job asks for: the last part of its path, and the verb
// of the faults that strike it.
const (
	StartJob   = "start"
	RunJob     = "run"
	AskJob     = "state"
	JobResults = "results"
	AbortJob   = "abort"
)

// job is a bulk job. It runs by itself, one change after the other, whoever
// asks about it.
type job struct {
	id, recordType, action string
	state                  connector.JobState
	changes                []Change
	results                []outcome
	through, failed        int // changes
	message                string
	fault                  *Fault // of the job as a whole; nil: none
}

// jobAnswer is the body of an answer about a job.
type jobAnswer struct {
	Job       string    `json:"job"`
	State     string    `json:"state"`
	Processed int       `json:"processed"`
	Failed    int       `json:"failed"`
	Message   string    `json:"message,omitempty"`
	Results   []outcome `json:"results,omitempty"`
}

// Jobs tells how many jobs run now, and how many were made.
func (s *Server) Jobs() (running, made int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range s.jobs {
		if j.state == connector.JobRunning {
			running++
		}
	}
	return running, s.lastJob
}

// Pace is how long jobs take for a change from now on.
func (s *Server) Pace(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.config.Pace = d
}

// Overtaken lists the changes of records that were in a job, not over, which
// came by another way: the job's older value lands on the newer one.
func (s *Server) Overtaken() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.overtaken)
}

// ofJob does what a request about a job asks. The caller holds the lock.
func (s *Server) ofJob(r request) (int, jobAnswer) {
	if r.verb == StartJob {
		s.lastJob++
		j := &job{id: "job-" + strconv.Itoa(s.lastJob), recordType: r.recordType, action: r.action}
		s.jobs[j.id] = j
		return http.StatusOK, jobAnswer{Job: j.id, State: j.state.String()}
	}
	j := s.jobs[r.job]
	if j == nil {
		return http.StatusNotFound, jobAnswer{Message: "there is no job " + r.job}
	}
	refuse := func() (int, jobAnswer) {
		return http.StatusUnprocessableEntity, jobAnswer{Job: j.id, Message: "the job is " + j.state.String()}
	}
	a := jobAnswer{Job: j.id}
	switch r.verb {
	case RunJob:
		if j.state != connector.JobOpen {
			return refuse()
		}
		j.changes, j.state = r.changes, connector.JobRunning
		j.fault = s.strike(func(f *Fault) bool { return f.ofJobs() && (f.Verb == "" || f.Verb == j.action) })
		s.running.Go(func() { s.work(j) })
	case AskJob:
	case JobResults:
		if !j.state.Over() {
			return refuse()
		}
		a.Results = slices.Clone(j.results)
		slices.Reverse(a.Results) // in no order that anybody may count on
	case AbortJob:
		s.end(j, "aborted")
	default:
		return http.StatusNotFound, jobAnswer{Message: "there is nothing to " + r.verb + " at a job"}
	}
	a.State, a.Processed, a.Failed, a.Message = j.state.String(), j.through, j.failed, j.message
	return http.StatusOK, a
}

// work applies a job's changes at the server's pace, until it is over.
func (s *Server) work(j *job) {
	for {
		s.mu.Lock()
		pace := max(s.config.Pace, time.Millisecond)
		s.mu.Unlock()
		select {
		case <-s.closing:
			return
		case <-time.After(pace):
		}
		if !s.step(j) {
			return
		}
	}
}

// step applies a job's next change. False: it is over.
func (s *Server) step(j *job) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if j.state != connector.JobRunning {
		return false
	}
	if f := j.fault; f != nil && f.Kind == Halt && j.through >= (len(j.changes)+1)/2 {
		s.end(j, "the remote was told to end the job")
		return false
	}
	if j.through < len(j.changes) {
		s.one(j, j.changes[j.through])
		j.through++
		return true
	}
	j.state = connector.JobDone
	if f := j.fault; f != nil && f.Kind == Forget {
		delete(s.jobs, j.id)
	}
	return false
}

// one applies a change of a job, and says what became of it, unless the job is
// to keep it to itself.
func (s *Server) one(j *job, c Change) {
	silent := j.fault != nil && j.fault.Kind == Untold && j.through%2 == 0
	if silent && !j.fault.Applied {
		s.late = append(s.late, func() { s.apply(c, true, j.id) })
		return
	}
	o := s.apply(c, false, j.id)
	if o.Status != http.StatusOK {
		j.failed++
	}
	if !silent {
		j.results = append(j.results, j.named(c, o))
	}
}

// named names the record of a result: by its external id if that is how the
// change was made, otherwise by its own id.
func (j *job) named(c Change, o outcome) outcome {
	if c.Verb == "create" {
		o.ExternalID = c.ExternalID
		return o
	}
	o.ID, o.ExternalID = c.ID, ""
	return o
}

// end ends a job before its time. What it did not come to says so.
func (s *Server) end(j *job, message string) {
	if j.state.Over() {
		return
	}
	j.state, j.message = connector.JobEnded, message
	for _, c := range j.changes[j.through:] {
		j.results = append(j.results, j.named(c, outcome{Status: http.StatusConflict, Message: "the job ended before it"}))
	}
}

// overtakes notes a change of a record that is in a job, other than its own.
// The caller holds the lock.
func (s *Server) overtakes(c Change, own string) {
	for _, j := range s.jobs {
		if j.id == own || j.state != connector.JobRunning {
			continue
		}
		for _, held := range j.changes[j.through:] {
			if held.whose() == c.whose() {
				s.overtaken = append(s.overtaken, fmt.Sprintf("%s of %s came while %s held its %s", c.Verb, c.whose(), j.id, held.Verb))
			}
		}
	}
}
