package protocol

import "testing"

// The row is left out and passes again, at any moment, also beside a restore and a
// second installation.
func TestKept(t *testing.T) {
	search := []protocol{
		{commits: 1, faults: 1, leaves: 2}, {commits: 1, faults: 2, leaves: 2}, {faults: 1, restores: 1, leaves: 2}, {faults: 1, installs: 1, leaves: 2},
	}
	if *deep {
		search = append(search, protocol{commits: 2, faults: 2, leaves: 2}, protocol{commits: 1, faults: 1, restores: 1, leaves: 2})
	}
	for _, p := range search {
		for _, class := range []class{upsert, lookup, blind} {
			p.class = class
			t.Run(p.String(), p.holds)
		}
	}
}

func TestBrokenKept(t *testing.T) {
	for _, test := range []struct {
		variant
		with protocol
	}{
		{variant{"what is kept ends a doubt", rules{keptSettles: true}, upsert, falseClean}, protocol{leaves: 2}},
		{variant{"what is kept ends a doubt, lookup", rules{keptSettles: true}, lookup, falseClean}, protocol{leaves: 2}},
		{variant{"what is kept ends a doubt, blind", rules{keptSettles: true}, blind, duplicate}, protocol{leaves: 2}},
		{variant{"what is kept ends it where nothing is known, blind", rules{unknownIsSure: true}, blind, duplicate}, protocol{leaves: 2, installs: 1}},
		{variant{"what is kept ends the look of a second installation", rules{keptSettles: true}, lookup, duplicate}, protocol{leaves: 2, installs: 1}},
	} {
		t.Run(test.name, func(t *testing.T) { test.found(t, test.with) })
	}
}
