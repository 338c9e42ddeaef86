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
			t.Run(p.String(), p.holds)
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
