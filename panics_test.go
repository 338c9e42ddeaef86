package upkeep

import (
	"fmt"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
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

// own is an error type of a program, whose text needs the value.
type own struct{ text string }

func (o *own) Error() string { return o.text }

// A nil pointer that is returned as an error is told as what the function returned,
// whatever its type.
func TestNilErrorsAreToldWhereTheyAre(t *testing.T) {
	fine := func(Row) (Fields, error) { return Fields{}, nil }
	var remote *connector.Error
	var mine *own
	const told = ": it returned an error that holds a nil *%[1]s, which is not nil in Go: where nothing failed return nil itself, and declare variables for it as error, not as *%[1]s"
	for want, m := range map[string]Mapping{
		"external id" + fmt.Sprintf(told, "connector.Error"):              {Translate: fine, ExternalID: func(Row) (string, error) { return "x", remote }},
		"when" + fmt.Sprintf(told, "upkeep.own"):                          {Translate: fine, When: func(Row) (bool, error) { return true, mine }},
		"translate" + fmt.Sprintf(told, "connector.Error"):                {Translate: func(Row) (Fields, error) { return Fields{}, remote }},
		"translate" + fmt.Sprintf(told, "upkeep.own"):                     {Translate: func(Row) (Fields, error) { return Fields{}, mine }},
		"translate: create fields" + fmt.Sprintf(told, "connector.Error"): {Translate: fine, CreateFields: func(Row) (Fields, error) { return Fields{}, remote }},
		"translate: initialize" + fmt.Sprintf(told, "upkeep.own"):         {Translate: fine, Initialize: func(Row) (Reference, error) { return Reference{}, mine }},
		"translate: outcome unknown: the remote's own":                    {Translate: func(Row) (Fields, error) { return nil, &connector.Error{Message: "the remote's own"} }},
		"translate: field a: outcome unknown: in a chain, which is spared": {Translate: func(Row) (Fields, error) {
			return nil, fmt.Errorf("field a: %w", &connector.Error{Message: "in a chain, which is spared"})
		}},
	} {
		j := &job{def: &definition{Mapping: m}, composite: &store.Composite{Row: Row{}}}
		if j.translate(); j.result.Reason != want {
			t.Errorf("got\n%s, want\n%s", j.result.Reason, want)
		}
	}
}
