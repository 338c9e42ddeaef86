package netsuitetest

import (
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"path"
	"slices"
	"strconv"
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
	Op     string `json:"op,omitempty"`     // create, read, update, upsert, delete, list, transform, query, job, metadata
	Type   string `json:"type,omitempty"`   // record type; of a transform, the target

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

// answer performs a request under the faults in force.
func (s *Server) answer(w http.ResponseWriter, c *call) {
	wait, f := s.faults.strike(c)
	if f != nil || wait > 0 {
		s.stats.faulted()
	}
	if wait > 0 && !s.pause(c.request.Context(), wait) {
		s.stats.end(c, nil)
		abort()
	}
	if f == nil {
		s.write(w, c, s.perform(c))
		return
	}
	if f.Kind == Late {
		s.later(c, f)
	} else if f.Applied {
		s.perform(c)
	}
	switch {
	case f.Kind == Reset, f.Kind == Late && f.Drop:
		s.stats.end(c, nil)
		reset(w)
	case f.Kind == Hang, f.Kind == Late:
		s.stats.end(c, nil)
		select {
		case <-c.request.Context().Done():
		case <-s.closing.Done():
		}
		abort()
	default:
		s.write(w, c, f.reply())
	}
}

// perform does what the request asks for and counts it.
func (s *Server) perform(c *call) *reply {
	r := s.handle(c)
	if c.applied {
		s.stats.wrote(c)
	}
	return r
}

// later performs the request when its time has come. It holds no slot of the
// account's concurrency meanwhile.
func (s *Server) later(c *call, f *Fault) {
	own := *c
	// The body has been read; nothing ties the request to its connection.
	own.request = c.request.WithContext(context.Background())
	s.late.Add(1)
	if f.Delay > 0 {
		go func() {
			defer s.late.Done()
			if s.pause(context.Background(), time.Duration(f.Delay)) {
				s.perform(&own)
			}
		}()
		return
	}
	ch := make(chan struct{})
	s.faults.mu.Lock()
	s.faults.released = append(s.faults.released, ch)
	s.faults.mu.Unlock()
	go func() {
		defer s.late.Done()
		select {
		case <-ch:
			s.perform(&own)
			ch <- struct{}{}
		case <-s.closing.Done():
		}
	}()
}

// pause waits; false when the client or the server went away first.
func (s *Server) pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-s.closing.Done():
	}
	return false
}

// reset breaks the connection so that the client sees a reset and no end of
// an answer.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		abort()
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// abort drops the connection without an answer.
func abort() { panic(http.ErrAbortHandler) }

// reply is the answer of a fault that answers.
func (f *Fault) reply() *reply {
	var r *reply
	switch {
	case f.Kind == HTML:
		r = newReply(http.StatusOK)
		r.header.Set("Content-Type", "text/html; charset=utf-8")
		r.body = []byte("<!DOCTYPE html><html><head><title>NetSuite</title></head><body>Your data is still safe. Please try again later.</body></html>")
	case f.Kind == Empty:
		r = newReply(http.StatusOK)
	case f.Status == http.StatusUnauthorized:
		r = errLogin().reply()
	case f.Status == http.StatusTooManyRequests:
		r = errConcurrency().reply()
	case f.Status == http.StatusInternalServerError:
		r = (&apiError{status: 500, code: "UNEXPECTED_ERROR", detail: "An unexpected error occurred. Error ID: sandbox"}).reply()
	case f.Status > 500:
		// 502, 503 and 504 come from the gateway, not from the service.
		r = newReply(f.Status)
		r.header.Set("Content-Type", "text/html; charset=utf-8")
		r.body = []byte("<html><body><h1>" + http.StatusText(f.Status) + "</h1></body></html>")
	default:
		r = newReply(f.Status)
	}
	if f.RetryAfter > 0 {
		seconds := (time.Duration(f.RetryAfter) + time.Second - 1) / time.Second
		r.header.Set("Retry-After", strconv.Itoa(int(seconds)))
	}
	return r
}
