package protocol

import (
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"testing"
)

var deep = flag.Bool("deep", false, "search with three faults too: some two minutes, and up to 4 GB of memory")

// mostStates stops a search that would not end in sensible time.
const mostStates = 12_000_000

// TestMain has the garbage of a search collected less often, which is a third of
// its time; the deep one needs the memory for its states.
func TestMain(m *testing.M) {
	flag.Parse()
	if !*deep {
		debug.SetGCPercent(300)
	}
	os.Exit(m.Run())
}

func TestProtocol(t *testing.T) {
	type bounds struct{ commits, faults uint8 }
	search := []bounds{{2, 0}, {2, 1}, {2, 2}, {3, 1}}
	if *deep {
		search = append(search, bounds{3, 2}, bounds{2, 3}, bounds{3, 3})
	}
	for _, b := range search {
		for _, class := range []class{upsert, lookup, blind} {
			for _, twice := range []bool{false, true} {
				if !twice && b.faults > 1 && !*deep {
					continue // the other search has all of its states
				}
				if twice && class == upsert && b == (bounds{3, 3}) {
					continue // more states than fit
				}
				p := protocol{rules: rules{foldTwice: twice}, class: class, commits: b.commits, faults: b.faults}
				t.Run(p.String(), p.holds)
			}
		}
	}
}

// holds searches to the end, and finds nothing.
func (p protocol) holds(t *testing.T) {
	v := p.check(mostStates)
	switch {
	case v.violation != "":
		t.Fatalf("the protocol breaks a promise:\n%v", v)
	case v.full:
		t.Fatalf("not searched to the end: %v", v)
	case v.clean < 2:
		t.Fatalf("hardly anything was searched: %v", v)
	}
	t.Log(v)
}

func TestBrokenVariants(t *testing.T) {
	tests := []variant{
		{"synced = now", rules{syncedIsNow: true}, upsert, falseClean},
		{"no epoch guard", rules{noEpochGuard: true}, upsert, falseClean},
		{"unknown outcome only retried", rules{noDoubt: true}, upsert, falseClean},
		{"unknown outcome only retried, lookup", rules{noDoubt: true}, lookup, duplicate},
		{"later answer ends the doubt", rules{syncedEndsDoubt: true}, upsert, falseClean},
		{"equal digest skips in doubt", rules{skipInDoubt: true}, upsert, falseSkip},
		{"equal digest skips in doubt, lookup", rules{skipInDoubt: true}, lookup, falseSkip},
		{"forced is a flag", rules{forcedIsFlag: true}, upsert, falseClean},
		{"settled before the remote's limit", rules{settleEarly: true}, upsert, falseClean},
		{"settled before the remote's limit, lookup", rules{settleEarly: true}, lookup, duplicate},
		{"no external key", rules{noKey: true}, upsert, duplicate},
		{"lookup claimed before its doubt is over", rules{claimInDoubt: true}, lookup, duplicate},
		{"lookup created again without a find", rules{createUnfound: true}, lookup, duplicate},
		{"lookup record gone, made again in doubt", rules{remakeInDoubt: true}, lookup, duplicate},
		{"deleted row's record not looked for", rules{removeUnfound: true}, upsert, falseClean},
		{"record of another id not looked for", rules{deleteUnfound: true}, upsert, falseClean},
		{"record of another id not looked for, lookup", rules{deleteUnfound: true}, lookup, falseClean},
		{"record of another id not looked for once settled", rules{settledUnfound: true}, upsert, falseClean},
		{"invisible row deleted", rules{hiddenIsDeleted: true}, upsert, unfounded},
		{"evidence of a delete is spent by a sync", rules{evidenceSpent: true}, upsert, stuck},
		{"evidence of a delete outlives the row's return", rules{evidenceStays: true}, upsert, falseClean},
		{"evidence of a delete is spent by what was there before it", rules{presentForGood: true}, upsert, stuck},
		{"blind, made again by a touch", rules{touchRepeats: true}, blind, duplicate},
		{"blind, made at once when it is gone", rules{goneAtOnce: true}, blind, duplicate},
		{"refusal parks over a newer touch", rules{parkOverTouch: true}, upsert, stuck},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.found(t, protocol{}) })
	}
}

// variant is a protocol without one of its rules, and what that breaks.
type variant struct {
	name  string
	rules rules
	class class
	finds violation
}

// found searches with more and more commits and faults until it breaks.
// Of with, restores, deploys, installs, leaves and forgets count.
func (b variant) found(t *testing.T, with protocol) {
	bounds := [][2]uint8{{2, 0}, {2, 1}, {2, 2}, {3, 2}}
	if with.restores+with.installs > 0 {
		bounds = [][2]uint8{{0, 0}, {0, 1}, {1, 0}, {1, 1}, {2, 0}, {2, 1}}
	}
	for _, n := range bounds {
		p := protocol{rules: b.rules, class: b.class, commits: n[0], faults: n[1], restores: with.restores, deploys: with.deploys, installs: with.installs, leaves: with.leaves, forgets: with.forgets}
		v := p.check(mostStates)
		if v.violation == "" {
			continue
		}
		if v.violation != b.finds {
			t.Fatalf("want %q, got: %v", b.finds, v)
		}
		t.Logf("%s: %v", p, v)
		return
	}
	t.Fatalf("nothing found, want %q", b.finds)
}

// String names the search in the test's output.
func (p protocol) String() string {
	words := []string{[...]string{"upsert", "lookup", "blind"}[p.class]}
	if p.foldTwice {
		words = append(words, "two databases")
	}
	if p.restores > 0 {
		words = append(words, "a restore")
	}
	if p.installs > 0 {
		words = append(words, "a second installation")
	}
	if p.deploys > 0 {
		words = append(words, "a deployment")
	}
	if p.leaves > 0 {
		words = append(words, "left out for a while")
	}
	if p.forgets > 0 {
		words = append(words, "forgotten")
	}
	return strings.Join(append(words, fmt.Sprintf("%d commits", p.commits), fmt.Sprintf("%d faults", p.faults)), ", ")
}
