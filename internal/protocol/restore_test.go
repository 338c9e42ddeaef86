package protocol

import "testing"

func TestRestore(t *testing.T) {
	search := [][2]uint8{{2, 0}, {1, 1}}
	if *deep {
		search = append(search, [2]uint8{2, 1}, [2]uint8{1, 2})
	}
	for _, b := range search {
		for _, class := range []class{upsert, lookup, blind} {
			p := protocol{class: class, commits: b[0], faults: b[1], restores: 1}
			t.Run(p.String(), p.holds)
		}
	}
}

func TestBrokenRestores(t *testing.T) {
	for _, test := range []variant{
		{"restore not noticed", rules{notNoticed: true}, upsert, falseClean},
		{"restore not noticed, lookup", rules{notNoticed: true}, lookup, duplicate},
		{"restored, and created without a find", rules{restoredUnfound: true}, lookup, duplicate},
		{"restored, and deletes go", rules{deletesGo: true}, upsert, unheld},
		{"restored, and forced deletes go", rules{forcedGo: true}, upsert, unheld},
		{"restored, and claimed at once", rules{noRest: true}, upsert, falseClean},
		{"restored, and claimed at once, lookup", rules{noRest: true}, lookup, duplicate},
		{"restored, and made before the sweep, blind", rules{unsweptMade: true}, blind, duplicate},
		{"restored, and only rows are swept", rules{sweepsRows: true}, upsert, falseClean},
		{"restored, and what was deleted is gone, blind", rules{goneForSure: true}, blind, duplicate},
		{"blind, made again when it is gone", rules{goneRepeats: true}, blind, duplicate},
		{"restored, and epochs begin again", rules{epochsRestart: true}, upsert, falseClean},
	} {
		t.Run(test.name, func(t *testing.T) { test.found(t, protocol{restores: 1}) })
	}
}
