package connectortest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/connectortest"
)

// This file is the connector of docs/writing-a-connector.md, for an API that
// does not exist, called ledger.

// Connection is an open ledger.
type Connection struct {
	base   string
	token  connector.Secret
	client *http.Client
	closed context.Context
	close  context.CancelFunc
}

// Open makes a connection, without asking the remote anything.
func Open(base string, token connector.Secret) *Connection {
	c := &Connection{base: base, token: token}
	c.client = &http.Client{
		Transport: &http.Transport{IdleConnTimeout: 30 * time.Second, MaxIdleConnsPerHost: 32},
		// A redirect would carry the token to another host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	c.closed, c.close = context.WithCancel(context.Background())
	return c
}

// Traits: PUT by key is an upsert.
func (c *Connection) Traits() connector.Traits {
	return connector.Traits{Class: connector.Upsert, Quiet: 2 * time.Minute, Concurrency: 10, Timeout: 30 * time.Second}
}

// Create makes or updates the record with the external id.
func (c *Connection) Create(ctx context.Context, r connector.Record) (string, error) {
	return c.id(c.do(ctx, http.MethodPut, recordPath(r.Type, r.ExternalID), r.Fields, http.StatusOK))
}

// Update changes the given fields.
func (c *Connection) Update(ctx context.Context, remoteID string, r connector.Record) error {
	_, err := c.do(ctx, http.MethodPatch, "/ids/"+url.PathEscape(remoteID), r.Fields, http.StatusNoContent)
	return err
}

// Delete removes a record; one that is gone is success.
func (c *Connection) Delete(ctx context.Context, recordType, remoteID string) error {
	_, err := c.do(ctx, http.MethodDelete, "/ids/"+url.PathEscape(remoteID), nil, http.StatusNoContent)
	if err != nil && connector.KindOf(err) == connector.NotFound {
		return nil
	}
	return err
}

// Find looks a record up by its external id.
func (c *Connection) Find(ctx context.Context, recordType, externalID string) (string, error) {
	return c.id(c.do(ctx, http.MethodGet, recordPath(recordType, externalID), nil, http.StatusOK))
}

// Close ends calls under way.
func (c *Connection) Close() error {
	c.close()
	c.client.CloseIdleConnections()
	return nil
}

// Read returns the remote's values in want's form.
func (c *Connection) Read(ctx context.Context, recordType, remoteID string, want connector.Fields) (connector.Fields, error) {
	body, err := c.do(ctx, http.MethodGet, "/ids/"+url.PathEscape(remoteID), nil, http.StatusOK)
	if err != nil {
		return nil, err
	}
	var got connector.Fields
	if json.Unmarshal(body, &got) != nil || got == nil {
		return nil, senseless()
	}
	out := connector.Fields{}
	for name, w := range want {
		g := got[name]
		if g == nil {
			g = json.RawMessage("null")
		}
		if out[name], err = connector.Project(w, g); err != nil {
			return nil, &connector.Error{Kind: connector.Unknown, Message: "field " + name, Err: err}
		}
	}
	return out, nil
}

func recordPath(recordType, externalID string) string {
	return "/records/" + url.PathEscape(recordType) + "/" + url.PathEscape(externalID)
}

func (c *Connection) id(body []byte, err error) (string, error) {
	var got struct {
		ID string `json:"id"`
	}
	if err != nil {
		return "", err
	}
	if json.Unmarshal(body, &got) != nil || got.ID == "" {
		return "", senseless()
	}
	return got.ID, nil
}

// senseless: a success without what was asked for. Nobody knows what happened.
func senseless() error {
	return &connector.Error{Kind: connector.Unknown, Message: "the answer makes no sense"}
}

// do makes one attempt.
func (c *Connection) do(ctx context.Context, method, path string, fields connector.Fields, want int) ([]byte, error) {
	if err := errors.Join(ctx.Err(), c.closed.Err()); err != nil {
		return nil, &connector.Error{Kind: connector.Unavailable, Message: "nothing was sent", Err: err}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.closed, cancel)()
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { sent.Store(false) },
		GotConn: func(httptrace.GotConnInfo) { sent.Store(true) },
	})
	var body []byte
	if fields != nil {
		var err error
		if body, err = json.Marshal(fields); err != nil {
			return nil, &connector.Error{Kind: connector.Rejected, Message: "a field is not JSON", Err: err}
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, &connector.Error{Kind: connector.Rejected, Message: "the request can't be made"}
	}
	req.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, broken(err, sent.Load())
	}
	defer resp.Body.Close()
	const most = 8 << 20
	answer, err := io.ReadAll(io.LimitReader(resp.Body, most))
	if err != nil {
		return nil, broken(err, true)
	}
	if resp.StatusCode != want {
		return nil, refusal(resp, answer)
	}
	return answer, nil
}

// broken is a request without an answer: before a connection stood nothing
// was sent; after it, nobody knows.
func broken(err error, sent bool) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // without the address, which may hold a secret
	}
	if sent {
		return &connector.Error{Kind: connector.Unknown, Message: "no whole answer", Err: err}
	}
	return &connector.Error{Kind: connector.Unavailable, Message: "can't be reached", Err: err}
}

// refusal makes a decision of an answer that is no success.
func refusal(resp *http.Response, body []byte) error {
	var own struct {
		Error string `json:"error"`
	}
	isOwn := json.Unmarshal(body, &own) == nil && own.Error != ""
	e := &connector.Error{Status: resp.StatusCode, Message: own.Error}
	if e.Message == "" {
		e.Message = "an answer without a reason"
	}
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
		e.RetryAfter = time.Duration(n) * time.Second
	}
	switch {
	case resp.StatusCode == http.StatusTooManyRequests:
		e.Kind = connector.RateLimited
	case resp.StatusCode == http.StatusUnauthorized:
		e.Kind = connector.Unauthorized
	case resp.StatusCode >= 500 || resp.StatusCode < 300:
		e.Kind = connector.Unknown // also a success that is not the expected one
	case !isOwn:
		e.Kind = connector.Unavailable // a redirect, a portal, a wrong address
	case resp.StatusCode == http.StatusNotFound:
		e.Kind = connector.NotFound
	default:
		e.Kind = connector.Rejected
	}
	return e
}

// ledger is the stand-in.
type ledger struct {
	mu      sync.Mutex
	last    int
	records map[string]*entry // by id
}

type entry struct {
	id, recordType, key string
	fields              connector.Fields
}

func (l *ledger) find(recordType, key string) *entry {
	for _, e := range l.records {
		if e.recordType == recordType && e.key == key {
			return e
		}
	}
	return nil
}

func (l *ledger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var e *entry
	if id := r.PathValue("id"); id != "" {
		e = l.records[id]
	} else {
		e = l.find(r.PathValue("type"), r.PathValue("key"))
		if e == nil && r.Method == http.MethodPut {
			l.last++
			e = &entry{fmt.Sprint(l.last), r.PathValue("type"), r.PathValue("key"), connector.Fields{}}
			l.records[e.id] = e
		}
	}
	if e == nil {
		fail(w, http.StatusNotFound, "no such record")
		return
	}
	var in connector.Fields
	if r.Method == http.MethodPut || r.Method == http.MethodPatch {
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			fail(w, http.StatusBadRequest, "not JSON")
			return
		}
	}
	for name, v := range in {
		e.fields[name] = v
	}
	switch {
	case r.Method == http.MethodDelete:
		delete(l.records, e.id)
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodPatch:
		w.WriteHeader(http.StatusNoContent)
	case r.PathValue("id") != "":
		_ = json.NewEncoder(w).Encode(e.fields)
	default:
		_ = json.NewEncoder(w).Encode(map[string]string{"id": e.id})
	}
}

func fail(w http.ResponseWriter, status int, words string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": words})
}

func newTarget(t *testing.T) connectortest.Target {
	account := &ledger{records: map[string]*entry{}}
	mux := http.NewServeMux()
	mux.Handle("/records/{type}/{key}", account)
	mux.Handle("/ids/{id}", account)
	disturbed := connectortest.Disturb(mux, func(w http.ResponseWriter, f connectortest.Fault) { fail(w, f.Status, f.Message) }, nil)
	server := httptest.NewServer(disturbed)
	t.Cleanup(server.Close)
	t.Cleanup(disturbed.Heal)
	c := Open(server.URL, "canary-token")
	return connectortest.Target{
		Connection: c,
		Type:       "entry",
		Text:       "memo", Other: "title", LongText: 10_000,
		Number: "amount", Numbers: []string{"12.50", "0", "-1", "9007199254740993"},
		Date: "day", Time: "at",
		List: "lines",
		Line: func(i, q int) json.RawMessage {
			return json.RawMessage(fmt.Sprintf(`{"sku":"s%d","quantity":%d}`, i, q))
		},
		RefField: "account",
		Ref: func(t *testing.T) connector.Ref {
			id, err := c.Create(t.Context(), connector.Record{Type: "account", ExternalID: t.Name(), Fields: connector.Fields{}})
			if err != nil {
				t.Fatal(err)
			}
			return connector.Ref{Type: "account", RemoteID: id}
		},
		Count: func(recordType, externalID string) (n int) {
			account.mu.Lock()
			defer account.mu.Unlock()
			for _, e := range account.records {
				if e.recordType == recordType && e.key == externalID {
					n++
				}
			}
			return n
		},
		Fail: disturbed.Fail, Heal: disturbed.Heal,
		Secrets: []string{"canary-token"},
	}
}

func TestConformance(t *testing.T) { connectortest.Run(t, newTarget) }
