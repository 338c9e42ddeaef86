// Package ledger is the remote of the proofs: an HTTP server that writes down
// every change it applied, in order, and that fails as it is told to. It runs
// in the process that judges, so that it outlives the workers that are killed.
package ledger

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
)

// Config of a [Server]. The zero value is a remote that keeps external keys
// unique and has no limits.
type Config struct {
	// Class says what the remote does with a second create of one key. With
	// [connector.Upsert] it updates; otherwise it makes a second record.
	Class connector.Class
	// Token is what a request must carry; empty: none.
	Token string
	// Pace is how long a running job takes for a change; zero: a millisecond.
	Pace time.Duration
	// Seed of its chances.
	Seed uint64
}

// Server is a running remote.
type Server struct {
	URL string

	config  Config
	http    *http.Server
	ended   chan struct{}
	closing chan struct{}
	running sync.WaitGroup // jobs

	mu        sync.Mutex
	rng       *rand.Rand
	records   map[string]*Record // by id
	ids       int
	applied   []Entry
	faults    []*Fault
	struck    map[string]int // by kind
	late      []func()       // each applies what came too late
	jobs      map[string]*job
	lastJob   int
	overtaken []string
	now       int
	inFlight  map[string][]*underWay // by record
	crowded   []string
	limit     limit
	refused   map[string]bool // by type and external id
}

// Record is a record at the remote.
type Record struct {
	ID, Type, ExternalID string
	Fields               connector.Fields
}

// Change is what a request asks for.
type Change struct {
	Verb       string           `json:"verb"` // create update delete find
	Type       string           `json:"type"`
	ExternalID string           `json:"externalId,omitempty"`
	ID         string           `json:"id,omitempty"`
	Fields     connector.Fields `json:"fields,omitempty"`
}

// Entry is a change that was applied.
type Entry struct {
	Change
	N    int    // the place in the ledger, from one
	Late bool   // after its sender had given up
	Job  string // that it was in; empty: none
}

// Open starts a server on a port of its own.
func Open(config Config) (*Server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{
		URL: "http://" + l.Addr().String(), config: config, ended: make(chan struct{}), closing: make(chan struct{}),
		rng: rand.New(rand.NewPCG(config.Seed, 1)), records: map[string]*Record{}, jobs: map[string]*job{},
		struck: map[string]int{}, refused: map[string]bool{}, inFlight: map[string][]*underWay{},
	}
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute}
	go func() {
		_ = s.http.Serve(l) // ends with Close
		close(s.ended)
	}()
	return s, nil
}

// Close breaks all connections and ends the server.
func (s *Server) Close() {
	_ = s.http.Close()
	<-s.ended
	close(s.closing)
	s.running.Wait()
}

// OneCallEach closes every connection after its first request.
func (s *Server) OneCallEach() { s.http.SetKeepAlivesEnabled(false) }

// Records returns a copy of all records, by type and external id.
func (s *Server) Records() []Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Record, 0, len(s.records))
	for _, id := range slices.Sorted(maps.Keys(s.records)) {
		r := *s.records[id]
		r.Fields = maps.Clone(r.Fields)
		all = append(all, r)
	}
	return all
}

// Applied returns the ledger: what was applied after the first n entries.
func (s *Server) Applied(after int) []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.applied[after:])
}

// Busy is how many requests are under way.
func (s *Server) Busy() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// Duplicates lists the keys that more than one record has.
func (s *Server) Duplicates() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := map[string]int{}
	for _, r := range s.records {
		n[r.Type+"/"+r.ExternalID]++
	}
	var found []string
	for _, key := range slices.Sorted(maps.Keys(n)) {
		if n[key] > 1 {
			found = append(found, fmt.Sprintf("%s: %d records", key, n[key]))
		}
	}
	return found
}

// Edit changes a record behind Upkeep's back; nil fields remove it. False if
// there is none.
func (s *Server) Edit(recordType, externalID string, fields connector.Fields) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.find(recordType, externalID)
	switch {
	case r == nil:
		return false
	case fields == nil:
		delete(s.records, r.ID)
	default:
		r.set(fields)
	}
	return true
}

// outcome is the status and the id of a change.
type outcome struct {
	ExternalID string `json:"externalId,omitempty"`
	ID         string `json:"id,omitempty"`
	Status     int    `json:"status"`
	Message    string `json:"message,omitempty"`
}

// apply does what a change asks, for the job that it is in. The caller holds the
// lock.
func (s *Server) apply(c Change, late bool, job string) outcome {
	o := outcome{ExternalID: c.ExternalID, ID: c.ID, Status: http.StatusOK}
	if s.refused[s.whose(c)] && (c.Verb == "create" || c.Verb == "update") {
		return outcome{Status: http.StatusUnprocessableEntity, Message: "the remote refuses this record"}
	}
	switch c.Verb {
	case "create":
		r := s.find(c.Type, c.ExternalID)
		if r == nil || s.config.Class != connector.Upsert {
			s.ids++
			r = &Record{ID: fmt.Sprintf("r%d", s.ids), Type: c.Type, ExternalID: c.ExternalID, Fields: connector.Fields{}}
			s.records[r.ID] = r
		}
		r.set(c.Fields)
		o.ID, c.ID = r.ID, r.ID
	case "update":
		r := s.records[c.ID]
		if r == nil {
			return outcome{Status: http.StatusNotFound, Message: "there is no record " + c.ID}
		}
		r.set(c.Fields)
		c.ExternalID = r.ExternalID
	case "delete":
		r := s.records[c.ID]
		if r == nil {
			return o
		}
		c.ExternalID = r.ExternalID
		delete(s.records, c.ID)
	case "find":
		r := s.find(c.Type, c.ExternalID)
		if r == nil || s.config.Class == connector.Blind {
			return outcome{Status: http.StatusNotFound, Message: "there is no record with the key " + c.ExternalID}
		}
		o.ID = r.ID
		return o
	default:
		return outcome{Status: http.StatusBadRequest, Message: "no verb " + c.Verb}
	}
	if !late {
		s.overtakes(c, job)
	}
	s.applied = append(s.applied, Entry{Change: c, N: len(s.applied) + 1, Late: late, Job: job})
	return o
}

// find returns the oldest record of a key, or nil.
func (s *Server) find(recordType, externalID string) *Record {
	var found *Record
	for _, r := range s.records {
		if r.Type == recordType && r.ExternalID == externalID && (found == nil || len(r.ID) < len(found.ID) || len(r.ID) == len(found.ID) && r.ID < found.ID) {
			found = r
		}
	}
	return found
}

func (r *Record) set(f connector.Fields) {
	for name, value := range f {
		if string(value) == "null" {
			delete(r.Fields, name)
			continue
		}
		r.Fields[name] = slices.Clone(json.RawMessage(value))
	}
}
