package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/spelling"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// notOurs is the condition on sqlite_schema for the user's own tables.
const notOurs = `type = 'table' AND name NOT GLOB 'sqlite_*' AND name NOT GLOB 'upkeep_*' AND sql NOT LIKE 'CREATE VIRTUAL%'`

// Tables lists the user's tables by name.
// It implements [store.Catalog].
func (d *DB) Tables(ctx context.Context) ([]store.Table, error) {
	var tables []store.Table
	err := d.view(ctx, "list tables", func(tx *sql.Tx) error {
		names, err := strs(ctx, tx, `SELECT name FROM main.sqlite_schema WHERE `+notOurs+` ORDER BY name`)
		tables = nil
		for _, n := range names {
			tables = append(tables, store.Table{Schema: "main", Name: n})
		}
		return err
	})
	return tables, err
}

// Table describes a table. Names are matched as SQLite does, without regard
// to the case of ASCII letters, and answered as they were created.
// It implements [store.Catalog].
func (d *DB) Table(ctx context.Context, t store.Table) (*store.TableInfo, error) {
	var info *store.TableInfo
	err := d.view(ctx, "describe table "+t.String(), func(tx *sql.Tx) (err error) {
		info, err = describe(ctx, tx, t)
		return err
	})
	return info, err
}

func describe(ctx context.Context, tx *sql.Tx, t store.Table) (*store.TableInfo, error) {
	if t.Schema != "" && t.Schema != "main" {
		return nil, fmt.Errorf("%w: SQLite has the schema main only, not %q", store.ErrNoTable, t.Schema)
	}
	info := &store.TableInfo{Table: store.Table{Schema: "main"}}
	err := tx.QueryRowContext(ctx, `SELECT name FROM main.sqlite_schema WHERE `+notOurs+` AND name = ?1 COLLATE NOCASE`, t.Name).Scan(&info.Name)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, missing(ctx, tx, t.Name)
	}
	if err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context, *sql.Tx, *store.TableInfo) error{readColumns, readForeignKeys, readIndexes, readRows} {
		if err := step(ctx, tx, info); err != nil {
			return nil, err
		}
	}
	return info, nil
}

// missing is ErrNoTable with the names that look alike.
func missing(ctx context.Context, tx *sql.Tx, name string) error {
	views, err := strs(ctx, tx, `SELECT name FROM main.sqlite_schema WHERE type = 'view' AND name = ?1 COLLATE NOCASE`, name)
	if err != nil {
		return err
	}
	if len(views) > 0 {
		return fmt.Errorf("%w: %s", store.ErrView, views[0])
	}
	if strings.HasPrefix(strings.ToLower(name), triggerPrefix) {
		return fmt.Errorf("%w: %q: in SQLite, names that begin with %s are the registry's; give the table another one", store.ErrNoTable, name, triggerPrefix)
	}
	names, err := strs(ctx, tx, `SELECT name FROM main.sqlite_schema WHERE `+notOurs+` ORDER BY name`)
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: %q%s", store.ErrNoTable, name, spelling.DidYouMean(name, names))
}

func readColumns(ctx context.Context, tx *sql.Tx, info *store.TableInfo) error {
	rows, err := tx.QueryContext(ctx, `SELECT name, type, "notnull", pk FROM pragma_table_xinfo(?1, 'main') WHERE hidden <> 1 ORDER BY cid`, info.Name)
	if err != nil {
		return err
	}
	defer rows.Close()
	key := map[int]string{}
	for rows.Next() {
		var c store.Column
		var notNull bool
		var pk int
		if err := rows.Scan(&c.Name, &c.Type, &notNull, &pk); err != nil {
			return err
		}
		c.Kind = kindOf(c.Type)
		c.Nullable = !notNull && pk == 0
		if pk > 0 {
			key[pk] = c.Name
		}
		info.Columns = append(info.Columns, c)
	}
	for i := 1; i <= len(key); i++ {
		info.Key = append(info.Key, key[i])
	}
	if err := rows.Err(); err != nil {
		return err
	}
	alike, err := strs(ctx, tx, `SELECT c.name FROM pragma_index_list(?1, 'main') AS i JOIN pragma_index_xinfo(i.name, 'main') AS c
		WHERE i.origin = 'pk' AND c.key AND c.cid >= 0 AND c.coll <> 'BINARY' COLLATE NOCASE`, info.Name)
	for i := range info.Columns {
		info.Columns[i].Alike = slices.Contains(alike, info.Columns[i].Name)
	}
	return err
}

// kindOf reads a declared type: SQLite takes any words there.
func kindOf(declared string) store.Kind {
	t := strings.ToUpper(declared)
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(t, w) })
	}
	switch {
	case t == "":
		return store.Other
	case strings.HasPrefix(t, "BOOL"):
		return store.Bool
	case strings.HasPrefix(t, "DATETIME"), strings.HasPrefix(t, "TIMESTAMP"):
		return store.Time
	case t == "DATE":
		return store.Date
	case strings.HasPrefix(t, "JSON"):
		return store.JSON
	case has("CHAR", "CLOB", "TEXT", "UUID"):
		return store.Text
	case has("INT") && !has("POINT", "INTERVAL"):
		return store.Int
	case has("BLOB", "BINARY", "BYTEA"):
		return store.Bytes
	case has("DECIMAL", "NUMERIC", "MONEY"):
		return store.Decimal
	case has("REAL", "FLOA", "DOUB"):
		return store.Float
	}
	return store.Other
}

func readForeignKeys(ctx context.Context, tx *sql.Tx, info *store.TableInfo) error {
	rows, err := tx.QueryContext(ctx, `SELECT id, "table", "from", coalesce("to", '') FROM pragma_foreign_key_list(?1, 'main') ORDER BY id DESC, seq`, info.Name)
	if err != nil {
		return err
	}
	defer rows.Close()
	last := -1
	for rows.Next() {
		var id int
		var table, from, to string
		if err := rows.Scan(&id, &table, &from, &to); err != nil {
			return err
		}
		if id != last {
			info.ForeignKeys = append(info.ForeignKeys, store.ForeignKey{Table: store.Table{Schema: "main", Name: table}})
			last = id
		}
		fk := &info.ForeignKeys[len(info.ForeignKeys)-1]
		fk.Columns = append(fk.Columns, from)
		if to != "" { // else: the other table's primary key
			fk.To = append(fk.To, to)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for i := range info.ForeignKeys {
		if fk := &info.ForeignKeys[i]; fk.To == nil {
			if fk.To, err = strs(ctx, tx, `SELECT name FROM pragma_table_xinfo(?1, 'main') WHERE pk > 0 ORDER BY pk`, fk.Table.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

func readIndexes(ctx context.Context, tx *sql.Tx, info *store.TableInfo) error {
	if len(info.Key) > 0 {
		info.Indexes = append(info.Indexes, slices.Clone(info.Key))
	}
	rows, err := tx.QueryContext(ctx, `SELECT l.name, l."unique", coalesce(i.name, '') FROM pragma_index_list(?1, 'main') AS l,
		pragma_index_info(l.name, 'main') AS i WHERE NOT l.partial AND l.origin <> 'pk' ORDER BY l.seq, i.seqno`, info.Name)
	if err != nil {
		return err
	}
	defer rows.Close()
	last := ""
	for rows.Next() {
		var index, column string
		var unique bool
		if err := rows.Scan(&index, &unique, &column); err != nil {
			return err
		}
		into := []*[][]string{&info.Indexes}
		if unique {
			into = append(into, &info.Unique)
		}
		for _, list := range into {
			if index != last {
				*list = append(*list, nil)
			}
			at := &(*list)[len(*list)-1]
			*at = append(*at, column) // an expression has no name and matches no column
		}
		last = index
	}
	return rows.Err()
}

// countedMost is how many rows are counted, which takes a millisecond or so.
const countedMost = 10_000

// readRows counts the rows of a small table. Of a large one it takes the highest
// rowid, or, without one, a count that stops early.
func readRows(ctx context.Context, tx *sql.Tx, info *store.TableInfo) error {
	table := `main.` + ident(info.Name)
	counted := func(most int) error {
		return tx.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT 1 FROM `+table+` LIMIT ?)`, most).Scan(&info.Rows)
	}
	if err := counted(countedMost); err != nil || info.Rows < countedMost {
		return err
	}
	if _, shadowed := info.Column("rowid"); !shadowed {
		var highest int64
		if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(rowid), 0) FROM `+table).Scan(&highest); err == nil {
			info.Rows = max(info.Rows, highest)
			return nil
		}
	}
	return counted(10 * countedMost)
}

// strs runs a query that answers with one column of text.
func strs(ctx context.Context, tx *sql.Tx, query string, args ...any) ([]string, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, rows.Err()
}
