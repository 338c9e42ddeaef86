package proposal

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/spelling"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// UnknownTableError is about a table that a person named and that can't be a
// root.
type UnknownTableError struct{ Table, Why string }

// Error names the table and the reason.
func (e *UnknownTableError) Error() string { return fmt.Sprintf("table %s: %s", e.Table, e.Why) }

const notThere = "it does not exist"

// ledgers are the tables in which migration tools keep their books.
var ledgers = []string{"schema_migrations", "ar_internal_metadata", "goose_db_version", "flyway_schema_history", "django_migrations",
	"alembic_version", "knex_migrations", "knex_migrations_lock", "_prisma_migrations", "doctrine_migration_versions", "migrations",
	"databasechangelog", "databasechangeloglock", "schema_info"}

// choose picks the roots: those that were named, or else the tables that most
// others hang on.
func (s *schema) choose(named []string) (roots []*table, unknown []*UnknownTableError, err error) {
	if len(named) > 0 {
		roots, unknown = s.named(named)
		return roots, unknown, nil
	}
	var fit, parents []*table
	for _, t := range s.tables {
		if t.unfit != "" || slices.Contains(ledgers, strings.ToLower(t.Name)) {
			continue
		}
		fit = append(fit, t)
		if t.children() > 0 && !t.joins() {
			parents = append(parents, t)
		}
	}
	from := parents
	if len(from) == 0 {
		from = fit
	}
	if len(from) == 0 {
		return nil, nil, ErrNothing
	}
	slices.SortStableFunc(from, func(a, b *table) int {
		if c := cmp.Compare(b.children(), a.children()); c != 0 {
			return c
		}
		// Of two alike, the one that leads on to others says more.
		return cmp.Compare(len(b.out), len(a.out))
	})
	return from[:min(len(from), rootsMost)], nil, nil
}

func (s *schema) named(names []string) (out []*table, unknown []*UnknownTableError) {
	for _, name := range names {
		t, why := s.find(name)
		switch {
		case t == nil:
			unknown = append(unknown, &UnknownTableError{name, why})
		case t.unfit != "":
			unknown = append(unknown, &UnknownTableError{name, t.unfit})
		case !slices.Contains(out, t):
			out = append(out, t)
		}
	}
	return out, unknown
}

// find is the table that a person means by a name, in whatever case when only
// one fits.
func (s *schema) find(name string) (*table, string) {
	var alike []*table
	parsed := store.ParseTable(name).String() // with the quotes that are needed, and no others
	for _, t := range s.tables {
		if t.written == name || t.String() == name || t.written == parsed || t.String() == parsed {
			return t, ""
		}
		if strings.EqualFold(t.Name, name) || strings.EqualFold(t.String(), parsed) {
			alike = append(alike, t)
		}
	}
	switch len(alike) {
	case 1:
		return alike[0], ""
	case 0:
		var all []string
		for _, t := range s.tables {
			all = append(all, shown(t.written))
		}
		if near := spelling.Nearest(name, all); near != "" {
			return nil, notThere + "; did you mean " + near + "?"
		}
		if len(all) > 20 {
			all = append(all[:20], "...")
		}
		return nil, notThere + "; there are: " + strings.Join(all, ", ")
	}
	var all []string
	for _, t := range alike {
		all = append(all, t.String())
	}
	return nil, "it may be any of: " + strings.Join(all, ", ")
}

// children is how many foreign keys of other tables, which a relation can
// follow, point here.
func (t *table) children() int {
	n := 0
	for _, l := range t.in {
		if l.child != t && l.child.unfit == "" {
			n++
		}
	}
	return n
}

// joins says whether a table only ties others together.
func (t *table) joins() bool {
	if len(t.out) < 2 {
		return false
	}
	for _, c := range t.Columns {
		if !t.pointer(c.Name) && !slices.Contains(t.Key, c.Name) {
			return false
		}
	}
	return true
}

// pointer says whether a column is part of a foreign key.
func (t *table) pointer(column string) bool {
	for _, l := range t.out {
		if slices.Contains(l.via, column) {
			return true
		}
	}
	return false
}

// sorted puts those that are referred to before those that refer to them.
func sorted(roots []*table) []*table {
	left := slices.Clone(roots)
	slices.SortFunc(left, compareTables)
	var out []*table
	for len(left) > 0 {
		next := 0 // of a circle, the first
		for i, t := range left {
			if !slices.ContainsFunc(t.out, func(l *link) bool { return l.target != t && slices.Contains(left, l.target) }) {
				next = i
				break
			}
		}
		out = append(out, left[next])
		left = slices.Delete(left, next, next+1)
	}
	return out
}
