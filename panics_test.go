package upkeep

import (
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// A panic is told of the function that it is in.
func TestPanicsAreToldWhereTheyAre(t *testing.T) {
	fine := func(Row) (Fields, error) { return Fields{}, nil }
	for want, m := range map[string]Mapping{
		"external id: panic: oh, at ": {Translate: fine, ExternalID: func(Row) (string, error) { panic("oh") }},
		"when: panic: oh, at ":        {Translate: fine, When: func(Row) (bool, error) { panic("oh") }},
		"translate: panic: oh, at ":   {Translate: func(Row) (Fields, error) { panic("oh") }, When: func(Row) (bool, error) { return true, nil }},
	} {
		j := &job{def: &definition{Mapping: m}, composite: &store.Composite{Row: Row{}}}
		if j.translate(); !strings.HasPrefix(j.result.Reason, want) {
			t.Errorf("got %q, want %q", j.result.Reason, want)
		}
	}
}
