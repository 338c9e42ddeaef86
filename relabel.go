package upkeep

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// A label of an enum that gets another name changes how rows read, and no trigger
// sees it. So the registry has what labels were called, and a process that finds one
// under another name sweeps the syncs that read such a column, when it starts and when
// it looks at the tables. One whose configuration compares with a name that a label
// had once is held in its place: what it says of the rows, that a when is false for all
// of them, is not what anybody meant, and nobody has changed a row. Until a process has
// found out, no row that has the new name is taken for anything ([store.ErrLabel]), and
// the first one has it look at once.

// labelRetry is after what time a group is loaded again that has a label which was not
// known: until then the tables are looked at.
const labelRetry = 2 * time.Second

// noteLabels notes what labels are called. The syncs of which one has got another name
// are swept first: if that fails, it is found again.
func (e *Engine) noteLabels(ctx context.Context, shapes []*store.Shape) error {
	if !readLabels(shapes) {
		return nil
	}
	noted, err := e.db.Labels(ctx)
	if err != nil {
		return fmt.Errorf("read what labels were called: %w", err)
	}
	var defs []*definition
	var syncs, columns []string
	labels := map[string]store.Labels{}
	for i, d := range e.defs {
		if e.isBarred(d.Name) != nil {
			continue
		}
		renamed, all := relabelled(noted[d.Name], shapes[i].Labels())
		if all != nil {
			labels[d.Name] = all
		}
		if len(renamed) > 0 {
			defs, syncs, columns = append(defs, d), append(syncs, d.Name), append(columns, renamed...)
		}
	}
	if len(defs) > 0 {
		slices.Sort(columns)
		e.log.Warn("labels of an enum have other names now, which changes how rows read; sweeping what reads them", "columns", slices.Compact(columns), "syncs", syncs)
		if err := e.sweep(ctx, defs); err != nil {
			return err
		}
	}
	for _, sync := range slices.Sorted(maps.Keys(labels)) {
		if err := e.db.NoteLabels(ctx, sync, labels[sync]); err != nil {
			return fmt.Errorf("note what labels are called: %w", err)
		}
	}
	return nil
}

// outdated are the syncs whose configuration compares with names that labels had once,
// and why they are held. It lasts until one is called so again or a process has another
// configuration.
func (e *Engine) outdated(ctx context.Context, shapes []*store.Shape) (map[string]error, error) {
	if !readLabels(shapes) {
		return nil, nil
	}
	noted, err := e.db.Labels(ctx)
	if errors.Is(err, store.ErrNotInstalled) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what labels were called: %w", err)
	}
	held := map[string]error{}
	for i, d := range e.defs {
		former, names := formerLabels(noted[d.Name], shapes[i].Labels())
		if len(names) == 0 || d.located == nil {
			continue
		}
		places, err := d.located.Outdated(ctx, e.db, names)
		if err != nil { // it is looked at again, and not swept by guess
			return nil, fmt.Errorf("look where %s compares with labels that have other names now: %w", d.Name, err)
		}
		if places != nil {
			held[d.Name] = fmt.Errorf("a label of an enum has another name now (%s), and the configuration compares with the old one, so it says something else of rows that nobody has changed; write the new name there and start upkeep run again, or give the label its old one: %w", strings.Join(former, ", "), places)
		}
	}
	return held, nil
}

// readLabels says whether a sync reads a column that has labels.
func readLabels(shapes []*store.Shape) bool {
	return slices.ContainsFunc(shapes, func(s *store.Shape) bool { return len(s.Labels()) > 0 })
}

// bar keeps syncs from being loaded, for the reasons given, and no others.
func (e *Engine) bar(syncs ...map[string]error) {
	all := map[string]error{}
	for _, some := range syncs {
		maps.Copy(all, some)
	}
	e.barred.Store(&all)
}

// isBarred says why a sync is not loaded, though it could be; nil: it is.
func (e *Engine) isBarred(sync string) error {
	if barred := e.barred.Load(); barred != nil {
		return (*barred)[sync]
	}
	return nil
}

// tellBarred logs which syncs are not loaded, and notes it where other processes see
// it: a sync of which no group is dirty looks as if all were well.
func (e *Engine) tellBarred(ctx context.Context) error {
	var why []error
	for _, d := range e.defs {
		err := e.isBarred(d.Name)
		if err == nil {
			e.said.over(loading + d.Name)
			continue
		}
		if e.said.anew(loading+d.Name, err.Error(), e.cfg.Clock.Now()) {
			e.log.Error("the sync is held, the others go on", "sync", d.Name, "error", err)
		}
		why = append(why, fmt.Errorf("%s is held: %w", d.Name, err))
	}
	if len(why) > 0 {
		e.said.anew(loading, "", e.cfg.Clock.Now())
		return e.db.NoteFailure(ctx, loading, e.cfg.Name, errors.Join(why...))
	}
	if e.said.over(loading) {
		return e.db.NoteWell(ctx, loading, e.cfg.Name)
	}
	return nil
}

// relabelled compares what labels were called with what they are called now: those that
// have another name, for people (`public.tickets.state: "cancelled", now "canceled"`),
// and all that is to be noted; nil: it is noted already.
func relabelled(was, is store.Labels) (renamed []string, all store.Labels) {
	all = store.Labels{}
	for column, labels := range was {
		all[column] = maps.Clone(labels)
	}
	changed := false
	for _, column := range slices.Sorted(maps.Keys(is)) {
		if all[column] == nil {
			all[column] = map[string][]string{}
		}
		for _, label := range slices.Sorted(maps.Keys(is[column])) {
			names, name := all[column][label], is[column][label][0]
			if len(names) > 0 && names[len(names)-1] == name {
				continue
			}
			if len(names) > 0 {
				renamed = append(renamed, renaming(column, names[len(names)-1], name))
			}
			names = slices.DeleteFunc(slices.Clone(names), func(former string) bool { return former == name })
			all[column][label], changed = append(names, name), true
		}
	}
	if !changed {
		return renamed, nil
	}
	return renamed, all
}

// formerLabels are the names that labels of a column had once and none has now: for people, and
// as they were.
func formerLabels(was, is store.Labels) (former, names []string) {
	for _, column := range slices.Sorted(maps.Keys(is)) {
		there := map[string]bool{}
		for _, now := range is[column] {
			there[now[0]] = true
		}
		for _, label := range slices.Sorted(maps.Keys(is[column])) {
			for _, name := range was[column][label] {
				if !there[name] {
					former, names = append(former, renaming(column, name, is[column][label][0])), append(names, name)
				}
			}
		}
	}
	return former, names
}

func renaming(column, before, now string) string {
	return fmt.Sprintf("%s: %q, now %q", column, before, now)
}
