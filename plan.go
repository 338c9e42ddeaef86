package upkeep

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Plan is what [Engine.Install] would do, against what is there.
type Plan struct {
	// Create: the database has no Upkeep in it; its own schema would be made.
	Create bool
	// Tables are those that would be watched, by name.
	Tables []PlannedTable
	// Drop lists triggers on tables that would not be watched any more, as
	// "table: trigger".
	Drop []string
	// Syncs are all that are declared, and those that are not declared any
	// more.
	Syncs []PlannedSync
	// Remotes are those at which something would be made, or that could not
	// be asked.
	Remotes []PlannedRemote
	// Refusal is an [ErrPublished] with which Install would refuse; nil: it would
	// not.
	Refusal error
}

// PlannedTable is a table that would be watched.
type PlannedTable struct {
	Table    string
	Columns  []PlannedColumn
	Triggers []PlannedTrigger // that would be changed; empty: all are right
}

// PlannedColumn is a watched column and what it is watched for, each as
// sync, path of the relation, and use: "sales_order.lines: has_many".
type PlannedColumn struct {
	Column string
	Why    []string
}

// PlannedTrigger is what would be done to a trigger: create, replace, enable,
// drop.
type PlannedTrigger struct{ Trigger, Action string }

// PlannedSync is what would become of a sync. Change is "new" (backfilled),
// "changed" (swept: every record is looked at, those that differ are sent),
// "removed" (no longer kept; its records stay, and as long as there are any it is
// listed), or empty.
type PlannedSync struct {
	Sync   string
	Change string
	Groups int64 // in the registry
	Rows   int64 // of the root table, as the database estimates; zero: not known
	// Passing: a backfill or a sweep was asked for before, and is not over. It is no
	// change; who runs goes on with it.
	Passing bool
}

// Passing says whether a pass over the rows of a sync is not over.
func (p *Plan) Passing() bool {
	return slices.ContainsFunc(p.Syncs, func(s PlannedSync) bool { return s.Passing })
}

// Pending says whether [Engine.Install] would change anything. A sync that was
// removed alone is no change.
func (p *Plan) Pending() bool {
	return p.Create || len(p.Drop) > 0 ||
		slices.ContainsFunc(p.Remotes, func(r PlannedRemote) bool { return len(r.Make) > 0 }) ||
		slices.ContainsFunc(p.Tables, func(t PlannedTable) bool { return len(t.Triggers) > 0 }) ||
		slices.ContainsFunc(p.Syncs, func(s PlannedSync) bool { return s.Change == "new" || s.Change == "changed" })
}

// Plan compares what would be installed with what is there. It changes
// nothing, and needs nothing of Upkeep in the database.
func (e *Engine) Plan(ctx context.Context) (*Plan, error) {
	shapes, err := e.resolveAll(ctx)
	if err != nil {
		return nil, err
	}
	if err := e.inPlace(ctx); err != nil {
		return nil, err
	}
	p := &Plan{}
	switch err := e.unpublished(ctx); {
	case errors.Is(err, ErrPublished):
		p.Refusal = err
	case err != nil:
		return nil, err
	}
	counts, err := e.db.Counts(ctx)
	if errors.Is(err, ErrNotInstalled) {
		p.Create = true
	} else if err != nil {
		return nil, err
	}
	groups := map[string]int64{}
	for _, c := range counts {
		groups[c.Sync] = c.Groups
	}
	for i, d := range e.defs {
		s := PlannedSync{Sync: d.Name, Change: "new", Groups: groups[d.Name]}
		if !p.Create {
			state, err := e.db.Sync(ctx, d.Name)
			if err != nil {
				return nil, err
			}
			switch state.Version {
			case d.version:
				s.Change, s.Passing = "", state.Backfill.Running
			case "":
			default:
				s.Change = "changed"
			}
		}
		if info, err := e.db.Table(ctx, shapes[i].Root.Table); err == nil { // an estimate is not worth a failure
			s.Rows = info.Rows
		}
		p.Syncs = append(p.Syncs, s)
	}
	for _, c := range counts {
		if e.byName[c.Sync] == nil && c.Groups > c.Gone {
			p.Syncs = append(p.Syncs, PlannedSync{Sync: c.Sync, Change: "removed", Groups: c.Groups})
		}
	}
	p.Tables = plannedTables(shapes)
	p.Remotes = e.planRemotes(ctx)
	return p, e.planTriggers(ctx, shapes, p)
}

// planTriggers puts what would be done to triggers beside their tables. Those
// of partitions and inheritance children stand below the table itself.
func (e *Engine) planTriggers(ctx context.Context, shapes []*store.Shape, p *Plan) error {
	changes, err := e.db.Preview(ctx, shapes)
	if err != nil {
		return fmt.Errorf("compare the triggers: %w", err)
	}
	for _, c := range changes {
		at := slices.IndexFunc(p.Tables, func(t PlannedTable) bool { return t.Table == c.Table.String() })
		switch {
		case at >= 0:
			p.Tables[at].Triggers = append(p.Tables[at].Triggers, PlannedTrigger{c.Trigger, c.Action})
		case c.Action == "drop":
			p.Drop = append(p.Drop, c.Table.String()+": "+c.Trigger)
		default:
			p.Tables = append(p.Tables, PlannedTable{Table: c.Table.String(), Triggers: []PlannedTrigger{{c.Trigger, c.Action}}})
		}
	}
	return nil
}

// resolveAll asks the database what all declarations mean, and returns every
// problem.
func (e *Engine) resolveAll(ctx context.Context) ([]*store.Shape, error) {
	var errs []error
	shapes := make([]*store.Shape, len(e.defs))
	for i, d := range e.defs {
		s, _, err := e.resolve(ctx, d)
		if err != nil {
			errs = append(errs, err)
		}
		shapes[i] = s
	}
	return shapes, errors.Join(errs...)
}

// plannedTables derives from the shapes which columns are watched and why.
func plannedTables(shapes []*store.Shape) []PlannedTable {
	why := map[string]map[string][]string{}
	for _, s := range shapes {
		s.Root.Walk(func(path string, m, parent *store.Member) {
			note := func(t store.Table, columns []store.Column, reason string) {
				byColumn := why[t.String()]
				if byColumn == nil {
					byColumn = map[string][]string{}
					why[t.String()] = byColumn
				}
				for _, c := range columns {
					reason := reason
					if c.Virtual {
						reason += " by " + c.Name
					}
					for _, w := range c.Watched() {
						if !slices.Contains(byColumn[w.Name], reason) {
							byColumn[w.Name] = append(byColumn[w.Name], reason)
						}
					}
				}
			}
			as := s.Sync
			if path != "" {
				as += "." + path
			}
			note(m.Table, m.Key, as+": key")
			note(m.Table, m.Columns, as+": read")
			note(m.Table, m.Fragment, as+": "+strings.TrimSpace(fragmentName(m)))
			for _, a := range m.Aggregates {
				if a.Column.Name != "" {
					note(m.Table, []store.Column{a.Column}, as+": "+a.Func)
				}
			}
			if parent == nil {
				return
			}
			own, other := m.Via, m.To
			if m.Relation == store.BelongsTo {
				own, other = m.To, m.Via
			}
			note(m.Table, own, as+": "+m.Relation.String())
			note(parent.Table, other, as+": "+m.Relation.String())
		})
	}
	var tables []PlannedTable
	for _, name := range slices.Sorted(maps.Keys(why)) {
		t := PlannedTable{Table: name}
		for _, column := range slices.Sorted(maps.Keys(why[name])) {
			t.Columns = append(t.Columns, PlannedColumn{column, why[name][column]})
		}
		tables = append(tables, t)
	}
	return tables
}

func fragmentName(m *store.Member) string {
	switch {
	case m.Where == "":
		return "order"
	case m.Order == "":
		return "where"
	}
	return "where or order"
}
