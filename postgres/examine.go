package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
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
		var f *store.Finding
		if err == nil {
			f, err = unfit(ctx, conn.Conn(), path, m)
		}
		if f != nil {
			found = append(found, *f)
			return
		}
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

// unfit is about the first column that leads to a group, or to the parent, and
// whose type can't: what is noted of a value must be read again as the same.
func unfit(ctx context.Context, conn *pgx.Conn, path string, m *store.Member) (*store.Finding, error) {
	for _, c := range upward(m) {
		if c.Kind != store.Other && c.Kind != store.JSON {
			continue
		}
		var why string
		err := conn.QueryRow(ctx, keyFault, c.Type).Scan(&why)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return nil, err
		}
		if why != "" {
			f := noKey(m.Table, c, why)
			f.Subject = path
			return &f, nil
		}
	}
	return nil, nil
}

// noKey is the problem of a column that can be in no key.
func noKey(t store.Table, c store.Column, why string) store.Finding {
	return store.Finding{Severity: store.Problem, Subject: t.String(), Table: t.String(),
		Message: fmt.Sprintf("column %s of %s is of type %s, which can be no key: %s", c.Name, t, c.Type, why),
		Fix:     "give the table a primary key of numbers, texts, UUIDs or dates, and this column a unique index"}
}

// keyFault is why a type, of a domain the one under it, can't be a key; empty: it
// can. What is no text and no number as JSON is an array or a document.
const keyFault = `
	WITH RECURSIVE base AS (
		SELECT t.* FROM pg_catalog.pg_type t WHERE t.oid = pg_catalog.to_regtype($1)
		UNION ALL
		SELECT t.* FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.typbasetype WHERE b.typtype = 'd')
	SELECT CASE
		WHEN b.oid = 'pg_catalog.money'::pg_catalog.regtype THEN 'its text depends on a setting, lc_monetary; make it a numeric'
		WHEN b.typtype = 'c' OR b.typlen = -1 AND b.typelem <> 0 OR b.oid IN ('pg_catalog.json'::pg_catalog.regtype, 'pg_catalog.jsonb'::pg_catalog.regtype)
			OR EXISTS (SELECT FROM pg_catalog.pg_cast k WHERE k.castsource = b.oid AND k.casttarget = 'pg_catalog.json'::pg_catalog.regtype)
			THEN 'it holds many values, not one'
		ELSE '' END
	FROM base b WHERE b.typtype <> 'd'`

// refusal says why PostgreSQL refuses to load a member.
func refusal(path string, m, parent *store.Member, e *pgconn.PgError) store.Finding {
	f := store.Finding{Severity: store.Problem, Subject: path, Table: m.Table.String(), Message: fmt.Sprintf("PostgreSQL refuses the statement that would load %s: %s (SQLSTATE %s)", m.Table, e.Message, e.Code)}
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
