package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Rights examines the file for these shapes: here, whether the foreign keys
// that are followed have an index.
// It implements [store.Catalog].
func (d *DB) Rights(ctx context.Context, shapes []*store.Shape) ([]store.Finding, error) {
	var found []store.Finding
	err := d.view(ctx, "examine "+d.name, func(tx *sql.Tx) error {
		found = unfit(shapes)
		seen := map[string]bool{}
		for _, s := range shapes {
			var err error
			s.Root.Walk(func(_ string, m, parent *store.Member) {
				if parent == nil || err != nil {
					return
				}
				// Loading goes down by one side, folding goes up by the other.
				own, up := m.Via, m.To
				if m.Relation == store.BelongsTo {
					own, up = m.To, m.Via
				}
				found = append(found, unlike(m, parent)...)
				for _, side := range []struct {
					table store.Table
					cols  []store.Column
				}{{m.Table, own}, {parent.Table, up}} {
					var f *store.Finding
					if f, err = noIndex(ctx, tx, side.table, side.cols); err != nil {
						return
					}
					if f != nil && !seen[f.Subject] {
						seen[f.Subject] = true
						found = append(found, *f)
					}
				}
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return found, err
}

// unlike warns of columns that are compared and hold values that are hardly ever
// equal: SQLite compares anything.
func unlike(m, parent *store.Member) (found []store.Finding) {
	number := func(c store.Column) bool {
		return c.Kind == store.Int || c.Kind == store.Decimal || c.Kind == store.Float
	}
	for i, c := range ownSide(m) {
		p := parentSide(m)[i]
		if c.Kind == store.Other || p.Kind == store.Other || number(c) == number(p) {
			continue
		}
		found = append(found, store.Finding{Severity: store.Warning, Subject: parent.Table.String() + "." + p.Name,
			Message: fmt.Sprintf("it is %s and is compared with %s of %s, which is %s: hardly any row will be found", p.Type, c.Name, m.Table, c.Type),
			Fix:     "name the columns that belong together, each in the place of the one that it points at"})
	}
	return found
}

// noIndex is a finding if no index of the table begins with the columns.
func noIndex(ctx context.Context, tx *sql.Tx, t store.Table, cols []store.Column) (*store.Finding, error) {
	info, err := describe(ctx, tx, t)
	if err != nil {
		return nil, err
	}
	var names, quoted []string
	for _, c := range cols {
		names, quoted = append(names, c.Name), append(quoted, ident(c.Name))
	}
	for _, index := range info.Indexes {
		if len(index) < len(names) {
			continue
		}
		head := slices.Clone(index[:len(names)])
		if slices.Sort(head); slices.Equal(head, slices.Sorted(slices.Values(names))) {
			return nil, nil
		}
	}
	return &store.Finding{
		Severity: store.Warning,
		Subject:  info.Name + "." + strings.Join(names, ","),
		Message:  "no index: every change that follows this reference reads the whole table",
		Fix: fmt.Sprintf("CREATE INDEX %s ON %s (%s)", ident(info.Name+"_"+strings.Join(names, "_")), ident(info.Name),
			strings.Join(quoted, ", ")),
	}, nil
}

// Examine compiles the statement of each member.
// It implements [store.Catalog].
func (d *DB) Examine(ctx context.Context, shape *store.Shape) (found []store.Finding, err error) {
	err = d.view(ctx, "examine what loads "+shape.Sync, func(tx *sql.Tx) error {
		found = nil
		shape.Root.Walk(func(path string, m, parent *store.Member) {
			if ctx.Err() != nil {
				return
			}
			// The driver compiles when a statement is run, so it is one that reads nothing.
			rows, err := tx.QueryContext(ctx, `EXPLAIN `+readerOf(m, parent != nil).statement(m, m.Order), "[]")
			if err == nil {
				err = rows.Close()
			}
			if err != nil {
				found = append(found, store.Finding{Severity: store.Problem, Subject: path, Table: m.Table.String(), Message: fmt.Sprintf("SQLite refuses the statement that would load %s: %v", m.Table, err)})
			}
		})
		return ctx.Err()
	})
	return found, err
}
