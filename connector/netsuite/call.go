package netsuite

import (
	"bytes"
	"context"
	"net/http"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/exchange"
)

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
	var a *exchange.Answer
	var err *connector.Error
	if c.oauth2 != nil {
		a, err = c.oauth2.Authorized(ctx, func(ctx context.Context, token string) (*http.Request, error) {
			r, err := c.newRequest(ctx, q)
			if err == nil {
				r.Header.Set("Authorization", "Bearer "+token)
			}
			return r, err
		})
	} else {
		a, err = c.client.Do(ctx, func(ctx context.Context) (*http.Request, error) {
			r, err := c.newRequest(ctx, q)
			if err != nil {
				return nil, err
			}
			return r, c.oauth1.sign(r)
		})
	}
	switch {
	case err != nil:
		return nil, err
	case c.oauth1 != nil && a.Resent && a.Status == http.StatusUnauthorized:
		// With a nonce that NetSuite may have seen, which it takes for a wrong login.
		return nil, &connector.Error{Kind: connector.Unknown, Status: a.Status, Message: "the connection to NetSuite broke, and what was sent again was refused, as it was signed for the first time"}
	case !a.OK():
		return nil, classify(q.verb, a)
	}
	return &answer{status: a.Status, location: a.Header.Get("Location"), body: a.Body}, nil
}

func (c *Connection) newRequest(ctx context.Context, q request) (*http.Request, error) {
	address := c.base + "/services/rest" + q.path
	if q.query != "" {
		address += "?" + q.query
	}
	r, err := http.NewRequestWithContext(ctx, q.method, address, bytes.NewReader(q.body))
	if err != nil {
		return nil, err
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
	return r, nil
}
