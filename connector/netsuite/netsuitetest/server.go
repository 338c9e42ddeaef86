// Package netsuitetest is a NetSuite account for tests and demonstrations: an
// http.Handler that behaves as the SuiteTalk REST web services do, keeps its
// records in memory, can be told to fail, and counts what it saw.
//
// Where the behaviour of the real service is not documented, the reading that
// demands more of a client was chosen, and a comment says so.
package netsuitetest

import (
	"crypto/rand"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/upkeep-sync/upkeep/connector/faulttest"
)

// Config describes an account. The zero value is the sandbox account of
// [Account] with its well-known credentials.
type Config struct {
	// Account is the account id in its realm form, 123456_SB1. Empty means
	// [Account].
	Account string
	// Tokens and Clients are who may log in. With both empty, the well-known
	// sandbox credentials may.
	Tokens  []TokenCredentials
	Clients []ClientCredentials
	// TokenLifetime is that of OAuth 2.0 access tokens; zero means an hour.
	TokenLifetime time.Duration
	// Concurrency is how many requests the account takes at once; zero
	// means 5, negative no limit.
	Concurrency int
	// CustomFields are declared besides those of [DefaultCustomFields].
	CustomFields []CustomField
	// OneWorld makes the subsidiary of an entity required.
	OneWorld bool
	// OrderFirst answers a repeated transform by the state of its order
	// ("You can not initialize ...") when that has nothing left, even though
	// the external id is taken too. Which of the two an account tells first
	// is not documented; by default the external id is.
	OrderFirst bool
	// Now is the clock; nil means time.Now. It drives everything that
	// clients can see; latencies and late requests run in real time.
	Now func() time.Time
	// Seed makes the faults' dice repeatable; zero takes a random seed.
	Seed uint64
	// BodyLimit bounds a request in bytes; zero means 104 MB, as NetSuite.
	BodyLimit int64
}

// Server is a NetSuite account. Make it with [New]; it is safe for concurrent
// use.
type Server struct {
	config Config
	schema map[string]*recordType // by lower case name

	mu      sync.RWMutex // guards the records
	shelves map[string]*shelf
	lastID  map[string]int            // by space
	users   map[reference]int         // how many records refer to one
	made    map[reference][]reference // records created from one

	authMu     sync.Mutex
	nonces     map[string]int64
	nonceSweep int
	failures   map[string]int
	locked     map[string]time.Time
	bearers    map[string]bearer
	bearerKey  []byte
	lastBearer int
	trail      []AuditEntry

	inFlight atomic.Int64
	faults   *faulttest.Faults // and what runs in the background
	stats    stats
	jobs     jobs
}

// New makes an account with its lists (subsidiary, currencies, locations, ...)
// and a few items, and no other records.
func New(config Config) (*Server, error) {
	if config.Account == "" {
		config.Account = Account
	}
	if len(config.Tokens) == 0 && len(config.Clients) == 0 {
		config.Tokens, config.Clients = []TokenCredentials{Credentials()}, []ClientCredentials{Client()}
	}
	if config.Concurrency == 0 {
		config.Concurrency = 5
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.BodyLimit <= 0 {
		config.BodyLimit = 104 << 20
	}
	s := &Server{
		config: config, schema: newSchema(append(DefaultCustomFields(), config.CustomFields...), config.OneWorld),
		shelves: map[string]*shelf{}, lastID: map[string]int{}, users: map[reference]int{}, made: map[reference][]reference{},
		nonces: map[string]int64{}, failures: map[string]int{}, locked: map[string]time.Time{}, bearers: map[string]bearer{},
		bearerKey: make([]byte, 32),
	}
	rand.Read(s.bearerKey)
	s.faults = faulttest.New(config.Seed, Latency, Status, Reset, Hang, Late, HTML, Empty).
		Ops("create", "read", "update", "upsert", "delete", "list", "transform", "query", "job", "metadata", "token", "other")
	s.stats.reset()
	s.jobs.byID, s.jobs.byKey = map[string]*job{}, map[string]string{}
	if err := s.seed(); err != nil {
		return nil, err
	}
	return s, nil
}

// Close answers no more: requests that wait for a fault are dropped and late
// ones that were not applied yet never are.
func (s *Server) Close() { s.faults.Close() }

func (s *Server) now() time.Time { return s.config.Now() }

// reply is one answer, complete before anything is written.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func newReply(status int) *reply { return &reply{status: status, header: http.Header{}} }

// call is one request on its way through the server.
type call struct {
	request  *http.Request
	method   string
	path     string // as sent, without the query
	segments []string
	query    map[string][]string
	body     []byte
	root     string // scheme://host/services/rest
	typ      string // the record type's own name, if the path has one
	op       string // create, read, update, upsert, delete, list, transform, query, ...
	changed  bool   // something was stored
	applied  bool   // a write went through, even if it changed nothing
	recordID string
	warnings []string
}

func (c *call) param(name string) string {
	if v := c.query[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// ServeHTTP answers the REST web services under /services/rest and the
// sandbox's own controls under /sandbox.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, failed := s.newCall(w, r)
	if failed != nil {
		s.write(w, c, failed)
		return
	}
	if c.path == "/sandbox" || strings.HasPrefix(c.path, "/sandbox/") {
		s.write(w, nil, s.serveAdmin(c))
		return
	}
	if c.path == tokenPath {
		s.answer(w, c) // takes no slot of the account's concurrency
		return
	}
	if reason := s.authenticate(c); reason != "" {
		s.write(w, c, errLogin().reply())
		return
	}
	// A slot is held until the answer is written or the client is gone.
	n := s.inFlight.Add(1)
	defer s.inFlight.Add(-1)
	if s.config.Concurrency > 0 && n > int64(s.config.Concurrency) {
		s.stats.limited()
		s.write(w, c, errConcurrency().reply())
		return
	}
	s.stats.begin(n)
	s.answer(w, c)
}

func (s *Server) newCall(w http.ResponseWriter, r *http.Request) (*call, *reply) {
	path, rawQuery := rawTarget(r)
	c := &call{request: r, method: r.Method, path: path, root: scheme(r) + "://" + r.Host + "/services/rest"}
	body, err := faulttest.ReadBody(w, r, s.config.BodyLimit)
	if err != nil {
		return c, (&apiError{status: 413, code: "REQUEST_SIZE_EXCEEDED", detail: "The request exceeds the size limit."}).reply()
	}
	c.body = body
	if err := c.parse(rawQuery); err != nil {
		return c, errRequest(c, "The request URL is malformed.").reply()
	}
	s.name(c)
	return c, nil
}

// authenticate returns why the request may not go on. The client is not told.
func (s *Server) authenticate(c *call) string {
	header := c.request.Header.Get("Authorization")
	kind, rest, _ := strings.Cut(header, " ")
	var user, reason string
	switch {
	case strings.EqualFold(kind, "OAuth"):
		user, reason = s.verifyToken(c.request, rest)
	case strings.EqualFold(kind, "Bearer"):
		user, reason = s.verifyBearer(strings.TrimSpace(rest))
	default:
		reason = "no credentials"
	}
	if reason != "" {
		s.audit(c, user, reason)
	}
	return reason
}

// write sends a reply; c is nil for the sandbox's own controls.
func (s *Server) write(w http.ResponseWriter, c *call, r *reply) {
	if r == nil { // the connection is gone
		return
	}
	for k, v := range r.header {
		w.Header()[k] = v
	}
	if c != nil {
		for _, text := range c.warnings {
			// The name of the real header is not documented.
			w.Header().Add("Warning", `199 - "`+strings.ReplaceAll(text, `"`, `'`)+`"`)
		}
		s.stats.end(c, r)
	}
	w.WriteHeader(r.status)
	if c == nil || c.method != http.MethodHead {
		_, _ = w.Write(r.body) // a client that left is no error of ours
	}
}

// AuditEntry is one refused login, as in the account's Login Audit Trail.
type AuditEntry struct {
	At     time.Time
	User   string // token id or client id, as far as it could be read
	Method string
	Path   string
	Reason string // in NetSuite's words where it has some: NonceUsed, InvalidSignature, ...
}

const auditSize = 1000

func (s *Server) audit(c *call, user, reason string) {
	s.authMu.Lock()
	defer s.authMu.Unlock()
	if len(s.trail) >= auditSize {
		s.trail = append(s.trail[:0], s.trail[1:]...)
	}
	s.trail = append(s.trail, AuditEntry{s.now(), user, c.method, c.path, reason})
}

// Audit returns the last refused logins, oldest first: the place that tells
// why a request was answered 401.
func (s *Server) Audit() []AuditEntry {
	s.authMu.Lock()
	defer s.authMu.Unlock()
	return append([]AuditEntry(nil), s.trail...)
}
