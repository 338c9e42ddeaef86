package protocol

import "testing"

func TestDeploy(t *testing.T) {
	search := [][2]uint8{{2, 0}, {2, 1}, {1, 2}}
	if *deep {
		search = append(search, [2]uint8{2, 2}, [2]uint8{3, 1})
	}
	for _, b := range search {
		for _, class := range []class{upsert, lookup, blind} {
			p := protocol{class: class, commits: b[0], faults: b[1], deploys: 1}
			t.Run(p.String(), func(t *testing.T) {
				v := p.check(mostStates)
				switch {
				case v.violation != "":
					t.Fatalf("the protocol breaks a promise:\n%v", v)
				case v.full:
					t.Fatalf("not searched to the end: %v", v)
				}
				t.Log(v)
			})
		}
	}
}

func TestBrokenDeployments(t *testing.T) {
	for _, test := range []variant{
		{"claimed under another mapping", rules{anyMapping: true}, upsert, falseClean},
		{"claimed under another mapping, blind", rules{anyMapping: true}, blind, falseClean},
		{"another mapping, and no sweep", rules{mappingUnswept: true}, upsert, falseClean},
	} {
		t.Run(test.name, func(t *testing.T) { test.found(t, protocol{deploys: 1}) })
	}
}
