package postgres

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// trigger is one trigger as it is to be.
type trigger struct {
	name string
	sql  string // CREATE TRIGGER, with %s for the table
	hash string // of sql and of the function's name

	columns []string // that its condition reads, sorted
}

// comment is what a person finds who looks at the trigger.
func (t *trigger) comment() string {
	return "Upkeep notes changes of this table here. Before you drop or retype a column that it watches, " +
		"call upkeep.release('<this table>') in the same transaction; a running worker puts it back. [" + t.hash + "]"
}

// function is the quoted name of the table's trigger function.
func (w *watch) function() string { return quote("upkeep", w.functionName()) }

func (w *watch) functionName() string {
	if w.ordered != nil {
		return "command_" + w.id()
	}
	return "touch_" + w.id()
}

// triggers are the triggers for the table. The name tells where to look,
// because PostgreSQL's message about a column that can't be dropped has it.
// All three row triggers have a WHEN clause over the key columns: with it
// PostgreSQL refuses to retype a column under a function that reads it.
func (w *watch) triggers() (rows []*trigger, truncate *trigger) {
	call := " EXECUTE FUNCTION " + w.function() + "()"
	row := func(op, when string) *trigger {
		t := w.trigger(op, "AFTER "+strings.ToUpper(op)+" ON %s FOR EACH ROW WHEN ("+when+")"+call)
		t.columns = slices.Sorted(slices.Values(names(w.columns)))
		return t
	}
	rows = []*trigger{
		row("insert", always("NEW", w.columns)),
		row("update", differ(w.columns)),
		row("delete", always("OLD", w.columns)),
	}
	return rows, w.trigger("truncate", "AFTER TRUNCATE ON %s FOR EACH STATEMENT"+call)
}

func (w *watch) trigger(op, rest string) *trigger {
	if w.ordered != nil {
		op = "command_" + op
	}
	t := &trigger{name: "upkeep_" + op + "_" + w.id() + " see upkeep.release()"}
	t.sql = "CREATE TRIGGER " + strings.ReplaceAll(quote(t.name), "%", "%%") + " " + escapeFormat(rest)
	h := sha256.Sum256([]byte(t.sql))
	t.hash = hex.EncodeToString(h[:8])
	return t
}

// escapeFormat leaves the one "ON %s" and doubles every other percent sign,
// which a column's name may have.
func escapeFormat(s string) string {
	head, tail, _ := strings.Cut(s, " ON %s ")
	return head + " ON %s " + strings.ReplaceAll(tail, "%", "%%")
}

// always is true, and names the columns.
func always(record string, columns []store.Column) string {
	parts := make([]string, len(columns))
	for i, c := range columns {
		parts[i] = record + "." + quote(c.Name) + " IS NULL"
	}
	return "(" + strings.Join(parts, " OR ") + ") IS NOT NULL"
}

// differ is true when one of the columns has another value, where 1.0 is
// another than 1.00, and json than json in other words: see [likeness].
func differ(columns []store.Column) string {
	var parts, olds, news []string
	for _, c := range columns {
		o, n := "OLD."+quote(c.Name), "NEW."+quote(c.Name)
		switch likenessOf(c) {
		case byValue:
			parts = append(parts, o+" IS DISTINCT FROM "+n)
		case byBytes:
			parts = append(parts, o+asText+" IS DISTINCT FROM "+n+asText+bytewise)
		default:
			olds, news = append(olds, o), append(news, n)
		}
	}
	if len(olds) > 0 {
		// As a function: the operator's form does not survive a dump.
		parts = append(parts, "pg_catalog.record_image_ne(ROW("+strings.Join(olds, ", ")+"), ROW("+strings.Join(news, ", ")+"))")
	}
	return strings.Join(parts, " OR ")
}

// likeness is how values of a column are told apart. The image of a record is
// right for every type, and costs several times as much as a comparison.
type likeness int

const (
	byImage likeness = iota // the stored bytes, as a record's
	byValue                 // the type's own equality, which is that of the bytes
	byBytes                 // the same under the collation "C", whatever the column's is
)

// bytewise is written after what is compared [byBytes]. The column's own
// collation may take different texts for equal, or be altered to do so.
const (
	bytewise = ` COLLATE pg_catalog."C"`
	// asText is nothing for a text. A running worker puts the triggers back on
	// a column that a migration made something else.
	asText = "::pg_catalog.text"
)

func likenessOf(c store.Column) likeness {
	switch c.Type {
	case "smallint", "integer", "bigint", "boolean", "uuid", "date", "bytea", "oid",
		"timestamp without time zone", "timestamp with time zone":
		return byValue
	case "text", "character varying":
		return byBytes
	}
	switch {
	case strings.HasPrefix(c.Type, "character varying("):
		return byBytes
	case strings.HasPrefix(c.Type, "numeric("): // all with as many digits after the point, so that 1.0 is never beside 1.00
		return byValue
	}
	return byImage
}

// body is the trigger function's. It writes one row and must never fail.
//
// What is computed is computed in assignments, which the server prepares once
// for each transaction; it would prepare an expression inside the INSERT for
// each row. All names and operators are qualified, so that the caller's search
// path has no say: setting another one for each call would cost a tenth of all.
//
// A column that was renamed since, or is another one of that name and of another
// type, makes the inner block end early, whatever the server says to it: it only
// reads, so nothing is undone with it, and a block that writes nothing takes no
// transaction id. Looking the columns up before each row instead would cost
// half as much again as all the rest. With a watched column gone it logs that
// it does not know what changed, with a key column gone it asks for a sweep.
//
// To make an expression ready is most of what it costs in a transaction of one
// row. So the keys, which hardly ever change, are looked at once for all, and a
// comparison is of as few parts as can be: see [same].
func (w *watch) body() string {
	if w.ordered != nil {
		return w.commandBody()
	}
	o, n := "o := "+image("OLD", w.keys)+";", "n := "+image("NEW", w.keys)+";"
	moved := "IF (" + same(w.keys) + ") IS NOT TRUE THEN " + n + " END IF;"
	others := slices.DeleteFunc(slices.Clone(w.columns), func(c store.Column) bool {
		return slices.ContainsFunc(w.keys, func(k store.Column) bool { return k.Name == c.Name })
	})
	which := "IF " + same(w.keys) + " THEN\n                " + changed(others) +
		"\n            ELSE\n                " + n + "\n                " + changed(w.columns) + "\n            END IF;"

	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	p("\nDECLARE\n    o pg_catalog.jsonb;\n    n pg_catalog.jsonb;\n    changed pg_catalog.text[];\nBEGIN\n")
	p("    IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN\n%s", w.append("update", []string{o, which}, []string{o, moved}))
	p("    ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN\n%s", w.append("insert", []string{n}, []string{n}))
	p("    ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN\n%s", w.append("delete", []string{o}, []string{o}))
	p("    ELSE\n        INSERT INTO upkeep.touch (tbl, op) VALUES (%s, 'truncate');\n", literal(w.name()))
	p("    END IF;\n    RETURN NULL;\nEND\n")
	return b.String()
}

// append reads the row, or of one that has lost a watched column only the keys,
// and writes to the log.
func (w *watch) append(op string, read, keys []string) string {
	const next = "\n            "
	table := literal(w.name())
	sweep := "                INSERT INTO upkeep.touch (tbl, op) VALUES (" + table + ", 'sweep');\n                RETURN NULL;\n"
	return "        BEGIN" + next + strings.Join(read, next) + "\n" +
		"        EXCEPTION WHEN OTHERS THEN\n" +
		"            IF NOT " + present(w.keys) + " THEN\n" + sweep + "            END IF;\n            o := NULL; n := NULL; changed := NULL;" + next +
		"BEGIN" + next + strings.Join(keys, next) + "\n            EXCEPTION WHEN OTHERS THEN\n" + sweep + "            END;\n        END;\n" +
		"        INSERT INTO upkeep.touch (tbl, op, old, new, columns) VALUES (" + table + ", " + literal(op) + ", o, n, changed);\n"
}

// present is true while the table has columns with all these names.
func present(columns []store.Column) string {
	quoted := make([]string, len(columns))
	for i, c := range columns {
		quoted[i] = literal(c.Name)
	}
	return fmt.Sprintf("(SELECT pg_catalog.count(*) FROM pg_catalog.pg_attribute a\n"+
		"                WHERE a.attrelid OPERATOR(pg_catalog.=) TG_RELID AND NOT a.attisdropped\n"+
		"                AND a.attname OPERATOR(pg_catalog.=) ANY (ARRAY[%s]::pg_catalog.name[])) OPERATOR(pg_catalog.=) %d",
		strings.Join(quoted, ", "), len(columns))
}

// changed notes which of the columns have another value.
func changed(columns []store.Column) string {
	parts := make([]string, len(columns))
	for i, c := range columns {
		parts[i] = "CASE WHEN " + same([]store.Column{c}) + " THEN NULL ELSE " + literal(c.Name) + " END"
	}
	return "changed := pg_catalog.array_remove(ARRAY[" + strings.Join(parts, ",\n                ") + "]::pg_catalog.text[], NULL);"
}

// same is true when all columns have the values that they had, as [differ] says
// that one has not, and false or NULL otherwise. It is for the function's text,
// which is read under whatever search path the caller has: IS DISTINCT FROM would
// look its operator up in it.
func same(columns []store.Column) string {
	var parts, olds, news []string
	for _, c := range columns {
		o, n := "OLD."+quote(c.Name), "NEW."+quote(c.Name)
		like := likenessOf(c)
		if like == byImage {
			olds, news = append(olds, o), append(news, n)
			continue
		}
		equal := o + " OPERATOR(pg_catalog.=) " + n
		if like == byBytes {
			equal = o + asText + " OPERATOR(pg_catalog.=) " + n + asText + bytewise
		}
		parts = append(parts, "("+equal+" OR "+o+" IS NULL AND "+n+" IS NULL)")
	}
	if len(olds) > 0 {
		parts = append(parts, "pg_catalog.record_image_eq(ROW("+strings.Join(olds, ", ")+"), ROW("+strings.Join(news, ", ")+"))")
	}
	return strings.Join(parts, " AND ")
}

// image is the JSON object of a record's columns.
func image(record string, columns []store.Column) string {
	parts := make([]string, len(columns))
	for i, c := range columns {
		parts[i] = literal(c.Name) + ", " + record + "." + quote(c.Name)
	}
	return "pg_catalog.jsonb_build_object(" + strings.Join(parts, ", ") + ")"
}

// createFunction is the statement that makes the trigger function. It runs
// with the rights of Upkeep's role, so that the application's roles need none
// in our schema. That is safe without a search path of its own since it names
// the schema of all that it uses.
func (w *watch) createFunction() string {
	tag := "$upkeep_" + w.id() + "$"
	return "CREATE OR REPLACE FUNCTION " + w.function() + "() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER" + w.settings() + "\n" +
		"AS " + tag + w.body() + tag
}

// settings are those of the function where what it logs is written as the
// caller's session has it: a float of which digits are left out, an interval or a
// range of dates that reads as another, would lead to no group. Numbers, texts and
// times are alike in all sessions, and a call with settings takes twice as long.
func (w *watch) settings() string {
	if !slices.ContainsFunc(w.keys, func(c store.Column) bool { return c.Kind == store.Float || c.Kind == store.Other }) {
		return ""
	}
	return " SET extra_float_digits = 1 SET IntervalStyle = 'postgres' SET DateStyle = 'ISO, YMD' SET TimeZone = 'UTC'"
}
