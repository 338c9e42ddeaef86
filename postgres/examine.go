package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Examine implements [store.Catalog]. A statement that is only parsed reads no
// row and needs no right to.
func (db *DB) Examine(ctx context.Context, shape *store.Shape) (found []store.Finding, err error) {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	shape.Root.Walk(func(path string, m, parent *store.Member) {
		for _, sql := range statements(m, parent == nil) {
			if err != nil {
				return
			}
			_, refused := conn.Conn().PgConn().Prepare(ctx, "", sql, nil)
			var e *pgconn.PgError
			switch {
			case refused == nil:
			case !errors.As(refused, &e):
				err = refused
			default:
				found = append(found, refusal(path, m, parent, e))
				return
			}
		}
	})
	return found, err
}

// statements are what loads the rows of a member, and what is computed of them.
func statements(m *store.Member, root bool) (all []string) {
	if root {
		_, sql := rootStatement(m)
		return []string{sql}
	}
	if len(m.Aggregates) > 0 {
		_, sql := aggregatesStatement(m)
		all = append(all, sql)
	}
	if !m.OnlyAggregates {
		_, sql := rowsStatement(m, defaultMemberLimit)
		all = append(all, sql)
	}
	return all
}

// refusal says why PostgreSQL refuses to load a member.
func refusal(path string, m, parent *store.Member, e *pgconn.PgError) store.Finding {
	f := store.Finding{Severity: store.Problem, Subject: path, Message: fmt.Sprintf("PostgreSQL refuses the statement that would load %s: %s (SQLSTATE %s)", m.Table, e.Message, e.Code)}
	if e.Code != "42883" || parent == nil { // no such operator
		return f
	}
	var unlike []string
	for i, c := range upward(m) {
		if p := across(m)[i]; castType(p) != castType(c) {
			unlike = append(unlike, fmt.Sprintf("%s of %s (%s) with %s of %s (%s)", p.Name, parent.Table, p.Type, c.Name, m.Table, c.Type))
		}
	}
	if len(unlike) > 0 {
		f.Message = "PostgreSQL can't compare " + strings.Join(unlike, ", or ") + ": " + e.Message
		f.Fix = "name the columns that belong together, each in the place of the one that it points at; or give them types that can be compared"
	}
	return f
}
