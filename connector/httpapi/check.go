package httpapi

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/upkeep-sync/upkeep/connector"
)

// Check makes the check request, or says that there is none, and looks whether
// each record type that is used has requests. Which fields an API has it can't
// ask.
func (c *Connection) Check(ctx context.Context, uses []connector.Use) []error {
	if c.check != nil {
		rec := connector.Record{}
		if _, fail := c.do(ctx, c.check, c.scopeOf(&recordAPI{}, reading, rec, ""), identity(reading, connector.Change{Record: rec})); fail != nil {
			return []error{fail} // everything else would fail alike
		}
	}
	var problems []error
	if c.check == nil {
		problems = append(problems, &connector.Untried{What: "the address and the login; they show at the first record",
			Help: "name a request that changes nothing as check in the remote's options, if the API has one"})
	}
	for _, u := range uses {
		r, err := c.of(u.Type)
		switch {
		case err != nil:
			problems = append(problems, u.Problem("", "the options of the remote have no record type %q: add it to records, or \"*\"", u.Type))
		case r.create == nil:
			problems = append(problems, u.Problem("", "record type %s has no create, upsert or event", u.Type))
		case r.update == nil:
			problems = append(problems, u.Problem("", "record type %s has no update", u.Type))
		}
	}
	return problems
}

// Cautions names the record types that can't be looked up. Of class blind all
// of it is so, and of class lookup none.
func (c *Connection) Cautions() (found []connector.Caution) {
	for _, name := range slices.Sorted(maps.Keys(c.records)) {
		r := c.records[name]
		if c.class != upsert || r.create == nil || r.remove == nil || r.finds() {
			continue
		}
		found = append(found, connector.Caution{
			What: fmt.Sprintf("record type %s has no find: when the answer to a request was lost and the row is deleted, nobody can tell whether a record is left, and the group is parked for a person to look", name),
			Help: "give it a find, if the API can look records up by your key; or id: external_id, if the API knows records by it"})
	}
	return found
}
