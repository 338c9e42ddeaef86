package netsuite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
)

// maxBody is the most that is read of an answer.
const maxBody = 8 << 20

var errClosed = errors.New("the connection is closed")

// request is one call of a service.
type request struct {
	verb   verb
	method string
	path   string // below /services/rest, escaped
	query  string // escaped
	body   []byte
	accept string
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
	initialize
	examine // of Check
)

// answer is a complete answer with a status of the 200s.
type answer struct {
	status   int
	location string
	body     []byte
}

// do makes one attempt. Any answer but a 2xx is an error, by [classify].
func (c *Connection) do(ctx context.Context, q request) (*answer, *connector.Error) {
	if err := context.Cause(c.closed); err != nil {
		return nil, notSent(err)
	}
	if ctx.Err() != nil {
		return nil, notSent(context.Cause(ctx))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.closed, func() { cancel(errClosed) })()

	if c.oauth2 == nil {
		return c.attempt(ctx, q, "")
	}
	token, err := c.oauth2.bearer(ctx)
	if err != nil {
		return nil, err
	}
	a, err := c.attempt(ctx, q, token)
	if err == nil || err.Status != http.StatusUnauthorized {
		return a, err
	}
	// A refused token was not applied to anything: ask for another, once.
	c.oauth2.drop(token)
	if token, fail := c.oauth2.bearer(ctx); fail == nil {
		return c.attempt(ctx, q, token)
	} else if fail.Kind != connector.Unauthorized {
		return nil, fail
	}
	return nil, err
}

// attempt sends a request and reads the answer.
func (c *Connection) attempt(ctx context.Context, q request, token string) (*answer, *connector.Error) {
	// Sent is whether any of the request may be on its way. The transport
	// tries a second connection only when nothing was written to the first
	// (or the request changes nothing), so each connection starts anew.
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { sent.Store(false) },
		GotConn: func(httptrace.GotConnInfo) { sent.Store(true) },
	})
	r, err := c.newRequest(ctx, q, token)
	if err != nil {
		return nil, notSent(err)
	}
	resp, err := c.client.Do(r)
	if err != nil {
		return nil, broken(ctx, err, sent.Load())
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case err != nil:
		// Not even a refusal counts when it can't be read to its end.
		e := broken(ctx, err, true)
		e.Status = resp.StatusCode
		return nil, e
	case len(body) > maxBody:
		return nil, &connector.Error{Kind: connector.Unknown, Status: resp.StatusCode, Message: fmt.Sprintf("the answer is longer than %d MB", maxBody>>20)}
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return nil, classify(q.verb, resp, body, c.config.Clock())
	}
	return &answer{status: resp.StatusCode, location: resp.Header.Get("Location"), body: body}, nil
}

func (c *Connection) newRequest(ctx context.Context, q request, token string) (*http.Request, error) {
	address := c.base + "/services/rest" + q.path
	if q.query != "" {
		address += "?" + q.query
	}
	r, err := http.NewRequestWithContext(ctx, q.method, address, bytes.NewReader(q.body))
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", bare(err))
	}
	if q.body == nil {
		r.Body, r.GetBody, r.ContentLength = nil, nil, 0
	} else {
		r.Header.Set("Content-Type", "application/json")
		// Without it NetSuite drops fields that it doesn't know, silently.
		r.Header.Set("X-NetSuite-PropertyNameValidation", "error")
	}
	r.Header.Set("Accept", "application/json")
	if q.accept != "" {
		r.Header.Set("Accept", q.accept)
	}
	r.Header.Set("User-Agent", "upkeep")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
		return r, nil
	}
	return r, c.oauth1.sign(r)
}

// notSent is the failure of a call before anything went out.
func notSent(err error) *connector.Error {
	return &connector.Error{Kind: connector.Unavailable, Message: "nothing was sent to NetSuite", Err: err}
}

// broken is a request without a complete answer. Before a connection stood
// (name lookup, refused, TLS) nothing was sent; after it, nobody knows.
func broken(ctx context.Context, err error, sent bool) *connector.Error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if sent {
		return &connector.Error{Kind: connector.Unknown, Message: "NetSuite did not answer to the end", Err: bare(err)}
	}
	return &connector.Error{Kind: connector.Unavailable, Message: "NetSuite can't be reached", Err: bare(err)}
}

// bare takes the URL, which may hold a query, off an error.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// retryAfter reads Retry-After, as seconds or as a date. NetSuite does not
// document that it sends one.
func retryAfter(resp *http.Response, now time.Time) time.Duration {
	const most = time.Hour
	h := strings.TrimSpace(resp.Header.Get("Retry-After"))
	if n, err := strconv.Atoi(h); err == nil {
		return min(time.Duration(min(max(n, 0), int(most/time.Second)))*time.Second, most)
	}
	if at, err := http.ParseTime(h); err == nil {
		return min(max(at.Sub(now), 0), most)
	}
	return 0
}

// isJSON tells NetSuite's own answers from pages of gateways and portals.
// NetSuite's media type is application/vnd.oracle.resource+json.
func isJSON(h http.Header) bool {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && (media == "application/json" || strings.HasSuffix(media, "+json"))
}
