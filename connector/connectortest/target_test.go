package connectortest

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
)

// reader is a connection of which only the abilities count.
type reader struct {
	connector.Connection
	connector.Reader
}

func TestTargetSaysWhatItLacks(t *testing.T) {
	if got := (Target{}).incomplete(); !slices.Equal(got, []string{"Connection"}) {
		t.Errorf("an empty target lacks %q", got)
	}
	whole := Target{
		Connection: reader{}, Type: "t", Text: "a", Other: "b", LongText: 255, Number: "n", Numbers: []string{"1", "2", "3", "4"},
		Date: "d", Time: "e", List: "l", Line: func(int, int) json.RawMessage { return nil },
		RefField: "r", Ref: func(*testing.T) connector.Ref { return connector.Ref{} },
		Count: func(string, string) int { return 0 }, Fail: func(Fault) {}, Heal: func() {},
	}
	if got := whole.incomplete(); len(got) > 0 {
		t.Errorf("a whole target lacks %q", got)
	}
	whole.LongText, whole.Line, whole.Connection = 254, nil, struct{ connector.Connection }{}
	want := []string{"LongText (255 or more)", "Line", "Stored (the connection is no connector.Reader)"}
	slices.Sort(want)
	if got := whole.incomplete(); !slices.Equal(got, want) {
		t.Errorf("the target lacks %q, want %q", got, want)
	}
}
