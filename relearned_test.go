package upkeep

import (
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// A process that learns its tables anew, as when a migration is undone, takes turns
// with nobody; two that install theirs again and again do.
func TestWhoTakesTurns(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		holders string // of the notes, newest first; their plans alternate
		want    Severity
	}{{"aaaa", ""}, {"aa", ""}, {"aab", ""}, {"aba", Warning}, {"abab", Problem}} {
		var notes []store.PlanNote
		for i, h := range c.holders {
			notes = append(notes, store.PlanNote{Plan: string('p' + rune(i%2)), Holder: string(h), At: now.Add(-time.Duration(i) * time.Minute)})
		}
		found := turnFindings(notes, now)
		if len(found) > 0 != (c.want != "") || len(found) > 0 && found[0].Severity != c.want {
			t.Errorf("%s: %+v, want severity %q", c.holders, found, c.want)
		}
	}
}
