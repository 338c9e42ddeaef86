package connectortest_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/connectortest"
	"github.com/upkeep-sync/upkeep/connector/exchange"
)

// This file is the connector of docs/writing-a-connector.md, for an API that
// does not exist, called ledger.

// Connection is an open ledger.
type Connection struct {
	base   string
	token  connector.Secret
	client *exchange.Client
}

// Open makes a connection, without asking the remote anything.
func Open(base string, token connector.Secret) *Connection {
	return &Connection{base: base, token: token, client: exchange.Open(exchange.Config{Remote: "the ledger", Base: base})}
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
	c.client.Close()
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
func (c *Connection) do(ctx context.Context, method, path string, content any, want int) ([]byte, error) {
	body, err := json.Marshal(content)
	if err != nil {
		return nil, &connector.Error{Kind: connector.Rejected, Message: "a field is not JSON", Err: err}
	}
	answer, failed := c.client.Do(ctx, func(ctx context.Context) (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
		if err == nil {
			req.Header.Set("Authorization", "Bearer "+c.token.Reveal())
		}
		return req, err
	})
	switch {
	case failed != nil: // Unavailable if nothing was sent, else Unknown
		return nil, failed
	case answer.Status != want:
		return nil, refusal(answer)
	}
	return answer.Body, nil
}

// refusal makes a decision of an answer that is no success.
func refusal(a *exchange.Answer) error {
	var own struct {
		Error string `json:"error"`
	}
	isOwn := json.Unmarshal(a.Body, &own) == nil && own.Error != ""
	words := cmp.Or(own.Error, "an answer without a reason")
	e := &connector.Error{Status: a.Status, RetryAfter: a.RetryAfter, Message: exchange.Cut(words, 1000)}
	switch {
	case a.Status == http.StatusTooManyRequests, a.Status == http.StatusServiceUnavailable && a.RetryAfter > 0 && isOwn:
		e.Kind = connector.RateLimited // the ledger applies nothing when it asks to come back
	case a.Status == http.StatusUnauthorized, a.Status == http.StatusForbidden && isOwn:
		e.Kind = connector.Unauthorized
	case a.Status >= 500 || a.Status < 300:
		e.Kind = connector.Unknown // also a success that is not the expected one
	case !isOwn:
		e.Kind = connector.Unavailable // a redirect, a portal, a wrong address
	case a.Status == http.StatusNotFound:
		e.Kind = connector.NotFound
	case a.Status == http.StatusConflict:
		e.Kind = connector.Busy // at other remotes it is Exists: read what 409 means at yours
	default:
		e.Kind = connector.Rejected
	}
	return e
}

// Batch: 100 changes in one request, of all actions.
func (c *Connection) Batch(recordType string) connector.Batch {
	return connector.Batch{Most: 100, Mixed: true}
}

// Apply makes many changes in one request.
func (c *Connection) Apply(ctx context.Context, recordType string, changes []connector.Change) ([]connector.Result, error) {
	sent := make([]change, len(changes))
	for i, x := range changes {
		sent[i] = change{x.Action.String(), x.Record.ExternalID, x.RemoteID, x.Record.Fields}
	}
	body, err := c.do(ctx, http.MethodPost, "/batches/"+url.PathEscape(recordType), sent, http.StatusOK)
	if err != nil {
		return nil, err
	}
	var got []struct{ Key, ID, Error string }
	if json.Unmarshal(body, &got) != nil {
		return nil, senseless()
	}
	byKey := map[string]connector.Result{}
	for _, g := range got {
		r := connector.Result{RemoteID: g.ID}
		switch g.Error {
		case "":
		case "no such record":
			r.Err = &connector.Error{Kind: connector.NotFound, Message: g.Error}
		default:
			r.Err = &connector.Error{Kind: connector.Rejected, Message: g.Error}
		}
		byKey[g.Key] = r
	}
	results := make([]connector.Result, len(changes))
	for i, x := range changes {
		r, answered := byKey[x.Record.ExternalID]
		if !answered {
			r.Err = senseless()
		}
		results[i] = r
	}
	return results, nil
}

// change is a change as the ledger's API has it.
type change struct {
	Action string           `json:"action"`
	Key    string           `json:"key"`
	ID     string           `json:"id"`
	Fields connector.Fields `json:"fields"`
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
		if r.Method == http.MethodPut {
			e = l.upsert(r.PathValue("type"), r.PathValue("key"))
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

// batch makes each change for itself, and answers in an order of its own.
func (l *ledger) batch(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var changes []change
	if err := json.NewDecoder(r.Body).Decode(&changes); err != nil {
		fail(w, http.StatusBadRequest, "not JSON")
		return
	}
	out := []map[string]string{}
	for _, c := range slices.Backward(changes) {
		e := l.records[c.ID]
		if c.Action == "create" {
			e = l.upsert(r.PathValue("type"), c.Key)
		}
		answer := map[string]string{"key": c.Key}
		switch {
		case e == nil:
			answer["error"] = "no such record"
		case string(c.Fields["amount"]) == `"much"`:
			answer["error"] = "amount is a number"
			if len(e.fields) == 0 {
				delete(l.records, e.id)
			}
		case c.Action == "delete":
			delete(l.records, e.id)
		default:
			answer["id"] = e.id
			maps.Copy(e.fields, c.Fields)
		}
		out = append(out, answer)
	}
	_ = json.NewEncoder(w).Encode(out)
}

func (l *ledger) upsert(recordType, key string) *entry {
	e := l.find(recordType, key)
	if e == nil {
		l.last++
		e = &entry{fmt.Sprint(l.last), recordType, key, connector.Fields{}}
		l.records[e.id] = e
	}
	return e
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
	mux.HandleFunc("POST /batches/{type}", account.batch)
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
		Poison: connector.Fields{"amount": json.RawMessage(`"much"`)},
		List:   "lines",
		Line: func(i, q int) json.RawMessage {
			return json.RawMessage(fmt.Sprintf(`{"sku":"s%d","quantity":%d}`, i, q))
		},
		RefField: "account",
		Ref: func(t *testing.T) connector.Ref {
			id, err := c.Create(t.Context(), connector.Record{Type: "account", ExternalID: t.Name(), Fields: connector.Fields{}})
			if err != nil {
				t.Fatal(err)
			}
			return connector.Ref{Type: "account", RemoteID: id, ExternalID: t.Name()}
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

func TestHostile(t *testing.T) {
	open := func(t testing.TB, base string) connector.Connection { return Open(base, "canary-token") }
	record := connector.Record{Type: "entry", ExternalID: "e-1", Fields: connector.Fields{"memo": json.RawMessage(`"x"`)}}
	connectortest.Hostile(t, open, "7", record, "canary-token")
}
