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
