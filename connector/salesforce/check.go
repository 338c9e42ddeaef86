package salesforce

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/spelling"
)

// Check logs in, looks at the daily requests, and compares the record types and
// fields that are used with what the integration's user sees of them.
func (c *Connection) Check(ctx context.Context, uses []connector.Use) []error {
	// It takes a login, and nothing else that may be lacking.
	if err := c.limits(ctx); err != nil {
		return []error{err} // everything else would fail alike
	}
	var problems []error
	if used, limit, known := c.Quota(); known {
		if left := c.quota.reserve.of(limit); limit-used <= left {
			return []error{fmt.Errorf("%d of the org's %d requests in 24 hours are used, and %d are left to others (reserve): nothing would be sent now", used, limit, left)}
		}
	}
	shapes := map[string]*objectShape{}
	unknown, failed := map[string]error{}, map[string]error{}
	for _, u := range uses {
		key := strings.ToLower(u.Type)
		if shapes[key] == nil && unknown[key] == nil && failed[key] == nil {
			s, err := c.describe(ctx, u.Type)
			switch {
			case err == nil:
				shapes[key] = s
				problems = append(problems, c.checkExternal(s)...)
			case err.Kind == connector.Rejected:
				unknown[key] = fmt.Errorf("Salesforce has no record type %q%s; the name must be right, and the integration's user must see the object", u.Type, spelling.DidYouMean(u.Type, c.types(ctx)))
			default:
				failed[key] = fmt.Errorf("can't read the description of record type %s: %w", u.Type, err)
			}
		}
		switch {
		case unknown[key] != nil:
			problems = append(problems, u.Problem("", "%w", unknown[key]))
		case failed[key] != nil:
			problems = append(problems, fmt.Errorf("sync %s: %w", u.Sync, failed[key]))
		default:
			problems = append(problems, checkUse(u, shapes[key])...)
		}
	}
	return problems
}

// checkUse looks at a sync's fields.
func checkUse(u connector.Use, s *objectShape) (problems []error) {
	problem := func(field, format string, args ...any) {
		problems = append(problems, u.Problem(field, format, args...))
	}
	if !s.Createable || !s.Updateable {
		problem("", "the integration's user may not create and edit records of %s: give the object's permissions to its permission set", s.Name)
	}
	for _, name := range u.Fields {
		f := s.field(name)
		if f == nil {
			f = s.relationship(name)
		}
		switch {
		case f == nil:
			problem(name, "record type %s has no field or relationship %q%s; one that is missing may also be one that the integration's user may not see", s.Name, name, spelling.DidYouMean(name, s.names()))
		case !f.Createable && !f.Updateable:
			problem(name, "field %s of record type %s can't be written: it is computed, or the integration's user lacks the right to edit it", f.Name, s.Name)
		case !f.Createable:
			problem(name, "field %s of record type %s can't be set when a record is created", f.Name, s.Name)
		case !f.Updateable && slices.Contains(u.Updated, name):
			problem(name, "field %s of record type %s can't be changed once the record is made: put it under create_fields; if it is a master-detail relationship, its setting Allow reparenting would let it change", f.Name, s.Name)
		}
	}
	return problems
}

// checkExternal looks at a record type's external id field.
func (c *Connection) checkExternal(s *objectShape) (problems []error) {
	name := c.config.externalField(s.Name)
	problem := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("external id field %s of record type %s: %s", name, s.Name, fmt.Sprintf(format, args...)))
	}
	f := s.field(name)
	switch {
	case f == nil:
		problem("it does not exist, or the integration's user may not see it%s: make a text field, unique and case sensitive, and check External ID; or name another with external_id", spelling.DidYouMean(name, s.names()))
	case !f.IDLookup && !f.ExternalID:
		problem("it is not an external id: check External ID in its settings")
	case !f.Unique:
		problem("it is not unique, so that one record could become two: make it unique and case sensitive in its settings")
	case !f.Createable:
		problem("the integration's user may not write it: give it to the permission set")
	case (f.Type == "string" || f.Type == "email") && !f.CaseSensitive:
		problem("it is not case sensitive, so that external ids that differ in capitals only would be one record: make it case sensitive in its settings")
	}
	return problems
}

func (s *objectShape) names() []string {
	var names []string
	for _, f := range s.Fields {
		names = append(names, f.Name)
		if f.RelationshipName != "" {
			names = append(names, f.RelationshipName)
		}
	}
	return names
}

// types lists the record types that the user sees; none when they can't be
// had, since they only serve to make a better proposal.
func (c *Connection) types(ctx context.Context) []string {
	a, err := c.do(ctx, request{verb: examine, method: http.MethodGet, path: "/sobjects"})
	if err != nil {
		return nil
	}
	var got struct {
		Objects []struct {
			Name string `json:"name"`
		} `json:"sobjects"`
	}
	if json.Unmarshal(a.Body, &got) != nil {
		return nil
	}
	var names []string
	for _, o := range got.Objects {
		names = append(names, o.Name)
	}
	return names
}
