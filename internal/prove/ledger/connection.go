package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/exchange"
)

// Settings say how to reach a [Server].
type Settings struct {
	URL   string
	Token connector.Secret
	// Class, Quiet, Timeout and Concurrency are what the connection says of the
	// remote.
	Class       connector.Class
	Quiet       time.Duration
	Timeout     time.Duration
	Concurrency int
	// Batch is how many changes go into one request; at one or less there are
	// no batches.
	Batch int
	// Jobs is what goes into one bulk job; the zero value: there are none.
	Jobs connector.Bulk
	// Transport sends the requests; nil: the exchange's own.
	Transport http.RoundTripper
}

// connection speaks to a server.
type connection struct {
	settings Settings
	client   *exchange.Client
}

// Connect opens a connection, which also takes batches and jobs.
func Connect(s Settings) connector.Connection {
	return &connection{s, exchange.Open(exchange.Config{Remote: "the ledger", Base: s.URL, Transport: s.Transport})}
}

func (c *connection) Traits() connector.Traits {
	s := c.settings
	return connector.Traits{Class: s.Class, Quiet: s.Quiet, Timeout: s.Timeout, Concurrency: s.Concurrency}
}

func (c *connection) Close() error {
	c.client.Close()
	return nil
}

func (c *connection) Create(ctx context.Context, r connector.Record) (string, error) {
	o, err := c.one(ctx, Change{Verb: "create", Type: r.Type, ExternalID: r.ExternalID, Fields: r.Fields})
	return o.ID, err
}

func (c *connection) Update(ctx context.Context, id string, r connector.Record) error {
	_, err := c.one(ctx, Change{Verb: "update", Type: r.Type, ExternalID: r.ExternalID, ID: id, Fields: r.Fields})
	return err
}

func (c *connection) Delete(ctx context.Context, recordType, id string) error {
	_, err := c.one(ctx, Change{Verb: "delete", Type: recordType, ID: id})
	return err
}

func (c *connection) Find(ctx context.Context, recordType, externalID string) (string, error) {
	o, err := c.one(ctx, Change{Verb: "find", Type: recordType, ExternalID: externalID})
	return o.ID, err
}

// Reference is an object, so that a string that looks like one is none.
func (c *connection) Reference(r connector.Ref) (json.RawMessage, error) {
	return json.Marshal(map[string]string{"ref": r.RemoteID})
}

func (c *connection) Batch(string) connector.Batch {
	return connector.Batch{Most: c.settings.Batch, Mixed: true}
}

func (c *connection) Apply(ctx context.Context, recordType string, changes []connector.Change) ([]connector.Result, error) {
	var answer struct {
		Results []outcome `json:"results"`
	}
	if err := c.post(ctx, "/batch", map[string]any{"changes": wired(recordType, changes)}, &answer); err != nil {
		return nil, err
	}
	byKey := map[string]outcome{}
	for _, o := range answer.Results {
		byKey[o.ExternalID] = o
	}
	results := make([]connector.Result, len(changes))
	for i, ch := range changes {
		o, told := byKey[ch.Record.ExternalID]
		switch {
		case !told:
			results[i].Err = &connector.Error{Kind: connector.Unknown, Message: "the answer says nothing of " + ch.Record.ExternalID}
		case o.Status != http.StatusOK:
			results[i].Err = refusal(o.Status, o.Message)
		default:
			results[i].RemoteID = o.ID
		}
	}
	return results, nil
}

// wired are changes as a request has them.
func wired(recordType string, changes []connector.Change) []Change {
	list := make([]Change, len(changes))
	for i, ch := range changes {
		list[i] = Change{Verb: ch.Action.String(), Type: recordType, ExternalID: ch.Record.ExternalID, ID: ch.RemoteID, Fields: ch.Record.Fields}
	}
	return list
}

// one sends a single change.
func (c *connection) one(ctx context.Context, ch Change) (outcome, error) {
	var o outcome
	if err := c.post(ctx, "/call", ch, &o); err != nil {
		return outcome{}, err
	}
	if o.ID == "" {
		return outcome{}, &connector.Error{Kind: connector.Unknown, Status: http.StatusOK, Message: "the answer has no id"}
	}
	return o, nil
}

// post makes one exchange and decodes the answer.
func (c *connection) post(ctx context.Context, path string, body, into any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return c.client.NotSent(err)
	}
	a, failed := c.client.Do(ctx, func(ctx context.Context) (*http.Request, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.settings.URL+path, bytes.NewReader(b))
		if err == nil {
			r.Header.Set("Authorization", "Bearer "+c.settings.Token.Reveal())
			if end, ends := ctx.Deadline(); ends {
				r.Header.Set(until, strconv.FormatInt(end.UnixNano(), 10))
			}
		}
		return r, err
	})
	switch {
	case failed != nil:
		return failed
	case !a.OK():
		e := refusal(a.Status, exchange.Cut(string(a.Body), 200))
		e.RetryAfter = a.RetryAfter
		return e
	case !exchange.IsJSON(a.Header):
		return &connector.Error{Kind: connector.Unknown, Status: a.Status, Message: "the answer is not JSON"}
	}
	if err := json.Unmarshal(a.Body, into); err != nil {
		return &connector.Error{Kind: connector.Unknown, Status: a.Status, Message: "the answer is not whole", Err: err}
	}
	return nil
}

// refusal is the error for a status that is not in the 200s.
func refusal(status int, message string) *connector.Error {
	kinds := map[int]connector.Kind{
		http.StatusNotFound: connector.NotFound, http.StatusUnauthorized: connector.Unauthorized,
		http.StatusTooManyRequests: connector.RateLimited, http.StatusConflict: connector.Busy,
		http.StatusUnprocessableEntity: connector.Rejected,
	}
	kind, ok := kinds[status]
	if !ok {
		kind = connector.Unknown // a 5xx, a redirect: who knows what was done before it
	}
	return &connector.Error{Kind: kind, Status: status, Message: fmt.Sprint(message)}
}
