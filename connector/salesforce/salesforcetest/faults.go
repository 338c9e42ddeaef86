package salesforcetest

import (
	"cmp"

	"github.com/upkeep-sync/upkeep/connector/faulttest"
)

// The kinds of fault.
const (
	// Latency waits Latency (up to LatencyMax) and goes on as usual.
	Latency = faulttest.Latency
	// Status answers with Fault.Status and Fault.Code, in Salesforce's form
	// below 502 and as a gateway's page from there.
	Status = faulttest.Status
	// Row refuses single records with Fault.Code: of a single call, of a
	// collection, or of a bulk job.
	Row = faulttest.Row
	// Reset breaks the connection (TCP RST).
	Reset = faulttest.Reset
	// Hang never answers; the client has to give up.
	Hang = faulttest.Hang
	// Late takes the request, never answers, and performs it Delay later,
	// or when [Server.Release] is called if Delay is zero.
	Late = faulttest.Late
	// HTML answers 200 with a page, as gateways do.
	HTML = faulttest.HTML
	// Empty answers 200 without a body.
	Empty = faulttest.Empty
	// Short answers 200 with a list that lacks its last entry.
	Short = faulttest.Short
	// FailJob ends a bulk job as Failed once Fault.Skip rows are done.
	FailJob = faulttest.FailJob
	// Overload fails all records of a transaction with more than Fault.Skip of
	// them: of a single call, of a collection, or of each 200 rows of a job. So do
	// triggers that go over a governor limit, which is the default of Fault.Code
	// and Fault.Message.
	Overload = faulttest.Overload
)

// Fault is a rule: the requests that match it go wrong. Op is create, read,
// update, upsert, delete, collection, query, describe, limits, job or token, and
// of a Row or Overload fault create, update, upsert or delete; Type is the object. Code is
// UNABLE_TO_LOCK_ROW, REQUEST_LIMIT_EXCEEDED and the like.
type Fault = faulttest.Fault

// Duration is a time.Duration that is written "250ms" in JSON.
type Duration = faulttest.Duration

// Fail adds a fault. Rules are tried in the order they were added and the
// first that strikes is taken; a latency besides that one adds up.
func (s *Server) Fail(f Fault) error { return s.faults.Fail(f) }

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

// rowFault is the refusal of one record; nil when there is none.
func (s *Server) rowFault(object, op, externalID string) *apiError {
	f := s.faults.StrikeRow(object, op, externalID)
	if f == nil {
		return nil
	}
	return &apiError{status: cmp.Or(f.Status, 400), code: f.Code, message: cmp.Or(f.Message, own["UNABLE_TO_LOCK_ROW"])}
}

// overload is the refusal of all records of a transaction; nil when there is none.
func (s *Server) overload(object, op string, records int) *apiError {
	f := s.faults.StrikeOverload(object, op, records)
	if f == nil {
		return nil
	}
	return &apiError{status: cmp.Or(f.Status, 400), code: cmp.Or(f.Code, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"), fields: noFields,
		message: cmp.Or(f.Message, object+"Trigger: System.LimitException: Apex CPU time limit exceeded")}
}
