package config

import (
	"context"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// A label was given another name under a process at work: the configuration's place
// that compares with the old one is named, and nothing that was a doubt before.
func TestOutdatedLabels(t *testing.T) {
	f := parse(t, `source: sqlite:x.db
remotes: {m: {connector: memory}}
syncs:
  product: {from: products, to: m, record: p, when: 'kind in ["pen", "typewriter"]', fields: {code: code}}
  line: {from: line_items, to: m, record: l, fields: {qty: qty}}
`)
	tables := shop()
	fit := f.Fitting(t.Context(), tables, nil)
	if len(fit.Problems) > 0 {
		t.Fatal(fit.Problems)
	}
	outdated := func(sync string, labels ...string) error {
		for _, m := range fit.Mappings {
			if m.Name == sync {
				places, err := f.Located(m).(interface {
					Outdated(ctx context.Context, catalog store.Catalog, labels []string) (outdated, err error)
				}).Outdated(t.Context(), tables, labels)
				if err != nil {
					t.Fatal(err)
				}
				return places
			}
		}
		t.Fatalf("no sync %s", sync)
		return nil
	}
	if err := outdated("product", "pen"); err != nil {
		t.Errorf("a label that is there: %v", err)
	}
	tables["products"].Values = map[string][]string{"kind": {"biro", "book", "gift card"}}
	if err := outdated("product", "pen"); err == nil || err.Error() != `upkeep.yaml:4:63: products.kind can't be "pen": it is never found` {
		t.Errorf("after a renaming: %v", err)
	}
	if err := outdated("product", "book"); err != nil {
		t.Errorf("of another label: %v", err)
	}
	if err := outdated("line", "pen"); err != nil {
		t.Errorf("of another sync: %v", err)
	}
	if !strings.Contains(f.Fitting(t.Context(), tables, nil).Doubts.Error(), "typewriter") {
		t.Error("the doubts of a check are gone")
	}
}
