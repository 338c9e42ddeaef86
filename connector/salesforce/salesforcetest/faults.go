package salesforcetest

import (
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// The kinds of fault.
const (
	// Latency waits Latency and goes on as usual.
	Latency = "latency"
	// Status answers with Fault.Status and Fault.Code, in Salesforce's form
	// below 502 and as a gateway's page from there.
	Status = "status"
	// Row refuses single records with Fault.Code: of a single call, of a
	// collection, or of a bulk job.
	Row = "row"
	// Reset breaks the connection (TCP RST).
	Reset = "reset"
	// Hang never answers; the client has to give up.
	Hang = "hang"
	// Late takes the request, never answers, and performs it Delay later,
	// or when [Server.Release] is called if Delay is zero.
	Late = "late"
	// HTML answers 200 with a page, as gateways do.
	HTML = "html"
	// Empty answers 200 without a body.
	Empty = "empty"
	// Short answers 200 with a list that lacks its last entry.
	Short = "short"
	// FailJob ends a bulk job as Failed once Fault.Skip rows are done.
	FailJob = "fail_job"
)

// Fault is a rule: the requests that match it go wrong. All conditions that
// are set must hold.
type Fault struct {
	Kind string `json:"kind"`

	Method string `json:"method,omitempty"` // "PATCH"
	Path   string `json:"path,omitempty"`   // path.Match pattern over the whole path, or a prefix that ends in "/"
	// Op is create, read, update, upsert, delete, collection, query, describe,
	// limits, job or token. Requests for a token are only struck by a rule that
	// names this operation or a path. Of a Row fault it is what is done to the
	// record: create, update, upsert, delete.
	Op   string `json:"op,omitempty"`
	Type string `json:"type,omitempty"` // object
	// ExternalID, of a Row fault, is the record's.
	ExternalID string `json:"external_id,omitempty"`

	Probability float64 `json:"probability,omitempty"` // of each match; zero means always
	Skip        int     `json:"skip,omitempty"`        // this many matches first go well
	Count       int     `json:"count,omitempty"`       // then this many go wrong; zero means all

	// Applied makes the fault strike after the request was performed:
	// the client learns nothing of it. Else nothing is performed.
	Applied    bool     `json:"applied,omitempty"`
	Status     int      `json:"status,omitempty"`
	Code       string   `json:"code,omitempty"` // UNABLE_TO_LOCK_ROW, REQUEST_LIMIT_EXCEEDED, ...
	Message    string   `json:"message,omitempty"`
	RetryAfter Duration `json:"retry_after,omitempty"` // header on the answer; zero leaves it out
	Latency    Duration `json:"latency,omitempty"`
	Delay      Duration `json:"delay,omitempty"` // of Late
	// Drop makes Late break the connection at once, instead of waiting for
	// the client to give up.
	Drop bool `json:"drop,omitempty"`
}

// Duration is a time.Duration that is written "250ms" in JSON.
type Duration time.Duration

// MarshalText writes the duration as time.Duration does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration does.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

type rule struct {
	Fault
	seen, struck int
}

type faults struct {
	mu       sync.Mutex
	rules    []*rule
	dice     *mathrand.Rand
	released []chan struct{} // one for each late request that waits to be told
}

// Fail adds a fault. Rules are tried in the order they were added and the
// first that strikes is taken; a latency besides that one adds up.
func (s *Server) Fail(f Fault) error {
	kinds := []string{Latency, Status, Row, Reset, Hang, Late, HTML, Empty, Short, FailJob}
	switch {
	case !slices.Contains(kinds, f.Kind):
		return fmt.Errorf("unknown kind of fault %q: use one of %s", f.Kind, strings.Join(kinds, ", "))
	case f.Kind == Status && (f.Status < 200 || f.Status > 599):
		return errors.New("a status fault needs a status from 200 to 599")
	case f.Kind == Row && f.Code == "":
		return errors.New("a row fault needs a code, such as UNABLE_TO_LOCK_ROW")
	case f.Probability < 0 || f.Probability > 1:
		return errors.New("probability must be from 0 to 1")
	}
	if _, err := path.Match(f.Path, ""); err != nil {
		return fmt.Errorf("path pattern %q: %w", f.Path, err)
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.rules = append(s.faults.rules, &rule{Fault: f})
	return nil
}

// Heal removes all faults. Late requests that wait to be told still do.
func (s *Server) Heal() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.rules = nil
}

// Faults lists the rules in force.
func (s *Server) Faults() []Fault {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	out := []Fault{}
	for _, r := range s.faults.rules {
		out = append(out, r.Fault)
	}
	return out
}

// Pending is how many late requests wait for [Server.Release].
func (s *Server) Pending() int {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	return len(s.faults.released)
}

// Release performs the late requests that wait to be told, in the order they
// came, and returns how many there were when the last one is done.
func (s *Server) Release() int {
	s.faults.mu.Lock()
	waiting := s.faults.released
	s.faults.released = nil
	s.faults.mu.Unlock()
	for i, ch := range waiting {
		select {
		case ch <- struct{}{}: // begin
			<-ch // done
		case <-s.closing.Done():
			return i
		}
	}
	return len(waiting)
}

func (f *Fault) matches(c *call) bool {
	if f.Kind == Row || f.Kind == FailJob || c.op == "token" && f.Op == "" && f.Path == "" {
		return false
	}
	if f.Path != "" {
		ok, _ := path.Match(f.Path, c.path)
		if !ok && !(strings.HasSuffix(f.Path, "/") && strings.HasPrefix(c.path, f.Path)) {
			return false
		}
	}
	return (f.Method == "" || strings.EqualFold(f.Method, c.method)) && (f.Op == "" || f.Op == c.op) &&
		(f.Type == "" || strings.EqualFold(f.Type, c.typ))
}

// due counts a match and tells whether the rule strikes it.
func (r *rule) due(dice *mathrand.Rand) bool {
	r.seen++
	if r.seen <= r.Skip || r.Count > 0 && r.struck >= r.Count || r.Probability > 0 && dice.Float64() >= r.Probability {
		return false
	}
	r.struck++
	return true
}

// strike chooses what goes wrong with a request.
func (fs *faults) strike(c *call) (wait time.Duration, hit *Fault) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, r := range fs.rules {
		if hit != nil && r.Kind != Latency || !r.matches(c) || !r.due(fs.dice) {
			continue
		}
		if r.Kind == Latency {
			wait += time.Duration(r.Latency)
			continue
		}
		f := r.Fault
		hit = &f
	}
	return wait, hit
}

// row is the refusal of one record; nil when there is none.
func (fs *faults) row(object, op, externalID string) *apiError {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, r := range fs.rules {
		if r.Kind != Row || r.Type != "" && !strings.EqualFold(r.Type, object) || r.Op != "" && r.Op != op ||
			r.ExternalID != "" && r.ExternalID != externalID || !r.due(fs.dice) {
			continue
		}
		message := r.Message
		if message == "" {
			message = "unable to obtain exclusive access to this record or 1 records"
		}
		status := r.Status
		if status == 0 {
			status = 400
		}
		return &apiError{status: status, code: r.Code, message: message}
	}
	return nil
}

// failJob is how many rows of a job go well before it fails; negative: all.
func (fs *faults) failJob(object string) int {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, r := range fs.rules {
		if r.Kind == FailJob && (r.Type == "" || strings.EqualFold(r.Type, object)) && (r.Count == 0 || r.struck < r.Count) {
			r.struck++
			return r.Skip
		}
	}
	return -1
}
