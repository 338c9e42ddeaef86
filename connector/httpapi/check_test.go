package httpapi_test

import (
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
)

// A type that can't be looked up is warned of, unless its records are known by
// our key.
func TestWithoutFind(t *testing.T) {
	t.Parallel()
	conn, _ := answering(t, `
records:
  none: {upsert: {path: /n/$external_id}, delete: {path: /n/$id}}
  found: {upsert: {path: /f/$external_id}, delete: {path: /f/$id}, find: {path: /f/$external_id}}
  ours: {id: external_id, upsert: {path: /o/$external_id}, delete: {path: /o/$id}}
  kept: {upsert: {path: /k/$external_id}}
`, nil, ok)
	var warned []string
	for _, c := range conn.(connector.Cautious).Cautions() {
		warned = append(warned, c.What)
	}
	if len(warned) != 1 || !strings.Contains(warned[0], "record type none has no find") {
		t.Errorf("warned of %q", warned)
	}
	for name, want := range map[string]bool{"none": false, "found": true, "ours": true, "kept": false} {
		if got := conn.(connector.Finder).Finds(name); got != want {
			t.Errorf("%s: finds %v", name, got)
		}
	}
}
