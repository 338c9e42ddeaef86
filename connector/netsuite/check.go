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
		switch {
		case s.err != nil:
			problems = append(problems, fmt.Errorf("sync %s: can't read the metadata of record type %s: %w", u.Sync, u.Type, s.err))
		case s.unknown:
			problems = append(problems, fmt.Errorf("sync %s: NetSuite has no record type %q%s; the name must be right, and the role must have a permission for it",
				u.Sync, u.Type, didYouMean(u.Type, c.types(ctx))))
		default:
			for _, f := range u.Fields {
				if !s.has(f) {
					problems = append(problems, fmt.Errorf("sync %s: record type %s has no field %q%s; a field that is missing may also be one that the role may not see",
						u.Sync, u.Type, f, didYouMean(f, s.fields)))
				}
			}
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

// didYouMean proposes up to three names that differ in a few letters.
func didYouMean(name string, known []string) string {
	type near struct {
		name     string
		distance int
	}
	var found []near
	for _, k := range known {
		d := distance(strings.ToLower(name), strings.ToLower(k))
		if d <= max(1, min(3, len(name)/3)) {
			found = append(found, near{k, d})
		}
	}
	slices.SortFunc(found, func(a, b near) int {
		if a.distance != b.distance {
			return a.distance - b.distance
		}
		return strings.Compare(a.name, b.name)
	})
	var names []string
	for _, n := range found[:min(3, len(found))] {
		names = append(names, n.name)
	}
	if len(names) == 0 {
		return ""
	}
	return " (did you mean " + strings.Join(names, " or ") + "?)"
}

// distance counts the letters to insert, delete, replace or swap with their
// neighbour.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	rows := make([][]int, len(x)+1)
	for i := range rows {
		rows[i] = make([]int, len(y)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(x); i++ {
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(x)][len(y)]
}
