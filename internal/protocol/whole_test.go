package protocol

import "testing"

// The remote refuses updates that go whole, at any moment.
func TestWhole(t *testing.T) {
	search := []protocol{{commits: 2, faults: 1}, {commits: 1, faults: 2}, {commits: 1, faults: 1, restores: 1}}
	if *deep {
		search = append(search, protocol{commits: 2, faults: 2}, protocol{commits: 1, faults: 1, leaves: 2})
	}
	for _, p := range search {
		for _, class := range []class{upsert, lookup, blind} {
			p.class, p.refuses = class, true
			t.Run(p.String(), p.holds)
		}
	}
}

func TestBrokenWhole(t *testing.T) {
	for _, v := range []variant{
		{"what was acknowledged counts as there", rules{knownIsThere: true}, upsert, falseClean},
		{"what was acknowledged counts as there, lookup", rules{knownIsThere: true}, lookup, falseClean},
		{"what is there ends a doubt", rules{readSettles: true}, upsert, falseClean},
		{"what is there ends a doubt, blind", rules{readSettles: true}, blind, falseClean},
	} {
		t.Run(v.name, func(t *testing.T) { v.found(t, protocol{refuses: true}) })
	}
}
