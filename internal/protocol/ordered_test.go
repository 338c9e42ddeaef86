package protocol

import "testing"

func eachOrder(t *testing.T, rules orderedRules) verdict {
	for bad := range uint8(4) { // 0: the remote takes every version
		p := orderedProtocol{orderedRules: rules, bad: bad}
		v := walk(orderedState{row: 1, numbers: 1, made: 1 << 1, waiting: [4]uint8{1}, commits: 2, faults: 2}, p.next, p.broken, func(s orderedState) bool { return s.clean })
		t.Logf("version %d is refused: %v", bad, v)
		if v.violation != "" {
			return v
		}
	}
	return verdict{}
}

func TestOrdered(t *testing.T) {
	if v := eachOrder(t, orderedRules{}); v.violation != "" {
		t.Error(v)
	}
}

func TestBrokenOrders(t *testing.T) {
	for name, c := range map[string]struct {
		rules orderedRules
		finds violation
	}{
		"the state goes before commands":            {orderedRules{stateFirst: true}, disordered},
		"no look for commands after the load":       {orderedRules{lookedOnce: true}, disordered},
		"after a refusal the next one goes":         {orderedRules{skipRefused: true}, disordered},
		"a later command frees from a refusal":      {orderedRules{touchRetries: true}, disordered},
		"an unknown outcome counts as delivered":    {orderedRules{unknownIsDone: true}, disordered},
		"a delivered command makes the group clean": {orderedRules{cleanAfterOne: true}, falseClean},
		"the next one goes while one may yet land":  {orderedRules{goesInDoubt: true}, disordered},
		"a late version makes an ended record":      {orderedRules{makesAgain: true}, disordered},
		"what is late is told by its number":        {orderedRules{byNumber: true}, disordered},
		"whatever is behind is passed over":         {orderedRules{passesAll: true}, disordered},
	} {
		t.Run(name, func(t *testing.T) {
			if v := eachOrder(t, c.rules); v.violation != c.finds {
				t.Errorf("found %q, want %q", v.violation, c.finds)
			}
		})
	}
}
