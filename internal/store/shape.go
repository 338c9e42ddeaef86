package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Table names a table. An empty Schema means the one the database finds the
// name in (search path on PostgreSQL, main on SQLite); a [Catalog] answers
// with the schema filled in.
type Table struct{ Schema, Name string }

// String is schema.name, or the name alone, as [ParseTable] reads it: a part with
// a dot or a double quote in it stands in double quotes. No two tables have one
// String; the registry knows tables by it.
func (t Table) String() string {
	if t.Schema == "" {
		return part(t.Name)
	}
	return part(t.Schema) + "." + part(t.Name)
}

func part(name string) string {
	if !strings.ContainsAny(name, `."`) {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// ParseTable reads what a person writes for a table: orders, sales.orders, and
// in double quotes what has a dot in it: "my.table", sales."my.table". A quote
// inside quotes is written twice, as in SQL. Quotes change nothing else: a name
// is taken letter by letter. What has its quotes elsewhere is one name with them
// in it.
func ParseTable(s string) Table {
	if schema, rest, ok := cutPart(s); ok && rest != "" {
		if name, end, ok := cutPart(rest[1:]); ok && end == "" && schema != "" {
			return Table{Schema: schema, Name: name}
		}
		if !strings.HasPrefix(s, `"`) {
			return Table{Schema: schema, Name: rest[1:]}
		}
	} else if ok {
		return Table{Name: schema}
	}
	return Table{Name: s}
}

// Undotted is a table whose whole name is what a person wrote for a schema, a dot
// and a table, and has to stand in quotes; false: there is none.
func Undotted(ctx context.Context, c Catalog, written string) (Table, bool) {
	t := Table{Name: written}
	if ParseTable(written) == t {
		return t, false
	}
	_, err := c.Table(ctx, t)
	return t, err == nil
}

// cutPart splits the first part of a name from what follows: nothing, or a dot
// and more. Not ok: a quote is where none can be.
func cutPart(s string) (part, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		i := strings.IndexByte(s, '.')
		if i < 0 {
			return s, "", true
		}
		return s[:i], s[i:], true
	}
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] != '"':
		case strings.HasPrefix(s[i:], `""`):
			i++
		default:
			rest := s[i+1:]
			return strings.ReplaceAll(s[1:i], `""`, `"`), rest, rest == "" || rest[0] == '.'
		}
	}
	return "", "", false
}

// Column is one column of a table, as the catalogue has it.
type Column struct {
	Name     string
	Type     string // the database's own name, for casts: "numeric(10,2)"
	Kind     Kind
	Nullable bool
	// Alike: values that are written otherwise may be equal, as they are under a
	// collation that ignores case.
	Alike bool `json:",omitempty"`
	// Virtual: the database computes the value when it is read, and a trigger does
	// not find it. Bases are the columns of the table that it is computed from: the
	// names, with a zero byte between two.
	Virtual bool   `json:",omitempty"`
	Bases   string `json:",omitempty"`
	// Labels are those of an enum, or of an array of it, each on a line of its own:
	// what tells it apart from the others of the type, whatever it is called, a space,
	// and how it is written. They may change without the column becoming another one.
	Labels string `json:"-"`
}

// ErrLabel is of a value that is a label which the column's type did not have when
// the table was looked at: it was added since, or another one is called so now.
var ErrLabel = errors.New("a label that its type did not have when the tables were looked at")

// Labelled is ErrLabel for a value, as text, with a label that is none of Labels.
func (c Column) Labelled(text string) error {
	known := func(text string) bool {
		for line := range strings.SplitSeq(c.Labels, "\n") {
			if _, label, _ := strings.Cut(line, " "); label == text {
				return true
			}
		}
		return false
	}
	if known(text) {
		return nil
	}
	if strings.HasPrefix(text, "{") {
		elements, err := Array(text)
		if err != nil || !slices.ContainsFunc(elements, func(e *string) bool { return e != nil && !known(*e) }) {
			return nil
		}
	}
	return fmt.Errorf("%q has %w", text, ErrLabel)
}

// Watched are the columns in which a trigger sees that the value has changed: the
// column itself or, where that can't be, those that it is computed from, of which
// only the names are known.
func (c Column) Watched() []Column {
	if !c.Virtual {
		return []Column{c}
	}
	var all []Column
	for name := range strings.SplitSeq(c.Bases, "\x00") {
		if name != "" {
			all = append(all, Column{Name: name})
		}
	}
	return all
}

// NoLink says that a virtual column can't tie a relation, and NoLinkFix what to do.
func NoLink(t Table, column string) string {
	return fmt.Sprintf("%s of %s is a virtual column, which can tie no rows: the database computes it when it is read, and a trigger does not find the value that it had", column, t)
}

// NoLinkFix goes with [NoLink].
const NoLinkFix = "make it a stored one (GENERATED ALWAYS AS (...) STORED), or tie by the columns that it is computed from"

// ForeignKey is a declared foreign key.
type ForeignKey struct {
	Columns []string
	Table   Table
	To      []string
}

// TableInfo is what the catalogue knows of a table.
type TableInfo struct {
	Table
	PartOf      Table // the partitioned table that it is a partition of; zero: of none
	Columns     []Column
	Key         []string // primary key, in order; empty: there is none
	ForeignKeys []ForeignKey
	// Values are the only texts that a column can hold, NULL aside, by its name, as
	// the database declares them: an enum's labels. A column that is not here may
	// hold any.
	Values map[string][]string
	// Enums are the columns among Values whose labels have an order of their own,
	// the one in which they stand.
	Enums   map[string]bool
	Indexes [][]string // column lists of usable (valid, not partial) indexes, the key's too
	Unique  [][]string // columns of the valid, not partial unique indexes, the key's left out
	Rows    int64      // the database's own estimate
}

// Column finds a column by its exact name.
func (t *TableInfo) Column(name string) (Column, bool) {
	for _, c := range t.Columns {
		if c.Name == name {
			return c, true
		}
	}
	return Column{}, false
}

// Misordered returns the columns in the right order if a declared foreign key says
// that they point at those of target in another one than is said here; nil if
// none says so.
func (t *TableInfo) Misordered(columns []string, target Table, to []string) []string {
	var right []string
	for _, fk := range t.ForeignKeys {
		if fk.Table != target || len(fk.Columns) != len(fk.To) || !sameNames(fk.Columns, columns) || !sameNames(fk.To, to) {
			continue
		}
		order := make([]string, len(to))
		for i, name := range to {
			order[i] = fk.Columns[slices.Index(fk.To, name)]
		}
		if slices.Equal(order, columns) {
			return nil
		}
		right = order
	}
	return right
}

// sameNames says whether two lists have the same names, in any order.
func sameNames(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// Shape is what a database must know of a sync: the tree of tables that make
// one composite, with names and types already resolved against the catalogue.
// What is in it is loaded, and what is loaded is watched.
type Shape struct {
	Sync string
	// ByHand: groups are made by [Log.Append] of a Register only. Otherwise
	// every row of the root table is a group.
	ByHand bool
	// Every: each committed version of a group becomes a command ([Commands]);
	// with ByHand only those that [Commands.AppendCommand] appends.
	Every bool
	Root  *Member
	// LeaveGone: a sweep that forces every record leaves groups of which nothing
	// is there, by all that the registry knows, unforced: their remote could not
	// be asked for what it does not know.
	LeaveGone bool
	// MemberLimit is the most rows that one composite may have in one
	// relation; over it the composite is refused ([Composite.Err]).
	MemberLimit int
	// ByteLimit is about how many bytes of memory the rows may take that one
	// [Loader.Load] gives, if they are of several keys; those of one key may take
	// four times as many. Zero means 256 MB.
	ByteLimit int64 `json:",omitempty"`
}

// Relation is how a member hangs on its parent.
type Relation int

const (
	Root      Relation = iota
	BelongsTo          // parent.Via = member.To: at most one
	HasOne             // member.Via = parent.To: at most one
	HasMany            // member.Via = parent.To: any number
)

// String is the word of the configuration.
func (r Relation) String() string {
	return [...]string{"root", "belongs_to", "has_one", "has_many"}[r]
}

// Member is one table in a shape's tree.
type Member struct {
	Name     string // of the relation; empty for the root
	Relation Relation
	Table    Table
	// Key is the table's primary key.
	Key []Column
	// Via is the foreign key: columns of the parent for BelongsTo, of this
	// table for HasOne and HasMany. To is what it points at, on the other
	// side. Both have the same length; Column lists are resolved.
	Via, To []Column
	// Columns are the columns that translation, when and external id read.
	// Keys and foreign keys of the path are watched without being here.
	Columns []Column
	// Where is an SQL condition over this table's own columns, Order an SQL
	// ORDER BY list; both as the user wrote them, empty for none. Fragment
	// lists the columns that the database says both read.
	Where, Order string
	Fragment     []Column
	// Aggregates are computed by the database; with OnlyAggregates the rows
	// themselves are not loaded (HasMany only).
	Aggregates     []Aggregate
	OnlyAggregates bool
	Members        []*Member
}

// Several is the refusal of a composite in which more than one row would be the
// only one.
func (m *Member) Several() error {
	if m.Relation != BelongsTo {
		return fmt.Errorf("%s has more than one row; give it an order, so that the first is taken, or a where", m.Name)
	}
	names := make([]string, len(m.To))
	for i, c := range m.To {
		names[i] = c.Name
	}
	return fmt.Errorf("%s has more than one row: %s of %s is not unique; let it point at what is", m.Name, strings.Join(names, ", "), m.Table)
}

// Aggregate is a count or a sum over a has_many relation.
type Aggregate struct {
	Name   string // key in the parent's Row
	Func   string // "count" or "sum"; sum of no rows is 0
	Column Column // of this table; zero for count
}

// Own is how names begin, in a statement over some members, that are none of the
// user's: upkeep_, or where a table or column begins with that, another word.
func Own(members ...*Member) string {
	var theirs []string
	for _, m := range members {
		theirs = append(theirs, strings.ToLower(m.Table.Name))
		for _, columns := range [][]Column{m.Key, m.Via, m.To, m.Columns, m.Fragment} {
			for _, c := range columns {
				theirs = append(theirs, strings.ToLower(c.Name))
			}
		}
		for _, a := range m.Aggregates {
			theirs = append(theirs, strings.ToLower(a.Column.Name))
		}
		for _, child := range m.Members { // what they hang on
			for _, c := range slices.Concat(child.Via, child.To) {
				theirs = append(theirs, strings.ToLower(c.Name))
			}
		}
	}
	own := "upkeep_"
	for n := 2; slices.ContainsFunc(theirs, func(name string) bool { return strings.HasPrefix(name, own) }); n++ {
		own = fmt.Sprintf("upkeep%d_", n)
	}
	return own
}

// Walk calls f for m and every member below it, parents first, with the path
// of relation names from the root ("" for the root, "lines.product").
func (m *Member) Walk(f func(path string, m, parent *Member)) { m.walk("", nil, f) }

func (m *Member) walk(path string, parent *Member, f func(string, *Member, *Member)) {
	f(path, m, parent)
	for _, c := range m.Members {
		p := c.Name
		if path != "" {
			p = path + "." + c.Name
		}
		c.walk(p, m, f)
	}
}
