package salesforce

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/exchange"
)

// request is one call of the API.
type request struct {
	verb   verb
	method string
	path   string // below /services/data/vNN.0, escaped
	query  string // escaped
	body   []byte
	// upload makes a body that is not JSON, of so many bytes.
	upload func() io.Reader
	size   int64
	// results, if not nil, reads the body of a success as it comes.
	results func(io.Reader) error
}

// verb is what the engine asked for: one answer means different things for
// different verbs.
type verb int

const (
	create verb = iota
	update
	remove
	find
	read
	examine // of Check, and of jobs
)

// do makes one attempt, if the daily requests allow it. Any answer but a 2xx is
// an error, by [classify].
func (c *Connection) do(ctx context.Context, q request) (*exchange.Answer, *connector.Error) {
	if err := c.quota.enter(ctx, c.limits); err != nil {
		return nil, err
	}
	defer c.quota.leave()
	return c.send(ctx, q)
}

// send is do without a look at the daily requests.
func (c *Connection) send(ctx context.Context, q request) (*exchange.Answer, *connector.Error) {
	a, err := c.auth.Stream(ctx, func(ctx context.Context, token string) (*http.Request, error) {
		r, err := c.newRequest(ctx, q)
		if err == nil {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		return r, err
	}, q.results)
	if err != nil {
		return nil, err
	}
	c.quota.saw(a.Header)
	if a.OK() {
		return a, nil
	}
	e := classify(q.verb, a)
	if e.Code == limitExceeded && pause(e.Message) == look {
		c.quota.exceeded()
	}
	return nil, e
}

func (c *Connection) newRequest(ctx context.Context, q request) (*http.Request, error) {
	address := c.base
	if instance := c.instance.Load(); instance != nil {
		address = *instance
	}
	address += "/services/data/" + c.config.APIVersion + q.path
	if q.query != "" {
		address += "?" + q.query
	}
	r, err := http.NewRequestWithContext(ctx, q.method, address, nil)
	if err != nil {
		return nil, err
	}
	switch {
	case q.upload != nil:
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(q.upload()), nil }
		r.Body, _ = r.GetBody() // it has no error
		r.ContentLength = q.size
		r.Header.Set("Content-Type", "text/csv; charset=UTF-8")
	case q.body != nil:
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(q.body)), nil }
		r.Body, _ = r.GetBody()
		r.ContentLength = int64(len(q.body))
		r.Header.Set("Content-Type", "application/json; charset=UTF-8")
	}
	if q.results == nil {
		r.Header.Set("Accept", "application/json")
	} else {
		r.Header.Set("Accept", "text/csv")
	}
	if c.config.AllowDuplicates {
		r.Header.Set("Sforce-Duplicate-Rule-Header", "allowSave=true")
	}
	return r, nil
}

// soon is how long to wait when too many long requests run at once.
const soon = 20 * time.Second
