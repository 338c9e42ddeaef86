package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/upkeep-sync/upkeep/internal/spelling"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// rowEstimate is the planner's own number of rows of the table named $1, of a
// partitioned one the sum over its partitions: since PostgreSQL 14 ANALYZE gives
// it that sum as its own too.
const rowEstimate = `SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint
	FROM pg_catalog.pg_class c WHERE c.relkind <> 'p' AND (c.oid = pg_catalog.to_regclass($1)
		OR c.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass($1))))`

// Table implements [store.Catalog]. The name is resolved once, to an OID, and
// the rest read by that. Types are printed with their schema unless they are
// PostgreSQL's own, so that they mean the same in every session.
func (db *DB) Table(ctx context.Context, t store.Table) (*store.TableInfo, error) {
	var info *store.TableInfo
	err := pgx.BeginTxFunc(ctx, db.pool, reading, func(tx pgx.Tx) error {
		var err error
		info, err = readTable(ctx, tx, t)
		return err
	})
	if code(err) == "42501" { // in a schema that the role may not look into
		grants, failed := db.grants(ctx, t)
		if failed != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%w; as a superuser, grant what is needed: %s", err, strings.Join(grants, "; "))
	}
	return info, err
}

func readTable(ctx context.Context, tx pgx.Tx, t store.Table) (*store.TableInfo, error) {
	info := &store.TableInfo{}
	var oid uint32
	err := tx.QueryRow(ctx, `SELECT c.oid, n.nspname, c.relname, coalesce(pn.nspname, ''), coalesce(p.relname, '')
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		LEFT JOIN pg_catalog.pg_class p ON c.relispartition AND p.oid = pg_catalog.pg_partition_root(c.oid)
		LEFT JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
		WHERE c.oid = pg_catalog.to_regclass($1) AND c.relkind IN ('r', 'p')`, quoteTable(t)).
		Scan(&oid, &info.Schema, &info.Name, &info.PartOf.Schema, &info.PartOf.Name)
	if err == pgx.ErrNoRows || code(err) == "3F000" {
		return nil, noTable(ctx, tx, t)
	}
	if err != nil {
		return nil, err
	}
	if err := tx.QueryRow(ctx, rowEstimate, quoteTable(info.Table)).Scan(&info.Rows); err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, "SET LOCAL search_path = pg_catalog"); err != nil {
		return nil, err
	}
	if info.Columns, err = readColumns(ctx, tx, oid); err != nil {
		return nil, err
	}
	if err := readIndexes(ctx, tx, oid, info); err != nil {
		return nil, err
	}
	if err := readValues(ctx, tx, oid, info); err != nil {
		return nil, err
	}
	info.ForeignKeys, err = readForeignKeys(ctx, tx, oid)
	return info, err
}

// noTable is the error about a table that is not there, with tables of a name
// alike.
func noTable(ctx context.Context, tx pgx.Tx, t store.Table) error {
	var view bool
	if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_catalog.pg_class c
		WHERE c.oid = pg_catalog.to_regclass($1) AND c.relkind IN ('v', 'm'))`, quoteTable(t)).Scan(&view); err != nil {
		return err
	}
	if view {
		return fmt.Errorf("%w: %s", store.ErrView, t)
	}
	rows, err := tx.Query(ctx, userTables)
	if err != nil {
		return err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowToStructByPos[store.Table])
	if err != nil {
		return err
	}
	var names []string
	for _, o := range tables {
		names = append(names, o.Name)
	}
	alike := spelling.Alike(t.Name, names)
	var near []string
	for _, o := range tables {
		if slices.Contains(alike, o.Name) {
			near = append(near, o.String())
		}
	}
	if len(near) == 0 {
		return fmt.Errorf("%w: %s", store.ErrNoTable, t)
	}
	return fmt.Errorf("%w: %s (did you mean %s?)", store.ErrNoTable, t, strings.Join(near, " or "))
}

func readColumns(ctx context.Context, tx pgx.Tx, oid uint32) ([]store.Column, error) {
	// A domain has the kind of the type under it.
	rows, err := tx.Query(ctx, `
		WITH RECURSIVE base(attnum, typid) AS (
			SELECT attnum, atttypid FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped
			UNION
			SELECT b.attnum, t.typbasetype FROM base b JOIN pg_type t ON t.oid = b.typid WHERE t.typtype = 'd')
		SELECT a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, t.typname, t.typtype::text, n.nspname = 'pg_catalog',
			n.nspname <> 'pg_catalog' AND t.typtype <> 'e' OR EXISTS (
				SELECT FROM pg_collation l WHERE l.oid = a.attcollation AND NOT l.collisdeterministic),
			a.attgenerated = 'v'
		FROM pg_attribute a JOIN base b ON b.attnum = a.attnum JOIN pg_type t ON t.oid = b.typid AND t.typtype <> 'd'
		JOIN pg_namespace n ON n.oid = t.typnamespace
		WHERE a.attrelid = $1 ORDER BY a.attnum`, oid)
	if err != nil {
		return nil, err
	}
	var virtual []string
	columns, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (store.Column, error) {
		var c store.Column
		var name, class string
		var builtin bool
		err := r.Scan(&c.Name, &c.Type, &c.Nullable, &name, &class, &builtin, &c.Alike, &c.Virtual)
		c.Kind = kindOf(name, class, builtin)
		if c.Virtual {
			virtual = append(virtual, c.Name)
		}
		return c, err
	})
	if err != nil || len(virtual) == 0 {
		return columns, err
	}
	bases, err := readBases(ctx, tx, oid, virtual)
	for i, c := range columns {
		if c.Virtual {
			columns[i].Bases = strings.Join(bases[c.Name], "\x00")
		}
	}
	return columns, err
}

// readBases reads from which columns others are computed. That may differ in a
// partition, or in a table that inherits from this one. It is a query of its own, which
// takes the server longer to plan than all the others together, and few tables need.
func readBases(ctx context.Context, tx pgx.Tx, oid uint32, computed []string) (map[string][]string, error) {
	rows, err := tx.Query(ctx, `
		WITH RECURSIVE tree(oid) AS (
			SELECT $1::oid UNION SELECT i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = tree.oid)
		SELECT DISTINCT v.attname::text, b.attname::text COLLATE "C"
		FROM tree JOIN pg_attribute v ON v.attrelid = tree.oid AND v.attname = ANY ($2::text[])
		JOIN pg_attrdef e ON e.adrelid = tree.oid AND e.adnum = v.attnum
		JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = e.oid AND d.refclassid = 'pg_class'::regclass
			AND d.refobjid = tree.oid AND d.refobjsubid > 0 AND d.refobjsubid <> v.attnum
		JOIN pg_attribute b ON b.attrelid = tree.oid AND b.attnum = d.refobjsubid ORDER BY 1, 2`, oid, computed)
	if err != nil {
		return nil, err
	}
	bases := map[string][]string{}
	var column, base string
	_, err = pgx.ForEachRow(rows, []any{&column, &base}, func() error {
		bases[column] = append(bases[column], base)
		return nil
	})
	return bases, err
}

func kindOf(name, class string, builtin bool) store.Kind {
	if class == "e" {
		return store.Text
	}
	if !builtin {
		if name == "citext" {
			return store.Text
		}
		return store.Other
	}
	switch name {
	case "int2", "int4", "int8":
		return store.Int
	case "numeric":
		return store.Decimal
	case "float4", "float8":
		return store.Float
	case "text", "varchar", "bpchar", "uuid", "name":
		return store.Text
	case "bool":
		return store.Bool
	case "date":
		return store.Date
	case "timestamp", "timestamptz":
		return store.Time
	case "bytea":
		return store.Bytes
	case "json", "jsonb":
		return store.JSON
	}
	return store.Other
}

// readIndexes reads the primary key and the columns of all usable indexes, up
// to their first expression.
func readIndexes(ctx context.Context, tx pgx.Tx, oid uint32, info *store.TableInfo) error {
	rows, err := tx.Query(ctx, `
		SELECT i.indisprimary, i.indisunique AND 0 <> ALL (i.indkey::int2[]), array(
			SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, n)
			JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
			WHERE k.n <= i.indnkeyatts AND NOT EXISTS (
				SELECT FROM unnest(i.indkey::int2[]) WITH ORDINALITY e(attnum, n) WHERE e.n <= k.n AND e.attnum = 0)
			ORDER BY k.n)
		FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am am ON am.oid = c.relam
		WHERE i.indrelid = $1 AND i.indisvalid AND i.indpred IS NULL AND am.amname IN ('btree', 'hash')
		ORDER BY i.indisprimary DESC, c.relname`, oid)
	if err != nil {
		return err
	}
	var primary, unique bool
	var columns []string
	_, err = pgx.ForEachRow(rows, []any{&primary, &unique, &columns}, func() error {
		switch {
		case primary:
			info.Key = slices.Clone(columns)
		case unique:
			info.Unique = append(info.Unique, slices.Clone(columns))
		}
		if len(columns) > 0 {
			info.Indexes = append(info.Indexes, slices.Clone(columns))
		}
		return nil
	})
	return err
}

func readForeignKeys(ctx context.Context, tx pgx.Tx, oid uint32) ([]store.ForeignKey, error) {
	rows, err := tx.Query(ctx, `
		SELECT n.nspname, c.relname,
			array(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u(attnum, n)
				JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY u.n),
			array(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u(attnum, n)
				JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum ORDER BY u.n)
		FROM pg_constraint k JOIN pg_class c ON c.oid = k.confrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE k.conrelid = $1 AND k.contype = 'f'
			-- Not the copies that a partitioned target makes of one key.
			AND NOT EXISTS (SELECT FROM pg_constraint p WHERE p.oid = k.conparentid AND p.conrelid = k.conrelid)
		ORDER BY k.conname`, oid)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (store.ForeignKey, error) {
		var f store.ForeignKey
		err := r.Scan(&f.Table.Schema, &f.Table.Name, &f.Columns, &f.To)
		return f, err
	})
}

const userTables = `SELECT n.nspname, c.relname
	FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
		AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'upkeep') AND n.nspname NOT LIKE 'pg\_%'
	ORDER BY 1, 2`

// Tables implements [store.Catalog]. Partitions are left out: their parent
// stands for them.
func (db *DB) Tables(ctx context.Context) ([]store.Table, error) {
	rows, err := db.pool.Query(ctx, userTables)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[store.Table])
}
