package warehouse

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	driver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/upkeep-sync/upkeep/connector"
)

// sqlite is a file. Exact values are kept as text: SQLite's own numbers are of
// 64 bits.
type sqlite struct{}

func (s sqlite) open(address string) (*sql.DB, error) {
	path := strings.TrimPrefix(address, "sqlite:")
	if path == "" || strings.Contains(path, ":memory:") {
		return nil, errors.New("is no file; write sqlite: and its path")
	}
	u := url.URL{Path: path}
	escaped := strings.NewReplacer("?", "%3f", "#", "%23").Replace(u.EscapedPath())
	db, err := sql.Open("sqlite", "file:"+escaped+fmt.Sprintf("?_pragma=busy_timeout(%d)&_pragma=journal_mode(wal)&_pragma=foreign_keys(1)&_dqs=0", silenceLimit.Milliseconds()))
	if err != nil {
		return nil, err
	}
	db.SetMaxIdleConns(concurrency)
	return db, nil
}

func (sqlite) caution(string) *connector.Caution { return nil }

func (sqlite) schema() string { return "main" }

func (sqlite) quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func (sqlite) named(name string) string {
	switch {
	case name == "":
		return "is empty"
	case strings.ContainsRune(name, 0):
		return "holds the character NUL"
	case strings.HasPrefix(strings.ToLower(name), "sqlite_"):
		return "begins with sqlite_, which is SQLite's own"
	case slices.Contains([]string{"rowid", "oid", "_rowid_"}, strings.ToLower(name)):
		return "is a system column of SQLite"
	}
	return ""
}

func (s sqlite) place(p place) string { return s.quote(p.schema) + "." + s.quote(p.name) }

func (sqlite) parameter() string { return "?1" }

// typeOf has TEXT in the name of what SQLite must not take for a number.
func (sqlite) typeOf(t connector.Type) string {
	switch t {
	case connector.Text, connector.Reference:
		return "TEXT"
	case connector.Integer:
		return "INTEGER"
	case connector.Decimal:
		return "DECIMAL_TEXT"
	case connector.Float:
		return "REAL"
	case connector.Boolean:
		return "BOOLEAN"
	case connector.Date:
		return "DATE_TEXT"
	case connector.Time:
		return "TIME_TEXT"
	case connector.Bytes:
		return "BLOB"
	}
	return "JSON_TEXT"
}

func (sqlite) class(columnType string) class {
	switch t := strings.ToUpper(strings.TrimSpace(columnType)); t {
	case "DECIMAL_TEXT":
		return decimal
	case "BOOLEAN":
		return boolean
	case "DATE_TEXT":
		return date
	case "TIME_TEXT":
		return instant
	case "BLOB":
		return binary
	case "JSON_TEXT":
		return document
	default:
		if strings.Contains(t, "INT") {
			return integer
		}
		if strings.Contains(t, "CHAR") || strings.Contains(t, "TEXT") {
			return text
		}
		if strings.Contains(t, "REAL") || strings.Contains(t, "FLOA") || strings.Contains(t, "DOUB") {
			return float
		}
	}
	return other
}

func (sqlite) text(column string, c class) string {
	switch c {
	case boolean:
		return "CASE WHEN " + column + " THEN 'true' WHEN NOT " + column + " THEN 'false' END"
	case binary:
		return "CASE WHEN " + column + ` IS NOT NULL THEN '\x' || lower(hex(` + column + `)) END`
	case float:
		return "CASE WHEN " + column + " IS NOT NULL THEN printf('%!.17g', " + column + ") END"
	}
	return "CAST(" + column + " AS TEXT)"
}

const sqliteInstant = `'%Y-%m-%dT%H:%M:%f000Z'`

func (sqlite) now() string { return "strftime(" + sqliteInstant + ", 'now')" }

func (sqlite) ago(d time.Duration) string {
	return "strftime(" + sqliteInstant + fmt.Sprintf(", 'now', '-%d seconds')", int64(d.Seconds()))
}

// begin takes the one lock that there is.
func (sqlite) begin(time.Duration, string, bool) string { return "BEGIN IMMEDIATE" }

func (s sqlite) load(ctx context.Context, conn *sql.Conn, st *stage) error {
	var columns, marks []string
	for _, c := range st.columns {
		columns = append(columns, s.quote(c.name)+" "+c.typ)
		marks = append(marks, "?")
	}
	name := "temp." + s.quote(st.name)
	for _, statement := range []string{"DROP TABLE IF EXISTS " + name, "CREATE TABLE " + name + " (" + strings.Join(columns, ", ") + ")"} {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	insert, err := conn.PrepareContext(ctx, "INSERT INTO "+name+" VALUES ("+strings.Join(marks, ", ")+")")
	if err != nil {
		return err
	}
	defer insert.Close()
	values := make([]any, len(st.columns))
	for _, row := range st.rows {
		for i, v := range row {
			if values[i], err = s.value(st.columns[i].class, v); err != nil {
				return err
			}
		}
		if _, err := insert.ExecContext(ctx, values...); err != nil {
			return err
		}
	}
	return nil
}

// value is what SQLite stores for a text: a column's affinity does the rest.
func (sqlite) value(c class, v cell) (any, error) {
	switch {
	case v.null:
		return nil, nil
	case c == boolean:
		return v.text == "true", nil
	case c == binary:
		return hex.DecodeString(strings.TrimPrefix(v.text, `\x`))
	}
	return v.text, nil
}

func (s sqlite) table(ctx context.Context, q querier, at place) (*found, error) {
	rows, err := q.QueryContext(ctx, `SELECT t.name, t.type, t."notnull" AND t.dflt_value IS NULL AND t.pk = 0,
			t.pk = 1 AND (SELECT count(*) FROM pragma_table_info(`+literal(at.name)+`, `+literal(at.schema)+`) WHERE pk > 0) = 1
			OR EXISTS (SELECT 1 FROM pragma_index_list(`+literal(at.name)+`, `+literal(at.schema)+`) AS l WHERE l."unique" AND NOT l.partial
				AND (SELECT count(*) FROM pragma_index_info(l.name, `+literal(at.schema)+`)) = 1
				AND EXISTS (SELECT 1 FROM pragma_index_info(l.name, `+literal(at.schema)+`) AS i WHERE i.name = t.name))
		FROM pragma_table_info(`+literal(at.name)+`, `+literal(at.schema)+`) AS t ORDER BY t.cid`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var f *found
	for rows.Next() {
		var c column
		var unique bool
		if err := rows.Scan(&c.name, &c.typ, &c.needed, &unique); err != nil {
			return nil, err
		}
		if f == nil {
			f = &found{}
		}
		if unique {
			f.unique = append(f.unique, c.name)
		}
		c.class, c.keeps = s.class(c.typ), s.keeps(c.typ)
		f.columns = append(f.columns, c)
	}
	return f, rows.Err()
}

func (s sqlite) tables(ctx context.Context, q querier, schema, prefix string) ([]string, bool, error) {
	if schema != s.schema() {
		return nil, false, nil
	}
	rows, err := q.QueryContext(ctx, `SELECT name FROM sqlite_schema WHERE type = 'table' AND substr(name, 1, length(`+literal(prefix)+`)) = `+literal(prefix)+` ORDER BY 1`)
	if err != nil {
		return nil, true, err
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, true, err
		}
		names = append(names, name)
	}
	return names, true, rows.Err()
}

// makeSchema can't be done: a schema is an attached file.
func (sqlite) makeSchema(string) string { return "" }

func (s sqlite) makeIndex(p place, columns string) string {
	return "CREATE INDEX " + s.place(place{p.schema, p.name + "_index"}) + " ON " + s.quote(p.name) + " (" + columns + ")"
}

// reference names no schema: a foreign key does not leave its file.
func (s sqlite) reference(p place, column string) string {
	return s.quote(p.name) + " (" + s.quote(column) + ")"
}

// rights are the file's: writing tells.
func (sqlite) rights(context.Context, querier, rights) []error { return nil }

func (sqlite) outdated(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "no such table") || strings.Contains(err.Error(), "no such column") || strings.Contains(err.Error(), "has no column"))
}

// judge takes SQLite's result codes for what they mean, see
// https://www.sqlite.org/rescode.html. All is in this process, so an error is
// certain, but for one of the disk.
func (s sqlite) judge(err error) (*connector.Error, bool) {
	var e *driver.Error
	if !errors.As(err, &e) {
		return nil, false
	}
	out := &connector.Error{Kind: connector.Rejected, Code: fmt.Sprintf("SQLITE_%d", e.Code()), Message: strings.ToValidUTF8(e.Error(), "")}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_SCHEMA:
		out.Kind = connector.Busy
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOMEM:
		out.Kind = connector.Unavailable
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
		out.Kind = connector.Unauthorized
	}
	if s.outdated(err) {
		out.Kind = connector.Busy
	}
	return out, out.Kind != connector.Unavailable
}
