package mapping

import (
	"fmt"
	"maps"
	"slices"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Table is a table of a sync's tree: what expressions may read of it, and,
// once they are compiled, what they do read. It is filled while expressions
// are compiled, which is for one goroutine; evaluation only reads it.
type Table struct {
	// Name of the relation; empty for the root.
	Name string
	// Relation is how it hangs on its parent.
	Relation store.Relation
	// Info is the table as the catalogue has it.
	Info *store.TableInfo
	// Members are the relations below, by name.
	Members map[string]*Table
	// Unknown: the table, or which relations it has, is not known. A name that is
	// not found in it is no problem of the expression.
	Unknown bool
	// Lost are names of relations below of which nothing else is known.
	Lost []string

	rows       bool            // the rows themselves are read
	columns    map[string]bool // that are read
	aggregates map[string]store.Aggregate
}

// Used says whether any expression reads the table or one below it.
func (t *Table) Used() bool {
	if t.rows || len(t.aggregates) > 0 || t.Relation == store.Root {
		return true
	}
	for _, m := range t.Members {
		if m.Used() {
			return true
		}
	}
	return false
}

// Columns are the columns that are read, sorted. A table whose rows matter
// only by being there has its primary key here.
func (t *Table) Columns() []string {
	if !t.rows {
		return nil
	}
	read := maps.Clone(t.columns)
	if read == nil {
		read = map[string]bool{}
	}
	for _, a := range t.aggregates { // computed from the rows
		if a.Column.Name != "" {
			read[a.Column.Name] = true
		}
	}
	if len(read) == 0 && t.Relation != store.Root {
		return slices.Clone(t.Info.Key)
	}
	return slices.Sorted(maps.Keys(read))
}

// OnlyAggregates says that the rows are counted or summed and not read in any
// other way.
func (t *Table) OnlyAggregates() bool { return !t.rows && len(t.aggregates) > 0 }

// Aggregates are what the database is to compute, by name; none when the rows
// are loaded anyway.
func (t *Table) Aggregates() []store.Aggregate {
	if !t.OnlyAggregates() {
		return nil
	}
	var out []store.Aggregate
	for _, name := range slices.Sorted(maps.Keys(t.aggregates)) {
		out = append(out, t.aggregates[name])
	}
	return out
}

// Names lists what can be read of the table: columns, then relations.
func (t *Table) Names() []string {
	names := make([]string, 0, len(t.Info.Columns)+len(t.Members))
	for _, c := range t.Info.Columns {
		names = append(names, c.Name)
	}
	return append(names, slices.Sorted(maps.Keys(t.Members))...)
}

func (t *Table) read(column string) {
	if t.columns == nil {
		t.columns = map[string]bool{}
	}
	t.columns[column] = true
	t.rows = true
}

// readAll notes that whole rows are values: every column is read.
func (t *Table) readAll() {
	for _, c := range t.Info.Columns {
		t.read(c.Name)
	}
}

func (t *Table) aggregate(function string, column store.Column) store.Aggregate {
	a := store.Aggregate{Name: fmt.Sprintf("%s(%s)", function, t.Name), Func: function, Column: column}
	if column.Name != "" {
		a.Name = fmt.Sprintf("%s(%s.%s)", function, t.Name, column.Name)
	}
	if t.aggregates == nil {
		t.aggregates = map[string]store.Aggregate{}
	}
	t.aggregates[a.Name] = a
	return a
}

// whose is the first column of which it is known that a text is one of its values;
// empty: none.
func (t *Table) whose(value string) string {
	for _, c := range t.Info.Columns {
		if slices.Contains(t.Info.Values[c.Name], value) {
			return c.Name
		}
	}
	return ""
}

// column is the type of a column's values.
func (t *Table) column(c store.Column) Type {
	nullable := c.Nullable && !slices.Contains(t.Info.Key, c.Name)
	out := Type{kind: columnKinds[c.Kind], null: nullable, values: t.Info.Values[c.Name]}
	if out.values != nil {
		out.of, out.ranked = t.Info.Name+"."+c.Name, t.Info.Enums[c.Name]
	}
	return out
}
