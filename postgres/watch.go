package postgres

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// watch is what the shapes together need to know of one table.
type watch struct {
	table   store.Table
	keys    []store.Column // logged, old and new: the way to the groups
	columns []store.Column // watched: an update of no other column is a touch
	virtual []store.Column // read and not watched, but what they are computed from
	// ordered are the syncs, of a watch of the ordered lane: its triggers stand
	// beside those that write touches.
	ordered []*store.Shape
}

// name is how the table is called in the log.
func (w *watch) name() string { return w.table.String() }

// id is a short name made from the table's, for names of at most 63 bytes.
func (w *watch) id() string {
	h := sha256.Sum256([]byte(w.name()))
	return hex.EncodeToString(h[:5])
}

// mark is how the triggers are called among those that are in place.
func (w *watch) mark() string {
	if w.ordered != nil {
		return "every version of " + w.name()
	}
	return w.name()
}

// watches derives from the shapes what to watch, by table, in name order: what
// writes touches, then what the ordered lane needs.
func watches(shapes []*store.Shape) []*watch {
	return append(tableWatches(shapes), orderedWatches(shapes)...)
}

func tableWatches(shapes []*store.Shape) []*watch {
	byTable := map[store.Table]*watch{}
	for _, s := range shapes {
		s.Root.Walk(func(_ string, m, _ *store.Member) {
			w := byTable[m.Table]
			if w == nil {
				w = &watch{table: m.Table}
				byTable[m.Table] = w
			}
			w.keys = addColumns(addColumns(w.keys, m.Key...), upward(m)...)
			w.columns = addColumns(w.columns, uses(m)...)
			w.virtual = addColumns(w.virtual, slices.DeleteFunc(reads(m), func(c store.Column) bool { return !c.Virtual })...)
		})
	}
	all := slices.Collect(maps.Values(byTable))
	slices.SortFunc(all, func(a, b *watch) int { return cmp.Compare(a.name(), b.name()) })
	for _, w := range all {
		sortColumns(w.keys)
		sortColumns(w.columns)
		sortColumns(w.virtual)
	}
	return all
}

// upward are the columns of m's table that lead to its parent's rows, or for
// the root to the group.
func upward(m *store.Member) []store.Column {
	switch m.Relation {
	case store.Root:
		return m.Key
	case store.BelongsTo:
		return m.To
	default:
		return m.Via
	}
}

// across are the columns of the parent that [upward] is equal to.
func across(m *store.Member) []store.Column {
	if m.Relation == store.BelongsTo {
		return m.Via
	}
	return m.To
}

// uses are the columns of m's table in which a trigger sees changes of what a
// composite depends on through m: in the function of one, and not in its
// condition, a virtual column is NULL before and after.
func uses(m *store.Member) (all []store.Column) {
	for _, c := range reads(m) {
		if !c.Virtual { // first, since they have their types
			all = append(all, c)
		}
	}
	for _, c := range reads(m) {
		all = addColumns(all, c.Watched()...)
	}
	return all
}

// reads are the columns of m's table that a composite depends on through m.
func reads(m *store.Member) []store.Column {
	all := addColumns(nil, m.Key...)
	all = addColumns(all, upward(m)...)
	all = addColumns(all, m.Columns...)
	all = addColumns(all, m.Fragment...)
	for _, a := range m.Aggregates {
		if a.Column.Name != "" {
			all = addColumns(all, a.Column)
		}
	}
	for _, child := range m.Members {
		all = addColumns(all, across(child)...)
	}
	return all
}

func addColumns(to []store.Column, columns ...store.Column) []store.Column {
	for _, c := range columns {
		if !slices.ContainsFunc(to, func(o store.Column) bool { return o.Name == c.Name }) {
			to = append(to, c)
		}
	}
	return to
}

func sortColumns(columns []store.Column) {
	slices.SortFunc(columns, func(a, b store.Column) int { return cmp.Compare(a.Name, b.Name) })
}

func names(columns []store.Column) []string {
	all := make([]string, len(columns))
	for i, c := range columns {
		all[i] = c.Name
	}
	return all
}
