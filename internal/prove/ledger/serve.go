package ledger

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
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
	fault, full, u := s.arrive(req, waitsUntil(r))
	watched := context.AfterFunc(r.Context(), func() { s.leaves(u) })
	over := sync.OnceFunc(func() {
		if watched(); r.Context().Err() != nil {
			s.leaves(u)
		}
		s.over(u)
	})
	defer over()
	if full {
		w.Header().Set("Retry-After", strconv.Itoa(int(peace/time.Second)))
		http.Error(w, "too many requests", http.StatusTooManyRequests)
		return
	}
	var outcomes []outcome
	var ofIt jobAnswer
	status := http.StatusOK
	if fault == nil || fault.Applied || !fault.ends() {
		if fault != nil && fault.Kind == Delay {
			fault.hold()
		}
		if ofJob {
			status, ofIt = s.doJob(req)
		} else {
			outcomes = s.applyAll(req)
		}
	}
	if fault != nil && (fault.Kind == Reset || fault.Kind == Gigantic) {
		over() // its sender notices before the handler has ended
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
func (s *Server) arrive(req request, until time.Time) (f *Fault, full bool, u *underWay) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now++
	u = s.begin(req, until)
	if s.limit.over(time.Now()) {
		return nil, true, u
	}
	return s.strike(func(f *Fault) bool { return f.suits(req) }), false, u
}
