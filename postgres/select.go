package postgres

import (
	"fmt"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// selection is what a query reads of a member: its columns, then the links
// that its own members hang on, as text.
type selection struct {
	columns []store.Column
	exprs   []string
	links   []store.Column
	linkSQL []string
	own     string // how names of our own begin
}

func newSelection(m *store.Member) *selection {
	s := &selection{own: store.Own(m)}
	for _, c := range m.Columns {
		s.add(c, readExpr(quoteColumn(m, c), c))
	}
	for _, child := range m.Members {
		for _, c := range across(child) {
			if !slices.ContainsFunc(s.links, func(o store.Column) bool { return o.Name == c.Name }) {
				s.links = append(s.links, c)
				s.linkSQL = append(s.linkSQL, quoteColumn(m, c)+"::text")
			}
		}
	}
	return s
}

func (s *selection) add(c store.Column, expr string) {
	s.columns, s.exprs = append(s.columns, c), append(s.exprs, expr)
}

// list is the select list, each item after a comma. Names are our own, so that
// an ORDER BY of the user can only mean the table's columns.
func (s *selection) list() string {
	var b strings.Builder
	for i, e := range append(slices.Clone(s.exprs), s.linkSQL...) {
		fmt.Fprintf(&b, ", %s AS %s%d", e, s.own, i)
	}
	if b.Len() == 0 {
		return ", true AS " + s.own + "0"
	}
	return b.String()
}

// outer is list for a query around the one with list.
func (s *selection) outer() string {
	var b strings.Builder
	for i := range max(len(s.exprs)+len(s.linkSQL), 1) {
		fmt.Fprintf(&b, ", %[1]sc.%[1]s%[2]d", s.own, i)
	}
	return b.String()
}

// linksOf says where the links of a child are among the link values.
func (s *selection) linksOf(child *store.Member) []int {
	var at []int
	for _, c := range across(child) {
		at = append(at, slices.IndexFunc(s.links, func(o store.Column) bool { return o.Name == c.Name }))
	}
	return at
}

// readExpr is the SQL that reads a column in the form that [decode] knows.
func readExpr(expr string, c store.Column) string {
	switch c.Kind {
	case store.Int:
		return expr + "::bigint"
	case store.Float:
		if c.Type != "double precision" { // a real's digits are those of its text: 0.1, and not 0.10000000149011612
			return expr + "::text::double precision"
		}
		return expr
	case store.Bool:
		return expr + "::boolean"
	case store.Date:
		return expr + "::date"
	case store.Time:
		if strings.HasSuffix(c.Type, "without time zone") {
			return "(" + expr + " AT TIME ZONE 'UTC')"
		}
		return expr + "::timestamptz"
	case store.Bytes:
		return expr + "::bytea"
	}
	return expr + "::text"
}

// quoteColumn names a column of m's table by the table's own name, which the
// user's fragments may use too. All else that such a statement names, tables
// and columns, begins with [store.Own]: a table may be called p.
func quoteColumn(m *store.Member, c store.Column) string { return quote(m.Table.Name, c.Name) }

// unnest is a row source, called as [store.Own] and p, of the arrays $1, $2, ...
// with a number for each row. The arrays come as text, which every type can be
// read from, and are cast as a whole, so that an index on the other side can be
// used.
func unnest(own string, columns []store.Column) string {
	parts, names := make([]string, len(columns)), make([]string, len(columns))
	for i, c := range columns {
		parts[i] = fmt.Sprintf("$%d::text[]::%s[]", i+1, castType(c))
		names[i] = fmt.Sprintf("%sk%d", own, i)
	}
	return "ROWS FROM (unnest(" + strings.Join(parts, ", ") + ")) WITH ORDINALITY AS " + own + "p(" + strings.Join(append(names, own+"n"), ", ") + ")"
}

// number is the number of a row of unnest.
func number(own string) string { return own + "p." + own + "n" }

// joinOn compares columns of m's table with those of unnest.
func joinOn(own string, m *store.Member, columns []store.Column) string {
	parts := make([]string, len(columns))
	for i, c := range columns {
		parts[i] = fmt.Sprintf("%s = %[2]sp.%[2]sk%[3]d", quoteColumn(m, c), own, i)
	}
	return strings.Join(parts, " AND ")
}

// orderBy is the user's order, then the key, so that it is always the same.
func orderBy(m *store.Member, order string) string {
	var parts []string
	if order != "" {
		parts = append(parts, order)
	}
	for _, c := range m.Key {
		parts = append(parts, quoteColumn(m, c))
	}
	if len(parts) == 0 {
		return "1"
	}
	return strings.Join(parts, ", ")
}

// noRows is an aggregate's value over no rows.
func noRows(a store.Aggregate) any {
	if a.Func == "count" {
		return int64(0)
	}
	return decimal.Zero
}
