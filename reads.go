package upkeep

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/upkeep-sync/upkeep/connector"
	"github.com/upkeep-sync/upkeep/internal/store"
)

// reads finds out which columns the fields are made of: it changes one column
// after the other in the composite and sees whether the fields change.
func (j *job) reads(fields []string) []string {
	want := j.rendered(j.composite.Row, fields)
	var columns []string
	try := func(at *store.Member, key string, kind store.Kind, name string) {
		if !maps.Equal(want, j.rendered(altered(j.composite.Row, j.shape.Root, at, key, kind), fields)) {
			columns = append(columns, name)
		}
	}
	j.shape.Root.Walk(func(path string, m, parent *store.Member) {
		for _, c := range m.Columns {
			try(m, c.Name, c.Kind, m.Table.String()+"."+c.Name)
		}
		for _, a := range m.Aggregates {
			name, kind := m.Table.String(), store.Int
			if a.Func == "sum" {
				name, kind = name+"."+a.Column.Name, store.Decimal
			}
			try(parent, a.Name, kind, name)
		}
	})
	slices.Sort(columns)
	return slices.Compact(columns)
}

// rendered is the text of the fields of a row's representation.
func (j *job) rendered(row Row, fields []string) (out map[string]string) {
	out = map[string]string{}
	defer func() {
		if p := recover(); p != nil { // of the user's function, for a value that it does not expect
			out["panic"] = fmt.Sprint(p)
		}
	}()
	f, err := j.def.Translate(row)
	if err == nil {
		var encoded connector.Fields
		encoded, err = encode(f, func(_ string, r Reference) (json.RawMessage, error) { return json.Marshal(store.ID(r)) })
		for _, name := range fields {
			out[name] = string(encoded[name])
		}
	}
	if err != nil {
		out["error"] = err.Error()
	}
	return out
}

// altered copies a row with another value for one column of one member.
func altered(row Row, at, member *store.Member, column string, kind store.Kind) Row {
	out := maps.Clone(row)
	if at == member {
		out[column] = other(row[column], kind)
		return out
	}
	for _, below := range at.Members {
		switch v := row[below.Name].(type) {
		case Row:
			if v != nil {
				out[below.Name] = altered(v, below, member, column, kind)
			}
		case []Row:
			list := make([]Row, len(v))
			for i, r := range v {
				list[i] = altered(r, below, member, column, kind)
			}
			out[below.Name] = list
		}
	}
	return out
}

// other is a value of the kind that is not v; null if there is no sample.
func other(v any, kind store.Kind) any {
	for _, s := range samples[kind] {
		if fmt.Sprint(s) != fmt.Sprint(v) {
			return s
		}
	}
	return nil
}
