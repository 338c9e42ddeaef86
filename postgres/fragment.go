package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// errRollBack ends a transaction that must leave nothing behind.
var errRollBack = errors.New("roll back")

// fragments remembers what fragments read. A process at work asks each minute, and a
// temporary view, though rolled back, leaves dead rows in the catalogue.
type fragments struct {
	mu   sync.Mutex
	read map[fragment]answer
}

type fragment struct {
	table        store.Table
	where, order string
}

// answer is which columns a fragment reads of a table that has these columns.
type answer struct {
	has     string
	columns []string
}

// Fragment implements [store.Catalog]. PostgreSQL itself resolves the
// fragment: a temporary view of it is made, read in pg_depend, and rolled back.
// That is done again when the table has other columns.
func (db *DB) Fragment(ctx context.Context, t store.Table, where, order string) ([]string, error) {
	if where == "" && order == "" {
		return nil, nil
	}
	has, err := db.columnsOf(ctx, t)
	if err != nil {
		return nil, err
	}
	f := &db.fragments
	f.mu.Lock()
	known, there := f.read[fragment{t, where, order}]
	f.mu.Unlock()
	if there && known.has == has {
		return slices.Clone(known.columns), nil
	}
	columns, err := db.resolve(ctx, t, where, order)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.read == nil {
		f.read = map[fragment]answer{}
	}
	f.read[fragment{t, where, order}] = answer{has, slices.Clone(columns)}
	return columns, nil
}

// columnsOf is a text for the columns that a table has, by which it is told from
// another one of the same name too. Of none that is there it is empty.
func (db *DB) columnsOf(ctx context.Context, t store.Table) (has string, err error) {
	err = db.pool.QueryRow(ctx, `SELECT coalesce((SELECT string_agg(concat_ws(' ', a.attrelid, a.attnum, pg_catalog.quote_ident(a.attname), a.atttypid, a.atttypmod, a.attcollation, a.attgenerated), ', ' ORDER BY a.attnum)
		FROM pg_catalog.pg_attribute a WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped), '')`, quoteTable(t)).Scan(&has)
	return has, err
}

func (db *DB) resolve(ctx context.Context, t store.Table, where, order string) ([]string, error) {
	var columns []string
	err := pgx.BeginTxFunc(ctx, db.pool, plain, func(tx pgx.Tx) error {
		var err error
		if columns, err = readFragment(ctx, tx, t, where, order); err != nil {
			return err
		}
		return errRollBack
	})
	if err != nil && !errors.Is(err, errRollBack) {
		return nil, err
	}
	return columns, nil
}

// fragmentClauses are the WHERE and ORDER BY of a member, as they are in every
// statement. The line breaks end a comment in the user's text.
func fragmentClauses(where, order string) (whereSQL, orderSQL string) {
	if where != "" {
		whereSQL = "(" + where + "\n)"
	}
	if order != "" {
		orderSQL = order + "\n"
	}
	return whereSQL, orderSQL
}

func readFragment(ctx context.Context, tx pgx.Tx, t store.Table, where, order string) ([]string, error) {
	var oid uint32
	err := tx.QueryRow(ctx, `SELECT c.oid FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass($1)`, quoteTable(t)).Scan(&oid)
	if err == pgx.ErrNoRows {
		return nil, noTable(ctx, tx, t)
	}
	if err != nil {
		return nil, err
	}
	whereSQL, orderSQL := fragmentClauses(where, order)
	for _, part := range []string{where, order} {
		if err := balanced(part); err != nil {
			return nil, err
		}
	}
	sql := "CREATE TEMPORARY VIEW upkeep_probe AS SELECT FROM " + quoteTable(t)
	if whereSQL != "" {
		sql += " WHERE " + whereSQL
	}
	if orderSQL != "" {
		sql += " ORDER BY " + orderSQL
	}
	if _, err := tx.Exec(ctx, sql); err != nil {
		return nil, fragmentError(err)
	}
	if err := refuse(ctx, tx, oid, where+"\n"+order); err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, `
		SELECT DISTINCT a.attname, a.attnum
		FROM pg_catalog.pg_rewrite r
		JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
			AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = $1 AND d.refobjsubid <> 0
		JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
		WHERE r.ev_class = 'pg_temp.upkeep_probe'::pg_catalog.regclass
		ORDER BY a.attnum`, oid)
	if err != nil {
		return nil, err
	}
	var columns []string
	var column string
	var number int16
	_, err = pgx.ForEachRow(rows, []any{&column, &number}, func() error {
		if number < 0 {
			return fmt.Errorf("it reads the system column %s, whose changes can't be watched", column)
		}
		columns = append(columns, column)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return columns, judge(ctx, tx, oid, t.Name, where, order)
}

// fragmentError is PostgreSQL's message without what it says of our view.
func fragmentError(err error) error {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return err
	}
	message := e.Message
	if e.Code == "42703" { // undefined_column
		return fmt.Errorf("not valid SQL here: %w: %s (SQLSTATE %s)", store.ErrNoColumn, message, e.Code)
	}
	if e.Hint != "" {
		message += " (" + e.Hint + ")"
	}
	return fmt.Errorf("not valid SQL here: %s (SQLSTATE %s)", message, e.Code)
}

// balanced says whether the fragment's parentheses are closed within it, so
// that it can't end the clause it is put in.
func balanced(s string) error {
	depth := 0
	var quote rune
	for _, c := range s {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '(':
			depth++
		case c == ')':
			depth--
			if depth < 0 {
				return errors.New("not valid SQL here: a parenthesis is closed that was not opened")
			}
		case c == ';':
			return errors.New("not valid SQL here: it has to be one expression, without a semicolon")
		}
	}
	if strings.Contains(s, "\x00") {
		return errors.New("not valid SQL here: it has a NUL character")
	}
	return nil
}
