package setup

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/upkeep-sync/upkeep"
	"github.com/upkeep-sync/upkeep/connector"
)

// Warnings are those of [Check] that cost no call to a remote: what the file
// hardly means, what a connection is cautious of, and what the database warns of.
// A database that does not answer says so elsewhere.
func (s *Setup) Warnings(ctx context.Context) (found []upkeep.Finding) {
	for _, e := range s.doubts {
		found = append(found, upkeep.Finding{Severity: upkeep.Warning, Subject: fmt.Sprintf("%s:%d:%d", e.File, e.Line, e.Column), Message: e.Message, Fix: e.Help})
	}
	for _, name := range slices.Sorted(maps.Keys(s.Remotes)) {
		if c, ok := s.Remotes[name].Connection.(connector.Cautious); ok {
			for _, x := range c.Cautions() {
				found = append(found, upkeep.Finding{Severity: upkeep.Warning, Subject: name, Message: x.What, Fix: x.Help})
			}
		}
	}
	if s.Engine == nil {
		return found
	}
	told, _ := s.Engine.Rights(ctx)
	return append(found, slices.DeleteFunc(told, func(f upkeep.Finding) bool { return f.Severity != upkeep.Warning })...)
}
