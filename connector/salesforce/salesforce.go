// Package salesforce is the connector for Salesforce orgs, by the REST API, its
// sObject Collections, and Bulk API 2.0.
//
// A create is an upsert by an external id field that the org's administrator
// made, so it can be repeated at any time. Fields have their API names. A field
// with the name of a relationship ("Account", "Invoice__r") refers to a record by
// its external id, one with the name of an id field ("AccountId", "Invoice__c") by
// its id. A JSON array of texts stands for the value of a multi-select picklist.
package salesforce

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/connector/exchange"
)

// Connection is an open org. It implements [connector.Connection],
// [connector.Batcher], [connector.Bulker], [connector.Reader],
// [connector.Referencer] and [connector.Checker].
type Connection struct {
	config   Config
	base     string
	client   *exchange.Client
	auth     *exchange.Tokens
	instance atomic.Pointer[string] // where calls go, once a token told
	quota    quota
	shapes   shapes

	mostUpload int64 // bytes of one job's data
}

var (
	_ connector.Connection = (*Connection)(nil)
	_ connector.Batcher    = (*Connection)(nil)
	_ connector.Bulker     = (*Connection)(nil)
	_ connector.Reader     = (*Connection)(nil)
	_ connector.Referencer = (*Connection)(nil)
	_ connector.Checker    = (*Connection)(nil)
	_ connector.Metered    = (*Connection)(nil)
)

// Open makes a connection without asking the remote anything. It fails when
// the configuration is not valid or the private key's file can't be read.
func Open(config Config) (*Connection, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("salesforce configuration: %w", err)
	}
	c := &Connection{config: config.withDefaults(), base: config.base(), mostUpload: mostBytes}
	var key *rsa.PrivateKey
	if a := config.Auth.JWT; a != nil {
		var err error
		if key, err = a.key(); err != nil {
			return nil, fmt.Errorf("salesforce configuration: %w", err)
		}
	}
	c.client = exchange.Open(exchange.Config{Remote: "Salesforce", Base: c.base, AllowPrivate: config.PrivateNetwork,
		Transport: config.Transport, Clock: c.config.Clock})
	c.auth = c.tokens(key)
	c.quota.clock = c.config.Clock
	c.quota.reserve, _ = parseReserve(config.Reserve) // Validate did
	return c, nil
}

// Close ends calls under way and frees the network connections.
func (c *Connection) Close() error {
	c.client.Close()
	c.auth.Wait()
	return nil
}

// Traits: PATCH by external id is an upsert. Salesforce ends a request after 10
// minutes at the latest. Requests that take long may be 5 at once in the
// smallest orgs, and more of them at once would hold locks against each other.
func (c *Connection) Traits() connector.Traits {
	return connector.Traits{Class: connector.Upsert, Quiet: 10 * time.Minute, Concurrency: 5, Timeout: 2 * time.Minute, Linger: max(0, c.config.Linger)}
}

// plainID is an external id that a URL names without doubt. Others have dots,
// which make Salesforce take the end for that of a file, slashes, or characters
// that something on the way may read in its own way.
var plainID = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// recordID is what an id looks like: 15 characters that tell capitals apart,
// mostly with 3 more for those who don't.
var recordID = regexp.MustCompile(`^[A-Za-z0-9]{15}([A-Za-z0-9]{3})?$`)

// sameID tells that two ids are of one record.
func sameID(a, b string) bool {
	return recordID.MatchString(a) && recordID.MatchString(b) && a[:15] == b[:15]
}

func recordPath(recordType, id string) string { return "/sobjects/" + recordType + "/" + id }

// Create makes or updates the record with the external id.
func (c *Connection) Create(ctx context.Context, r connector.Record) (string, error) {
	if err := nameable(r.Type, r.ExternalID); err != nil {
		return "", err
	}
	if !plainID.MatchString(r.ExternalID) {
		// A collection of one names the external id in its body.
		results, err := c.Apply(ctx, r.Type, []connector.Change{{Action: connector.Create, Record: r}})
		if err != nil {
			return "", err
		}
		return results[0].RemoteID, results[0].Err
	}
	fields, err := c.encode(ctx, r)
	if err != nil {
		return "", err
	}
	path := recordPath(r.Type, url.PathEscape(c.config.externalField(r.Type))+"/"+url.PathEscape(r.ExternalID))
	a, err := c.do(ctx, request{verb: create, method: http.MethodPatch, path: path, body: object(fields)})
	if err != nil {
		return "", err
	}
	if a.Status == http.StatusNoContent { // how versions before 46 answer to an update
		id, err := c.lookup(ctx, r.Type, r.ExternalID)
		if err != nil {
			return "", &connector.Error{Kind: connector.Unknown, Status: a.Status, Message: "the answer names no record, and looking it up failed", Err: err}
		}
		return id, nil
	}
	var got result
	if json.Unmarshal(a.Body, &got) != nil || !got.Success || !recordID.MatchString(got.ID) {
		return "", unexpected(a)
	}
	return got.ID, nil
}

// Update changes the given fields.
func (c *Connection) Update(ctx context.Context, remoteID string, r connector.Record) error {
	if err := named(r.Type, remoteID); err != nil {
		return err
	}
	fields, err := c.encode(ctx, r)
	if err != nil {
		return err
	}
	said := c.noContent(ctx, request{verb: update, method: http.MethodPatch, path: recordPath(r.Type, remoteID), body: object(fields)})
	if said == nil || connector.KindOf(said) != connector.NotFound {
		return said
	}
	return c.confirm(ctx, update, r.Type, []string{remoteID}, []error{said})[0]
}

// Delete removes a record: it goes to the recycle bin.
func (c *Connection) Delete(ctx context.Context, recordType, remoteID string) error {
	if err := named(recordType, remoteID); err != nil {
		if err.Kind == connector.NotFound {
			return nil
		}
		return err
	}
	err := c.noContent(ctx, request{verb: remove, method: http.MethodDelete, path: recordPath(recordType, remoteID)})
	if err == nil || connector.KindOf(err) != connector.NotFound {
		return err
	}
	if connector.AsError(err).Code == "ENTITY_IS_DELETED" {
		return nil
	}
	return c.confirm(ctx, remove, recordType, []string{remoteID}, []error{err})[0]
}

// noContent makes a call that has nothing to answer but 204.
func (c *Connection) noContent(ctx context.Context, q request) error {
	a, err := c.do(ctx, q)
	if err != nil {
		return err
	}
	if a.Status != http.StatusNoContent {
		return unexpected(a)
	}
	return nil
}

// Find looks a record up by external id.
func (c *Connection) Find(ctx context.Context, recordType, externalID string) (string, error) {
	if err := nameable(recordType, externalID); err != nil {
		return "", err
	}
	id, err := c.lookup(ctx, recordType, externalID)
	if err != nil {
		return "", err
	}
	return id, nil
}

// lookup asks by a query, which takes every external id and tells none, one and
// several apart.
func (c *Connection) lookup(ctx context.Context, recordType, externalID string) (string, *connector.Error) {
	field := c.config.externalField(recordType)
	rows, err := c.query(ctx, find, "SELECT Id, "+field+" FROM "+recordType+" WHERE "+field+" = "+literal(externalID)+" LIMIT 2")
	if err != nil {
		return "", err
	}
	switch len(rows) {
	case 0:
		return "", &connector.Error{Kind: connector.NotFound, Message: fmt.Sprintf("no %s has the external id %q", recordType, externalID)}
	case 1:
	default:
		return "", &connector.Error{Kind: connector.Rejected, Message: fmt.Sprintf("more than one %s has the external id %q: make the field %s unique", recordType, externalID, field)}
	}
	id, got := text(member(rows[0], "Id")), text(member(rows[0], field))
	switch {
	case !recordID.MatchString(id):
		return "", &connector.Error{Kind: connector.Unknown, Message: "the answer to the query names no record"}
	case got != externalID && strings.EqualFold(got, externalID):
		return "", &connector.Error{Kind: connector.Rejected, Message: fmt.Sprintf(
			"the %s with the external id %q differs from %q in capitals only, and Salesforce takes the two for one: make the field %s case sensitive", recordType, got, externalID, field)}
	}
	return id, nil
}

// Reference is {"Upkeep_Id__c": "..."} for a field with the name of a
// relationship, and the plain id for an id field: "AccountId" and "Invoice__c" are
// id fields, "Account" and "Invoice__r" relationships.
func (c *Connection) Reference(ref connector.Ref) (json.RawMessage, error) {
	if !relationship(ref.Field) {
		if !recordID.MatchString(ref.RemoteID) {
			return nil, fmt.Errorf("reference to %s %q: %q is not an id of Salesforce", ref.Type, ref.ExternalID, exchange.Cut(ref.RemoteID, 80))
		}
		return json.RawMessage(`"` + ref.RemoteID + `"`), nil
	}
	if err := nameable(ref.Type, ref.ExternalID); err != nil {
		return nil, fmt.Errorf("reference by external id in %s: %w", ref.Field, err)
	}
	out := map[string]any{c.config.externalField(ref.Type): ref.ExternalID}
	if polymorphic(ref.Field) {
		out["attributes"] = map[string]string{"type": ref.Type}
	}
	return encodeJSON(out)
}

// relationship tells a relationship from an id field by its name. Salesforce's
// own id fields end in Id and custom ones in __c, without exception.
func relationship(field string) bool {
	return field != "" && !strings.HasSuffix(field, "Id") && !strings.HasSuffix(strings.ToLower(field), "__c")
}

// polymorphic relationships lead to records of several types, so that a
// reference by external id must say which.
func polymorphic(field string) bool {
	return strings.EqualFold(field, "Who") || strings.EqualFold(field, "What") || strings.EqualFold(field, "Owner")
}
