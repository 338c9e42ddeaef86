package salesforcetest

import (
	"maps"
	"sync"
)

// Stats count what the org saw since it began, or since [Server.ResetStats].
type Stats struct {
	Requests     int            `json:"requests"`     // that cost something of the daily ones
	Unauthorized int            `json:"unauthorized"` // without a session
	Limited      int            `json:"limited"`      // refused by a limit
	Faulted      int            `json:"faulted"`      // that met a fault
	Calls        map[string]int `json:"calls"`        // "upsert Account", "collection", "query"
	Written      map[string]int `json:"written"`      // records: "create Account"
}

type stats struct {
	mu sync.Mutex
	Stats
}

func (s *stats) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Stats = Stats{Calls: map[string]int{}, Written: map[string]int{}}
}

func (s *stats) begin(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Requests++
	name := c.op
	if c.typ != "" {
		name += " " + c.typ
	}
	s.Calls[name]++
}

func (s *stats) count(n *int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*n++
}

func (s *stats) unauthorized() { s.count(&s.Unauthorized) }
func (s *stats) limited()      { s.count(&s.Limited) }
func (s *stats) faulted()      { s.count(&s.Faulted) }

func (s *stats) wrote(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Written[what]++
}

// Stats returns the counters.
func (s *Server) Stats() Stats {
	s.stats.mu.Lock()
	defer s.stats.mu.Unlock()
	out := s.stats.Stats
	out.Calls, out.Written = maps.Clone(out.Calls), maps.Clone(out.Written)
	return out
}

// ResetStats sets the counters to zero.
func (s *Server) ResetStats() { s.stats.reset() }
