// Package netsuite is the connector for NetSuite accounts, by the REST web
// services of SuiteTalk.
//
// A create is an upsert by external id (PUT /{type}/eid:{id}), so it can be
// repeated at any time. Fields have NetSuite's REST names and forms, with two
// reliefs: a JSON array stands for a sublist's {"items":[...]}, and replaces
// the sublist whole; and Read answers in the same form. NetSuite treats names
// of types and fields case-insensitively, this package passes them on as they
// are.
//
// A line that carries its key ("line" of a sales order's item) updates that
// line; without, the old lines are removed and new ones made. NetSuite
// refuses to remove lines that were fulfilled or billed. Lines that name
// "orderLine" alone are lines of the order that a record is made from: they go
// with Initialize, and Update refuses them.
package netsuite

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/exchange"
)

// Connection is an open account. It implements [connector.Connection],
// [connector.Initializer], [connector.Reader], [connector.Referencer] and
// [connector.Checker].
type Connection struct {
	config Config
	base   string
	client *exchange.Client
	oauth1 *oauth1 // one of the two
	oauth2 *exchange.Tokens
	names  names
}

var (
	_ connector.Connection  = (*Connection)(nil)
	_ connector.Initializer = (*Connection)(nil)
	_ connector.Reader      = (*Connection)(nil)
	_ connector.Referencer  = (*Connection)(nil)
	_ connector.Checker     = (*Connection)(nil)
)

// Open makes a connection without asking the remote anything. It fails when
// the configuration is not valid or the private key's file can't be read.
func Open(config Config) (*Connection, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("netsuite configuration: %w", err)
	}
	c := &Connection{config: config.withDefaults(), base: config.base()}
	c.client = exchange.Open(exchange.Config{Remote: "NetSuite", Base: c.base, AllowPrivate: config.PrivateNetwork,
		Transport: config.Transport, Clock: c.config.Clock})
	if a := config.Auth.OAuth1; a != nil {
		c.oauth1 = &oauth1{OAuth1: *a, realm: config.realm(), clock: c.config.Clock, rand: c.config.Rand}
		return c, nil
	}
	k, err := config.Auth.OAuth2.key()
	if err != nil {
		return nil, fmt.Errorf("netsuite configuration: %w", err)
	}
	c.oauth2 = config.Auth.OAuth2.tokens(k, c.client, c.base+tokenPath)
	return c, nil
}

// Close ends calls under way and frees the network connections.
func (c *Connection) Close() error {
	c.client.Close()
	if c.oauth2 != nil {
		c.oauth2.Wait()
	}
	return nil
}

// Traits: PUT by external id is an upsert. NetSuite ends a request after 15
// minutes at the latest, and every account takes at least 5 at once, shared
// by all its integrations.
func (c *Connection) Traits() connector.Traits {
	return connector.Traits{Class: connector.Upsert, Quiet: 15 * time.Minute, Concurrency: 5, Timeout: time.Minute}
}

// plainID is what NetSuite documents for an external id in a URL (eid:). It
// matters only for the URL: fields and filters take other characters too.
var plainID = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// Foresee tells of ids that no request could name and of fields that can't be
// encoded.
func (c *Connection) Foresee(x connector.Change) error {
	switch x.Action {
	case connector.Create:
		if err := nameable(x.Record); err != nil {
			return err
		}
	default:
		if err := internal(x.RemoteID); err != nil {
			return err
		}
	}
	if _, _, err := encode(x.Record.Fields, ""); err != nil {
		return err
	}
	if x.Action == connector.Update {
		if err := repeatable(x.Record.Fields); err != nil {
			return err
		}
	}
	return nil
}

// filterable tells that an external id can be quoted in a filter. How a
// filter would escape a quotation mark is not documented.
func filterable(externalID string) bool {
	for _, r := range externalID {
		if r < ' ' || r == 0x7f || r == '"' || r == '\\' || r == 0xfffd {
			return false
		}
	}
	return true
}

// Create makes or updates the record with the external id.
func (c *Connection) Create(ctx context.Context, r connector.Record) (string, error) {
	if err := nameable(r); err != nil {
		return "", err
	}
	body, lists, err := encode(r.Fields, "")
	if err != nil {
		return "", err
	}
	if !plainID.MatchString(r.ExternalID) {
		return c.createByPost(ctx, r)
	}
	// On a record that is there already, lines would be added without replace.
	a, err := c.do(ctx, request{verb: create, method: http.MethodPut, path: recordPath(r.Type, "eid:"+r.ExternalID), query: replace(lists), body: body})
	if err != nil {
		return "", err
	}
	return c.created(ctx, a, r)
}

// createByPost is for external ids that no URL can name: POST, which refuses
// a second record with one external id, then look up and update.
func (c *Connection) createByPost(ctx context.Context, r connector.Record) (string, error) {
	body, _, err := encode(r.Fields, r.ExternalID)
	if err != nil {
		return "", err
	}
	a, err := c.do(ctx, request{verb: create, method: http.MethodPost, path: recordPath(r.Type, ""), body: body})
	if err == nil {
		return c.created(ctx, a, r)
	}
	if err.Kind != connector.Exists {
		return "", err
	}
	id, missing := c.lookup(ctx, r.Type, r.ExternalID)
	if missing != nil {
		if missing.Kind == connector.NotFound {
			return "", err // what exists has another external id
		}
		return "", missing
	}
	if err := c.Update(ctx, id, r); err != nil {
		return "", err
	}
	return id, nil
}

// created takes the new record's id from the Location header, the only place
// of a 204 that has it.
func (c *Connection) created(ctx context.Context, a *answer, r connector.Record) (string, error) {
	if id := located(a.location, r.Type); id != "" && a.status != http.StatusAccepted {
		return id, nil
	}
	if a.status != http.StatusNoContent {
		return "", unexpected(a)
	}
	// NetSuite does not promise the header for PUT.
	id, err := c.lookup(ctx, r.Type, r.ExternalID)
	if err != nil {
		return "", &connector.Error{Kind: connector.Unknown, Status: a.status, Message: "the answer names no record, and looking it up failed", Err: err}
	}
	return id, nil
}

// Update changes the given fields; lists are replaced whole. Lines that only a
// transform can match are refused.
func (c *Connection) Update(ctx context.Context, remoteID string, r connector.Record) error {
	if err := internal(remoteID); err != nil {
		return err
	}
	body, lists, fail := encode(r.Fields, "")
	if fail == nil {
		fail = repeatable(r.Fields)
	}
	if fail != nil {
		return fail
	}
	return c.noContent(ctx, request{verb: update, method: http.MethodPatch, path: recordPath(r.Type, remoteID), query: replace(lists), body: body})
}

// Delete removes a record.
func (c *Connection) Delete(ctx context.Context, recordType, remoteID string) error {
	if err := internal(remoteID); err != nil {
		return err
	}
	err := c.noContent(ctx, request{verb: remove, method: http.MethodDelete, path: recordPath(recordType, remoteID)})
	if err != nil && connector.KindOf(err) == connector.NotFound {
		return nil
	}
	return err
}

// noContent makes a call that has nothing to answer but 204.
func (c *Connection) noContent(ctx context.Context, q request) error {
	a, err := c.do(ctx, q)
	if err != nil {
		return err
	}
	if a.status != http.StatusNoContent {
		return unexpected(a)
	}
	return nil
}

// Find looks a record up by external id.
func (c *Connection) Find(ctx context.Context, recordType, externalID string) (string, error) {
	if err := nameable(connector.Record{Type: recordType, ExternalID: externalID}); err != nil {
		return "", err
	}
	id, err := c.lookup(ctx, recordType, externalID)
	if err != nil {
		return "", err
	}
	return id, nil
}

func (c *Connection) lookup(ctx context.Context, recordType, externalID string) (string, *connector.Error) {
	if !plainID.MatchString(externalID) {
		return c.filter(ctx, recordType, externalID)
	}
	// One short field instead of the whole record; the id is there anyhow.
	a, err := c.do(ctx, request{verb: find, method: http.MethodGet, path: recordPath(recordType, "eid:"+externalID), query: "fields=externalId"})
	if err != nil {
		return "", err
	}
	var got struct {
		ID         json.RawMessage `json:"id"`
		ExternalID any             `json:"externalId"`
		Links      []link          `json:"links"`
	}
	if json.Unmarshal(a.body, &got) != nil {
		return "", unexpected(a)
	}
	if name, ok := got.ExternalID.(string); ok && name != externalID {
		return "", &connector.Error{Kind: connector.Rejected, Message: fmt.Sprintf(
			"NetSuite takes the external id %q for %q of another %s: let them differ in more than capitals", externalID, exchange.Cut(name, 80), recordType)}
	}
	id := strings.Trim(string(got.ID), `"`)
	if !internalID(id) {
		id = self(got.Links)
	}
	if !internalID(id) {
		return "", unexpected(a)
	}
	return id, nil
}

// mostAlike is how many records are looked at whose external ids a query takes
// for the same.
const mostAlike = 10

// filter finds a record by a query, which takes external ids that a URL
// can't name. A query compares texts without regard to case, so each record that
// it finds is asked for its own.
func (c *Connection) filter(ctx context.Context, recordType, externalID string) (string, *connector.Error) {
	query := fmt.Sprintf("q=%s&limit=%d", escape(`externalId IS "`+externalID+`"`), mostAlike+1)
	a, err := c.do(ctx, request{verb: find, method: http.MethodGet, path: recordPath(recordType, ""), query: query})
	if err != nil {
		if err.Kind == connector.NotFound {
			// A query names no record: this says something else.
			err.Kind = connector.Rejected
		}
		return "", err
	}
	var got struct {
		Items *[]struct {
			ID json.RawMessage `json:"id"`
		} `json:"items"`
	}
	if json.Unmarshal(a.body, &got) != nil || got.Items == nil {
		return "", unexpected(a)
	}
	var same, unsaid []string
	for _, item := range *got.Items {
		id := strings.Trim(string(item.ID), `"`)
		if !internalID(id) {
			return "", unexpected(a)
		}
		name, err := c.externalIDOf(ctx, recordType, id)
		switch {
		case err != nil && err.Kind == connector.NotFound: // deleted since
		case err != nil:
			return "", err
		case name == nil: // there is only the query's word for it
			unsaid = append(unsaid, id)
		case *name == externalID:
			same = append(same, id)
		}
	}
	if len(same) == 0 && len(*got.Items) == len(unsaid) {
		same = unsaid
	}
	switch {
	case len(same) == 1:
		return same[0], nil
	case len(same)+len(unsaid) == 0 && len(*got.Items) <= mostAlike:
		return "", &connector.Error{Kind: connector.NotFound, Message: fmt.Sprintf("no %s has the external id %q", recordType, externalID)}
	}
	return "", &connector.Error{Kind: connector.Rejected, Message: fmt.Sprintf("more than one %s has the external id %q: NetSuite does not tell them apart", recordType, externalID)}
}

// externalIDOf asks for a record's external id; nil: the answer has none.
func (c *Connection) externalIDOf(ctx context.Context, recordType, id string) (*string, *connector.Error) {
	a, err := c.do(ctx, request{verb: find, method: http.MethodGet, path: recordPath(recordType, id), query: "fields=externalId"})
	if err != nil {
		return nil, err
	}
	var got struct {
		ExternalID *string `json:"externalId"`
	}
	if json.Unmarshal(a.body, &got) != nil {
		return nil, unexpected(a)
	}
	return got.ExternalID, nil
}

// Reference is {"id": "..."} with the internal id: the form that NetSuite
// documents for every kind of reference.
func (c *Connection) Reference(ref connector.Ref) (json.RawMessage, error) {
	if err := internal(ref.RemoteID); err != nil {
		return nil, fmt.Errorf("reference to %s %q: %w", ref.Type, ref.ExternalID, err)
	}
	return json.RawMessage(`{"id":"` + ref.RemoteID + `"}`), nil
}
