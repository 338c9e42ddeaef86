package main

import (
	"strings"
	"testing"
)

func TestDifferencesOfLongValuesAreShown(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 200)
	for _, c := range []struct{ s, other, want string }{
		{"short", "other", "short"},
		{long + "A" + long, long + "B" + long, "…" + strings.Repeat("é", 20) + "A" + strings.Repeat("é", 39) + "…"},
		{"A" + long, "B" + long, "A" + strings.Repeat("é", 59) + "…"},
		{long + "A", long, "…" + strings.Repeat("é", 59) + "A"},
		{long, "", strings.Repeat("é", 60) + "…"},
	} {
		if got := around(c.s, c.other); got != c.want {
			t.Errorf("around the difference of a text of %d and one of %d bytes is %q, want %q", len(c.s), len(c.other), got, c.want)
		}
	}
}
