package ledger

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"time"
)

// request is a decoded HTTP request: one change, or a batch of them.
type request struct {
	batch   bool
	changes []Change
}

// wire is the body of a request: either one change, or a list of them.
type wire struct {
	Change
	Changes []Change `json:"changes,omitempty"`
}

// ServeHTTP takes POST /call and POST /batch.
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
	req := request{batch: r.URL.Path == "/batch", changes: []Change{body.Change}}
	if req.batch {
		req.changes = body.Changes
	}
	if len(req.changes) == 0 {
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
	if fault == nil || fault.Applied || !fault.ends() {
		if fault != nil && fault.Kind == Delay {
			time.Sleep(fault.For)
		}
		outcomes = s.applyAll(req)
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
	if req.batch {
		_ = json.NewEncoder(w).Encode(map[string]any{"results": outcomes})
		return
	}
	w.WriteHeader(outcomes[0].Status)
	_ = json.NewEncoder(w).Encode(outcomes[0])
}

// ends tells the faults that take the place of the answer.
func (f *Fault) ends() bool { return f.Kind != Delay && f.Kind != Short && f.Kind != Reordered }

func (s *Server) applyAll(req request) []outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	outcomes := make([]outcome, len(req.changes))
	for i, c := range req.changes {
		outcomes[i] = s.apply(c, false)
		outcomes[i].ExternalID = c.ExternalID
	}
	return outcomes
}

// arrive counts a request and finds the fault for it.
func (s *Server) arrive(req request) (f *Fault, full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	s.now++
	s.most = max(s.most, s.now)
	for _, c := range req.changes {
		s.inFlight[c.whose()]++
		s.mostOne = max(s.mostOne, s.inFlight[c.whose()])
	}
	if s.config.Limit > 0 && s.now > s.config.Limit {
		return nil, true
	}
	return s.strike(req), false
}

func (s *Server) leave(req request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now--
	for _, c := range req.changes {
		if s.inFlight[c.whose()]--; s.inFlight[c.whose()] == 0 {
			delete(s.inFlight, c.whose())
		}
	}
}

// whose names the record of a change, for counting requests for one.
func (c Change) whose() string { return c.Type + "/" + c.ExternalID }
