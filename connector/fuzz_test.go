package connector_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
)

// FuzzProject: a value is itself in its own shape, what is projected is JSON, and
// to project it again changes nothing.
func FuzzProject(f *testing.F) {
	for _, s := range []string{`{"a":1}`, `{"a":1.0,"b":[2]}`, `[{"a":1},{"a":null}]`, `1e3`, `1e400`, `"x"`, `null`, `[]`, `{}`, `[1,"a",[true]]`, "1 2", "{"} {
		f.Add(s, `{"a":1,"c":2}`)
		f.Add(`[{"a":1}]`, s)
	}
	f.Fuzz(func(t *testing.T, want, got string) {
		if !json.Valid([]byte(want)) || !json.Valid([]byte(got)) {
			_, _ = connector.Project(json.RawMessage(want), json.RawMessage(got))
			return
		}
		if same, err := connector.Project(json.RawMessage(want), json.RawMessage(want)); err != nil || string(same) != want {
			t.Errorf("%s in its own shape is %s, %v", want, same, err)
		}
		if whole, err := connector.Project(json.RawMessage("[]"), json.RawMessage(got)); err != nil || !alike(t, string(whole), got) {
			t.Errorf("%s in the shape of any list is %s, %v", got, whole, err)
		}
		once, err := connector.Project(json.RawMessage(want), json.RawMessage(got))
		if err != nil || !json.Valid(once) {
			t.Fatalf("%s in the shape of %s: %s, %v", got, want, once, err)
		}
		if twice, err := connector.Project(json.RawMessage(want), once); err != nil || string(twice) != string(once) {
			t.Errorf("%s in the shape of %s is %s, and that is %s, %v", got, want, once, twice, err)
		}
	})
}

// alike says whether two texts are the same JSON.
func alike(t *testing.T, a, b string) bool {
	t.Helper()
	var values [2]any
	for i, text := range []string{a, b} {
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&values[i]); err != nil {
			t.Fatal(err)
		}
	}
	return reflect.DeepEqual(values[0], values[1])
}
