package memory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/upkeep-sync/upkeep/connector"
)

// connection is an open connection to a [Remote].
type connection struct {
	remote *Remote
	closed context.Context
	close  context.CancelCauseFunc
}

var errClosed = errors.New("the connection is closed")

// Connect opens a connection. It also has all optional abilities:
// [connector.Initializer], [connector.Reader], [connector.Referencer],
// [connector.Checker], [connector.Batcher] and [connector.Bulker].
func (r *Remote) Connect() connector.Connection {
	ctx, cancel := context.WithCancelCause(context.Background())
	return &connection{remote: r, closed: ctx, close: cancel}
}

func (c *connection) Traits() connector.Traits {
	g := c.remote.config
	return connector.Traits{Class: g.Class, Quiet: g.Quiet, Concurrency: g.Concurrency, Timeout: g.Timeout}
}

func (c *connection) Create(ctx context.Context, rec connector.Record) (string, error) {
	a, err := c.call(ctx, Request{Verb: Create, Type: rec.Type, ExternalID: rec.ExternalID, Fields: rec.Fields})
	return a.id, err
}

func (c *connection) Update(ctx context.Context, remoteID string, rec connector.Record) error {
	_, err := c.call(ctx, Request{Verb: Update, Type: rec.Type, ExternalID: rec.ExternalID, RemoteID: remoteID, Fields: rec.Fields})
	return err
}

func (c *connection) Delete(ctx context.Context, recordType, remoteID string) error {
	_, err := c.call(ctx, Request{Verb: Delete, Type: recordType, RemoteID: remoteID})
	return err
}

func (c *connection) Find(ctx context.Context, recordType, externalID string) (string, error) {
	a, err := c.call(ctx, Request{Verb: Find, Type: recordType, ExternalID: externalID})
	return a.id, err
}

func (c *connection) Initialize(ctx context.Context, o connector.Origin, rec connector.Record) (string, error) {
	a, err := c.call(ctx, Request{Verb: Initialize, Type: rec.Type, ExternalID: rec.ExternalID, Fields: rec.Fields, Origin: o})
	return a.id, err
}

func (c *connection) Read(ctx context.Context, recordType, remoteID string, want connector.Fields) (connector.Fields, error) {
	a, err := c.call(ctx, Request{Verb: Read, Type: recordType, RemoteID: remoteID, Fields: want})
	return a.fields, err
}

func (c *connection) Reference(ref connector.Ref) (json.RawMessage, error) {
	if ref.RemoteID == "" {
		return nil, &connector.Error{Kind: connector.Rejected, Message: fmt.Sprintf("the reference to %s %q has no remote id", ref.Type, ref.ExternalID)}
	}
	return json.Marshal(map[string]string{"id": ref.RemoteID})
}

func (c *connection) Check(ctx context.Context, uses []connector.Use) []error {
	if _, err := c.call(ctx, Request{Verb: Check}); err != nil {
		return []error{err}
	}
	var problems []error
	for _, u := range uses {
		if err := c.remote.known(u.Type, nil); err != nil {
			problems = append(problems, u.Problem("", "%w", err))
			continue
		}
		for _, f := range u.Fields {
			if err := c.remote.known(u.Type, []string{f}); err != nil {
				problems = append(problems, u.Problem(f, "%w", err))
			}
		}
	}
	return problems
}

func (c *connection) Close() error {
	c.close(errClosed)
	return nil
}

// answer is what a call returns when it succeeds.
type answer struct {
	id      string
	fields  connector.Fields
	results []connector.Result // of an Apply
	job     Job                // of all that is about a job
}

// call is the one way of all verbs: arrive, meet a fault, apply, leave.
func (c *connection) call(ctx context.Context, q Request) (a answer, err error) {
	if cause := context.Cause(c.closed); cause != nil {
		return a, &connector.Error{Kind: connector.Unavailable, Message: "nothing was sent", Err: cause}
	}
	if ctx.Err() != nil {
		return a, &connector.Error{Kind: connector.Unavailable, Message: "nothing was sent", Err: context.Cause(ctx)}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.closed, func() { cancel(errClosed) })()

	r := c.remote
	fault, err := r.arrive(&q)
	defer func() { r.leave(q, a, err) }()
	if err != nil {
		return answer{}, err
	}
	if fault == nil {
		return r.answer(q)
	}
	if fault.Applied {
		a, err = r.answer(q)
	}
	if held := fault.hold(ctx); held != nil {
		return answer{}, &connector.Error{Kind: connector.Unknown, Message: "the remote did not answer in time", Err: held}
	}
	switch {
	case fault.Late:
		r.postpone(q)
		if fault.Err == nil {
			return answer{}, Err(connector.Unknown)
		}
		return answer{}, fault.Err
	case fault.Err != nil:
		return answer{}, fault.Err
	case fault.Applied:
		return a, err
	}
	return r.answer(q)
}

// arrive counts the call and finds the fault for it.
func (r *Remote) arrive(q *Request) (*Fault, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.arrived++
	q.N = r.arrived
	q.Fields = cloneFields(q.Fields)
	if q.ExternalID == "" && q.RemoteID != "" {
		if rec := r.records[at(q.Type, q.RemoteID)]; rec != nil {
			q.ExternalID = rec.ExternalID
		}
	}
	r.calls[q.Verb]++
	r.now++
	r.max = max(r.max, r.now)
	if whose := q.whose(); whose != "" {
		r.inFlight[whose]++
		r.maxOne = max(r.maxOne, r.inFlight[whose])
	}
	if r.config.Limit > 0 && r.now > r.config.Limit {
		return nil, &connector.Error{Kind: connector.RateLimited, Message: fmt.Sprintf("more than %d requests at once", r.config.Limit)}
	}
	return r.match(*q), nil
}

func (r *Remote) leave(q Request, a answer, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now--
	if whose := q.whose(); whose != "" {
		if r.inFlight[whose]--; r.inFlight[whose] == 0 {
			delete(r.inFlight, whose)
		}
	}
	if q.RemoteID == "" {
		q.RemoteID = a.id
	}
	q.Err = err
	r.requests = append(r.requests, q)
}

func (r *Remote) postpone(q Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.late = append(r.late, q)
}

func (r *Remote) answer(q Request) (answer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.apply(q)
}

// whose names the record of a call, for counting calls per record.
func (q *Request) whose() string {
	if q.ExternalID == "" && q.RemoteID == "" {
		return ""
	}
	if q.ExternalID == "" {
		return at(q.Type, "id "+q.RemoteID)
	}
	return at(q.Type, q.ExternalID)
}

func cloneFields(f connector.Fields) connector.Fields {
	if f == nil {
		return nil
	}
	c := make(connector.Fields, len(f))
	for k, v := range f {
		c[k] = slices.Clone(v)
	}
	return c
}
