package netsuitetest

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
	// Latency waits Latency (up to LatencyMax) and goes on as usual.
	Latency = "latency"
	// Status answers with Fault.Status: 401, 429 and 5xx in the words of
	// NetSuite, others with an empty body.
	Status = "status"
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
)

// Fault is a rule: the requests that match it go wrong. All conditions that
// are set must hold.
type Fault struct {
	Kind string `json:"kind"`

	Method string `json:"method,omitempty"` // "POST"
	Path   string `json:"path,omitempty"`   // path.Match pattern over the whole path, or a prefix that ends in "/"
	// Op is create, read, update, upsert, delete, list, transform, query, job,
	// metadata or token. Requests for a token are only struck by a rule that
	// names this operation or a path.
	Op   string `json:"op,omitempty"`
	Type string `json:"type,omitempty"` // record type; of a transform, the target

	Probability float64 `json:"probability,omitempty"` // of each match; zero means always
	Skip        int     `json:"skip,omitempty"`        // this many matches first go well
	Count       int     `json:"count,omitempty"`       // then this many go wrong; zero means all

	// Applied makes the fault strike after the request was performed:
	// the client learns nothing of it. Else nothing is performed.
	Applied    bool     `json:"applied,omitempty"`
	Status     int      `json:"status,omitempty"`
	RetryAfter Duration `json:"retry_after,omitempty"` // header on the answer; zero leaves it out
	Latency    Duration `json:"latency,omitempty"`
	LatencyMax Duration `json:"latency_max,omitempty"`
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
	kinds := []string{Latency, Status, Reset, Hang, Late, HTML, Empty}
	switch {
	case !slices.Contains(kinds, f.Kind):
		return fmt.Errorf("unknown kind of fault %q: use one of %s", f.Kind, strings.Join(kinds, ", "))
	case f.Kind == Status && (f.Status < 200 || f.Status > 599):
		return errors.New("a status fault needs a status from 200 to 599")
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
	if c.op == "token" && f.Op == "" && f.Path == "" {
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

// strike chooses what goes wrong with a request.
func (fs *faults) strike(c *call) (wait time.Duration, hit *Fault) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, r := range fs.rules {
		if hit != nil && r.Kind != Latency || !r.matches(c) {
			continue
		}
		r.seen++
		if r.seen <= r.Skip || r.Count > 0 && r.struck >= r.Count || r.Probability > 0 && fs.dice.Float64() >= r.Probability {
			continue
		}
		r.struck++
		if r.Kind == Latency {
			wait += time.Duration(r.Latency)
			if spread := int64(r.LatencyMax - r.Latency); spread > 0 {
				wait += time.Duration(fs.dice.Int64N(spread + 1))
			}
			continue
		}
		f := r.Fault
		hit = &f
	}
	return wait, hit
}
