package config

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"testing"
)

// The schema is written by hand; it must know the keys that the reader knows.
func TestSchemaHasTheReadersKeys(t *testing.T) {
	t.Parallel()
	var s map[string]any
	if err := json.Unmarshal(Schema(), &s); err != nil {
		t.Fatal(err)
	}
	at := func(path ...any) map[string]any {
		var v any = s
		for _, p := range path {
			switch p := p.(type) {
			case string:
				v = v.(map[string]any)[p]
			case int:
				v = v.([]any)[p]
			}
		}
		m, ok := v.(map[string]any)
		if !ok {
			t.Fatalf("no object at %v", path)
		}
		return m
	}
	for _, tt := range []struct {
		name string
		got  map[string]any
		want []string
	}{
		{"file", at("properties"), fileKeys},
		{"remote", at("definitions", "remote", "properties"), remoteKeys},
		{"sync", at("definitions", "sync", "properties"), syncKeys},
		{"root", at("definitions", "root", "anyOf", 1, "properties"), rootKeys},
		{"relation", at("definitions", "relation", "anyOf", 1, "properties"), relationKeys},
	} {
		if got, want := slices.Sorted(maps.Keys(tt.got)), slices.Sorted(slices.Values(tt.want)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the schema has %v, the reader %v", tt.name, got, want)
		}
	}
}
