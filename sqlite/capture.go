package sqlite

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// usedBy are the columns of m's table that can change what a group of m's
// shape is, or which group a row belongs to: sorted, without doubles.
func usedBy(m *store.Member) []string {
	var names []string
	add := func(cs []store.Column) {
		for _, c := range cs {
			names = append(names, c.Name)
		}
	}
	add(m.Columns)
	add(m.Fragment)
	for _, a := range m.Aggregates {
		if a.Column.Name != "" {
			names = append(names, a.Column.Name)
		}
	}
	names = append(names, loggedFor(m)...)
	slices.Sort(names)
	return slices.Compact(names)
}

// loggedFor are the columns whose values find m's groups: its key, and its
// own side of the references to its parent and from its members.
func loggedFor(m *store.Member) []string {
	var names []string
	add := func(cs []store.Column) {
		for _, c := range cs {
			names = append(names, c.Name)
		}
	}
	add(m.Key)
	add(ownSide(m))
	for _, child := range m.Members {
		add(parentSide(child))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// ownSide are the columns of m's table that tie it to its parent.
func ownSide(m *store.Member) []store.Column {
	switch m.Relation {
	case store.Root:
		return nil
	case store.BelongsTo:
		return m.To
	}
	return m.Via
}

// parentSide are the columns of the parent's table that tie m to it.
func parentSide(m *store.Member) []store.Column {
	switch m.Relation {
	case store.Root:
		return nil
	case store.BelongsTo:
		return m.Via
	}
	return m.To
}

// watched is what the triggers of one table need to know.
type watched struct {
	table  string
	key    []string // primary key
	cols   []string // whose change is logged
	logged []string // whose values are logged
	unique []unique // other rows that an INSERT or UPDATE may replace
	ints   map[string]bool
}

// unique is a unique index (or the primary key) of a table.
type unique struct {
	cols    []string
	collate []string
	whole   bool // neither partial nor over expressions
}

// watchedTables gathers what all shapes need, by table.
func watchedTables(shapes []*store.Shape) map[string]*watched {
	all := map[string]*watched{}
	for _, s := range shapes {
		s.Root.Walk(func(_ string, m, _ *store.Member) {
			w := all[m.Table.Name]
			if w == nil {
				w = &watched{table: m.Table.Name, ints: map[string]bool{}}
				for _, c := range m.Key {
					w.key = append(w.key, c.Name)
				}
				all[m.Table.Name] = w
			}
			w.cols = append(w.cols, usedBy(m)...)
			w.logged = append(w.logged, loggedFor(m)...)
		})
	}
	for _, w := range all {
		slices.Sort(w.cols)
		slices.Sort(w.logged)
		w.cols, w.logged = slices.Compact(w.cols), slices.Compact(w.logged)
	}
	return all
}

// triggerPrefix begins the names of all triggers of Upkeep.
const triggerPrefix = "upkeep_"

// triggerNote is for a person who finds a trigger in the schema, perhaps since
// SQLite named it when it refused to drop a column.
const triggerNote = "-- Upkeep notes changes of this table here. Before a column that it names is dropped, take it out of the configuration and run upkeep apply; upkeep uninstall removes all of it."

// triggers are the statements that make the table's triggers, by name.
func (w *watched) triggers() map[string]string {
	t := map[string]string{}
	define := func(kind, when string, body ...string) {
		name := triggerPrefix + w.table + "_" + kind
		event := map[string]string{"insert": "AFTER INSERT", "delete": "AFTER DELETE", "update": "AFTER UPDATE",
			"replace": "BEFORE INSERT", "displace": "BEFORE UPDATE", "displaced": "AFTER UPDATE"}[kind]
		if when != "" {
			when = " WHEN " + when
		}
		t[name] = fmt.Sprintf("CREATE TRIGGER %s %s ON %s FOR EACH ROW%s BEGIN\n  %s\n  %s;\nEND",
			ident(name), event, ident(w.table), when, triggerNote, strings.Join(body, ";\n  "))
	}
	inserted := []string{w.log("insert", "NULL", w.values("NEW"), "NULL")}
	changed := w.changed(w.cols)
	if len(w.unique) > 0 {
		// INSERT OR REPLACE takes rows away without firing a delete trigger.
		// What may be replaced is logged before, and counts only if the new
		// row is really inserted.
		define("replace", "", w.forget(), w.conflicting(""))
		inserted = append(inserted, w.confirm())
	}
	if others := w.others(); others != "" {
		var cols []string
		for _, u := range w.unique {
			cols = append(cols, u.cols...)
		}
		slices.Sort(cols)
		moved := w.changed(slices.Compact(cols))
		define("displace", moved, w.forget(), w.conflicting(`NOT (`+w.same("upkeep_row", "OLD", w.key)+`)`))
		define("displaced", moved, w.confirm())
	}
	define("insert", "", inserted...)
	define("delete", "", w.log("delete", w.values("OLD"), "NULL", "NULL"))
	define("update", changed, w.log("update", w.values("OLD"), w.values("NEW"), w.names()))
	return t
}

// at is the time in a trigger, in microseconds, with functions that every
// version of SQLite has: the application may bring its own.
const at = `CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)`

// log is the statement that appends one row to the log.
func (w *watched) log(op, old, new, cols string) string {
	return fmt.Sprintf(`INSERT INTO upkeep_touch (tbl, op, names, old, new, cols, at) VALUES (%s, %s, %s, %s, %s, %s, %s)`,
		literal(w.table), literal(op), literal(w.layout()), old, new, cols, at)
}

// layout names the logged columns, so that rows stay readable after the
// configuration changed.
func (w *watched) layout() string {
	b, _ := json.Marshal(w.logged) // strings can always be encoded
	return string(b)
}

// values is the expression of the logged values of row OLD or NEW: SQL
// literals joined by commas. It can't fail whatever the row holds.
func (w *watched) values(row string) string {
	parts := make([]string, len(w.logged))
	for i, c := range w.logged {
		v := row + "." + ident(c)
		if w.ints[c] {
			parts[i] = "quote(" + v + ")"
			continue
		}
		// quote() ends at a NUL character.
		parts[i] = fmt.Sprintf(`CASE WHEN typeof(%s) = 'text' AND instr(%s, char(0)) THEN 'T''' || hex(%s) || '''' ELSE quote(%s) END`, v, v, v, v)
	}
	return strings.Join(parts, ` || ',' || `)
}

// differs is the condition that a column changed: its value to the byte, or
// its type (1 and 1.0 are equal to SQLite).
func differs(column string) string {
	c := ident(column)
	return fmt.Sprintf(`OLD.%s IS NOT NEW.%s COLLATE BINARY OR typeof(OLD.%s) <> typeof(NEW.%s)`, c, c, c, c)
}

// changed is the condition that any of the columns changed.
func (w *watched) changed(cols []string) string {
	parts := make([]string, len(cols))
	for i, c := range cols {
		parts[i] = differs(c)
	}
	return strings.Join(parts, "\n    OR ")
}

// names is the expression of the names of the columns that changed.
func (w *watched) names() string {
	parts := make([]string, len(w.cols))
	for i, c := range w.cols {
		b, _ := json.Marshal(c)
		parts[i] = fmt.Sprintf(`CASE WHEN %s THEN %s ELSE '' END`, differs(c), literal(string(b)+","))
	}
	return strings.Join(parts, "\n    || ")
}

// forget makes what an earlier INSERT was about to replace, and did not, mean
// nothing. The row stays for the fold: if it were the last one and deleted,
// its id could come again under a fold that has read it already.
func (w *watched) forget() string {
	return `UPDATE upkeep_touch SET op = 'nothing' WHERE op = 'replacing' AND tbl = ` + literal(w.table)
}

// confirm makes what was about to be replaced count. Where the key stays the
// row is not gone, and nothing says that it was deleted.
func (w *watched) confirm() string {
	return `UPDATE upkeep_touch SET op = CASE force WHEN 1 THEN 'delete' ELSE 'update' END, force = 0` +
		` WHERE op = 'replacing' AND tbl = ` + literal(w.table)
}

// others are the conditions for rows with another key than NEW's that NEW
// may replace: empty if there is no unique index but the primary key.
func (w *watched) others() string {
	var parts []string
	for _, u := range w.unique {
		if !slices.Equal(u.cols, w.key) {
			parts = append(parts, "("+w.equal(u)+")")
		}
	}
	return strings.Join(parts, " OR ")
}

// equal is the condition that a row stands in NEW's way in a unique index.
func (w *watched) equal(u unique) string {
	parts := make([]string, len(u.cols))
	for i, c := range u.cols {
		parts[i] = fmt.Sprintf(`upkeep_row.%s = NEW.%s COLLATE %s`, ident(c), ident(c), ident(u.collate[i]))
	}
	return strings.Join(parts, " AND ")
}

// same is the condition that two rows have the same key.
func (w *watched) same(a, b string, cols []string) string {
	parts := make([]string, len(cols))
	for i, c := range cols {
		parts[i] = fmt.Sprintf(`%s.%s IS %s.%s`, a, ident(c), b, ident(c))
	}
	return strings.Join(parts, " AND ")
}

// conflicting logs the rows that stand in NEW's way, for the time being.
// "force" holds whether the row would be gone for good.
func (w *watched) conflicting(and string) string {
	var selects []string
	for _, u := range w.unique {
		gone := "0"
		if u.whole && !slices.Equal(u.cols, w.key) {
			gone = "NOT (" + w.same("upkeep_row", "NEW", w.key) + ")"
		}
		where := w.equal(u)
		if and != "" {
			where += " AND " + and
		}
		selects = append(selects, fmt.Sprintf(`SELECT %s, 'replacing', %s, %s, %s, %s FROM %s AS upkeep_row WHERE %s`,
			literal(w.table), literal(w.layout()), w.values("upkeep_row"), at, gone, ident(w.table), where))
	}
	return `INSERT INTO upkeep_touch (tbl, op, names, old, at, force) ` + strings.Join(selects, " UNION ALL ")
}
