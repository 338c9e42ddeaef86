package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// openSchema is the condition that everyone may create objects in the schema s, as
// in public before PostgreSQL 15. An operator there that fits the types of a
// comparison better than pg_catalog's is taken for it, and runs with the rights of
// who compares: see "Writing SECURITY DEFINER Functions Safely" in PostgreSQL's
// documentation of CREATE FUNCTION.
const openSchema = `EXISTS (SELECT FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner))) a
	WHERE n.nspname = s AND a.grantee = 0 AND a.privilege_type = 'CREATE')`

// looksUpNames says whether what reads these syncs' rows has names that need not
// be pg_catalog's: those in the user's own conditions, and the operators of types
// that are the user's or an extension's.
func looksUpNames(ctx context.Context, q querier, shapes []*store.Shape) (bool, error) {
	var tables, columns []string
	fragments := false
	for _, s := range shapes {
		s.Root.Walk(func(_ string, m, _ *store.Member) {
			fragments = fragments || m.Where != "" || m.Order != ""
			for _, c := range uses(m) {
				tables, columns = append(tables, quoteTable(m.Table)), append(columns, c.Name)
			}
		})
	}
	if fragments {
		return true, nil
	}
	var own bool
	err := q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM unnest($1::text[], $2::text[]) AS x(tbl, col)
		JOIN pg_catalog.pg_attribute a ON a.attrelid = pg_catalog.to_regclass(x.tbl) AND a.attname = x.col
		JOIN pg_catalog.pg_type t ON t.oid = a.atttypid WHERE t.typnamespace <> 'pg_catalog'::regnamespace)`, tables, columns).Scan(&own)
	return own, err
}

// openFindings warn of schemas in which everyone may create what is then looked up
// with Upkeep's rights: by the user's conditions, and by what reads versions of
// rows with types that are not pg_catalog's.
func openFindings(ctx context.Context, tx pgx.Tx, shapes []*store.Shape) ([]store.Finding, error) {
	var syncs []string
	for _, s := range shapes {
		fragments := false
		s.Root.Walk(func(_ string, m, _ *store.Member) { fragments = fragments || m.Where != "" || m.Order != "" })
		if !fragments && s.Every {
			var err error
			if fragments, err = looksUpNames(ctx, tx, []*store.Shape{s}); err != nil {
				return nil, err
			}
		}
		if fragments {
			syncs = append(syncs, s.Sync)
		}
	}
	if len(syncs) == 0 {
		return nil, nil
	}
	rows, err := tx.Query(ctx, `SELECT s FROM unnest(pg_catalog.current_schemas(false)) AS s WHERE `+openSchema)
	if err != nil {
		return nil, err
	}
	schemas, err := pgx.CollectRows(rows, pgx.RowTo[string])
	var found []store.Finding
	for _, s := range schemas {
		found = append(found, store.Finding{Severity: store.Warning, Subject: "schema " + s,
			Message: fmt.Sprintf("everyone may create operators and functions here, and what reads %s looks names up here, with the rights of Upkeep's role: whoever can connect could have his own run in their place", strings.Join(syncs, ", ")),
			Fix:     "REVOKE CREATE ON SCHEMA " + quote(s) + " FROM PUBLIC; GRANT CREATE ON SCHEMA " + quote(s) + " TO the roles that make tables there"})
	}
	return found, err
}
