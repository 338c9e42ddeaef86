package upkeep

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// A label of an enum that gets another name changes how rows read, and no trigger
// sees it. A process that knew the old name finds out when it looks at the tables,
// and sweeps the syncs that read such a column.

// sweepRelabelled sweeps the syncs for which labels were renamed between two
// readings of the same declarations.
func (e *Engine) sweepRelabelled(ctx context.Context, before, now []*store.Shape) error {
	var defs []*definition
	var syncs, columns []string
	for i, d := range e.defs {
		if renamed := relabelled(before[i], now[i]); len(renamed) > 0 {
			defs, syncs, columns = append(defs, d), append(syncs, d.Name), append(columns, renamed...)
		}
	}
	if len(defs) == 0 {
		return nil
	}
	slices.Sort(columns)
	e.log.Warn("labels of an enum have other names now, which changes how rows read; sweeping what reads them", "columns", slices.Compact(columns), "syncs", syncs)
	return e.sweep(ctx, defs)
}

// relabelled are the columns of which a label has another name, for people:
// `tickets.state: "cancelled", now "canceled"`.
func relabelled(before, now *store.Shape) (found []string) {
	was, is := labelsOf(before), labelsOf(now)
	for _, column := range slices.Sorted(maps.Keys(is)) {
		for _, oid := range slices.Sorted(maps.Keys(is[column])) {
			if old, known := was[column][oid]; known && old != is[column][oid] {
				found = append(found, fmt.Sprintf("%s: %q, now %q", column, old, is[column][oid]))
			}
		}
	}
	return found
}

// labelsOf are the labels of the columns that a shape reads, by table and column,
// and by what tells them apart.
func labelsOf(s *store.Shape) map[string]map[string]string {
	all := map[string]map[string]string{}
	s.Root.Walk(func(_ string, m, _ *store.Member) {
		for _, c := range slices.Concat(m.Key, m.Columns, m.Fragment) {
			if c.Labels == "" {
				continue
			}
			name := m.Table.String() + "." + c.Name
			if all[name] == nil {
				all[name] = map[string]string{}
			}
			for _, label := range strings.Split(c.Labels, "\n") {
				oid, text, _ := strings.Cut(label, " ")
				all[name][oid] = text
			}
		}
	})
	return all
}
