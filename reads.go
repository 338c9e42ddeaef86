package upkeep

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// reads finds out which columns the fields are made of: it changes one column
// after the other in the composite, and takes the rows of one relation after the
// other away, and sees whether the fields change. What leads to rows that are read
// is read, too. A value with which the translation fails says nothing of these
// fields, since another one may be to blame; where nothing else is found it is all
// that is known.
func (j *job) reads(fields []string) []string {
	want := j.rendered(j.composite.Row, fields)
	var sure, unsure []string
	used := map[*store.Member]bool{}
	try := func(m *store.Member, column string, rows ...Row) {
		failed := false
		for _, row := range rows {
			got := j.rendered(row, fields)
			if !got.ok {
				failed = true
				continue
			}
			if maps.Equal(want.fields, got.fields) {
				continue
			}
			used[m] = true
			if column != "" {
				sure = append(sure, column)
			}
			return
		}
		if failed && column != "" {
			unsure = append(unsure, column)
		}
	}
	root, whole := j.shape.Root, j.composite.Row
	root.Walk(func(_ string, m, parent *store.Member) {
		for _, c := range m.Columns {
			try(m, m.Table.String()+"."+c.Name, altered(whole, root, m, c.Name, c.Kind)...)
		}
		for _, a := range m.Aggregates {
			name, kind := "", store.Int
			if a.Func == "sum" {
				name, kind = m.Table.String()+"."+a.Column.Name, store.Decimal
			}
			try(m, name, altered(whole, root, parent, a.Name, kind)...)
		}
		if parent != nil && !m.OnlyAggregates {
			try(m, "", with(whole, root, parent, func(r Row) { r[m.Name] = fewer(r[m.Name]) }))
		}
	})
	root.Walk(func(_ string, m, parent *store.Member) {
		below := false
		m.Walk(func(_ string, b, _ *store.Member) { below = below || used[b] })
		if below && parent != nil {
			sure = append(sure, leading(m, parent)...)
		}
	})
	if len(sure) == 0 {
		sure = unsure
	}
	slices.Sort(sure)
	return slices.Compact(sure)
}

// leading are the columns that decide which rows of m a parent has.
func leading(m, parent *store.Member) (columns []string) {
	of := m.Table
	if m.Relation == store.BelongsTo {
		of = parent.Table
	}
	for _, c := range m.Via {
		columns = append(columns, of.String()+"."+c.Name)
	}
	for _, c := range m.Fragment {
		columns = append(columns, m.Table.String()+"."+c.Name)
	}
	return columns
}

// rendering is the text of the fields of a row's representation.
type rendering struct {
	ok     bool // it has one
	fields map[string]string
}

func (j *job) rendered(row Row, fields []string) (out rendering) {
	defer func() {
		if recover() != nil { // of the user's function, for a value that it does not expect
			out = rendering{}
		}
	}()
	f, err := j.def.Translate(row)
	if err != nil {
		return rendering{}
	}
	encoded, err := encode(f, func(_ string, r Reference) (json.RawMessage, error) { return json.Marshal(store.ID(r)) })
	if err != nil {
		return rendering{}
	}
	out = rendering{ok: true, fields: map[string]string{}}
	for _, name := range fields {
		out.fields[name] = string(encoded[name])
	}
	return out
}

// altered are copies of a row with other values for one column of one member.
func altered(row Row, at, member *store.Member, column string, kind store.Kind) (all []Row) {
	for n := range max(len(samples[kind]), 1) {
		all = append(all, with(row, at, member, func(r Row) { r[column] = other(r[column], kind, n) }))
	}
	return all
}

// with copies a row, and changes the copies of a member's rows in it.
func with(row Row, at, member *store.Member, change func(Row)) Row {
	out := maps.Clone(row)
	if at == member {
		change(out)
		return out
	}
	for _, below := range at.Members {
		switch v := row[below.Name].(type) {
		case Row:
			if v != nil {
				out[below.Name] = with(v, below, member, change)
			}
		case []Row:
			list := make([]Row, len(v))
			for i, r := range v {
				list[i] = with(r, below, member, change)
			}
			out[below.Name] = list
		}
	}
	return out
}

// fewer is what a relation has without its last row.
func fewer(rows any) any {
	switch v := rows.(type) {
	case Row:
		return Row(nil)
	case []Row:
		return v[:max(len(v)-1, 0)]
	}
	return rows
}

// other is the nth sample of the kind, or null where that is v or there is none.
func other(v any, kind store.Kind, n int) any {
	if s := samples[kind]; n < len(s) && fmt.Sprint(s[n]) != fmt.Sprint(v) {
		return s[n]
	}
	return nil
}
