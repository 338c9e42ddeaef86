package protocol

import "testing"

var allNeeds = [][2]bool{{false, false}, {true, false}, {false, true}, {true, true}}

func TestPair(t *testing.T) {
	for _, needs := range allNeeds {
		states, found := pair{needs: needs}.check()
		if found != "" {
			t.Errorf("refused without its reference %v: %s", needs, found)
		}
		if states < 20 {
			t.Errorf("hardly anything was searched: %d states", states)
		}
		t.Logf("refused without its reference %v: %d states", needs, states)
	}
}

func TestBrokenPairs(t *testing.T) {
	for name, c := range map[string]struct {
		rules pairRules
		finds violation
	}{
		"both always wait":                           {pairRules{neverPart: true}, stuck},
		"no net under a wait":                        {pairRules{noNet: true}, stuck},
		"a record without its reference is synced":   {pairRules{partIsSynced: true}, falseClean},
		"digests of what was left out":               {pairRules{digestsAll: true}, falseClean},
		"who is refused waits for nobody":            {pairRules{parkedForgets: true}, stuck},
		"the other's success does not free":          {pairRules{parkedStays: true}, stuck},
		"a success before the refusal does not free": {pairRules{parkedMissed: true}, stuck},
	} {
		t.Run(name, func(t *testing.T) {
			var found violation
			for _, needs := range allNeeds {
				if _, v := (pair{pairRules: c.rules, needs: needs}).check(); v != "" {
					found = v
					break
				}
			}
			if found != c.finds {
				t.Errorf("found %q, want %q", found, c.finds)
			}
		})
	}
}
