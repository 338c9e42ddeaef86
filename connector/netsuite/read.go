package netsuite

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
)

// Read returns the fields that want names.
func (c *Connection) Read(ctx context.Context, recordType, remoteID string, want connector.Fields) (connector.Fields, error) {
	if err := internal(remoteID); err != nil {
		return nil, err
	}
	a, err := c.do(ctx, request{verb: read, method: http.MethodGet, path: recordPath(recordType, remoteID), query: "expandSubResources=true"})
	if err != nil {
		return nil, err
	}
	var got map[string]json.RawMessage
	if json.Unmarshal(a.body, &got) != nil || got == nil || len(got) == 0 {
		return nil, unexpected(a)
	}
	fields, fail := decode(got, want, func(reference map[string]any) error { return c.nameReference(ctx, reference) })
	var failed *connector.Error
	if errors.As(fail, &failed) {
		return nil, failed
	}
	if fail != nil {
		return nil, &connector.Error{Kind: connector.Unknown, Status: a.status, Message: "the record can't be read", Err: fail}
	}
	return fields, nil
}

// nameReferences tells name each reference in got that want has by external id
// and got has without one.
func nameReferences(want, got any, name func(map[string]any) error) error {
	switch w := want.(type) {
	case []any:
		if m, ok := got.(map[string]any); ok {
			got = m["items"]
		}
		items, _ := got.([]any)
		for i, x := range items {
			if len(w) == 0 {
				break
			}
			if err := nameReferences(w[min(i, len(w)-1)], x, name); err != nil {
				return err
			}
		}
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return nil
		}
		if _, byExternal := w["externalId"]; byExternal && name != nil && member(g, "externalId") == nil {
			return name(g)
		}
		for k, x := range w {
			if err := nameReferences(x, member(g, k), name); err != nil {
				return err
			}
		}
	}
	return nil
}

// nameReference adds the external id to a reference that NetSuite answered
// with the internal one alone, from the record that its link leads to.
func (c *Connection) nameReference(ctx context.Context, reference map[string]any) error {
	id, _ := reference["id"].(string)
	recordType := linkedType(reference)
	if !internalID(id) || recordType == "" {
		return nil // it stays a difference
	}
	path := recordPath(recordType, id)
	if name, known := c.names.get(path, c.config.Clock()); known {
		reference["externalId"] = name
		return nil
	}
	a, err := c.do(ctx, request{verb: read, method: http.MethodGet, path: path, query: "fields=externalId"})
	if err != nil {
		return err
	}
	var got struct {
		ExternalID any `json:"externalId"`
	}
	if json.Unmarshal(a.body, &got) != nil {
		return unexpected(a)
	}
	reference["externalId"] = got.ExternalID
	c.names.put(path, got.ExternalID, c.config.Clock())
	return nil
}

// linkedType is the record type in a reference's link to itself:
// ".../record/v1/inventoryItem/201".
func linkedType(reference map[string]any) string {
	links, _ := reference["links"].([]any)
	for _, l := range links {
		m, _ := l.(map[string]any)
		href, _ := m["href"].(string)
		if _, rest, ok := strings.Cut(href, "/record/v1/"); ok && m["rel"] == "self" {
			recordType, _, _ := strings.Cut(rest, "/")
			return recordType
		}
	}
	return ""
}

// names remembers external ids of records that others refer to for a minute:
// the lines of many orders name few items. The zero value is ready.
type names struct {
	mu    sync.Mutex
	since time.Time
	known map[string]any
}

const (
	namesFor  = time.Minute
	mostNames = 10_000
)

func (n *names) get(path string, now time.Time) (any, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now.Sub(n.since) > namesFor {
		n.known = nil
	}
	name, ok := n.known[path]
	return name, ok
}

func (n *names) put(path string, name any, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known == nil || len(n.known) >= mostNames {
		n.known, n.since = map[string]any{}, now
	}
	n.known[path] = name
}
