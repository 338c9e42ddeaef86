package ledger

import (
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// The kinds of fault.
const (
	// Delay answers as usual, after Fault.For, or when Fault.Until is closed.
	Delay = "delay"
	// Hang never answers.
	Hang = "hang"
	// Late never answers either, and applies the request when its sender has
	// gone: after Fault.For, or when [Server.Land] is called if that is zero.
	Late = "late"
	// Reset breaks the connection.
	Reset = "reset"
	// Status answers with Fault.Status, and Retry-After of a second if that is
	// 429.
	Status = "status"
	// HTML answers 200 with a page, as gateways do.
	HTML = "html"
	// Malformed answers 200 with half an answer.
	Malformed = "malformed"
	// Gigantic answers 200 with more than anyone reads.
	Gigantic = "gigantic"
	// Redirect sends the client to another host.
	Redirect = "redirect"
	// Short leaves the last half of a batch out of its answer.
	Short = "short"
	// Reordered answers a batch back to front.
	Reordered = "reordered"
	// Halt ends a job half-way.
	Halt = "halt"
	// Untold leaves every other change out of a job's results. With
	// Fault.Applied they were applied; else [Server.Land] applies them.
	Untold = "untold"
	// Forget knows nothing of a job any more when it is over.
	Forget = "forget"
)

// Fault is a rule: the requests that match it go wrong.
type Fault struct {
	Kind string
	Verb string // of a single change, or of a request about a job; empty: any, batches too
	// Applied: it strikes after the request was applied. Else nothing is.
	Applied bool
	Status  int
	For     time.Duration
	Until   <-chan struct{} `json:"-"`
	// Chance of each request to be struck; zero means all.
	Chance float64
	// Skip lets so many requests pass first, Times ends it after so many; zero
	// means never.
	Skip, Times int
	// To is where a redirect leads.
	To string
}

// Fail adds faults; the first that matches a request strikes.
func (s *Server) Fail(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range faults {
		s.faults = append(s.faults, &f)
	}
}

// Heal forgets all faults. Requests that are to be applied late stay.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Struck is how often each kind of fault struck.
func (s *Server) Struck(kind string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.struck[kind]
}

// Waiting is how many requests are still to be applied late.
func (s *Server) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.late)
}

// Land applies all late requests, oldest first.
func (s *Server) Land() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.late)
	for _, apply := range s.late {
		apply()
	}
	s.late = nil
	return n
}

// ofJobs: it strikes what runs, and no request.
func (f *Fault) ofJobs() bool { return f.Kind == Halt || f.Kind == Untold || f.Kind == Forget }

// hold keeps a request waiting that is delayed.
func (f *Fault) hold() {
	if f.Until != nil {
		<-f.Until
		return
	}
	time.Sleep(f.For)
}

// suits says whether a fault can strike a request.
func (f *Fault) suits(r request) bool {
	return !f.ofJobs() && (f.Verb == "" || f.Verb == r.verb) && (r.batch || f.Kind != Short && f.Kind != Reordered)
}

// strike finds the first fault that suits. The caller holds the lock.
func (s *Server) strike(suits func(*Fault) bool) *Fault {
	for i, f := range s.faults {
		if !suits(f) {
			continue
		}
		if f.Chance > 0 && s.rng.Float64() >= f.Chance {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		use := *f
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				s.faults = slices.Delete(slices.Clone(s.faults), i, i+1)
			}
		}
		s.struck[f.Kind]++
		return &use
	}
	return nil
}

// suffer does what a fault says instead of answering. False: the answer goes
// out as usual.
func (s *Server) suffer(w http.ResponseWriter, r *http.Request, f *Fault, req request) bool {
	switch f.Kind {
	case Hang:
		<-r.Context().Done()
	case Late:
		<-r.Context().Done()
		s.postpone(f, req)
	case Reset:
		reset(w)
	case Status:
		if f.Status == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "1")
		}
		http.Error(w, "the remote was told to fail", f.Status)
	case HTML:
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<html><body>Scheduled maintenance</body></html>"))
	case Malformed:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"results":[{"id":"r`))
	case Gigantic:
		w.Header().Set("Content-Type", "application/json")
		flood(w)
	case Redirect:
		http.Redirect(w, r, f.To, http.StatusTemporaryRedirect)
	default:
		return false
	}
	return true
}

// postpone keeps what a late request asks for.
func (s *Server) postpone(f *Fault, req request) {
	s.mu.Lock()
	if req.ofJob {
		s.late = append(s.late, func() { s.ofJob(req) })
	} else {
		for _, c := range req.changes {
			s.late = append(s.late, func() { s.apply(c, true, "") })
		}
	}
	s.mu.Unlock()
	if f.For == 0 {
		return
	}
	time.AfterFunc(f.For, func() { s.Land() })
}

// reset closes a connection so that the other side gets a RST.
func reset(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// flood writes until the client has had enough, 64 MB at most.
func flood(w http.ResponseWriter) {
	chunk := []byte(strings.Repeat("x", 1<<20))
	for range 64 {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}
