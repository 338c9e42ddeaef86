package upkeep

import (
	"testing"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// What differs between the groups that one cause parks is no part of the cause:
// the number of a version, and the others of a circle.
func TestCausesAreAlike(t *testing.T) {
	t.Parallel()
	causes := map[string]bool{}
	for n := range 2 {
		j := &job{command: &store.Command{Number: int64(n)}}
		j.refuse("rejected (HTTP 400): no " + string(rune('a'+n)))
		causes[j.cause()] = true
	}
	if !causes["rejected (HTTP 400)"] || len(causes) != 1 {
		t.Errorf("the causes of refused versions are %v", causes)
	}
	clear(causes)
	for _, key := range []string{"1", "2"} {
		j := &job{claim: store.Claim{ID: store.ID{Sync: "team", Key: key}}, lacks: []store.ID{{Sync: "person", Key: key}}, leftOut: []string{"lead"}}
		j.finish(j.refusedInPart("no, " + key))
		causes[j.cause()] = true
	}
	if len(causes) != 1 {
		t.Errorf("the causes of circles are %v", causes)
	}
}
