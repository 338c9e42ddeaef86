package netsuitetest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// selection is a parsed query over one table.
type selection struct {
	table   string // as the query calls it
	source  []*recordType
	columns []column
	count   bool // COUNT(*) alone
	where   predicate
	order   []ordering
}

type column struct {
	name  string // key in the row: lower case
	value operand
}

type ordering struct {
	by   operand
	desc bool
}

// serveSuiteQL answers POST /query/v1/suiteql.
func (s *Server) serveSuiteQL(c *call) (*reply, *apiError) {
	if c.method != http.MethodPost {
		return nil, errMethod(c)
	}
	if !prefers(c, "transient") {
		return nil, errHeader("Prefer", "The required request header 'Prefer' is missing or invalid. Set it to 'transient'.")
	}
	limit, offset, err := page(c)
	if err != nil {
		return nil, err
	}
	body, err := object(c)
	if err != nil {
		return nil, err
	}
	q, ok := body["q"].(string)
	if !ok || len(q) > 100_000 {
		return nil, errContent("q", "Invalid content in the request body. Provide the query in the property q.")
	}
	params, err := binds(body["params"])
	if err != nil {
		return nil, err
	}
	sel, err := s.parseSelection(q, params)
	if err != nil {
		return nil, err
	}
	s.mu.RLock()
	rows, total := s.runSelection(sel, limit, offset)
	s.mu.RUnlock()
	return jsonReply(http.StatusOK, mediaCollection, collection(c, c.root+"/query/v1/suiteql", rows, total, limit, offset)), nil
}

// prefers looks for a word in the Prefer header.
func prefers(c *call, want string) bool {
	for _, h := range c.request.Header.Values("Prefer") {
		for part := range strings.SplitSeq(h, ",") {
			if strings.EqualFold(strings.TrimSpace(part), want) {
				return true
			}
		}
	}
	return false
}

func binds(v any) ([]datum, *apiError) {
	list, ok := v.([]any)
	if v != nil && !ok {
		return nil, errContent("params", "Invalid content in the request body. params must be an array.")
	}
	out := make([]datum, len(list))
	for i, x := range list {
		switch x := x.(type) {
		case string:
			out[i] = datum{text: x}
		case json.Number:
			out[i] = datum{text: x.String()}
		case bool:
			out[i] = datum{text: letter(x)}
		case nil:
			out[i] = datum{null: true}
		default:
			return nil, errContent("params["+strconv.Itoa(i)+"]", "Invalid content in the request body. A parameter must be a scalar.")
		}
	}
	return out, nil
}

// runSelection returns one page of rows and how many there are in all.
func (s *Server) runSelection(sel *selection, limit, offset int) (rows []any, total int) {
	var found []*record
	for _, t := range sel.source {
		for _, r := range s.records(t) {
			if sel.where == nil || sel.where(s, r) == yes {
				found = append(found, r)
			}
		}
	}
	if sel.count {
		return []any{map[string]any{"links": []any{}, sel.columns[0].name: strconv.Itoa(len(found))}}, 1
	}
	// Rows without ORDER BY come in no promised order in an account; here
	// it is the order of ids within each record type.
	slices.SortStableFunc(found, func(a, b *record) int {
		for _, o := range sel.order {
			c := compare(o.by(s, a), o.by(s, b))
			if o.desc {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return 0
	})
	total = min(len(found), resultsCap)
	rows = []any{}
	for _, r := range found[min(offset, total):min(offset+limit, total)] {
		row := map[string]any{"links": []any{}}
		for _, col := range sel.columns {
			if d := col.value(s, r); !d.null { // an empty column is left out of the row
				row[col.name] = d.shown()
			}
		}
		rows = append(rows, row)
	}
	return rows, total
}

// tableOf finds the record types behind a SuiteQL table.
func (s *Server) tableOf(name string) []*recordType {
	var out []*recordType
	for _, typ := range s.types() {
		if t := s.schema[lower(typ)]; strings.EqualFold(t.table, name) {
			out = append(out, t)
		}
	}
	return out
}

// columnOf resolves a column of a table for all record types behind it; nil
// when none has it.
func (sel *selection) columnOf(name string) operand {
	name = lower(name)
	switch name {
	case "id":
		return func(_ *Server, r *record) datum { return datum{text: r.id, number: true} }
	case "type", "recordtype":
		if !sel.source[0].transaction() {
			break
		}
		return func(_ *Server, r *record) datum {
			if name == "type" {
				return datum{text: r.kind.code}
			}
			return datum{text: lower(r.kind.name)}
		}
	}
	// createdfrom is taken as a column of transaction; in some accounts'
	// schemas it is one of transactionline.
	known := false
	for _, t := range sel.source {
		f := t.field(name)
		known = known || f != nil && f.kind != group
	}
	if !known {
		return nil
	}
	return func(_ *Server, r *record) datum {
		f := r.kind.field(name)
		if f == nil || r.fields[f.name] == nil {
			return datum{null: true}
		}
		return asDatum(f, r.fields[f.name])
	}
}

func asDatum(f *field, v any) datum {
	switch v := v.(type) {
	case amount:
		return datum{text: string(v), number: true}
	case bool:
		return datum{text: letter(v)}
	case reference:
		return datum{text: v.id, number: true}
	case chosen:
		return datum{text: string(v)}
	case string:
		return datum{text: v, date: f.kind == date || f.kind == moment}
	}
	return datum{null: true}
}

func letter(b bool) string {
	if b {
		return "T"
	}
	return "F"
}

// display is BUILTIN.DF: the name behind a reference or choice.
func (sel *selection) display(name string) operand {
	plain := sel.columnOf(name)
	if plain == nil {
		return nil
	}
	return func(s *Server, r *record) datum {
		if f := r.kind.field(name); f != nil {
			switch v := r.fields[f.name].(type) {
			case reference:
				if target := s.find(v.typ, v.id); target != nil {
					return datum{text: target.title()}
				}
			case chosen:
				for _, o := range f.options {
					if o.id == string(v) {
						return datum{text: r.kind.label + " : " + o.name}
					}
				}
			}
		}
		return plain(s, r)
	}
}
