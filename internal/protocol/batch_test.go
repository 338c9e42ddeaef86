package protocol

import "testing"

// eachBatch explores the machine with each class of remote and each change that
// it may not take, until something is found.
func eachBatch(t *testing.T, rules batchRules) (found violation) {
	for _, class := range []class{upsert, lookup} {
		for _, bad := range [][2]bool{{}, {true, false}, {true, true}} {
			for _, whole := range []bool{false, true} {
				p := batchProtocol{batchRules: rules, class: class, bad: bad, whole: whole}
				v := walk(batchState{faults: 2}, p.next, p.broken, p.ended)
				t.Logf("class %d, not taken %v, whole request %v: %v", class, bad, whole, v)
				if v.violation != "" {
					return v.violation
				}
			}
		}
	}
	return ""
}

func TestBatch(t *testing.T) {
	if found := eachBatch(t, batchRules{}); found != "" {
		t.Error(found)
	}
}

func TestBrokenBatches(t *testing.T) {
	for name, c := range map[string]struct {
		rules batchRules
		finds violation
	}{
		"a change without a result counts as done":  {batchRules{missingIsSuccess: true}, falseClean},
		"an unknown outcome counts as not applied":  {batchRules{unknownIsFailure: true}, duplicate},
		"results are matched by their place":        {batchRules{byPosition: true}, falseClean},
		"a refused request parks all of it":         {batchRules{refusedIsAll: true}, wronglyParked},
		"a refused request is sent again as it was": {batchRules{alwaysTogether: true}, stuck},
	} {
		t.Run(name, func(t *testing.T) {
			if found := eachBatch(t, c.rules); found != c.finds {
				t.Errorf("found %q, want %q", found, c.finds)
			}
		})
	}
}
