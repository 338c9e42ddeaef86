package ledger

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// until is the header that says, in nanoseconds since 1970, until when the sender
// of a request waits for its answer: by then its lease may have ended, and another
// request for the same records may be on its way. All proofs are on one machine.
const until = "Ledger-Until"

// underWay is a request that has arrived and is not answered yet.
type underWay struct {
	records []string
	until   time.Time
	beside  []beside  // what came for one of its records meanwhile
	left    time.Time // when its sender was seen to have gone; zero: it is there
}

// beside is a request that came while another one for its record was under way.
type beside struct {
	at   time.Time
	what string
}

// notice is how long the server may take to notice that a sender has gone, which
// may then have sent the next request: it has two connections to go by.
const notice = 500 * time.Millisecond

// waitsUntil is until when the sender of a request waits for the answer.
func waitsUntil(r *http.Request) time.Time {
	n, err := strconv.ParseInt(r.Header.Get(until), 10, 64)
	if err != nil {
		return time.Now().Add(time.Hour) // it has no end
	}
	return time.Unix(0, n)
}

// begin notes that a request is under way, and beside which ones it is for the same
// record. Those whose sender has had its time don't count, nor does one that comes
// after its own. The caller holds the lock.
func (s *Server) begin(req request, until time.Time) *underWay {
	u := &underWay{until: until}
	now := time.Now()
	for _, c := range req.atOnce() {
		record := s.whose(c)
		if slices.Contains(u.records, record) {
			s.crowded = append(s.crowded, record+" is twice in one request")
			continue
		}
		u.records = append(u.records, record)
		for _, other := range s.inFlight[record] {
			if now.Before(other.until) && now.Before(until) {
				other.beside = append(other.beside, beside{now, fmt.Sprintf("%s of %s came while another request for it was under way", c.Verb, record)})
			}
		}
		s.inFlight[record] = append(s.inFlight[record], u)
	}
	return u
}

// leaves notes that the sender of a request has gone.
func (s *Server) leaves(u *underWay) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u.left.IsZero() {
		u.left = time.Now()
	}
}

// over notes that a request is over: it is about to be answered, or its sender has
// gone, and what came since may have come for that reason.
func (s *Server) over(u *underWay) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now--
	for _, record := range u.records {
		s.inFlight[record] = slices.DeleteFunc(s.inFlight[record], func(other *underWay) bool { return other == u })
		if len(s.inFlight[record]) == 0 {
			delete(s.inFlight, record)
		}
	}
	for _, b := range u.beside {
		if u.left.IsZero() || u.left.Sub(b.at) > notice {
			s.crowded = append(s.crowded, b.what)
		}
	}
}

// Crowded lists the requests that came while another one for the same record was
// under way, whose sender still waited for it.
func (s *Server) Crowded() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.crowded)
}

// atOnce are the changes that a request makes while it is under way.
func (r request) atOnce() []Change {
	if r.ofJob {
		return nil
	}
	return r.changes
}

// whose names the record of a change as it stands now: a delete names its id only.
// The caller holds the lock.
func (s *Server) whose(c Change) string {
	if r := s.records[c.ID]; r != nil && c.ExternalID == "" {
		return r.whose()
	}
	if c.ExternalID == "" {
		return c.Type + " " + c.ID
	}
	return c.whose()
}

func (r *Record) whose() string { return r.Type + "/" + r.ExternalID }

// whose names the record of a change that has its external id.
func (c Change) whose() string { return c.Type + "/" + c.ExternalID }
