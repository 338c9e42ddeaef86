package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"modernc.org/sqlite"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// Fragment asks SQLite's authorizer which columns a condition and an order
// read. Names in double quotes that are no column are errors here, not text.
// It implements [store.Catalog].
func (d *DB) Fragment(ctx context.Context, t store.Table, where, order string) ([]string, error) {
	info, err := d.Table(ctx, t)
	if err != nil {
		return nil, err
	}
	reads := &reading{table: info}
	conn, err := d.read.Conn(ctx)
	if err != nil {
		return nil, explain("read a condition on "+info.Name, err)
	}
	err = errors.Join(still(ctx, conn), watch(conn, reads.authorize), reads.prepare(ctx, conn, where, order), watch(conn, nil),
		reads.deterministic(ctx, conn, where+"\n"+order), moving(ctx, conn), conn.Close())
	if reads.refused != "" {
		err = errors.New(reads.refused)
	}
	if err != nil {
		what := "condition on"
		switch {
		case where == "":
			what = "order of"
		case order != "":
			what = "condition on, or order of,"
		}
		if _, name, lacks := strings.Cut(err.Error(), "no such column: "); lacks { // as SQLite says it: "SQL logic error: no such column: x (1)"
			return nil, fmt.Errorf("%s table %s: %w: %s", what, info.Name, store.ErrNoColumn, strings.TrimSuffix(name, " (1)"))
		}
		return nil, fmt.Errorf("%s table %s: %w", what, info.Name, err)
	}
	var names []string
	for _, c := range info.Columns {
		if reads.columns[c.Name] {
			names = append(names, c.Name)
		}
	}
	return names, nil
}

// still begins a transaction that has read the schema. When another process
// changes the schema meanwhile, such as one that installs its triggers, SQLite
// would prepare a statement a second time, and the authorizer see it twice.
func still(ctx context.Context, conn *sql.Conn) error {
	if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
		return err
	}
	var n int
	return conn.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&n)
}

// moving ends it, also after ctx.
func moving(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
	return err
}

// watch puts an authorizer on a connection, or takes it off.
func watch(conn *sql.Conn, f sqlite.AuthorizerFn) error {
	return conn.Raw(func(c any) error {
		r, ok := c.(sqlite.AuthorizerRegisterer)
		if !ok {
			return errors.New("the SQLite driver has no authorizer")
		}
		return r.RegisterAuthorizer(f)
	})
}

// reading collects what a statement reads.
type reading struct {
	table   *store.TableInfo
	columns map[string]bool
	calls   map[string]bool // functions, in lower case
	selects int
	refused string // why, the first time
}

// prepare runs the fragment over no rows. Each part stands alone in its
// parentheses or list, so that it can't end the statement.
func (r *reading) prepare(ctx context.Context, conn *sql.Conn, where, order string) error {
	table := `main.` + ident(r.table.Name)
	parts := make([]string, 0, 2)
	if where != "" {
		parts = append(parts, `SELECT 1 FROM `+table+` WHERE (`+where+"\n) LIMIT 0")
	}
	if order != "" {
		parts = append(parts, `SELECT 1 FROM `+table+` ORDER BY `+order+"\nLIMIT 0")
	}
	for _, query := range parts {
		r.selects = 0
		rows, err := conn.QueryContext(ctx, query)
		if err != nil {
			return err
		}
		for rows.Next() { // nothing: LIMIT 0
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
	}
	return nil
}

// authorize is told of everything that a statement is about to do.
func (r *reading) authorize(action sqlite.AuthorizerActionCode, arg1, arg2, _, _ string) sqlite.AuthorizerReturnCode {
	switch action {
	case sqlite.AuthSelect:
		if r.selects++; r.selects > 1 {
			return r.refuse("it may not contain a SELECT: only the row's own columns are watched")
		}
	case sqlite.AuthRead:
		return r.readColumn(arg1, arg2)
	case sqlite.AuthFunction:
		switch f := strings.ToLower(arg2); f {
		case "random", "randomblob", "load_extension", "changes", "total_changes", "last_insert_rowid":
			return r.refuse("it may not call " + f + "(): the same row must always give the same answer")
		case "current_time", "current_date", "current_timestamp":
			return r.refuse(fmt.Sprintf(asksTime, f))
		default:
			if r.calls == nil {
				r.calls = map[string]bool{}
			}
			r.calls[f] = true
		}
	default:
		return r.refuse("it must be one SQL expression over the row's own columns")
	}
	return sqlite.AuthorizerOK
}

func (r *reading) readColumn(table, column string) sqlite.AuthorizerReturnCode {
	if !strings.EqualFold(table, r.table.Name) {
		return r.refuse(fmt.Sprintf("it reads table %s: only the row's own columns are watched", table))
	}
	if column == "" {
		return sqlite.AuthorizerOK
	}
	i := slices.IndexFunc(r.table.Columns, func(c store.Column) bool { return strings.EqualFold(c.Name, column) })
	if i < 0 {
		return r.refuse(fmt.Sprintf("it reads %s, which is not a column of the table", column))
	}
	if r.columns == nil {
		r.columns = map[string]bool{}
	}
	r.columns[r.table.Columns[i].Name] = true
	return sqlite.AuthorizerOK
}

func (r *reading) refuse(why string) sqlite.AuthorizerReturnCode {
	if r.refused == "" {
		r.refused = why
	}
	return sqlite.AuthorizerDeny
}
