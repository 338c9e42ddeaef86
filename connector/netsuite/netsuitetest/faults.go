package netsuitetest

import (
	"errors"

	"github.com/upkeep-sync/upkeep/connector/faulttest"
)

// The kinds of fault.
const (
	// Latency waits Latency (up to LatencyMax) and goes on as usual.
	Latency = faulttest.Latency
	// Status answers with Fault.Status: 401, 429 and 5xx in the words of
	// NetSuite, others with an empty body.
	Status = faulttest.Status
	// Reset breaks the connection (TCP RST).
	Reset = faulttest.Reset
	// Hang never answers; the client has to give up.
	Hang = faulttest.Hang
	// Late takes the request, never answers, and performs it Delay later,
	// or when [Server.Release] is called if Delay is zero. It holds no slot of
	// the account's concurrency meanwhile.
	Late = faulttest.Late
	// HTML answers 200 with a page, as gateways do.
	HTML = faulttest.HTML
	// Empty answers 200 without a body.
	Empty = faulttest.Empty
)

// Fault is a rule: the requests that match it go wrong. Op is create, read,
// update, upsert, delete, list, transform, query, job, metadata or token; Type
// is the record type, of a transform the target. The words of an error go by
// its status: Code and Message, and the ExternalID of single records, are not
// for this sandbox.
type Fault = faulttest.Fault

// Duration is a time.Duration that is written "250ms" in JSON.
type Duration = faulttest.Duration

// Fail adds a fault. Rules are tried in the order they were added and the
// first that strikes is taken; a latency besides that one adds up.
func (s *Server) Fail(f Fault) error {
	if f.Code != "" || f.Message != "" || f.ExternalID != "" {
		return errors.New("a fault here has no code, message or external_id: its status says what is answered")
	}
	return s.faults.Fail(f)
}

// Heal removes all faults but those that stay. Late requests that wait to be told
// still do.
func (s *Server) Heal() { s.faults.Heal() }

// Faults lists the rules in force.
func (s *Server) Faults() []Fault { return s.faults.List() }

// Pending is how many late requests wait for [Server.Release].
func (s *Server) Pending() int { return s.faults.Pending() }

// Release performs the late requests that wait to be told, in the order they
// came, and returns how many there were when the last one is done.
func (s *Server) Release() int { return s.faults.Release() }

// met is what a request looks like to the rules.
func (c *call) met() faulttest.Request {
	return faulttest.Request{Method: c.method, Path: c.path, Op: c.op, Type: c.typ}
}
