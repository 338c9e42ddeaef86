package connector_test

import (
	"encoding/json"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
)

func TestProject(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, want, got, out string }{
		{"equal number keeps digits", `12.50`, `12.5`, `12.50`},
		{"exponent", `1200`, `1.2e3`, `1200`},
		{"other number", `12.50`, `12.51`, `12.51`},
		{"beyond float64", `9007199254740993`, `9007199254740992`, `9007199254740992`},
		{"absurd exponent", `1e999999999`, `1e999999998`, `1e999999998`},
		{"members nobody wants", `{"id":"1"}`, `{"id":"1","refName":"x","links":[]}`, `{"id":"1"}`},
		{"lacking member", `{"a":1,"b":2}`, `{"a":1.0}`, `{"a":1,"b":null}`},
		{"lines", `[{"q":1.0},{"q":2}]`, `[{"q":1,"x":0},{"q":3,"x":0}]`, `[{"q":1.0},{"q":3}]`},
		{"more lines", `[{"q":1}]`, `[{"q":1},{"q":2,"x":0}]`, `[{"q":1},{"q":2}]`},
		{"fewer lines", `[{"q":1},{"q":2}]`, `[{"q":1}]`, `[{"q":1}]`},
		{"no lines", `[]`, `[{"q":1}]`, `[{"q":1}]`},
		{"white space of want", `{ "a" : "<é>" }`, `{"a":"<é>"}`, `{ "a" : "<é>" }`},
		{"html stays", `"x"`, `"<&>"`, `"<&>"`},
		{"other type", `"1"`, `1`, `1`},
		{"object for text", `"1"`, `{"id":"1"}`, `{"id":"1"}`},
		{"null", `null`, `null`, `null`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out, err := connector.Project(json.RawMessage(c.want), json.RawMessage(c.got))
			if err != nil || string(out) != c.out {
				t.Errorf("got %s, %v; want %s", out, err, c.out)
			}
		})
	}
	if out, err := connector.Project(json.RawMessage(`"x"`), nil); err != nil || string(out) != "null" {
		t.Errorf("of a field that is not there: %s, %v; want null", out, err)
	}
	for _, bad := range []string{``, `{`, `nul`} {
		if _, err := connector.Project(json.RawMessage(`1`), json.RawMessage(bad)); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}
