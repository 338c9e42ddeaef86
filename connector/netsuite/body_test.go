package netsuite

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
)

func TestEncode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, field, body string
		list              bool
	}{
		{"scalar byte for byte", `12.50`, `12.50`, false},
		{"big number", `9007199254740993.000`, `9007199254740993.000`, false},
		{"text with a bracket", `"[<a>]"`, `"[<a>]"`, false},
		{"null", `null`, `null`, false},
		{"reference", `{"id":"110"}`, `{"id":"110"}`, false},
		{"list", `[{"q":1.50},{"q":2}]`, `{"items":[{"q":1.50},{"q":2}]}`, true},
		{"empty list", `[]`, `{"items":[]}`, true},
		{"list in NetSuite's form", `{"items":[{"q":1}]}`, `{"items":[{"q":1}]}`, true},
		{"list in a line", `[{"d":{"a":[{"n":"1"}]}}]`, `{"items":[{"d":{"a":{"items":[{"n":"1"}]}}}]}`, true},
		{"list in a subrecord", `{"a":[1]}`, `{"a":{"items":[1]}}`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			body, lists, fail := encode(connector.Fields{"f": json.RawMessage(c.field)}, "")
			if fail != nil || string(body) != `{"f":`+c.body+`}` || slices.Contains(lists, "f") != c.list {
				t.Errorf("got %s, lists %v, %v; want %s", body, lists, fail, c.body)
			}
		})
	}
	body, _, fail := encode(connector.Fields{"ExternalID": json.RawMessage(`"other"`)}, "a<b")
	if fail != nil || string(body) != `{"externalId":"a<b"}` {
		t.Errorf("external id: %s, %v", body, fail)
	}
	if body, _, _ = encode(nil, ""); string(body) != `{}` {
		t.Errorf("no fields: %s", body)
	}
	for _, bad := range []string{"", "{", "nul", "[1"} {
		if _, _, fail := encode(connector.Fields{"f": json.RawMessage(bad)}, ""); fail == nil || fail.Kind != connector.Rejected {
			t.Errorf("%q: %v", bad, fail)
		}
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	const ref = `{"links":[{"rel":"self","href":"https://x/1"}],"id":"110","refName":"Shop"}`
	for _, c := range []struct{ name, want, got, out string }{
		{"number forms", `12.50`, `12.5`, `12.50`},
		{"whole number", `3`, `3.0`, `3`},
		{"other number", `3`, `4.0`, `4.0`},
		{"text of a number", `"12.50"`, `12.5`, `"12.50"`},
		{"text of another number", `"12.50"`, `13.5`, `"13.5"`},
		{"number of a text", `42`, `"42"`, `42`},
		{"no number", `42`, `"x"`, `"x"`},
		{"reference", `{"id":"110"}`, ref, `{"id":"110"}`},
		{"other reference", `{"id":"111"}`, ref, `{"id":"110"}`},
		{"reference by number", `{"id":110}`, ref, `{"id":110}`},
		{"bare reference", `"110"`, ref, `"110"`},
		{"bare number reference", `68`, ref, `110`},
		{"choice", `"B"`, `{"id":"B","refName":"Pending"}`, `"B"`},
		{"simple choice", `{"id":"B"}`, `"B"`, `{"id":"B"}`},
		{"no reference", `{"id":"110"}`, ``, `null`},
		{"date", `"2026-01-31"`, `"2026-01-31"`, `"2026-01-31"`},
		{"date as a time", `"2026-01-31"`, `"2026-01-31T00:00:00Z"`, `"2026-01-31"`},
		{"time in another zone", `"2026-01-31T01:00:00+01:00"`, `"2026-01-31T00:00:00Z"`, `"2026-01-31T01:00:00+01:00"`},
		{"other time", `"2026-01-31T01:00:00Z"`, `"2026-01-31T00:00:00Z"`, `"2026-01-31T00:00:00Z"`},
		{"nothing for empty", `""`, ``, `""`},
		{"something for empty", `""`, `"x"`, `"x"`},
		{"absent", `"x"`, ``, `null`},
		{"null for nothing", `null`, ``, `null`},
		{"null for an empty text", `null`, `""`, `null`},
		{"null for an empty list", `null`, `{"links":[],"items":[],"totalResults":0}`, `null`},
		{"null for something", `null`, ref, `{"id":"110","refName":"Shop"}`},
		{"true", `true`, `true`, `true`},
		{"not true", `true`, `false`, `false`},
		{"lines", `[{"item":{"id":"7"},"quantity":2}]`,
			`{"links":[],"items":[{"links":[],"line":1,"item":{"id":"7","refName":"W"},"quantity":2.0,"amount":9}],"totalResults":1}`, `[{"item":{"id":"7"},"quantity":2}]`},
		{"fewer lines", `[{"quantity":2},{"quantity":3}]`, `{"items":[{"line":1,"quantity":2.0}]}`, `[{"quantity":2}]`},
		{"more lines", `[{"quantity":2}]`, `{"items":[{"quantity":2.0,"x":1},{"quantity":3,"x":1}]}`, `[{"quantity":2},{"quantity":3}]`},
		{"no lines", `[]`, `{"items":[]}`, `[]`},
		{"no list", `[]`, ``, `[]`},
		{"lines in NetSuite's form", `{"items":[{"quantity":2}]}`, `{"links":[],"items":[{"quantity":2.0,"x":1}]}`, `{"items":[{"quantity":2}]}`},
		{"multi-select", `["1","2"]`, `{"items":[{"id":"1","refName":"a"},{"id":"2"}]}`, `["1","2"]`},
		{"subrecord", `{"addr1":"x","country":{"id":"ES"}}`, `{"links":[],"addr1":"x","city":"y","country":{"id":"ES","refName":"Spain"}}`, `{"addr1":"x","country":{"id":"ES"}}`},
		{"names in another case", `{"ADDR1":"x"}`, `{"addr1":"x"}`, `{"ADDR1":"x"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := map[string]json.RawMessage{}
			if c.got != "" {
				got["fIELD"] = json.RawMessage(c.got)
			}
			out, err := decode(got, connector.Fields{"field": json.RawMessage(c.want)}, nil)
			if err != nil || string(out["field"]) != c.out || len(out) != 1 {
				t.Errorf("got %s, %v; want %s", out["field"], err, c.out)
			}
		})
	}
}

func TestDecodeRefusesHalfAList(t *testing.T) {
	t.Parallel()
	for _, got := range []string{`{"items":[{"q":1}],"hasMore":true}`, `{"items":[{"q":1}],"totalResults":2}`} {
		_, err := decode(map[string]json.RawMessage{"item": json.RawMessage(got)}, connector.Fields{"item": json.RawMessage(`[]`)}, nil)
		if err == nil || !strings.Contains(err.Error(), "only 1 of its lines") {
			t.Errorf("%s: %v", got, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(`{"id":"1"}`, `{"id":"1","links":[]}`)
	f.Add(`[{"a":1}]`, `{"items":[{"a":1.0}]}`)
	f.Add(`"2026-01-31"`, `"2026-01-31T00:00:00Z"`)
	f.Fuzz(func(t *testing.T, want, got string) {
		if !json.Valid([]byte(want)) || !json.Valid([]byte(got)) {
			return
		}
		out, err := decode(map[string]json.RawMessage{"f": json.RawMessage(got)}, connector.Fields{"f": json.RawMessage(want)}, nil)
		if err != nil || !json.Valid(out["f"]) {
			t.Fatalf("%s, %v", out["f"], err)
		}
		// Reading what one sent is no difference, if names don't clash.
		same, err := decode(map[string]json.RawMessage{"f": json.RawMessage(want)}, connector.Fields{"f": json.RawMessage(want)}, nil)
		if err != nil || string(same["f"]) != want && !strings.Contains(want, ":") {
			t.Fatalf("%s read as itself is %s, %v", want, same["f"], err)
		}
	})
}
