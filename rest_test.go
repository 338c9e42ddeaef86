package upkeep

import (
	"testing"
	"time"
)

func TestRestBetweenFolds(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for _, c := range []struct {
		took time.Duration
		rows int
		want time.Duration
	}{
		{ms, 1, 3 * ms}, {ms, 39, 3 * ms}, // the cores have room
		{4 * ms, 1, 12 * ms}, {4 * ms, 100, 40 * ms}, {4 * ms, 500, foldRest}, // they have none, and there are many
		{50 * ms, 1, foldRest}, {5 * time.Second, foldLimit, foldRest},
	} {
		if got := rest(c.took, c.rows); got != c.want {
			t.Errorf("after a fold of %d rows that took %s: %s, want %s", c.rows, c.took, got, c.want)
		}
	}
}
