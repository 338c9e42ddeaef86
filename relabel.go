package upkeep

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// A label of an enum that gets another name changes how rows read, and no trigger
// sees it. A process that knew the old name finds out when it looks at the tables,
// and sweeps the syncs that read such a column. One whose configuration compares with
// the old name is held in its place: what it says of the rows, that a when is false
// for all of them, is not what anybody meant, and nobody has changed a row. Until a
// process has found out, no row that has the new name is taken for anything
// ([store.ErrLabel]), and the first one has it look at once.

// labelRetry is after what time a group is loaded again that has a label which was not
// known: until then the tables are looked at.
const labelRetry = 2 * time.Second

// sweepRelabelled sweeps the syncs for which labels were renamed between two
// readings of the same declarations, or holds them.
func (e *Engine) sweepRelabelled(ctx context.Context, before, now []*store.Shape) error {
	var defs []*definition
	var syncs, columns []string
	for i, d := range e.defs {
		renamed, old := relabelled(before[i], now[i])
		if len(renamed) == 0 {
			continue
		}
		held, err := e.holdOutdated(ctx, d, renamed, old)
		if err != nil { // it is looked at again, and not swept by guess
			return fmt.Errorf("look where %s compares with labels that have other names now: %w", d.Name, err)
		}
		if held {
			continue
		}
		defs, syncs, columns = append(defs, d), append(syncs, d.Name), append(columns, renamed...)
	}
	if len(defs) == 0 {
		return nil
	}
	slices.Sort(columns)
	e.log.Warn("labels of an enum have other names now, which changes how rows read; sweeping what reads them", "columns", slices.Compact(columns), "syncs", syncs)
	return e.sweep(ctx, defs)
}

// outdated are the syncs of a process whose configuration compares with labels that
// have other names by now.
type outdated struct {
	mu     sync.Mutex
	labels map[string][]string // by sync
	why    map[string]error
}

// holdOutdated says whether a sync is held for what was renamed, until the label has
// its old name again or a process begins with another configuration.
func (e *Engine) holdOutdated(ctx context.Context, d *definition, renamed, old []string) (held bool, err error) {
	if d.located == nil {
		return false, nil
	}
	o := &e.outdated
	o.mu.Lock()
	defer o.mu.Unlock()
	labels := append(slices.Clone(o.labels[d.Name]), old...)
	places, err := d.located.Outdated(ctx, e.db, labels)
	if err != nil {
		return false, err
	}
	if places == nil {
		delete(o.labels, d.Name)
		delete(o.why, d.Name)
		return false, nil
	}
	if o.labels == nil {
		o.labels, o.why = map[string][]string{}, map[string]error{}
	}
	o.labels[d.Name] = labels
	o.why[d.Name] = fmt.Errorf("a label of an enum has another name now (%s), and the configuration compares with the old one, so it says something else of rows that nobody has changed; write the new name there and start upkeep run again, or give the label its old one: %w", strings.Join(renamed, ", "), places)
	e.log.Error("the sync is held, the others go on", "sync", d.Name, "error", o.why[d.Name])
	return true, nil
}

// isOutdated says why a sync is held for what was renamed; nil: it is not.
func (e *Engine) isOutdated(sync string) error {
	e.outdated.mu.Lock()
	defer e.outdated.mu.Unlock()
	return e.outdated.why[sync]
}

// relabelled are the columns of which a label has another name, for people:
// `tickets.state: "cancelled", now "canceled"`, and the old names.
func relabelled(before, now *store.Shape) (found, names []string) {
	was, is := labelsOf(before), labelsOf(now)
	for _, column := range slices.Sorted(maps.Keys(is)) {
		for _, oid := range slices.Sorted(maps.Keys(is[column])) {
			if old, known := was[column][oid]; known && old != is[column][oid] {
				found, names = append(found, fmt.Sprintf("%s: %q, now %q", column, old, is[column][oid])), append(names, old)
			}
		}
	}
	return found, names
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
