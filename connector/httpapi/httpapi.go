// Package httpapi is the connector for any JSON API, described in its
// configuration: where to send what, where the id is in the answer, and what
// each answer means.
//
// # Templates
//
// Paths, queries, headers and bodies are templates. A placeholder is a dollar
// sign and a name: $external_id, $id (the remote's), $type, $action (create,
// update, delete), $event (created, updated, deleted), $fields, $fields.name,
// $version, $generation, $timestamp (RFC 3339), in a read $field_names (with
// commas between), in headers and queries $idempotency_key, and in a batch
// $changes. Two dollar signs are one.
//
// A body is a tree. A text in it that is one placeholder takes the value
// itself, of whatever type; a text with more in it is a text. The member "..."
// stands for the members of its value; those beside it win, objects are
// merged. A member whose field the record does not have is left out. So no
// value can break out of its place. In paths and queries values are
// percent-encoded.
package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/exchange"
)

// Connection is an open API. It implements [connector.Connection],
// [connector.Remover], [connector.Referencer], [connector.Batcher],
// [connector.Checker], [connector.Finder] and [connector.Cautious]; what [Open] returns is also a [connector.Reader] when a
// record type has a read.
type Connection struct {
	name    string // of the host, for people
	base    string
	auth    Auth
	records map[string]*recordAPI
	check   *request // nil: none
	class   class
	linger  time.Duration
	errors  errorPlaces
	wait    *RetryAfter
	secrets []string
	clock   func() time.Time
	client  *exchange.Client
	tokens  *exchange.Tokens
	signer  *signer
}

// errorPlaces is a compiled Errors.
type errorPlaces struct {
	code, message pointer // nil: none
	rules         []rule
}

var (
	_ connector.Connection = (*Connection)(nil)
	_ connector.Remover    = (*Connection)(nil)
	_ connector.Referencer = (*Connection)(nil)
	_ connector.Batcher    = (*Connection)(nil)
	_ connector.Checker    = (*Connection)(nil)
	_ connector.Finder     = (*Connection)(nil)
	_ connector.Foreseer   = (*Connection)(nil)
	_ connector.Cautious   = (*Connection)(nil)
	_ connector.Reader     = (*readable)(nil)
)

// readable is a Connection that can read a record back.
type readable struct{ *Connection }

// Open makes a connection without asking the remote anything. Its error joins
// a [*connector.OptionError] for each problem of the configuration.
func Open(config Config) (connector.Connection, error) {
	if config.Clock == nil {
		config.Clock = time.Now
	}
	c := &compiler{config: &config}
	out := c.connection()
	if len(c.problems) > 0 {
		return nil, errors.Join(c.problems...)
	}
	out.client = exchange.Open(exchange.Config{Remote: out.name, Base: config.BaseURL, AllowPrivate: config.PrivateNetwork,
		Transport: config.Transport, Clock: config.Clock})
	if o := config.Auth.OAuth2; o != nil {
		out.tokens = tokensOf(o, out.client)
	}
	for _, r := range out.records {
		if r.read != nil {
			return &readable{out}, nil
		}
	}
	return out, nil
}

// Validate returns every problem of the configuration, joined; nil when there
// is none.
func (c Config) Validate() error {
	x := &compiler{config: &c}
	x.connection()
	return errors.Join(x.problems...)
}

// connection compiles all of the configuration.
func (c *compiler) connection() *Connection {
	config := c.config
	if err := exchange.CheckBase(config.BaseURL, "https://api.example.com/v1"); err != nil {
		c.fail(at{"base_url"}, "%v", err)
	}
	c.auth()
	for name := range config.Headers {
		c.headerName(at{"headers", name}, name)
	}
	out := &Connection{name: "the remote", base: strings.TrimRight(config.BaseURL, "/"), auth: config.Auth, linger: config.Linger,
		wait: config.RetryAfter, secrets: secretsOf(*config), clock: config.Clock, signer: c.signer()}
	if u, err := url.Parse(config.BaseURL); err == nil && u.Host != "" {
		out.name = u.Host
	}
	path := at{"errors"}
	out.errors = errorPlaces{code: c.pointerOr(path.of("code"), config.Errors.Code, ""), message: c.pointerOr(path.of("message"), config.Errors.Message, ""),
		rules: c.rules(path.of("rules"), config.Errors.Rules)}
	c.retryAfter()
	out.check = c.request(at{"check"}, reading, config.Check, "GET", idSource{}, []string{timestamp})
	out.records = c.records()
	out.class = c.class(out.records)
	return out
}

func (c *compiler) retryAfter() {
	w := c.config.RetryAfter
	if w == nil {
		return
	}
	if w.Header == "" {
		c.fail(at{"retry_after", "header"}, "retry_after.header is missing: the header's name")
	}
	switch w.Unit {
	case "", "seconds", "milliseconds", "epoch":
	default:
		c.fail(at{"retry_after", "unit"}, "%q is not a unit: write seconds, milliseconds or epoch", w.Unit)
	}
}

// longestWait keeps what a remote asks for within what can be counted.
const longestWait = 365 * 24 * time.Hour

// retryAfter is what the remote asked to wait: Retry-After, or the header that
// the configuration names.
func (c *Connection) retryAfter(a *answer) time.Duration {
	if a.RetryAfter > 0 || c.wait == nil {
		return a.RetryAfter
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(a.Header.Get(c.wait.Header)), 64)
	if err != nil || !(n > 0) {
		return 0
	}
	switch c.wait.Unit {
	case "milliseconds":
		n /= 1000
	case "epoch":
		n -= float64(c.clock().UnixMilli()) / 1000
	}
	return time.Duration(min(max(n, 0), longestWait.Seconds()) * float64(time.Second))
}

// Close ends calls under way and frees the network connections.
func (c *Connection) Close() error {
	c.client.Close()
	if c.tokens != nil {
		c.tokens.Wait()
	}
	return nil
}

// Traits: the class is the configuration's. How long an unknown API may still
// apply a request is not known; five minutes is more than gateways wait.
func (c *Connection) Traits() connector.Traits {
	classes := map[class]connector.Class{upsert: connector.Upsert, lookup: connector.Lookup, blind: connector.Blind}
	return connector.Traits{Class: classes[c.class], Quiet: 5 * time.Minute, Timeout: 30 * time.Second, Linger: c.linger}
}

// missing is a call for which the configuration has no request.
func missing(what, recordType string) *connector.Error {
	return rejected(fmt.Errorf("the configuration has no %s request for %s", what, recordType))
}

// Create makes the record.
func (c *Connection) Create(ctx context.Context, rec connector.Record) (string, error) {
	r, err := c.of(rec.Type)
	if err != nil {
		return "", err
	}
	if r.create == nil {
		return "", missing("create or upsert", rec.Type)
	}
	if err := r.nameable(rec); err != nil {
		return "", err
	}
	a, fail := c.do(ctx, r.create, c.scopeOf(r, creating, rec, ""), identity(creating, connector.Change{Record: rec}))
	if fail != nil {
		return "", fail
	}
	id, fail := r.create.id.of(a, rec.ExternalID)
	if fail != nil {
		return "", fail
	}
	return id, nil
}

// Foresee tells of what no request can be made of, but for its size.
func (c *Connection) Foresee(x connector.Change) error {
	r, err := c.of(x.Record.Type)
	if err != nil {
		return err
	}
	q, v := r.create, creating
	switch x.Action {
	case connector.Update:
		q, v = r.update, updating
	case connector.Delete:
		q, v = r.remove, deleting
	}
	if q == nil {
		return missing(v.String(), x.Record.Type)
	}
	if x.Action == connector.Create {
		if err := r.nameable(x.Record); err != nil {
			return err
		}
	}
	if _, err := c.message(q, c.scopeOf(r, v, x.Record, x.RemoteID), identity(v, x)); err != nil {
		return rejected(err)
	}
	return nil
}

// of is the id in an answer.
func (s idSource) of(a *answer, externalID string) (string, *connector.Error) {
	id := ""
	switch {
	case s.external:
		return externalID, nil
	case s.location:
		u, err := url.Parse(a.Header.Get("Location"))
		if id = ""; err == nil && u.Path != "" {
			id = path.Base(u.Path)
		}
		if id == "/" || id == "." {
			id = ""
		}
	default:
		id = s.pointer.textIn(a.doc)
	}
	if id == "" {
		return "", unexpected(a, "it has no id where id says")
	}
	return id, nil
}

// Update changes the given fields.
func (c *Connection) Update(ctx context.Context, id string, rec connector.Record) error {
	r, err := c.of(rec.Type)
	if err != nil {
		return err
	}
	if r.update == nil {
		return missing("update", rec.Type)
	}
	a, fail := c.do(ctx, r.update, c.scopeOf(r, updating, rec, id), identity(updating, connector.Change{Record: rec, RemoteID: id}))
	if fail != nil {
		return fail
	}
	if r.byUpsert && !r.update.id.external {
		got, fail := r.update.id.of(a, rec.ExternalID)
		if fail != nil {
			return fail
		}
		if fail := r.sameRecord(a, a.doc, got, id); fail != nil {
			return fail
		}
	} else if r.byUpsert {
		if fail := r.sameRecord(a, a.doc, id, id); fail != nil {
			return fail
		}
	}
	return nil
}

// Remakes implements [connector.Remaker].
func (c *Connection) Remakes(recordType string) bool {
	r, err := c.of(recordType)
	return err == nil && r.byUpsert
}

// sameRecord: an upsert that was meant as an update may have made another
// record, of the changed fields alone, because the old one was gone.
func (r *recordAPI) sameRecord(a *answer, doc any, got, want string) *connector.Error {
	made := r.made != nil && strings.EqualFold(r.made.textIn(doc), "true")
	if got == "" {
		return unexpected(a, "a result without an id")
	}
	if !made && got == want {
		return nil
	}
	return &connector.Error{Kind: connector.NotFound, Status: a.Status, Message: fmt.Sprintf("the record %s was gone, and %s was made in its place, of which only the changed fields are there yet", want, got)}
}

// Delete removes a record; one that is gone is success.
func (c *Connection) Delete(ctx context.Context, recordType, id string) error {
	return c.Remove(ctx, id, connector.Record{Type: recordType})
}

// Remove is Delete, with what else is known of the record.
func (c *Connection) Remove(ctx context.Context, id string, rec connector.Record) error {
	r, err := c.of(rec.Type)
	if err != nil {
		return err
	}
	if r.remove == nil {
		return missing("delete", rec.Type)
	}
	rec.Fields = nil
	s := c.scopeOf(r, deleting, rec, id)
	if r.external {
		rec.ExternalID = id
	}
	_, fail := c.do(ctx, r.remove, s, identity(deleting, connector.Change{Record: rec, RemoteID: id}))
	if fail != nil && fail.Kind != connector.NotFound {
		return fail
	}
	return nil
}

// Find looks a record up by its external id.
func (c *Connection) Find(ctx context.Context, recordType, externalID string) (string, error) {
	r, err := c.of(recordType)
	if err != nil {
		return "", err
	}
	if r.find == nil {
		return r.unfound(c.class, recordType, externalID)
	}
	rec := connector.Record{Type: recordType, ExternalID: externalID}
	if err := r.nameable(rec); err != nil {
		return "", err
	}
	a, fail := c.do(ctx, r.find.request, c.scopeOf(r, finding, rec, ""), identity(finding, connector.Change{Record: rec}))
	if fail != nil {
		return "", fail
	}
	id, fail := r.find.pick(a, rec)
	if fail != nil {
		return "", fail
	}
	return id, nil
}

// Finds: with a request for it, and where the remote knows the record by our key
// also without one.
func (c *Connection) Finds(recordType string) bool {
	r, err := c.of(recordType)
	return err != nil || r.finds()
}

func (r *recordAPI) finds() bool { return r.find != nil || r.external }

// unfound is Find where there is no request for it. A record that the remote
// knows by our key has it for an id, whether it is there or not.
func (r *recordAPI) unfound(c class, recordType, externalID string) (string, error) {
	switch {
	case r.external:
		return externalID, nil
	case c == blind:
		return "", &connector.Error{Kind: connector.NotFound, Message: fmt.Sprintf("there is no way to look %s %q up: the configuration has no find", recordType, externalID)}
	}
	return "", missing("find", recordType)
}

// pick takes the record out of what was found.
func (f *finder) pick(a *answer, rec connector.Record) (string, *connector.Error) {
	items := []any{a.doc}
	if f.list != nil {
		found, _ := f.list.in(a.doc)
		var ok bool
		if items, ok = found.([]any); !ok {
			return "", unexpected(a, "it has no list where list says")
		}
	}
	var mine []any
	for _, item := range items {
		if f.key == nil || f.key.textIn(item) == rec.ExternalID {
			mine = append(mine, item)
		}
	}
	switch len(mine) {
	case 0:
		return "", &connector.Error{Kind: connector.NotFound, Status: a.Status, Message: fmt.Sprintf("no %s has the key %q", rec.Type, rec.ExternalID)}
	case 1:
		part := *a
		part.doc = mine[0]
		return f.id.of(&part, rec.ExternalID)
	}
	return "", &connector.Error{Kind: connector.Rejected, Status: a.Status, Message: fmt.Sprintf("%d records of %s have the key %q: merge them, or delete all but one", len(mine), rec.Type, rec.ExternalID)}
}

// Reference is what the record type's reference template makes; the plain id
// without one.
func (c *Connection) Reference(ref connector.Ref) (json.RawMessage, error) {
	r, err := c.of(ref.Type)
	if err != nil {
		return nil, err
	}
	v, err := r.reference.tree(scope{recordType: ref.Type, remoteID: ref.RemoteID, externalID: ref.ExternalID})
	if err != nil {
		return nil, fmt.Errorf("reference to %s %q: %w", ref.Type, ref.ExternalID, err)
	}
	return encodeJSON(v)
}
