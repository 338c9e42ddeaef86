package spelling

import (
	"slices"
	"strings"
	"testing"
)

func TestDistance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "ab", 2}, {"memo", "mem", 1}, {"memo", "meom", 1}, {"entity", "entityId", 2}, {"abc", "xyz", 3}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%q, %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestAlike(t *testing.T) {
	t.Parallel()
	known := []string{"email", "entityId", "Memo", "memos", "id", strings.Repeat("x", 200)}
	for name, want := range map[string][]string{
		"memo": {"Memo", "memos"}, "emial": {"email"}, "entityid": {"entityId"}, "entity": {"entityId"}, "subsidiary": nil, "ic": {"id"}, "x": nil, "": nil,
		strings.Repeat("y", 200): nil,
	} {
		if got := Alike(name, known); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	if got, want := DidYouMean("memo", known), " (did you mean Memo or memos?)"; got != want || DidYouMean("subsidiary", known) != "" {
		t.Errorf("got %q, want %q", got, want)
	}
}
