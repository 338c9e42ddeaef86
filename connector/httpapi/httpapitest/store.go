// Package httpapitest has stand-ins of APIs for tests of the HTTP connector: a
// plain JSON API, HubSpot's batches of contacts, Stripe's customers with its
// idempotency layer, and a receiver of signed webhooks. They hold everything
// in memory, and behave as the vendors document it, as far as the connector
// can tell. They are not checked against the real services.
package httpapitest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/upkeep-sync/upkeep/connector/faulttest"
)

// Record is one record of a stand-in.
type Record struct {
	ID, Type, Key string
	Fields        map[string]any
}

// store keeps records.
type store struct {
	mu      sync.Mutex
	last    int
	records map[string]*Record // by id
	calls   map[string]int     // by method and pattern
}

func newStore() *store { return &store{records: map[string]*Record{}, calls: map[string]int{}} }

func (s *store) insert(recordType, key string, prefix string) *Record {
	s.last++
	r := &Record{ID: prefix + strconv.Itoa(1000+s.last), Type: recordType, Key: key, Fields: map[string]any{}}
	s.records[r.ID] = r
	return r
}

// byKey is the oldest record with a key.
func (s *store) byKey(recordType, key string) *Record {
	for _, r := range s.sorted() {
		if r.Type == recordType && r.Key == key {
			return r
		}
	}
	return nil
}

func (s *store) sorted() []*Record {
	return slices.SortedFunc(maps.Values(s.records), func(a, b *Record) int {
		return cmp.Or(cmp.Compare(len(a.ID), len(b.ID)), strings.Compare(a.ID, b.ID))
	})
}

// Records lists copies of the records of a type, in the order of their making.
func (s *store) Records(recordType string) []Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Record
	for _, r := range s.sorted() {
		if r.Type == recordType {
			x := *r
			x.Fields = maps.Clone(r.Fields)
			out = append(out, x)
		}
	}
	return out
}

// Count is how many records have a key.
func (s *store) Count(recordType, key string) (n int) {
	for _, r := range s.Records(recordType) {
		if r.Key == key {
			n++
		}
	}
	return n
}

// Calls is how many requests came, by method and pattern of the path.
func (s *store) Calls() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.calls)
}

// counted counts requests to each pattern of a mux.
func (s *store) counted(mux *http.ServeMux, pattern string, h http.HandlerFunc) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		body, err := faulttest.ReadBody(w, r, 8<<20)
		if err != nil {
			http.Error(w, "the body is too long, or took too long", http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		s.mu.Lock()
		defer s.mu.Unlock()
		s.calls[pattern]++
		h(w, r)
	})
}

// decode reads a body with exact numbers.
func decode(r *http.Request, into any) bool {
	d := json.NewDecoder(r.Body)
	d.UseNumber()
	return d.Decode(into) == nil && strings.HasPrefix(r.Header.Get("Content-Type"), "application/json")
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

type object = map[string]any
