package sqlite

import (
	"fmt"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// reader knows which columns of a member are read, and in which order.
type reader struct {
	columns []store.Column // of the query
	shown   map[string]bool
}

// readerOf is the reader of a member. Of a relation with aggregates only,
// those columns are read that are summed.
func readerOf(m *store.Member, related bool) *reader {
	r := &reader{shown: map[string]bool{}}
	have := map[string]bool{}
	add := func(cs []store.Column, shown bool) {
		for _, c := range cs {
			if !have[c.Name] {
				have[c.Name] = true
				r.columns = append(r.columns, c)
			}
			r.shown[c.Name] = r.shown[c.Name] || shown
		}
	}
	if !related {
		add(m.Key, false) // to see that it is spelled as it was asked for
	}
	if !related || !m.OnlyAggregates {
		add(m.Columns, true)
		for _, child := range m.Members {
			add(parentSide(child), false)
		}
	}
	for _, a := range m.Aggregates {
		if a.Column.Name != "" {
			add([]store.Column{a.Column}, false)
		}
	}
	return r
}

// from is the member's table beside the list of what it is found by. Nothing
// of the list can be taken for a column of the table.
func from(m *store.Member) string {
	cols := m.Key
	if m.Relation != store.Root {
		cols = ownSide(m)
	}
	own := store.Own(m)
	s := fmt.Sprintf(`FROM (SELECT key AS %[1]splace, value AS %[1]svalues FROM json_each(?1)) AS %[1]slist CROSS JOIN main.`, own) +
		ident(m.Table.Name) + ` ON ` + match(ident(m.Table.Name), cols, fmt.Sprintf("%[1]slist.%[1]svalues", own))
	if m.Where != "" {
		s += " WHERE (" + m.Where + "\n)"
	}
	return s
}

// place is the place in the list of [from].
func place(m *store.Member) string { return fmt.Sprintf("%[1]slist.%[1]splace", store.Own(m)) }

// statement reads the rows of a member with their places in the list. The unary
// plus keeps the driver from converting by declared type.
func (r *reader) statement(m *store.Member, order string) string {
	var b strings.Builder
	b.WriteString(`SELECT ` + place(m))
	for _, c := range r.columns {
		fmt.Fprintf(&b, `, +%s.%s`, ident(m.Table.Name), ident(c.Name))
	}
	b.WriteString(" " + from(m) + ` ORDER BY ` + place(m))
	if order != "" {
		b.WriteString(", " + order + "\n")
	}
	for _, c := range m.Key { // the same order every time
		fmt.Fprintf(&b, `, %s.%s`, ident(m.Table.Name), ident(c.Name))
	}
	return b.String()
}

// query runs a member's statement and gives each row to f with its place in the
// list.
func (l *loader) query(m *store.Member, r *reader, list, order string, f func(place int, values []any) error) error {
	statement := r.statement(m, order)
	rows, err := l.tx.QueryContext(l.ctx, statement, list)
	if err != nil {
		return l.failed(statement, err)
	}
	defer rows.Close()
	var place int
	values := make([]any, len(r.columns))
	into := []any{&place}
	for i := range values {
		into = append(into, &values[i])
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if err := f(place, values); err != nil {
			return err
		}
	}
	return l.failed(statement, rows.Err())
}

// row makes a row of what was read.
func (r *reader) row(m *store.Member, values []any, top *composite) *loading {
	l := &loading{top: top, row: store.Row{}, raw: map[string]any{}}
	for i, c := range r.columns {
		l.raw[c.Name] = values[i]
		if !r.shown[c.Name] {
			continue
		}
		v, err := valueOf(c.Kind, values[i])
		if err != nil {
			top.fail(fmt.Errorf("table %s, column %s: %w", m.Table.Name, c.Name, err))
			v = err // for a person who looks at it
		}
		l.row[c.Name] = v
	}
	return l
}

// aggregate adds a row to the aggregates of its parent.
func (r *reader) aggregate(m *store.Member, p *loading, values []any) {
	for _, a := range m.Aggregates {
		if a.Func == "count" {
			p.row[a.Name] = p.row[a.Name].(int64) + 1
			continue
		}
		for i, c := range r.columns {
			if c.Name != a.Column.Name || values[i] == nil {
				continue
			}
			v, err := valueOf(store.Decimal, values[i])
			if err != nil {
				p.top.fail(fmt.Errorf("%s: table %s, column %s: %w", a.Name, m.Table.Name, c.Name, err))
				p.row[a.Name] = err
				continue
			}
			if sum, ok := p.row[a.Name].(decimal.Decimal); ok { // or else what is wrong with a row before
				p.row[a.Name] = sum.Add(v.(decimal.Decimal))
			}
		}
	}
}
