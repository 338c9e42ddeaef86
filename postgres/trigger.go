package postgres

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// trigger is one trigger as it is to be.
type trigger struct {
	name string
	sql  string // CREATE TRIGGER, with %s for the table
	hash string // of sql and of the function's name
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
		return w.trigger(op, "AFTER "+strings.ToUpper(op)+" ON %s FOR EACH ROW WHEN ("+when+")"+call)
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

// differ is true when one of the columns has another value. Types whose
// equality is that of the bits are compared as such; all others by their
// stored image, so that 1.0 differs from 1.00 and json from json.
func differ(columns []store.Column) string {
	var parts, olds, news []string
	for _, c := range columns {
		o, n := "OLD."+quote(c.Name), "NEW."+quote(c.Name)
		if bitwise(c) {
			parts = append(parts, o+" IS DISTINCT FROM "+n)
			continue
		}
		olds, news = append(olds, o), append(news, n)
	}
	if len(olds) > 0 {
		// As a function: the operator's form does not survive a dump.
		parts = append(parts, "pg_catalog.record_image_ne(ROW("+strings.Join(olds, ", ")+"), ROW("+strings.Join(news, ", ")+"))")
	}
	return strings.Join(parts, " OR ")
}

// bitwise says whether equal values of the column's type are the same value.
// Text is not here: whether its collation is deterministic can change.
func bitwise(c store.Column) bool {
	switch c.Type {
	case "smallint", "integer", "bigint", "boolean", "uuid", "date", "bytea", "oid",
		"timestamp without time zone", "timestamp with time zone":
		return true
	}
	return false
}

// body is the trigger function's. It writes one row and must never fail. A
// column that was renamed since makes the first block end early: it only reads,
// so nothing is undone with it, and a block that writes nothing takes no
// transaction id. Looking the columns up before each row instead would cost
// half as much again as all the rest. With a watched column gone it logs that
// it does not know what changed, with a key column gone it asks for a sweep.
func (w *watch) body() string {
	if w.ordered != nil {
		return w.commandBody()
	}
	var changed []string
	for _, c := range w.columns {
		changed = append(changed, "CASE WHEN "+differ([]store.Column{c})+" THEN "+literal(c.Name)+" END")
	}
	table := literal(w.name())
	images := func(indent string) string {
		return indent + "IF TG_OP <> 'INSERT' THEN o := " + image("OLD", w.keys) + "; END IF;\n" +
			indent + "IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND (" + differ(w.keys) + ")) THEN n := " + image("NEW", w.keys) + "; END IF;\n"
	}
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	p("\nDECLARE\n    o jsonb;\n    n jsonb;\n    changed text[];\nBEGIN\n")
	p("    IF TG_OP = 'TRUNCATE' THEN\n")
	p("        INSERT INTO upkeep.touch (tbl, op) VALUES (%s, 'truncate');\n        RETURN NULL;\n    END IF;\n", table)
	p("    BEGIN\n%s", images("        "))
	p("        IF TG_OP = 'UPDATE' THEN\n            changed := array_remove(ARRAY[%s]::text[], NULL);\n        END IF;\n",
		strings.Join(changed, ",\n                "))
	p("    EXCEPTION WHEN undefined_column THEN\n        o := NULL; n := NULL; changed := NULL;\n")
	p("        IF %s THEN\n%s        END IF;\n    END;\n", present(w.keys), images("            "))
	p("    IF o IS NULL AND n IS NULL THEN\n")
	p("        INSERT INTO upkeep.touch (tbl, op) VALUES (%s, 'sweep');\n    ELSE\n", table)
	p("        INSERT INTO upkeep.touch (tbl, op, old, new, columns) VALUES (%s, lower(TG_OP), o, n, changed);\n", table)
	p("    END IF;\n    RETURN NULL;\nEND\n")
	return b.String()
}

// present is true while the table has columns with all these names.
func present(columns []store.Column) string {
	quoted := make([]string, len(columns))
	for i, c := range columns {
		quoted[i] = literal(c.Name)
	}
	return fmt.Sprintf("(SELECT count(*) FROM pg_attribute a WHERE a.attrelid = TG_RELID AND NOT a.attisdropped\n"+
		"        AND a.attname = ANY (ARRAY[%s]::name[])) = %d", strings.Join(quoted, ", "), len(columns))
}

// image is the JSON object of a record's columns.
func image(record string, columns []store.Column) string {
	parts := make([]string, len(columns))
	for i, c := range columns {
		parts[i] = literal(c.Name) + ", " + record + "." + quote(c.Name)
	}
	return "jsonb_build_object(" + strings.Join(parts, ", ") + ")"
}

// createFunction is the statement that makes the trigger function. It runs
// with the rights of Upkeep's role, so that the application's roles need none
// in our schema, and with a search path that no temporary table can get into.
func (w *watch) createFunction() string {
	tag := "$upkeep_" + w.id() + "$"
	return "CREATE OR REPLACE FUNCTION " + w.function() + "() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER\n" +
		"SET search_path = pg_catalog, pg_temp AS " + tag + w.body() + tag
}
