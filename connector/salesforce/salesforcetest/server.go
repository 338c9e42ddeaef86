// Package salesforcetest is a Salesforce org for tests and demonstrations: an
// http.Handler that behaves as the REST API, sObject Collections and Bulk API
// 2.0 do, keeps its records in memory, can be told to fail, and counts what it
// saw.
//
// Where the behaviour of the real service is not documented, the reading that
// demands more of a client was chosen, and a comment says so.
package salesforcetest

import (
	mathrand "math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/upkeep-sync/upkeep/connector/faulttest"
)

// Config describes an org. The zero value is the sandbox org with its
// well-known credentials and [DefaultObjects].
type Config struct {
	// Apps may log in. Empty: [App].
	Apps []ConnectedApp
	// SessionLifetime is that of access tokens; zero means two hours.
	SessionLifetime time.Duration
	// Objects are declared besides those of [DefaultObjects], or instead of
	// the one of the same name.
	Objects []Object
	// Rules and DuplicateRules are what an administrator set up.
	Rules          []Rule
	DuplicateRules []DuplicateRule
	// DailyRequests is how many calls the org takes in 24 hours; zero means
	// 15,000, as a Developer Edition.
	DailyRequests int
	// LongRequests is how many requests may run that already took LongAfter.
	// Zero means 25, and 20 seconds.
	LongRequests int
	LongAfter    time.Duration
	// UploadLimit bounds the data of one bulk job in bytes; zero means 150 MB.
	UploadLimit int64
	// Now is the clock; nil means time.Now. It drives everything that
	// clients can see; latencies and late requests run in real time.
	Now func() time.Time
	// Seed makes the faults' dice, and the order of bulk results, repeatable;
	// zero takes a random seed.
	Seed uint64
}

// Server is a Salesforce org. Make it with [New]; it is safe for concurrent
// use.
type Server struct {
	config  Config
	objects map[string]*object // by lower case name
	hidden  sync.Map           // of *object: those that the user may not see

	mu      sync.Mutex // guards the records
	records map[string]*record
	shelves map[*object][]*record       // in the order of creation
	index   map[*Field]map[string]shelf // of fields that are looked up or unique
	lastID  map[*object]int
	undo    *[]func() // of the collection under way, if it is all or none

	sessions sessions
	budget   budget
	running  running
	faults   *faulttest.Faults // and what runs in the background
	stats    stats
	jobs     jobs

	ids atomic.Int64
}

// shelf holds the records that have one value.
type shelf map[*record]bool

// New makes an org without records, but for its two users.
func New(config Config) (*Server, error) {
	if len(config.Apps) == 0 {
		config.Apps = []ConnectedApp{App()}
	}
	if config.SessionLifetime <= 0 {
		config.SessionLifetime = 2 * time.Hour
	}
	if config.DailyRequests == 0 {
		config.DailyRequests = 15_000
	}
	if config.LongRequests == 0 {
		config.LongRequests = 25
	}
	if config.LongAfter == 0 {
		config.LongAfter = 20 * time.Second
	}
	if config.UploadLimit == 0 {
		config.UploadLimit = 150_000_000
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	seed := config.Seed
	if seed == 0 {
		seed = mathrand.Uint64()
	}
	s := &Server{config: config, records: map[string]*record{}, shelves: map[*object][]*record{},
		index: map[*Field]map[string]shelf{}, lastID: map[*object]int{}}
	var err error
	if s.objects, err = newObjects(append(DefaultObjects(), config.Objects...)); err != nil {
		return nil, err
	}
	s.sessions.byToken = map[string]session{}
	s.faults = faulttest.New(seed, Latency, Status, Row, Reset, Hang, Late, HTML, Empty, Short, FailJob, Overload).
		Ops("create", "read", "update", "upsert", "delete", "insert", "collection", "query", "describe", "limits", "job", "token", "other")
	s.jobs.byID = map[string]*job{}
	s.jobs.dice = mathrand.New(mathrand.NewPCG(seed, 2))
	s.running.since = map[*call]time.Time{}
	s.budget.limit = config.DailyRequests
	s.stats.reset()
	for _, name := range []string{"Integration", "Admin"} {
		if _, err := s.Add("User", []byte(`{"Name":"`+name+`","Username":"`+name+`@example.com"}`)); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Close answers no more: requests that wait for a fault are dropped and late
// ones that were not applied yet never are. Bulk jobs stop.
func (s *Server) Close() { s.faults.Close() }

func (s *Server) now() time.Time { return s.config.Now() }

// ServeHTTP answers the API under /services and the sandbox's own controls
// under /sandbox.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, failed := s.newCall(w, r)
	switch {
	case failed != nil:
		s.send(w, c, failed.reply())
	case c.at(0) == "sandbox":
		s.send(w, nil, s.serveAdmin(c))
	case c.op == "token":
		s.answer(w, c) // costs nothing of the daily requests
	default:
		s.serveAPI(w, c)
	}
}

// serveAPI lets a request through to the org's limits.
func (s *Server) serveAPI(w http.ResponseWriter, c *call) {
	s.stats.begin(c)
	if !s.authenticated(c) {
		s.stats.unauthorized()
		s.send(w, c, errSession().reply())
		return
	}
	if !s.running.begin(c, s.config.LongRequests, s.config.LongAfter) {
		s.stats.limited()
		s.send(w, c, errLimit("ConcurrentPerOrgLongTxn Limit exceeded.").reply())
		return
	}
	defer s.running.end(c)
	if !s.budget.spend(s.now()) {
		s.stats.limited()
		s.send(w, c, errLimit("TotalRequests Limit exceeded.").reply())
		return
	}
	s.answer(w, c)
}

// send sends a reply; c is nil for the sandbox's own controls.
func (s *Server) send(w http.ResponseWriter, c *call, r *reply) {
	if r == nil { // the connection is gone
		return
	}
	for k, v := range r.header {
		w.Header()[k] = v
	}
	if c != nil && c.op != "token" {
		w.Header().Set("Sforce-Limit-Info", s.budget.info(s.now()))
	}
	w.WriteHeader(r.status)
	_, _ = w.Write(r.body) // a client that left is no error of ours
}
