package warehouse

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/upkeep-sync/upkeep/connector"
)

// longestMessage is how many bytes a message of the server's may have, such as a
// row. A page of HTML that stands where a message should is one of half a
// gigabyte by its first bytes, and room would be made for it.
const longestMessage = 64 << 20

// postgres is PostgreSQL 13 and newer.
type postgres struct{}

func (postgres) open(url string) (*sql.DB, error) {
	c, err := pgx.ParseConfig(url)
	if err != nil { // its text may hold the password
		return nil, errors.New("is not a PostgreSQL URL; write postgres://user:password@host/database, with special characters of the password as %XX")
	}
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "upkeep"
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 10 * time.Second
	}
	c.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		f := pgproto3.NewFrontend(r, w)
		f.SetMaxBodyLen(longestMessage)
		return f
	}
	// No prepared statements: a pooler in between may not keep them.
	c.DefaultQueryExecMode = pgx.QueryExecModeExec
	db := stdlib.OpenDB(*c)
	db.SetMaxIdleConns(concurrency)
	db.SetConnMaxIdleTime(time.Minute)
	return db, nil
}

// caution: with sslmode disable and allow, and with prefer, which is what a URL
// without one means, a server's refusal is enough for a connection in clear,
// and whoever is in between can feign it.
func (postgres) caution(url string) *connector.Caution {
	c, err := pgx.ParseConfig(url)
	if err != nil {
		return nil // open has said so
	}
	clear := c.TLSConfig == nil && overNetwork(c.Host)
	for _, f := range c.Fallbacks {
		clear = clear || f.TLSConfig == nil && overNetwork(f.Host)
	}
	if !clear {
		return nil
	}
	return &connector.Caution{
		What: "the connection to the warehouse may be unencrypted: sslmode is disable, allow or prefer (which is meant when it is not said)",
		Help: "write sslmode=verify-full into its URL, and sslrootcert=FILE if the server's certificate is of an authority of your own",
	}
}

// overNetwork is false for a socket's folder and this machine.
func overNetwork(host string) bool {
	if strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") || host == "localhost" {
		return false
	}
	ip := net.ParseIP(host)
	return ip == nil || !ip.IsLoopback()
}

func (postgres) schema() string { return "public" }

func (postgres) quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// longestName is NAMEDATALEN - 1: longer names are cut, silently.
const longestName = 63

func (postgres) named(name string) string {
	switch {
	case name == "":
		return "is empty"
	case strings.ContainsRune(name, 0):
		return "holds the character NUL"
	case len(name) > longestName:
		return fmt.Sprintf("is longer than the %d bytes that PostgreSQL takes", longestName)
	case slices.Contains([]string{"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"}, name):
		return "is a system column of PostgreSQL"
	}
	return ""
}

func (p postgres) place(t place) string { return p.quote(t.schema) + "." + p.quote(t.name) }

func (postgres) parameter() string { return "$1" }

func (postgres) typeOf(t connector.Type) string {
	switch t {
	case connector.Text, connector.Reference:
		return "text"
	case connector.Integer:
		return "bigint"
	case connector.Decimal:
		return "numeric"
	case connector.Float:
		return "double precision"
	case connector.Boolean:
		return "boolean"
	case connector.Date:
		return "date"
	case connector.Time:
		return "timestamp with time zone"
	case connector.Bytes:
		return "bytea"
	}
	return "jsonb"
}

var typeArguments = regexp.MustCompile(`\s*\([^)]*\)`)

func (postgres) class(columnType string) class {
	switch typeArguments.ReplaceAllString(strings.ToLower(strings.TrimSpace(columnType)), "") {
	case "text", "character varying", "varchar", "character", "char", "bpchar", "citext":
		return text
	case "smallint", "integer", "bigint", "int", "int2", "int4", "int8":
		return integer
	case "numeric", "decimal":
		return decimal
	case "real", "double precision", "float4", "float8", "float":
		return float
	case "boolean", "bool":
		return boolean
	case "date":
		return date
	case "timestamp with time zone", "timestamptz", "timestamp without time zone", "timestamp":
		return instant
	case "bytea":
		return binary
	case "json", "jsonb":
		return document
	}
	return other
}

// text does not depend on the session's settings.
func (postgres) text(column string, c class) string {
	switch c {
	case instant: // of a timestamp without a zone, which is kept in UTC, too
		return `to_char(` + column + `::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`
	case date:
		return `to_char(` + column + `, 'YYYY-MM-DD')`
	case binary:
		return `'\x' || encode(` + column + `, 'hex')`
	}
	return column + "::text"
}

func (postgres) now() string { return "now()" }

func (postgres) ago(d time.Duration) string {
	return fmt.Sprintf("now() - interval '%d seconds'", int64(d.Seconds()))
}

func (p postgres) begin(limit time.Duration, lock string, alone bool) string {
	s := fmt.Sprintf(`BEGIN; SET LOCAL statement_timeout = %d; SET LOCAL lock_timeout = %d; SET LOCAL idle_in_transaction_session_timeout = %d;
		SET LOCAL client_min_messages = warning; SET LOCAL timezone = 'UTC'`, limit.Milliseconds(), silenceLimit.Milliseconds(), silenceLimit.Milliseconds())
	if lock != "" {
		shared := "_shared"
		if alone {
			shared = ""
		}
		s += fmt.Sprintf(`; SELECT pg_advisory_xact_lock%s(hashtextextended(%s, 0))`, shared, literal("upkeep warehouse "+lock))
	}
	return s
}

// load fills a temporary table by COPY. It has the types of the columns that
// its values are for, so that PostgreSQL tells of a value that does not fit in
// which row it is. The table stays with the session, empty, as making one
// costs rows in the catalogue.
func (p postgres) load(ctx context.Context, conn *sql.Conn, s *stage) error {
	var columns, names []string
	for _, c := range s.columns {
		columns = append(columns, p.quote(c.name)+" "+c.typ)
		names = append(names, p.quote(c.name))
	}
	_, err := conn.ExecContext(ctx, "CREATE TEMPORARY TABLE IF NOT EXISTS "+p.quote(s.name)+" ("+strings.Join(columns, ", ")+") ON COMMIT DELETE ROWS")
	if err != nil || len(s.rows) == 0 {
		return err
	}
	var b bytes.Buffer
	for _, row := range s.rows {
		for i, v := range row {
			if i > 0 {
				b.WriteByte('\t')
			}
			if v.null {
				b.WriteString(`\N`)
			} else {
				_, _ = copyText.WriteString(&b, v.text) // a Buffer does not fail
			}
		}
		b.WriteByte('\n')
	}
	err = conn.Raw(func(c any) error {
		_, err := c.(*stdlib.Conn).Conn().PgConn().CopyFrom(ctx, &b, "COPY pg_temp."+p.quote(s.name)+" ("+strings.Join(names, ", ")+") FROM STDIN")
		return err
	})
	var e *pgconn.PgError
	if errors.As(err, &e) {
		if m := copyPlace.FindStringSubmatch(e.Where); m != nil {
			if line, bad := strconv.Atoi(m[1]); bad == nil && line > 0 {
				return &rowError{row: line - 1, column: m[2], err: err}
			}
		}
	}
	return err
}

var (
	copyText  = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`)
	copyPlace = regexp.MustCompile(`COPY upkeep_stage_\w+, line (\d+)(?:, column (\w+))?`)
)

func (p postgres) table(ctx context.Context, q querier, at place) (*found, error) {
	rows, err := q.QueryContext(ctx, `SELECT a.attname, format_type(a.atttypid, a.atttypmod),
			a.attnotnull AND NOT a.atthasdef AND a.attidentity = '', a.attgenerated <> '' OR a.attidentity = 'a',
			format_type(CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE a.atttypid END, CASE t.typtype WHEN 'd' THEN t.typtypmod ELSE a.atttypmod END),
			EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate
				AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum AND i.indpred IS NULL)
		FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
			JOIN pg_type t ON t.oid = a.atttypid
		WHERE n.nspname = `+literal(at.schema)+` AND c.relname = `+literal(at.name)+` AND c.relkind IN ('r', 'p', 'f', 'v')
			AND a.attnum > 0 AND NOT a.attisdropped
		ORDER BY a.attnum`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var f *found
	for rows.Next() {
		var c column
		var generated, unique bool
		var base string // of a domain; else the type itself
		if err := rows.Scan(&c.name, &c.typ, &c.needed, &generated, &base, &unique); err != nil {
			return nil, err
		}
		if f == nil {
			f = &found{}
		}
		if unique {
			f.unique = append(f.unique, c.name)
		}
		c.keeps = p.keeps(base)
		if c.class = p.class(c.typ); !generated {
			f.columns = append(f.columns, c)
		}
	}
	return f, rows.Err()
}

func (postgres) tables(ctx context.Context, q querier, schema, prefix string) ([]string, bool, error) {
	rows, err := q.QueryContext(ctx, `SELECT c.relname FROM pg_namespace n
		LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p') AND starts_with(c.relname, `+literal(prefix)+`)
		WHERE n.nspname = `+literal(schema)+` ORDER BY 1`)
	if err != nil {
		return nil, false, err
	}
	defer rows.Close()
	var names []string
	there := false
	for rows.Next() {
		var name sql.NullString
		if err := rows.Scan(&name); err != nil {
			return nil, false, err
		}
		there = true
		if name.Valid {
			names = append(names, name.String)
		}
	}
	return names, there, rows.Err()
}

func (p postgres) makeSchema(schema string) string {
	return "CREATE SCHEMA IF NOT EXISTS " + p.quote(schema)
}

func (p postgres) makeIndex(t place, columns string) string {
	return "CREATE INDEX ON " + p.place(t) + " (" + columns + ")"
}

func (p postgres) reference(t place, column string) string {
	return p.place(t) + " (" + p.quote(column) + ")"
}

func (p postgres) rights(ctx context.Context, q querier, r rights) []error {
	type need struct{ condition, say string }
	schema, name := literal(r.schema), literal(p.place(r.place))
	temp := need{"has_database_privilege(current_database(), 'TEMPORARY')", "GRANT TEMPORARY ON DATABASE"}
	needs := []need{temp}
	if r.makes {
		needs = append(needs, need{"has_schema_privilege(" + schema + ", 'CREATE')", "GRANT CREATE ON SCHEMA " + p.quote(r.schema)})
	}
	needs = append(needs, need{"has_schema_privilege(" + schema + ", 'USAGE')", "GRANT USAGE ON SCHEMA " + p.quote(r.schema)})
	if r.exists {
		words := []string{"SELECT", "INSERT", "UPDATE"}
		if r.delete {
			words = append(words, "DELETE")
		}
		for _, w := range words {
			needs = append(needs, need{"has_table_privilege(" + name + ", '" + w + "')", "GRANT " + w + " ON " + p.place(r.place)})
		}
	}
	if r.alters {
		needs = append(needs, need{"(SELECT pg_has_role(c.relowner, 'USAGE') FROM pg_class c WHERE c.oid = " + name + "::regclass)",
			"ALTER TABLE " + p.place(r.place) + " OWNER TO"})
	}
	var problems []error
	for _, n := range needs {
		var may bool
		rows, err := q.QueryContext(ctx, "SELECT "+n.condition)
		if err != nil {
			return append(problems, err)
		}
		if rows.Next() {
			err = rows.Scan(&may)
		}
		if err = errors.Join(err, rows.Close(), rows.Err()); err != nil {
			return append(problems, err)
		}
		if !may {
			problems = append(problems, fmt.Errorf("the login lacks a right on %s: %s, for its role", r.place, n.say))
		}
	}
	return problems
}

func (postgres) outdated(err error) bool {
	var e *pgconn.PgError
	// undefined table, column, object; what a plan or a type was made of is
	// different now.
	return errors.As(err, &e) && slices.Contains([]string{"42P01", "42703", "42704", "3F000", "42804", "0A000"}, e.Code)
}

// judge takes what PostgreSQL says for what it means, see
// https://www.postgresql.org/docs/current/errcodes-appendix.html. Any ERROR
// ends the transaction, so what it is about was not written.
func (p postgres) judge(err error) (*connector.Error, bool) {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		var connect *pgconn.ConnectError
		if errors.As(err, &connect) {
			return &connector.Error{Kind: connector.Unavailable, Message: "the database can't be reached", Err: errors.New(connect.Error())}, false
		}
		return nil, false
	}
	out := &connector.Error{Kind: sqlState(e.Code), Code: e.Code, Message: words(e)}
	final := e.Severity == "ERROR" && (out.Kind == connector.Rejected || out.Kind == connector.Busy) && !strings.HasPrefix(e.Code, "XX")
	return out, final
}

func sqlState(code string) connector.Kind {
	for _, s := range []struct {
		kind  connector.Kind
		codes []string // or their beginnings
	}{
		{connector.Unauthorized, []string{"28", "42501", "0P000"}},
		{connector.Unavailable, []string{"08", "3D000", "53100", "57P", "25006", "25P0"}},
		{connector.RateLimited, []string{"53"}},
		{connector.Busy, []string{"40", "55", "57014", "42P01", "42703", "42704", "3F000", "0A000", "58", "XX"}},
	} {
		for _, c := range s.codes {
			if strings.HasPrefix(code, c) {
				return s.kind
			}
		}
	}
	return connector.Rejected
}

// words are the database's own, without the values of the row ("Failing row
// contains").
func words(e *pgconn.PgError) string {
	s := e.Message
	if e.Detail != "" && !strings.HasPrefix(e.Detail, "Failing row") {
		s += ": " + e.Detail
	}
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	if len(s) > 1000 {
		s = strings.ToValidUTF8(s[:1000], "") + "..."
	}
	return s
}
