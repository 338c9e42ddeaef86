// Package memory is a remote that lives in this process: the reference
// implementation of [connector.Connection] with most optional abilities, for
// tests of everything that talks to a remote. It keeps records field by
// field, logs what it was asked and what it applied, and fails on command.
//
//	remote := memory.New(memory.Config{})
//	conn := remote.Connect()
//	remote.Fail(memory.Fault{On: memory.Create, Err: memory.Err(connector.Unknown), Applied: true})
package memory

import (
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
)

// Config says what kind of remote to be. The zero value is a remote of class
// [connector.Upsert] that knows every record type.
type Config struct {
	// Class is what a repeated create does: Upsert updates the first record,
	// Lookup and Blind make a duplicate. Blind can't Find.
	Class connector.Class
	// Quiet, Concurrency and Timeout go into the traits as they are.
	Quiet       time.Duration
	Concurrency int
	Timeout     time.Duration
	// Limit is how many calls the remote takes at once; those over it fail
	// with RateLimited. Zero: no limit.
	Limit int
	// Batch is how many changes one call of Apply takes, of all actions side by
	// side. Zero: the remote takes no batches.
	Batch int
	// Bulk is what the remote takes in one job. Zero: it has no jobs.
	Bulk connector.Bulk
	// Carries tells whether a job can hold a change. Nil: any.
	Carries func(recordType string, c connector.Change) bool
	// Pace is how many changes a running job applies before each PollJob is
	// answered. Zero: jobs wait for [Remote.Advance].
	Pace int
	// Lag is how long after its creation a record is hidden from Find, by
	// Clock: a search index that comes late.
	Lag time.Duration
	// Types are the known record types with their fields: Check reports
	// others, and writes to them are Rejected. Nil: all are known.
	Types map[string][]string
	// Defaults are the fields that Initialize starts from. Nil: none.
	Defaults func(origin Record, recordType string) connector.Fields
	// Clock is the time. Nil: time.Now.
	Clock func() time.Time
}

// Verb is the name of a connection's method, in lower case.
type Verb string

// The verbs. [Any] is for a [Fault] only.
const (
	Any        Verb = ""
	Create     Verb = "create"
	Update     Verb = "update"
	Delete     Verb = "delete"
	Find       Verb = "find"
	Initialize Verb = "initialize"
	Read       Verb = "read"
	Check      Verb = "check"
	// Apply is a batch: faults on it concern the call as a whole. Those on
	// Create, Update and Delete concern single changes of a batch too, but for
	// those that hold or delay.
	Apply Verb = "apply"
	// What is asked about jobs. Faults on Create, Update and Delete concern the
	// changes of a job as those of a batch; of one that comes late the job's
	// results say nothing.
	StartJob   Verb = "start job"
	RunJob     Verb = "run job"
	PollJob    Verb = "poll job"
	JobResults Verb = "job results"
	AbortJob   Verb = "abort job"
)

// Record is one record as the remote has it.
type Record struct {
	ID         string
	Type       string
	ExternalID string
	Fields     connector.Fields
	// From is the record it was initialized from; zero for others.
	From connector.Origin
	// Created is when, by the remote's clock.
	Created time.Time
}

// Request is one call as the remote saw it.
type Request struct {
	// N numbers the calls of a remote from 1, in order of arrival.
	N          int
	Verb       Verb
	Type       string
	ExternalID string
	// RemoteID is what the call named, or what a create returned.
	RemoteID string
	Fields   connector.Fields
	Origin   connector.Origin
	// Changes are those of an Apply or a RunJob.
	Changes []connector.Change
	// Job is the id of the job that the call is about or that the change was
	// in, and Action what a started job does.
	Job    string
	Action connector.Action
	// Err is what the caller got. Nil in the applied log, which says what
	// the remote did and not what it answered.
	Err error
}

// Remote is the third-party system. Its methods look at it and disturb it
// from outside; the code under test gets what [Remote.Connect] returns. All
// are safe for concurrent use.
type Remote struct {
	config Config

	mu       sync.Mutex
	lastID   int
	records  map[string]*Record // by type and id, see at
	external map[string][]string
	faults   []*Fault
	rules    []func(Request) *Fault
	jobs     []*Job
	lastJob  int
	late     []Request
	applied  []Request
	requests []Request
	arrived  int
	calls    map[Verb]int
	inFlight map[string]int // by record, see whose
	now, max int
	maxOne   int
}

// New returns an empty remote.
func New(c Config) *Remote {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return &Remote{
		config: c, records: map[string]*Record{}, external: map[string][]string{},
		calls: map[Verb]int{}, inFlight: map[string]int{},
	}
}

// Records returns copies of all records of one type (all types: ""), oldest
// first.
func (r *Remote) Records(recordType string) []Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Record
	for _, rec := range r.records {
		if recordType == "" || rec.Type == recordType {
			out = append(out, rec.copy())
		}
	}
	slices.SortFunc(out, func(a, b Record) int { return number(a.ID) - number(b.ID) })
	return out
}

// Record returns a copy of the oldest record with this external id.
func (r *Remote) Record(recordType, externalID string) (Record, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := r.external[at(recordType, externalID)]
	if len(ids) == 0 {
		return Record{}, false
	}
	return r.records[at(recordType, ids[0])].copy(), true
}

// Text returns one field of a record as JSON text; "" when the record or the
// field is not there.
func (r *Remote) Text(recordType, externalID, field string) string {
	rec, _ := r.Record(recordType, externalID)
	return string(rec.Fields[field])
}

// Edit changes a record behind everybody's back, as a person in the remote's
// own screens would; null clears. It is in no log. False: no such record.
func (r *Remote) Edit(recordType, externalID string, f connector.Fields) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := r.external[at(recordType, externalID)]
	if len(ids) == 0 {
		return false
	}
	r.records[at(recordType, ids[0])].set(f)
	return true
}

// Remove deletes every record with this external id behind everybody's back,
// and returns how many there were. It is in no log.
func (r *Remote) Remove(recordType, externalID string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := slices.Clone(r.external[at(recordType, externalID)])
	for _, id := range ids {
		r.drop(recordType, id)
	}
	return len(ids)
}

// Add puts a record there behind everybody's back, and returns its id. It
// makes a duplicate if there is one with this external id, in any class.
func (r *Remote) Add(rec connector.Record) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.insert(rec, nil, connector.Origin{})
}

// Duplicates returns "type/external id" of each external id that more than
// one record has, sorted.
func (r *Remote) Duplicates() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, ids := range r.external {
		if len(ids) > 1 {
			rec := r.lookup(ids[0])
			out = append(out, rec.Type+"/"+rec.ExternalID)
		}
	}
	slices.Sort(out)
	return out
}

// Applied returns what changed the remote (creates, updates, deletes,
// initializes), in the order in which it happened, late landings included.
func (r *Remote) Applied() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.applied)
}

// Requests returns every finished call with what its caller got, in the
// order in which they ended.
func (r *Remote) Requests() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.requests)
}

// Calls returns how many calls of a verb arrived (all verbs: [Any]), failed
// and unfinished ones included.
func (r *Remote) Calls(v Verb) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v == Any {
		return r.arrived
	}
	return r.calls[v]
}

// InFlight returns how many calls are under way now.
func (r *Remote) InFlight() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

// MaxInFlight returns the most calls that were under way at once, and the
// most on any single record.
func (r *Remote) MaxInFlight() (all, oneRecord int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.max, r.maxOne
}

// Forget clears both logs, the call counts and the maxima; records, faults
// and late requests stay.
func (r *Remote) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.applied, r.requests, r.arrived, r.max, r.maxOne = nil, nil, 0, r.now, 0
	clear(r.calls)
}

// at is the key of a record in the maps: no type name has a NUL in it.
func at(recordType, id string) string { return recordType + "\x00" + id }

func number(id string) int {
	n, _ := strconv.Atoi(id) // all ids are ours
	return n
}

// lookup finds a record by id alone: ids are unique over all types.
func (r *Remote) lookup(id string) *Record {
	for _, rec := range r.records {
		if rec.ID == id {
			return rec
		}
	}
	return nil
}

func (r *Remote) insert(rec connector.Record, defaults connector.Fields, from connector.Origin) string {
	r.lastID++
	n := &Record{
		ID: strconv.Itoa(r.lastID), Type: rec.Type, ExternalID: rec.ExternalID,
		Fields: connector.Fields{}, From: from, Created: r.config.Clock(),
	}
	n.set(defaults)
	n.set(rec.Fields)
	r.records[at(n.Type, n.ID)] = n
	key := at(n.Type, n.ExternalID)
	r.external[key] = append(r.external[key], n.ID)
	return n.ID
}

func (r *Remote) drop(recordType, id string) {
	rec := r.records[at(recordType, id)]
	delete(r.records, at(recordType, id))
	key := at(recordType, rec.ExternalID)
	r.external[key] = slices.DeleteFunc(r.external[key], func(s string) bool { return s == id })
}

func (rec *Record) set(f connector.Fields) {
	for k, v := range f {
		if string(v) == "null" {
			delete(rec.Fields, k)
			continue
		}
		rec.Fields[k] = slices.Clone(v)
	}
}

func (rec *Record) copy() Record {
	c := *rec
	c.Fields = maps.Clone(rec.Fields)
	return c
}
