package property

import (
	"fmt"
	"strings"

	"pgregory.net/rapid"
)

// Values are few, so that rows meet.
var (
	integers = []string{"1", "2", "3"}
	texts    = []string{"'b,c'", `'d\e'`, "'É'"}
)

func drawValue(t *rapid.T, c column, null bool) string {
	values := integers
	if c.kind == "text" {
		values = texts
	}
	if null {
		values = append([]string{"null"}, values...)
	}
	return rapid.SampledFrom(values).Draw(t, "value")
}

// drawRow is a row of values for an insert.
func (tb *table) drawRow(t *rapid.T) string {
	var values []string
	for i, c := range tb.columns() {
		values = append(values, drawValue(t, c, i >= len(tb.key)))
	}
	return "(" + strings.Join(values, ", ") + ")"
}

// drawWhich is a condition for one row, some, or all.
func (tb *table) drawWhich(t *rapid.T) string {
	switch rapid.IntRange(0, 5).Draw(t, "which") {
	case 0:
		return ""
	case 1:
		c := rapid.SampledFrom(tb.data).Draw(t, "by")
		return " where " + quote(c.name) + " = " + drawValue(t, c, false)
	}
	return tb.drawKey(t)
}

// drawKey is a condition for one row.
func (tb *table) drawKey(t *rapid.T) string {
	var parts []string
	for _, c := range tb.key {
		parts = append(parts, quote(c.name)+" = "+drawValue(t, c, false))
	}
	return " where " + strings.Join(parts, " and ")
}

// drawCopy is a COPY with its lines, which [place.exec] sends.
func (tb *table) drawCopy(t *rapid.T) string {
	b := "copy " + quote(tb.name) + " (" + quoted(tb.columns()) + ") from stdin\n"
	for range rapid.IntRange(1, 3).Draw(t, "lines") {
		var values []string
		for i, c := range tb.columns() {
			v := drawValue(t, c, i >= len(tb.key))
			if v == "null" {
				v = `\N`
			} else {
				v = strings.ReplaceAll(strings.Trim(v, "'"), `\`, `\\`)
			}
			values = append(values, v)
		}
		b += strings.Join(values, "\t") + "\n"
	}
	return b
}

// drawInsert is a new row.
func (s *schema) drawInsert(t *rapid.T) string {
	tb := rapid.SampledFrom(s.tables).Draw(t, "table")
	return "insert into " + quote(tb.name) + " (" + quoted(tb.columns()) + ") values " + tb.drawRow(t)
}

// drawStatement is one change.
func (s *schema) drawStatement(t *rapid.T) string {
	tb := rapid.SampledFrom(s.tables).Draw(t, "table")
	name, insert := quote(tb.name), "insert into "+quote(tb.name)+" ("+quoted(tb.columns())+") values "
	kinds := []string{"insert", "insert", "insert", "insert many", "update", "update", "reparent", "reparent", "rekey", "delete", "upsert", "upsert nothing", "same"}
	if s.postgres {
		kinds = append(kinds, "truncate", "merge", "copy")
	} else if !s.declares() {
		// Under a foreign key SQLite itself lets a replacement pass that breaks
		// the key, or not, depending on whether the table has any trigger.
		kinds = append(kinds, "replace")
	}
	set := func(c column) string { return quote(c.name) + " = " + drawValue(t, c, true) }
	switch kind := rapid.SampledFrom(kinds).Draw(t, "kind"); kind {
	case "insert":
		return insert + tb.drawRow(t)
	case "insert many":
		return insert + tb.drawRow(t) + ", " + tb.drawRow(t) + " on conflict do nothing"
	case "replace":
		return strings.Replace(insert, "insert", "insert or replace", 1) + tb.drawRow(t)
	case "upsert", "merge":
		c := rapid.SampledFrom(tb.columns()[len(tb.key):]).Draw(t, "column")
		return insert + tb.drawRow(t) + " on conflict (" + quoted(tb.key) + ") do update set " + quote(c.name) + " = excluded." + quote(c.name)
	case "upsert nothing":
		return insert + tb.drawRow(t) + " on conflict do nothing"
	case "update":
		c := rapid.SampledFrom(tb.columns()[len(tb.key):]).Draw(t, "column")
		d := rapid.SampledFrom(tb.columns()[len(tb.key):]).Draw(t, "column")
		if c == d {
			return "update " + name + " set " + set(c) + tb.drawWhich(t)
		}
		return "update " + name + " set " + set(c) + ", " + set(d) + tb.drawWhich(t)
	case "reparent":
		if len(tb.links) == 0 {
			return "update " + name + " set " + set(tb.data[0]) + tb.drawWhich(t)
		}
		l := rapid.SampledFrom(tb.links).Draw(t, "link")
		var parts []string
		for _, c := range l.columns {
			parts = append(parts, set(c))
		}
		return "update " + name + " set " + strings.Join(parts, ", ") + tb.drawWhich(t)
	case "rekey":
		c := rapid.SampledFrom(tb.key).Draw(t, "column")
		return "update " + name + " set " + quote(c.name) + " = " + drawValue(t, c, false) + tb.drawWhich(t)
	case "same":
		c := rapid.SampledFrom(tb.columns()).Draw(t, "column")
		return "update " + name + " set " + quote(c.name) + " = " + quote(c.name)
	case "copy":
		return tb.drawCopy(t)
	case "truncate":
		return "truncate " + name + rapid.SampledFrom([]string{"", " cascade"}).Draw(t, "cascade")
	default:
		return "delete from " + name + tb.drawWhich(t)
	}
}

// declares tells whether a foreign key is declared.
func (s *schema) declares() bool {
	for _, tb := range s.tables {
		for _, l := range tb.links {
			if l.action != "" {
				return true
			}
		}
	}
	return false
}

// drawTransaction is a transaction's statements and how it ends.
func (s *schema) drawTransaction(t *rapid.T) (statements []string) {
	points := 0
	for range rapid.IntRange(1, 5).Draw(t, "statements") {
		switch rapid.IntRange(0, 9).Draw(t, "savepoint") {
		case 0:
			points++
			statements = append(statements, fmt.Sprintf("savepoint s%d", points))
		case 1:
			if points > 0 {
				statements = append(statements, fmt.Sprintf("rollback to s%d", points))
			}
		}
		statements = append(statements, s.drawStatement(t))
	}
	ends := []string{"commit", "commit", "commit", "commit", "rollback"}
	if s.postgres {
		ends = append(ends, "prepare", "prepare and roll back")
	}
	return append(statements, rapid.SampledFrom(ends).Draw(t, "end"))
}
