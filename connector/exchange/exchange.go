// Package exchange makes a connector's HTTP exchanges: one attempt each,
// guarded, bounded, and telling whether anything was sent when it fails. It
// knows no remote; what an answer means is the connector's to say.
package exchange

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
)

// DefaultMaxBody is the most that is read of an answer, in bytes, unless
// [Config.MaxBody] says otherwise.
const DefaultMaxBody = 8 << 20

// ErrClosed is the cause of calls that [Client.Close] ended.
var ErrClosed = errors.New("the connection is closed")

// Config says how to reach a remote. All but Remote may be zero.
type Config struct {
	// Remote is the remote's name for people: "NetSuite".
	Remote string
	// Base is the URL that the configuration has for the remote. If its host
	// is this machine or in a private network, such hosts may be dialled.
	Base string
	// AllowPrivate lets a public name resolve to a private address, as a
	// private link to the remote does. Loopback and link-local addresses, where
	// a cloud has its metadata, stay refused.
	AllowPrivate bool
	// MaxBody is the most that is read of an answer. Zero: [DefaultMaxBody].
	MaxBody int64
	// Transport sends requests. Nil: one of the client's own, with the
	// system's certificate authorities and proxy settings, and the guard on
	// what is dialled.
	Transport http.RoundTripper
	// Clock is the time, for Retry-After and the life of tokens. Nil: time.Now.
	Clock func() time.Time

	resolver *net.Resolver // of names; nil: the system's
}

// Client makes exchanges until it is closed. It is safe for concurrent use.
type Client struct {
	config Config
	http   *http.Client
	own    *http.Transport // nil: the transport is the caller's
	closed context.Context
	close  context.CancelCauseFunc
}

// Answer is a complete answer, whatever its status.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	// RetryAfter is what the remote asked to wait, zero if it did not say.
	RetryAfter time.Duration
	// Resent: net/http sent the request more than once, each time as it was, as it
	// does by itself with what only reads when a kept connection breaks.
	Resent bool
}

// OK tells whether the status is one of the 200s.
func (a *Answer) OK() bool { return a.Status >= 200 && a.Status <= 299 }

// Open makes a client, without any input or output.
func Open(config Config) *Client {
	if config.MaxBody == 0 {
		config.MaxBody = DefaultMaxBody
	}
	if config.Clock == nil {
		config.Clock = time.Now
	}
	c := &Client{config: config}
	transport := config.Transport
	if transport == nil {
		c.own = ownTransport(config)
		transport = c.own
	}
	c.http = &http.Client{
		Transport: transport,
		// A redirect would carry credentials to another host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	c.closed, c.close = context.WithCancelCause(context.Background())
	return c
}

// Close ends the exchanges under way and frees the network connections.
func (c *Client) Close() {
	c.close(ErrClosed)
	if c.own != nil {
		c.own.CloseIdleConnections()
	}
}

// Do makes one attempt at what newRequest makes, and reads the answer to its
// end. Any whole answer is returned, whatever its status. The error is of kind
// Unavailable if nothing of the request went out, and Unknown otherwise.
func (c *Client) Do(ctx context.Context, newRequest func(context.Context) (*http.Request, error)) (*Answer, *connector.Error) {
	return c.Stream(ctx, newRequest, nil)
}

// Stream is Do for answers of any length: the body of a success (a status of
// the 200s) is handed to take as it comes, and Answer.Body stays empty. What
// take could not read is an error of kind Unknown with its error as the cause.
// A nil take makes it Do.
func (c *Client) Stream(ctx context.Context, newRequest func(context.Context) (*http.Request, error), take func(io.Reader) error) (*Answer, *connector.Error) {
	if err := context.Cause(c.closed); err != nil {
		return nil, c.NotSent(err)
	}
	if ctx.Err() != nil {
		return nil, c.NotSent(context.Cause(ctx))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.closed, func() { cancel(ErrClosed) })()
	// Sent is whether any of the request may be on its way. The transport
	// tries a second connection only when nothing was written to the first
	// (or the request changes nothing), so each connection starts anew.
	var sent atomic.Bool
	var times atomic.Int32
	r, err := newRequest(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { sent.Store(false) },
		GotConn: func(httptrace.GotConnInfo) { sent.Store(true); times.Add(1) },
	}))
	if err != nil {
		return nil, c.NotSent(fmt.Errorf("make the request: %w", Bare(err)))
	}
	if r.Header.Get("User-Agent") == "" {
		r.Header.Set("User-Agent", "upkeep")
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, c.broken(ctx, err, sent.Load())
	}
	defer resp.Body.Close()
	a := &Answer{Status: resp.StatusCode, Header: resp.Header, RetryAfter: RetryAfter(resp.Header, c.config.Clock()), Resent: times.Load() > 1}
	if take != nil && a.OK() {
		if err := take(resp.Body); err != nil {
			e := c.broken(ctx, err, true)
			e.Status = resp.StatusCode
			return nil, e
		}
		return a, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, c.config.MaxBody+1))
	switch {
	case err != nil:
		// Not even a refusal counts when it can't be read to its end.
		e := c.broken(ctx, err, true)
		e.Status = resp.StatusCode
		return nil, e
	case int64(len(body)) > c.config.MaxBody:
		return nil, &connector.Error{Kind: connector.Unknown, Status: resp.StatusCode,
			Message: fmt.Sprintf("the answer is longer than %d bytes", c.config.MaxBody)}
	}
	a.Body = withoutCredential(body, r.Header.Get("Authorization"))
	return a, nil
}

// withoutCredential blots out of an answer what the request logged in with:
// gateways and debug pages repeat headers, and errors quote answers.
func withoutCredential(body []byte, authorization string) []byte {
	_, credential, _ := strings.Cut(authorization, " ")
	const shortest = 8 // below it, it may be any word
	if len(credential) < shortest || !bytes.Contains(body, []byte(credential)) {
		return body
	}
	return bytes.ReplaceAll(body, []byte(credential), []byte("***"))
}

// NotSent is the failure of a call before anything went out.
func (c *Client) NotSent(err error) *connector.Error {
	return &connector.Error{Kind: connector.Unavailable, Message: "nothing was sent to " + c.config.Remote, Err: err}
}

// broken is a request without a complete answer. Before a connection stood
// (name lookup, refused, TLS) nothing was sent; after it, nobody knows.
func (c *Client) broken(ctx context.Context, err error, sent bool) *connector.Error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if sent {
		return &connector.Error{Kind: connector.Unknown, Message: c.config.Remote + " did not answer to the end", Err: unquoted(Bare(err))}
	}
	return &connector.Error{Kind: connector.Unavailable, Message: c.config.Remote + " can't be reached", Err: Bare(err)}
}

var quotation = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// unquoted takes what the remote sent off an error of net/http about an answer
// that is no HTTP: it may be what the remote was sent, with the login in it.
func unquoted(err error) error {
	switch text := err.Error(); {
	case strings.Contains(text, "malformed"):
		return errors.New("what it sent is not HTTP")
	case quotation.MatchString(text):
		return errors.New(quotation.ReplaceAllString(text, `"..."`))
	}
	return err
}

// Bare takes the URL, which may hold a query, off an error of net/http.
func Bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
