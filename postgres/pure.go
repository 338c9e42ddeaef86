package postgres

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Nodes of the stored tree that hide what is read.
var hiding = []struct {
	node    *regexp.Regexp
	message string
}{
	{regexp.MustCompile(`\{SUBLINK `), "it has a subquery; a where or order may read the columns of its own row only"},
	{regexp.MustCompile(`\{AGGREF |\{WINDOWFUNC `), "it has an aggregate or a window function; it may read the columns of its own row only"},
	{regexp.MustCompile(`\{VAR :varno \d+ :varattno 0 `), "it refers to the whole row, which hides the columns that it reads; name the columns"},
}

// What changes while no row does is seen by no trigger: the record would stay
// wrong, and count as up to date.
const (
	asksTime = "it asks what time it is (%s): the answer changes while no row does, which no trigger sees, so the record would stay as it was and count as up to date; " +
		"let a job of yours set a column when the time comes and name that one here, or send the time itself and let the remote compare (comparing it in when or Translate would go unseen too)"
	asksSession = "it asks about the session (%s): of the same row another process may say something else, which no trigger sees; compare with a value instead"
	ownSettings = "name the zone of a time, as in (at AT TIME ZONE 'UTC')::date, compare times with times and not with text, an enum with its values, and join texts with ||"
)

// refuse rejects a fragment that reads more than the columns of its own row, or
// that may say something else of a row that is the same.
func refuse(ctx context.Context, tx pgx.Tx, oid uint32, fragment string) error {
	var tree, view string
	var other, function *string
	var own bool
	err := tx.QueryRow(ctx, `
		WITH probe AS (
			SELECT r.oid, r.ev_class, r.ev_action::text AS tree FROM pg_catalog.pg_rewrite r
			WHERE r.ev_class = 'pg_temp.upkeep_probe'::pg_catalog.regclass),
		called AS (
			SELECT DISTINCT m[1]::oid AS oid FROM probe,
				pg_catalog.regexp_matches(tree, ':(?:funcid|opfuncid) (\d+)', 'g') AS m),
		mutable AS (
			SELECT f.oid, f.oid < 16384 AS own FROM called c JOIN pg_catalog.pg_proc f ON f.oid = c.oid
			WHERE f.provolatile <> 'i' ORDER BY f.provolatile DESC, f.pronargs, f.oid LIMIT 1) -- now() before what compares with it
		SELECT p.tree, pg_catalog.pg_get_viewdef(p.ev_class),
			(SELECT d.refobjid::pg_catalog.regclass::text FROM pg_catalog.pg_depend d
				WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = p.oid
					AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
					AND d.refobjid NOT IN ($1, 'pg_temp.upkeep_probe'::pg_catalog.regclass) LIMIT 1),
			m.oid::pg_catalog.regprocedure::text, coalesce(m.own, false)
		FROM probe p LEFT JOIN mutable m ON true`, oid).Scan(&tree, &view, &other, &function, &own)
	if err != nil {
		return err
	}
	if other != nil {
		return fmt.Errorf("it reads %s; a where or order may read the columns of its own table only", *other)
	}
	for _, h := range hiding {
		if h.node.MatchString(tree) {
			return errors.New(h.message)
		}
	}
	if m := sqlValue.FindStringSubmatch(tree); m != nil {
		return refuseSQLValue(m[1])
	}
	if function != nil {
		return refuseFunction(*function, own)
	}
	return refuseMoments(fragment, view)
}

// clocks are functions of PostgreSQL's own that tell the time.
var clocks = []string{"now()", "transaction_timestamp()", "statement_timestamp()", "clock_timestamp()", "timeofday()",
	"age(timestamp with time zone)", "age(timestamp without time zone)"}

// refuseFunction says of a function that is not IMMUTABLE what it does.
func refuseFunction(function string, own bool) error {
	switch {
	case !own:
		// A body may read anything unless it is promised not to.
		return fmt.Errorf("it calls %s, which may read what can't be seen from outside; only functions that are declared IMMUTABLE can be used", function)
	case slices.Contains(clocks, function):
		return fmt.Errorf(asksTime, function)
	}
	return fmt.Errorf("it calls %s (an operator or a cast may stand for it), whose answer may differ from session to session or from moment to moment, which no trigger sees; only functions that are declared IMMUTABLE can be used: %s", function, ownSettings)
}

// sqlValue is a node for what SQL writes without parentheses.
var sqlValue = regexp.MustCompile(`\{SQLVALUEFUNCTION :op (\d+) `)

// sqlValues are these in the order of SQLValueFunctionOp in nodes/primnodes.h.
// The first nine tell the time.
var sqlValues = []string{"CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIME", "CURRENT_TIMESTAMP", "CURRENT_TIMESTAMP", "LOCALTIME", "LOCALTIME", "LOCALTIMESTAMP", "LOCALTIMESTAMP",
	"CURRENT_ROLE", "CURRENT_USER", "USER", "SESSION_USER", "CURRENT_CATALOG", "CURRENT_SCHEMA"}

func refuseSQLValue(op string) error {
	n, err := strconv.Atoi(op)
	switch {
	case err != nil || n >= len(sqlValues):
		return fmt.Errorf(asksSession, "a value that no function gives")
	case n < 9:
		return fmt.Errorf(asksTime, sqlValues[n])
	}
	return fmt.Errorf(asksSession, sqlValues[n])
}

var (
	// quoted is a text in SQL, or what may hold its quotation mark otherwise.
	quoted  = regexp.MustCompile(`(?s)--[^\n]*|/\*.*?\*/|"(?:[^"]|"")*"|'(?:[^']|'')*'|\$\w*\$.*?\$\w*\$`)
	moments = regexp.MustCompile(`(?i)\b(?:now|today|tomorrow|yesterday)\b`)
)

// refuseMoments finds 'now' and 'today' that became a time: PostgreSQL reads
// them when it reads the statement, so the stored tree has a plain constant.
// Those that stayed text are in the view's text.
func refuseMoments(fragment, view string) error {
	said, kept := momentsIn(fragment), momentsIn(view)
	if len(said) > len(kept) {
		return fmt.Errorf(asksTime, "'"+said[0]+"'")
	}
	return nil
}

func momentsIn(sql string) (found []string) {
	for _, l := range quoted.FindAllString(sql, -1) {
		if l[0] == '\'' || l[0] == '$' {
			found = append(found, moments.FindAllString(l, -1)...)
		}
	}
	return found
}

// direction is what an ORDER BY has behind its expressions.
var direction = regexp.MustCompile(`(?i)\s+(?:asc|desc)\b|\s+nulls\s+(?:first|last)\b`)

// notImmutable is PostgreSQL's invalid_object_definition: here, that an index
// can't be made for a condition that may change its mind.
const notImmutable = "42P17"

// judge lets PostgreSQL say of a fragment whether it is immutable, as it does
// for an index: casts depend on settings too, and name no function in the tree.
// The index is of an empty table with the columns that are read, so that no
// right on the real one is needed. What can't be put into an index for another
// reason has been judged by the functions that it calls.
func judge(ctx context.Context, tx pgx.Tx, oid uint32, name, where, order string) error {
	for _, condition := range []string{where, direction.ReplaceAllString(order, "")} {
		if condition == "" {
			continue
		}
		err := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error { return index(ctx, tx, oid, name, condition) })
		var e *pgconn.PgError
		switch {
		case errors.As(err, &e) && e.Code == notImmutable:
			return fmt.Errorf("a cast in it depends on the session's settings, such as its time zone, or on what may change while no row does; %s", ownSettings)
		case err != nil && e == nil && !errors.Is(err, errRollBack):
			return err
		}
	}
	return nil
}

func index(ctx context.Context, tx pgx.Tx, oid uint32, name, condition string) error {
	var columns string
	err := tx.QueryRow(ctx, `
		SELECT coalesce(string_agg(DISTINCT pg_catalog.quote_ident(a.attname) || ' ' || pg_catalog.format_type(a.atttypid, a.atttypmod)
			|| CASE WHEN a.attcollation <> t.typcollation THEN ' COLLATE ' || a.attcollation::pg_catalog.regcollation::text ELSE '' END, ', '), '')
		FROM pg_catalog.pg_rewrite r
		JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
			AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = $1 AND d.refobjsubid > 0
		JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
		JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
		WHERE r.ev_class = 'pg_temp.upkeep_probe'::pg_catalog.regclass`, oid).Scan(&columns)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "CREATE TEMPORARY TABLE "+quote(name)+" ("+columns+")"); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "CREATE INDEX ON pg_temp."+quote(name)+" ((true)) WHERE ROW("+strings.TrimSpace(condition)+"\n) IS NOT NULL")
	if err != nil {
		return err
	}
	return errRollBack
}
