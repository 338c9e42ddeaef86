package netsuite

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/spelling"
)

// Check logs in and compares the types and fields that are used with the
// account's metadata catalog, which is what the role may see of it.
func (c *Connection) Check(ctx context.Context, uses []connector.Use) []error {
	if err := c.checkLogin(ctx); err != nil {
		return []error{err} // everything else would fail alike
	}
	var problems []error
	schemas := map[string]*schema{}
	for _, u := range uses {
		key := strings.ToLower(u.Type)
		s, asked := schemas[key]
		if !asked {
			s = c.schema(ctx, u.Type)
			schemas[key] = s
		}
		problems = append(problems, linesOfOrder(u)...)
		switch {
		case s.err != nil:
			problems = append(problems, fmt.Errorf("sync %s: can't read the metadata of record type %s: %w", u.Sync, u.Type, s.err))
		case s.unknown:
			problems = append(problems, u.Problem("", "NetSuite has no record type %q%s; the name must be right, and the role must have a permission for it",
				u.Type, spelling.DidYouMean(u.Type, c.types(ctx))))
		default:
			for _, f := range u.Fields {
				if !s.has(f) {
					problems = append(problems, u.Problem(f, "record type %s has no field %q%s; a field that is missing may also be one that the role may not see",
						u.Type, f, spelling.DidYouMean(f, s.fields)))
				}
			}
		}
	}
	return problems
}

// linesOfOrder finds the lists that [Connection.Update] refuses, as far as it is
// known what is in them.
func linesOfOrder(u connector.Use) (problems []error) {
	for _, list := range u.Columns {
		if !list.Once && ofOrder(func(name string) bool {
			return slices.ContainsFunc(list.List, func(c connector.Column) bool { return strings.EqualFold(c.Name, name) })
		}) {
			problems = append(problems, u.Problem(list.Name, "%s%s", list.Name, onlyOnce))
		}
	}
	return problems
}

// checkLogin asks for something that every login may ask for. Only
// administrators may see the limits: a refusal of the right is a good login.
func (c *Connection) checkLogin(ctx context.Context) error {
	_, err := c.do(ctx, request{verb: examine, method: http.MethodGet, path: "/system/v1/governanceLimits"})
	if err == nil {
		return nil
	}
	switch {
	case err.Status == http.StatusUnauthorized, err.Status == 0, err.Kind == connector.Unavailable, err.Kind == connector.Unknown, err.Kind == connector.RateLimited:
		return err
	}
	return nil
}

// schema is what the catalog says of a record type.
type schema struct {
	fields  []string
	unknown bool
	err     error
}

func (s *schema) has(field string) bool {
	return slices.ContainsFunc(s.fields, func(f string) bool { return strings.EqualFold(f, field) })
}

func (c *Connection) schema(ctx context.Context, recordType string) *schema {
	a, err := c.do(ctx, request{verb: examine, method: http.MethodGet, path: "/record/v1/metadata-catalog/" + url.PathEscape(recordType), accept: "application/schema+json"})
	if err != nil {
		if err.Kind == connector.NotFound || err.Kind == connector.Rejected && (err.Status == http.StatusNotFound || err.Status == http.StatusBadRequest) {
			return &schema{unknown: true}
		}
		return &schema{err: err}
	}
	var got struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if json.Unmarshal(a.body, &got) != nil || len(got.Properties) == 0 {
		return &schema{err: unexpected(a)}
	}
	s := &schema{}
	for name := range got.Properties {
		s.fields = append(s.fields, name)
	}
	return s
}

// types lists the record types that the role sees; none when they can't be
// had, since they only serve to make a better proposal.
func (c *Connection) types(ctx context.Context) []string {
	a, err := c.do(ctx, request{verb: examine, method: http.MethodGet, path: "/record/v1/metadata-catalog"})
	if err != nil {
		return nil
	}
	var got struct {
		Items []struct {
			Name string `json:"name"`
		} `json:"items"`
	}
	if json.Unmarshal(a.body, &got) != nil {
		return nil
	}
	var names []string
	for _, t := range got.Items {
		names = append(names, t.Name)
	}
	return names
}
