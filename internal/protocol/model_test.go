package protocol

import (
	"flag"
	"fmt"
	"strings"
	"testing"
)

var deep = flag.Bool("deep", false, "search with three faults too: some two minutes, and up to 4 GB of memory")

// mostStates stops a search that would not end in sensible time.
const mostStates = 12_000_000

func TestProtocol(t *testing.T) {
	type bounds struct{ commits, faults uint8 }
	search := []bounds{{2, 0}, {2, 1}, {2, 2}, {3, 1}}
	if *deep {
		search = append(search, bounds{3, 2}, bounds{2, 3}, bounds{3, 3})
	}
	for _, b := range search {
		for _, class := range []class{upsert, lookup} {
			for _, twice := range []bool{false, true} {
				p := protocol{rules: rules{foldTwice: twice}, class: class, commits: b.commits, faults: b.faults}
				t.Run(p.String(), func(t *testing.T) {
					v := p.check(mostStates)
					if v.violation != "" {
						t.Fatalf("the protocol breaks a promise:\n%v", v)
					}
					if v.full {
						t.Fatalf("not searched to the end: %v", v)
					}
					if v.clean < 2 {
						t.Fatalf("hardly anything was searched: %v", v)
					}
					t.Log(v)
				})
			}
		}
	}
}

func TestBrokenVariants(t *testing.T) {
	tests := []struct {
		name  string
		rules rules
		class class
		finds violation
	}{
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
		{"invisible row deleted", rules{hiddenIsDeleted: true}, upsert, unfounded},
		{"evidence of a delete is spent by a sync", rules{evidenceSpent: true}, upsert, stuck},
		{"evidence of a delete outlives the row's return", rules{evidenceStays: true}, upsert, falseClean},
		{"refusal parks over a newer touch", rules{parkOverTouch: true}, upsert, stuck},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var v verdict
			p := protocol{rules: test.rules, class: test.class, commits: 2}
			for v.violation == "" && p.faults <= 2 {
				v = p.check(mostStates)
				p.faults++
			}
			if v.violation != test.finds {
				t.Fatalf("with up to 2 faults, want %q, got: %v", test.finds, v)
			}
			t.Logf("with %d faults: %v", p.faults-1, v)
		})
	}
}

// String names the search in the test's output.
func (p protocol) String() string {
	words := []string{"upsert"}
	if p.class == lookup {
		words[0] = "lookup"
	}
	if p.foldTwice {
		words = append(words, "two databases")
	}
	return strings.Join(append(words, fmt.Sprintf("%d commits", p.commits), fmt.Sprintf("%d faults", p.faults)), ", ")
}
