package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/store"
)

var _ store.Publisher = (*DB)(nil)

// Publications implements [store.Publisher]. One of all tables has those that are
// made later, too, and so has one of the tables in our schema, which somebody may
// have made for us.
func (db *DB) Publications(ctx context.Context) (names []string, installed bool, err error) {
	err = pgx.BeginTxFunc(ctx, db.pool, reading, func(tx pgx.Tx) error {
		var schemas bool // PostgreSQL 15 and newer
		err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
				WHERE n.nspname = 'upkeep' AND c.relname = 'settings'),
			pg_catalog.to_regclass('pg_catalog.pg_publication_namespace') IS NOT NULL`).Scan(&installed, &schemas)
		if err != nil {
			return err
		}
		sql := "SELECT DISTINCT pubname::text FROM pg_catalog.pg_publication_tables WHERE schemaname = 'upkeep' ORDER BY 1"
		if !installed {
			sql = "SELECT pubname::text FROM pg_catalog.pg_publication WHERE puballtables"
			if schemas {
				sql += ` UNION SELECT p.pubname::text FROM pg_catalog.pg_publication p
					JOIN pg_catalog.pg_publication_namespace s ON s.pnpubid = p.oid
					JOIN pg_catalog.pg_namespace n ON n.oid = s.pnnspid WHERE n.nspname = 'upkeep'`
			}
			sql += " ORDER BY 1"
		}
		rows, err := tx.Query(ctx, sql)
		if err != nil {
			return err
		}
		names, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	return names, installed, err
}
