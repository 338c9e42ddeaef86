package protocol

import "testing"

func TestInstall(t *testing.T) {
	search := [][2]uint8{{2, 0}, {1, 1}}
	if *deep {
		search = append(search, [2]uint8{3, 0}, [2]uint8{2, 1}, [2]uint8{1, 2})
	}
	for _, b := range search {
		for _, class := range []class{upsert, lookup, blind} {
			p := protocol{class: class, commits: b[0], faults: b[1], installs: 1}
			t.Run(p.String(), p.holds)
		}
	}
}

func TestBrokenInstallations(t *testing.T) {
	for _, test := range []variant{
		{"installed while requests of before may land", rules{installsAtOnce: true}, upsert, falseClean},
		{"installed while requests of before may land, lookup", rules{installsAtOnce: true}, lookup, duplicate},
		{"the first sweep forces nothing, lookup", rules{firstUnforced: true}, lookup, duplicate},
		{"touched before the first sweep, and not looked for", rules{firstUnfound: true}, lookup, duplicate},
		{"deleted before it was sent, and not looked for", rules{unknownIsGone: true}, upsert, falseClean},
		{"deleted before it was sent, and not looked for, lookup", rules{unknownIsGone: true}, lookup, falseClean},
		{"installed, and epochs begin again", rules{epochsRestart: true}, upsert, falseClean},
	} {
		t.Run(test.name, func(t *testing.T) { test.found(t, protocol{installs: 1}) })
	}
}
