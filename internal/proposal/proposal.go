// Package proposal writes a first configuration for a database: it reads the
// catalogue and proposes syncs for the tables that look like records, with the
// relations that their foreign keys tell.
package proposal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Options say what to propose.
type Options struct {
	// Source is what the file has as source, already as YAML.
	Source string
	// SourceNotes are comments above the source, a line each.
	SourceNotes []string
	// Tables are the root tables, as a person writes them: orders or
	// sales.orders. Empty: those that look most like records.
	Tables []string
}

// Proposal is a configuration to begin with.
type Proposal struct {
	// Text is the file.
	Text string
	// Syncs are the names of its syncs, in the order of the file.
	Syncs []string
	// Tables is how many tables the database has.
	Tables int
}

// ErrNothing is the error when no table can be a root.
var ErrNothing = errors.New("no table of this database can be the root of a sync")

// rootsMost is how many roots are chosen when nobody says which.
const rootsMost = 3

// Make reads the catalogue and writes the proposal. The same catalogue gives
// the same text. With [ErrNothing], or an [UnknownTableError] for each such name, the proposal says
// how many tables there are and nothing else.
func Make(ctx context.Context, catalog store.Catalog, o Options) (*Proposal, error) {
	s, err := survey(ctx, catalog)
	if err != nil {
		return nil, err
	}
	roots, unknown, err := s.choose(o.Tables)
	for _, u := range unknown {
		if strings.HasPrefix(u.Why, notThere) {
			u.Why = whyNot(ctx, catalog, u)
		}
		err = errors.Join(err, u)
	}
	if err != nil {
		return &Proposal{Tables: len(s.tables)}, err
	}
	w := &writer{survey: s, options: o, roots: sorted(roots)}
	w.nameSyncs()
	out := &Proposal{Text: w.file(), Tables: len(s.tables)}
	for _, t := range w.roots {
		out.Syncs = append(out.Syncs, w.sync[t])
	}
	return out, nil
}

// schema is what a database has.
type schema struct {
	tables []*table // by schema and name
}

// table is a table with the foreign keys that lead from and to it.
type table struct {
	*store.TableInfo
	written string            // as a configuration names it
	faults  map[string]string // of the columns of keys: why their types can be none
	unfit   string            // why it can't be in a sync; empty: it can
	out, in []*link
}

// link is a foreign key that a relation can follow.
type link struct {
	child, target *table
	via, to       []string
	unique        bool // at most one child row for each target row
}

// whyNot says more of a name that is no table's, when the catalogue knows it.
func whyNot(ctx context.Context, catalog store.Catalog, unknown *UnknownTableError) string {
	info, err := catalog.Table(ctx, store.ParseTable(unknown.Table))
	switch {
	case errors.Is(err, store.ErrView):
		return "it is a view, and a view has no changes that could be seen; name the tables that it reads"
	case err == nil && info.PartOf != store.Table{}:
		return "it is a partition; name the table that it is a part of: " + shown(info.PartOf.String())
	case err == nil:
		return "it is a temporary table, or the database's own"
	}
	return unknown.Why
}

// survey reads all tables.
func survey(ctx context.Context, catalog store.Catalog) (*schema, error) {
	names, err := catalog.Tables(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the tables: %w", err)
	}
	s := &schema{}
	for _, name := range names {
		info, err := catalog.Table(ctx, name)
		if errors.Is(err, store.ErrNoTable) { // dropped a moment ago, or hidden
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("describe table %s: %w", name, err)
		}
		t := &table{TableInfo: info}
		if t.written, err = writtenName(ctx, catalog, info.Table); err != nil {
			return nil, err
		}
		if t.faults, err = faults(ctx, catalog, info); err != nil {
			return nil, fmt.Errorf("examine the keys of table %s: %w", name, err)
		}
		t.unfit = unfit(t)
		s.tables = append(s.tables, t)
	}
	slices.SortFunc(s.tables, compareTables)
	for _, t := range s.tables {
		for _, fk := range t.ForeignKeys {
			s.follow(t, fk)
		}
	}
	return s, nil
}

// writtenName is how a configuration names a table: its name alone where that
// finds it, else with its schema.
func writtenName(ctx context.Context, catalog store.Catalog, t store.Table) (string, error) {
	alone := store.Table{Name: t.Name}
	found, err := catalog.Table(ctx, alone)
	switch {
	case err == nil && found.Table == t:
		return alone.String(), nil
	case err != nil && !errors.Is(err, store.ErrNoTable):
		return "", fmt.Errorf("describe table %s: %w", t.Name, err)
	}
	return t.String(), nil
}

// faults are those of the columns of a table's primary and foreign keys.
func faults(ctx context.Context, catalog store.Catalog, t *store.TableInfo) (map[string]string, error) {
	keys := slices.Clone(t.Key)
	for _, fk := range t.ForeignKeys {
		keys = append(keys, fk.Columns...)
	}
	found := map[string]string{}
	for _, name := range keys {
		c, ok := column(t, name)
		if !ok {
			continue
		}
		why := ""
		if j, ok := catalog.(store.KeyJudge); ok {
			var err error
			if why, err = j.KeyFault(ctx, c); err != nil {
				return nil, err
			}
		} else if slices.Contains([]store.Kind{store.Float, store.Time, store.Bytes, store.JSON}, c.Kind) {
			why = "it has no one way to be written"
		}
		if why != "" {
			found[c.Name] = why
		}
	}
	return found, nil
}

// unfit is why a table can be in no sync.
func unfit(t *table) string {
	if len(t.Key) == 0 {
		return "it has no primary key, so its rows can't be told apart; add one"
	}
	for _, name := range t.Key {
		if why := t.faults[name]; why != "" {
			c, _ := t.Column(name)
			return fmt.Sprintf("the column %s of its primary key is of type %s, which can be no key: %s", name, c.Type, why)
		}
	}
	return ""
}

// follow notes a foreign key that leads somewhere.
func (s *schema) follow(child *table, fk store.ForeignKey) {
	l := &link{child: child, target: s.table(fk.Table)}
	if l.target == nil || len(fk.Columns) != len(fk.To) {
		return
	}
	for i := range fk.Columns {
		from, ok1 := column(child.TableInfo, fk.Columns[i])
		to, ok2 := column(l.target.TableInfo, fk.To[i])
		if !ok1 || !ok2 || child.faults[from.Name] != "" || l.target.faults[to.Name] != "" || from.Kind != to.Kind && !(numeral(from.Kind) && numeral(to.Kind)) {
			return
		}
		l.via, l.to = append(l.via, from.Name), append(l.to, to.Name)
	}
	for _, u := range append([][]string{child.Key}, child.Unique...) {
		// A column more than a unique one can't make two rows of one.
		within := len(u) > 0
		for _, name := range u {
			within = within && slices.Contains(l.via, name)
		}
		l.unique = l.unique || within
	}
	child.out, l.target.in = append(child.out, l), append(l.target.in, l)
}

func numeral(k store.Kind) bool { return k == store.Int || k == store.Decimal }

// table finds a table by its name; SQLite's foreign keys have it as somebody
// wrote it, in whatever case.
func (s *schema) table(name store.Table) *table {
	for _, t := range s.tables {
		if t.Table == name {
			return t
		}
	}
	for _, t := range s.tables {
		if t.Schema == name.Schema && strings.EqualFold(t.Name, name.Name) {
			return t
		}
	}
	return nil
}

func column(t *store.TableInfo, name string) (store.Column, bool) {
	if c, ok := t.Column(name); ok {
		return c, true
	}
	for _, c := range t.Columns {
		if strings.EqualFold(c.Name, name) {
			return c, true
		}
	}
	return store.Column{}, false
}

func compareTables(a, b *table) int {
	if c := strings.Compare(a.Schema, b.Schema); c != 0 {
		return c
	}
	return strings.Compare(a.Name, b.Name)
}
