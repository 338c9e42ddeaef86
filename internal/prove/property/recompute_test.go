package property

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// row is a row as it is in the database.
type row map[string]any

// content is all rows, by table.
type content [][]row

// recompute makes every composite anew, with loops over all rows: as text, by
// root key.
func (s *schema) recompute(all content) map[string]string {
	out := map[string]string{}
	for _, r := range all[0] {
		out[keyOf(s.tables[0], r)] = text(s.compose(s.root, r, all))
	}
	return out
}

func (s *schema) compose(rel *relation, r row, all content) map[string]any {
	out := map[string]any{}
	for _, c := range rel.columns {
		out["column "+c] = r[c]
	}
	for i, m := range rel.members {
		var found []row
		for _, x := range all[m.table] {
			if m.ties(r, x) && m.passes(x) {
				found = append(found, x)
			}
		}
		slices.SortFunc(found, func(a, b row) int {
			if m.descending {
				a, b = b, a
			}
			return compareKeys(s.tables[m.table], a, b)
		})
		if m.count {
			out[fmt.Sprint("count of ", i)] = fmt.Sprint(len(found))
		}
		if m.sum != "" {
			var sum int64
			for _, x := range found {
				if v, ok := x[m.sum].(int64); ok {
					sum += v
				}
			}
			out[fmt.Sprint("sum of ", i)] = fmt.Sprint(sum)
		}
		name := fmt.Sprint("relation ", i)
		if m.kind == store.HasMany {
			list := []any{}
			for _, x := range found {
				list = append(list, s.compose(m, x, all))
			}
			out[name] = list
		} else if len(found) > 0 {
			out[name] = s.compose(m, found[0], all)
		} else {
			out[name] = nil
		}
	}
	return out
}

// ties tells whether a row hangs on its parent. NULL is equal to nothing.
func (m *relation) ties(parent, child row) bool {
	from, to := m.via, m.to
	if m.kind != store.BelongsTo {
		from, to = m.to, m.via
	}
	for i := range from {
		if parent[from[i]] == nil || parent[from[i]] != child[to[i]] {
			return false
		}
	}
	return true
}

func (m *relation) passes(r row) bool {
	if m.where == nil {
		return true
	}
	v := r[m.where.column]
	n, _ := v.(int64)
	return v != nil && (!m.where.greater || n > 1)
}

func compareKeys(tb *table, a, b row) int {
	for _, c := range tb.key {
		var d int
		if c.kind == "integer" {
			d = cmp.Compare(a[c.name].(int64), b[c.name].(int64))
		} else {
			d = cmp.Compare(a[c.name].(string), b[c.name].(string))
		}
		if d != 0 {
			return d
		}
	}
	return 0
}

func keyOf(tb *table, r row) string {
	var values []any
	for _, c := range tb.key {
		values = append(values, r[c.name])
	}
	k, err := store.Key(values...)
	if err != nil { // integers and strings always make one
		panic(err)
	}
	return k
}

// loaded is what was loaded, in the form that recompute has.
func loaded(rel *relation, r store.Row) map[string]any {
	out := map[string]any{}
	for _, c := range rel.columns {
		out["column "+c] = r[c]
	}
	for i, m := range rel.members {
		for _, name := range []string{fmt.Sprint("count of ", i), fmt.Sprint("sum of ", i)} {
			switch v := r[name].(type) {
			case int64:
				out[name] = fmt.Sprint(v)
			case decimal.Decimal:
				out[name] = v.String()
			}
		}
		name := fmt.Sprint("relation ", i)
		switch v := r[name].(type) {
		case []store.Row:
			list := []any{}
			for _, x := range v {
				list = append(list, loaded(m, x))
			}
			out[name] = list
		case store.Row:
			if v == nil {
				out[name] = nil
			} else {
				out[name] = loaded(m, v)
			}
		default:
			out[name] = nil
		}
	}
	return out
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil { // plain values
		panic(err)
	}
	return string(b)
}
