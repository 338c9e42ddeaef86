package salesforce

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
)

// objectShape is what a describe says of a record type, as far as it is used.
type objectShape struct {
	Name       string       `json:"name"`
	Createable bool         `json:"createable"`
	Updateable bool         `json:"updateable"`
	Fields     []fieldShape `json:"fields"`
}

type fieldShape struct {
	Name             string `json:"name"`
	Type             string `json:"type"`
	RelationshipName string `json:"relationshipName"`
	Createable       bool   `json:"createable"`
	Updateable       bool   `json:"updateable"`
	ExternalID       bool   `json:"externalId"`
	IDLookup         bool   `json:"idLookup"`
	Unique           bool   `json:"unique"`
	CaseSensitive    bool   `json:"caseSensitive"`
}

func (s *objectShape) field(name string) *fieldShape {
	for i := range s.Fields {
		if strings.EqualFold(s.Fields[i].Name, name) {
			return &s.Fields[i]
		}
	}
	return nil
}

func (s *objectShape) relationship(name string) *fieldShape {
	for i := range s.Fields {
		if s.Fields[i].RelationshipName != "" && strings.EqualFold(s.Fields[i].RelationshipName, name) {
			return &s.Fields[i]
		}
	}
	return nil
}

// shapes remembers what record types look like. The zero value is ready.
type shapes struct {
	mu    sync.Mutex
	known map[string]knownShape
}

type knownShape struct {
	*objectShape
	until time.Time
}

// shapeFor is how long a description is believed.
const shapeFor = time.Hour

// shape describes a record type; a call an hour.
func (c *Connection) shape(ctx context.Context, recordType string) (*objectShape, *connector.Error) {
	key, now := strings.ToLower(recordType), c.config.Clock()
	c.shapes.mu.Lock()
	known := c.shapes.known[key]
	c.shapes.mu.Unlock()
	if known.objectShape != nil && now.Before(known.until) {
		return known.objectShape, nil
	}
	s, err := c.describe(ctx, recordType)
	if err != nil {
		return nil, err
	}
	c.shapes.mu.Lock()
	defer c.shapes.mu.Unlock()
	if c.shapes.known == nil {
		c.shapes.known = map[string]knownShape{}
	}
	c.shapes.known[key] = knownShape{s, now.Add(shapeFor)}
	return s, nil
}

func (c *Connection) describe(ctx context.Context, recordType string) (*objectShape, *connector.Error) {
	if !apiName.MatchString(recordType) {
		return nil, rejected("%q is not a record type", recordType)
	}
	a, err := c.do(ctx, request{verb: examine, method: http.MethodGet, path: recordPath(recordType, "describe")})
	if err != nil {
		if err.Kind == connector.NotFound {
			err.Kind = connector.Rejected // no such record type
		}
		return nil, err
	}
	var s objectShape
	if json.Unmarshal(a.Body, &s) != nil || s.Name == "" || len(s.Fields) == 0 {
		return nil, unexpected(a)
	}
	return &s, nil
}
