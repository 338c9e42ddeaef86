package upkeep

import (
	"testing"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// What was given up is known by the reason, which is all that is kept of a version
// that is parked; groups that met the same at last have one cause.
func TestWhatIsToldOfARefusal(t *testing.T) {
	t.Parallel()
	version := &store.Command{Number: 3}
	for reason, x := range map[string]struct {
		command     *store.Command
		what, cause string
	}{
		"rejected (HTTP 400): no":     {nil, "refused; the group is parked until its data or its mapping changes", "rejected (HTTP 400)"},
		givenUp(12, "busy: locked"):   {nil, "given up; the group is parked until its data or its mapping changes", "busy"},
		givenUp(1, "busy: locked"):    {nil, "given up; the group is parked until its data or its mapping changes", "busy"},
		"given up after some thought": {nil, "refused; the group is parked until its data or its mapping changes", "given up after some thought"},
		refusal(version, "rejected: no"): {version,
			"a version was refused; the group is parked until the mapping changes, or a person decides: upkeep retry, or upkeep skip", "rejected"},
		refusal(version, givenUp(12, "busy: locked")): {version,
			"a version was given up; the group is parked until the mapping changes, or a person decides: upkeep retry, or upkeep skip", "busy"},
	} {
		j := &job{command: x.command, result: store.Result{Outcome: store.Refused, Reason: reason}}
		if what, cause := j.whatRefused(), j.cause(); what != x.what || cause != x.cause {
			t.Errorf("of %q it is told: %q, for %q", reason, what, cause)
		}
	}
}
