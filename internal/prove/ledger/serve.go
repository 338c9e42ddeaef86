package ledger

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// request is a decoded HTTP request: one change, a batch of them, or what is
// asked of a job.
type request struct {
	verb            string // of the change, or about the job; empty: a batch
	batch, ofJob    bool
	job, recordType string
	action          string // of the job's changes
	changes         []Change
}

// wire is the body of a request: either one change, or a list of them, or about
// a job.
type wire struct {
	Change
	Changes []Change `json:"changes,omitempty"`
	Job     string   `json:"job,omitempty"`
	Action  string   `json:"action,omitempty"`
}

// ServeHTTP takes POST /call, POST /batch, and POST /jobs/ with what is asked of
// a job.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.config.Token != "" && r.Header.Get("Authorization") != "Bearer "+s.config.Token {
		http.Error(w, "not logged in", http.StatusUnauthorized)
		return
	}
	var body wire
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 8<<20)).Decode(&body); err != nil {
		http.Error(w, "the body is not JSON", http.StatusBadRequest)
		return
	}
	// Only at the end of the body the server notices that its client has gone.
	_, _ = io.Copy(io.Discard, r.Body)
	req := request{verb: body.Verb, changes: []Change{body.Change}, job: body.Job, recordType: body.Type, action: body.Action}
	verb, ofJob := strings.CutPrefix(r.URL.Path, "/jobs/")
	switch {
	case ofJob:
		req.verb, req.ofJob, req.changes = verb, true, body.Changes
	case r.URL.Path == "/batch":
		req.verb, req.batch, req.changes = "", true, body.Changes
	}
	if len(req.changes) == 0 && !ofJob {
		http.Error(w, "no changes", http.StatusBadRequest)
		return
	}
	fault, full := s.arrive(req)
	defer s.leave(req)
	if full {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many requests at once", http.StatusTooManyRequests)
		return
	}
	var outcomes []outcome
	var ofIt jobAnswer
	status := http.StatusOK
	if fault == nil || fault.Applied || !fault.ends() {
		if fault != nil && fault.Kind == Delay {
			time.Sleep(fault.For)
		}
		if ofJob {
			status, ofIt = s.doJob(req)
		} else {
			outcomes = s.applyAll(req)
		}
	}
	if fault != nil && s.suffer(w, r, fault, req) {
		return
	}
	switch {
	case fault != nil && fault.Kind == Short:
		outcomes = outcomes[:len(outcomes)/2]
	case fault != nil && fault.Kind == Reordered:
		slices.Reverse(outcomes)
	}
	w.Header().Set("Content-Type", "application/json")
	switch {
	case ofJob:
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(ofIt)
	case req.batch:
		_ = json.NewEncoder(w).Encode(map[string]any{"results": outcomes})
	default:
		w.WriteHeader(outcomes[0].Status)
		_ = json.NewEncoder(w).Encode(outcomes[0])
	}
}

// ends tells the faults that take the place of the answer.
func (f *Fault) ends() bool { return f.Kind != Delay && f.Kind != Short && f.Kind != Reordered }

func (s *Server) applyAll(req request) []outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	outcomes := make([]outcome, len(req.changes))
	for i, c := range req.changes {
		outcomes[i] = s.apply(c, false, "")
		outcomes[i].ExternalID = c.ExternalID
	}
	return outcomes
}

func (s *Server) doJob(req request) (int, jobAnswer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ofJob(req)
}

// arrive counts a request and finds the fault for it.
func (s *Server) arrive(req request) (f *Fault, full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	s.now++
	s.most = max(s.most, s.now)
	for _, c := range req.atOnce() {
		s.inFlight[c.whose()]++
		s.mostOne = max(s.mostOne, s.inFlight[c.whose()])
	}
	if s.config.Limit > 0 && s.now > s.config.Limit {
		return nil, true
	}
	return s.strike(func(f *Fault) bool { return f.suits(req) }), false
}

func (s *Server) leave(req request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now--
	for _, c := range req.atOnce() {
		if s.inFlight[c.whose()]--; s.inFlight[c.whose()] == 0 {
			delete(s.inFlight, c.whose())
		}
	}
}

// atOnce are the changes that a request makes while it is under way.
func (r request) atOnce() []Change {
	if r.ofJob {
		return nil
	}
	return r.changes
}

// whose names the record of a change, for counting requests for one.
func (c Change) whose() string { return c.Type + "/" + c.ExternalID }
