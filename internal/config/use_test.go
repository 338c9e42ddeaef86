package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/upkeep-sync/upkeep/connector"
)

// A duration below nothing is a mistake, unless the option has a meaning for it.
func TestNegativeDurations(t *testing.T) {
	t.Parallel()
	remote := Connectors{"netsuite": {New: func(decode func(any) error) (connector.Connection, error) {
		var settings struct {
			Wait time.Duration `yaml:"wait"`
			Rest time.Duration `yaml:"rest,negative"`
		}
		return &closed{}, decode(&settings)
	}}}
	for options, want := range map[string]int{"rest: -1s": 0, "wait: -1s": 1, "rest: -1s, wait: -1s": 1} {
		f, err := Parse("upkeep.yaml", []byte("source: sqlite:shop.db\nremotes: {ns: {connector: netsuite, "+options+"}}\n"+
			"syncs:\n  a: {from: users, to: ns, record: customer, fields: {b: id}}\n"), env)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Open(remote)
		if got := strings.Count(fmt.Sprint(err), "must be more than nothing"); got != want || want == 0 && err != nil {
			t.Errorf("%s: %v", options, err)
		}
	}
}

// What a sync uses tells the fields that are sent again from those that go out
// once.
func TestUses(t *testing.T) {
	t.Parallel()
	f, err := Parse("upkeep.yaml", []byte("source: sqlite:shop.db\nremotes: {ns: {connector: netsuite}}\nsyncs:\n"+
		"  a: {from: users, to: ns, record: customer, fields: {b: id, d: id}, create_fields: {c: id}}\n"+
		"  e: {from: users, to: ns, record: customer, create_fields: {c: id}}\n"), env)
	if err != nil {
		t.Fatal(err)
	}
	uses := f.Uses("ns", nil)
	if len(uses) != 2 || !slices.Equal(uses[0].Fields, []string{"b", "c", "d"}) || !slices.Equal(uses[0].Updated, []string{"b", "d"}) || uses[1].Updated == nil || len(uses[1].Updated) != 0 {
		t.Errorf("%+v", uses)
	}
}
