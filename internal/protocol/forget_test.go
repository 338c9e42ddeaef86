package protocol

import "testing"

func TestForget(t *testing.T) {
	search := [][2]uint8{{2, 1}, {3, 1}}
	if *deep {
		search = append(search, [2]uint8{2, 2}, [2]uint8{3, 2})
	}
	for _, b := range search {
		for _, class := range []class{upsert, lookup, blind} {
			p := protocol{class: class, commits: b[0], faults: b[1], forgets: 1}
			t.Run(p.String(), p.holds)
		}
	}
}

func TestBrokenForgetting(t *testing.T) {
	for _, test := range []variant{
		{"forgotten while a request may land", rules{forgetsInDoubt: true}, upsert, falseClean},
		{"forgotten, and epochs begin again", rules{epochsRestart: true}, upsert, falseClean},
	} {
		t.Run(test.name, func(t *testing.T) { test.found(t, protocol{forgets: 1}) })
	}
}
