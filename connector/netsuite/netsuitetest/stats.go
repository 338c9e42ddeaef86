package netsuitetest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Stats is what the server saw since it was made or [Server.ResetStats].
type Stats struct {
	Requests int `json:"requests"`
	// Calls counts requests by operation and record type: "create
	// salesOrder", "query", "token".
	Calls map[string]int `json:"calls"`
	// Methods counts by HTTP method, Statuses by the status that was sent.
	Methods  map[string]int `json:"methods"`
	Statuses map[int]int    `json:"statuses"`
	// Applied writes went through, whether or not the client heard of it;
	// Unchanged are those of them that found every value there already.
	Applied   int `json:"applied"`
	Unchanged int `json:"unchanged"`
	// Refused were answered 4xx; Limited of them with 429 by the account's
	// own limit; Unauthorized with 401. Faulted met a fault.
	Refused      int `json:"refused"`
	Limited      int `json:"limited"`
	Unauthorized int `json:"unauthorized"`
	Faulted      int `json:"faulted"`
	// MaxInFlight is the most requests that were let in at once.
	MaxInFlight int64 `json:"max_in_flight"`
	BytesIn     int64 `json:"bytes_in"`
	BytesOut    int64 `json:"bytes_out"`
	// NoChange lists the last updates that changed nothing.
	NoChange []Write `json:"no_change,omitempty"`
}

// Write is one write that went through.
type Write struct {
	Op   string `json:"op"`
	Type string `json:"type"`
	ID   string `json:"id"`
}

const noChangeSize = 1000

type stats struct {
	mu sync.Mutex
	Stats
}

func (s *stats) reset() {
	s.Stats = Stats{Calls: map[string]int{}, Methods: map[string]int{}, Statuses: map[int]int{}}
}

func (s *stats) begin(inFlight int64) {
	s.mu.Lock()
	s.MaxInFlight = max(s.MaxInFlight, inFlight)
	s.mu.Unlock()
}

func (s *stats) limited() {
	s.mu.Lock()
	s.Limited++
	s.mu.Unlock()
}

func (s *stats) faulted() {
	s.mu.Lock()
	s.Faulted++
	s.mu.Unlock()
}

// end counts a request; r is nil when no answer was sent.
func (s *stats) end(c *call, r *reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Requests++
	s.Calls[strings.TrimSpace(c.op+" "+c.typ)]++
	s.Methods[c.method]++
	s.BytesIn += int64(len(c.body))
	if r == nil {
		return
	}
	s.Statuses[r.status]++
	s.BytesOut += int64(len(r.body))
	if r.status >= 400 && r.status < 500 {
		s.Refused++
	}
	if r.status == 401 {
		s.Unauthorized++
	}
}

// wrote counts a write that went through.
func (s *stats) wrote(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Applied++
	if !c.changed {
		s.Unchanged++
		if len(s.NoChange) < noChangeSize {
			s.NoChange = append(s.NoChange, Write{c.op, c.typ, c.recordID})
		}
	}
}

// Stats returns the counters.
func (s *Server) Stats() Stats {
	s.stats.mu.Lock()
	defer s.stats.mu.Unlock()
	out := s.stats.Stats
	out.Calls, out.Methods, out.Statuses = copied(out.Calls), copied(out.Methods), copied(out.Statuses)
	out.NoChange = slices.Clone(out.NoChange)
	return out
}

// ResetStats sets the counters to zero.
func (s *Server) ResetStats() {
	s.stats.mu.Lock()
	defer s.stats.mu.Unlock()
	s.stats.reset()
}

func copied[K comparable](m map[K]int) map[K]int {
	out := make(map[K]int, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

// Duplicate is a set of records that ought to be one.
type Duplicate struct {
	Type string   `json:"type"`
	Key  string   `json:"key"` // "externalId=order-42", "createdFrom=salesOrder/7"
	IDs  []string `json:"ids"`
}

// Duplicates lists records of one type that share the value of a field: their
// external id, the record they were created from, and each of the given
// fields, such as "otherRefNum" or "custbody_source". External ids are unique
// here as they are in an account, so it is the other fields that find what a
// create without external id, or a transform that was sent twice, has made.
// Several partial fulfillments of one order are no mistake, and are listed too.
func (s *Server) Duplicates(fields ...string) []Duplicate {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []Duplicate
	for _, t := range s.schema {
		byKey := map[string][]string{}
		for _, r := range s.records(t) {
			for _, name := range append([]string{"externalId", "createdFrom"}, fields...) {
				f := t.field(name)
				if f == nil || r.fields[f.name] == nil {
					continue
				}
				key := f.name + "=" + plain(r.fields[f.name])
				ids := byKey[key]
				if len(ids) == 0 || ids[len(ids)-1] != r.id { // a field may be named that is looked at anyway
					byKey[key] = append(ids, r.id)
				}
			}
		}
		for key, ids := range byKey {
			if len(ids) > 1 {
				out = append(out, Duplicate{t.name, key, ids})
			}
		}
	}
	slices.SortFunc(out, func(a, b Duplicate) int { return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Key, b.Key)) })
	return out
}

// plain is a stored value as text.
func plain(v any) string {
	switch v := v.(type) {
	case reference:
		return v.typ + "/" + v.id
	case nil:
		return ""
	}
	return fmt.Sprint(v)
}

func lower(s string) string { return strings.ToLower(s) }
