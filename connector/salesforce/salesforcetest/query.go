package salesforcetest

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The queries that are understood: SELECT fields FROM Object [WHERE field =
// 'text', or IN ('text', ...), [AND ...]] [LIMIT n], with fields of related records (Account.Name)
// and TYPEOF for polymorphic relationships.
var (
	selectForm = regexp.MustCompile(`(?is)^\s*SELECT\s+(.+?)\s+FROM\s+(\w+)(?:\s+WHERE\s+(.+?))?(?:\s+LIMIT\s+(\d+))?\s*$`)
	typeofForm = regexp.MustCompile(`(?is)^TYPEOF\s+(\w+)\s+WHEN\s+(\w+)\s+THEN\s+(\w+)\s+END$`)
	quoted     = regexp.MustCompile(`(?s)'((?:[^'\\]|\\.)*)'`)
	condition  = regexp.MustCompile(`(?is)^\s*(\w+)\s*(?:=\s*(` + quoted.String() + `)|IN\s*\((\s*` + quoted.String() + `(?:\s*,\s*` + quoted.String() + `)*\s*)\))\s*(?:AND\b|$)`)
)

func errQuery(message string) *apiError { return refuse("MALFORMED_QUERY", message) }

func (s *Server) serveQuery(c *call) (*reply, *apiError) {
	m := selectForm.FindStringSubmatch(c.query.Get("q"))
	if m == nil || c.method != "GET" {
		return nil, errQuery("unexpected token")
	}
	o := s.visible(m[2])
	if o == nil {
		return nil, refuse("INVALID_TYPE", "sObject type '"+m[2]+"' is not supported. If you are attempting to use a custom object, be sure to append the '__c' after the entity name.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var columns []column
	for text := range strings.SplitSeq(m[1], ",") {
		col, err := s.column(o, strings.TrimSpace(text))
		if err != nil {
			return nil, err
		}
		columns = append(columns, col)
	}
	where, err := s.where(o, m[3])
	if err != nil {
		return nil, err
	}
	limit := 2000
	if m[4] != "" {
		limit, _ = strconv.Atoi(m[4]) // digits
	}
	records := []any{}
	for _, r := range s.shelves[o] {
		if r.deleted || !where(r) || len(records) >= limit {
			continue
		}
		out := map[string]any{"attributes": r.attributes(c)}
		for _, col := range columns {
			col(c, r, out)
		}
		records = append(records, out)
	}
	return jsonReply(200, map[string]any{"totalSize": len(records), "done": true, "records": records}), nil
}

// column adds its field to a row.
type column func(c *call, r *record, row map[string]any)

func (s *Server) column(o *object, text string) (column, *apiError) {
	if m := typeofForm.FindStringSubmatch(text); m != nil {
		ref, to := o.relationships[strings.ToLower(m[1])], s.object(m[2])
		if ref == nil || to == nil || to.field(m[3]) == nil {
			return nil, errColumn(o, text)
		}
		return func(c *call, r *record, row map[string]any) { s.join(c, r, row, ref, to, to.field(m[3])) }, nil
	}
	first, rest, nested := strings.Cut(text, ".")
	if !nested {
		f := o.field(text)
		if f == nil {
			return nil, errColumn(o, text)
		}
		return func(_ *call, r *record, row map[string]any) { row[f.Name] = r.render(f) }, nil
	}
	ref := o.relationships[strings.ToLower(first)]
	if ref == nil {
		return nil, refuse("INVALID_FIELD", fmt.Sprintf("Didn't understand relationship '%s' in field path. If you are attempting to use a custom relationship, be sure to append the '__r' after the custom relationship name.", cut(first)))
	}
	to := s.object(ref.RefersTo[0])
	if to == nil || len(ref.RefersTo) > 1 && !strings.EqualFold(rest, "Name") || to.field(rest) == nil {
		return nil, errColumn(o, text)
	}
	return func(c *call, r *record, row map[string]any) { s.join(c, r, row, ref, to, to.field(rest)) }, nil
}

func errColumn(o *object, text string) *apiError {
	return refuse("INVALID_FIELD", fmt.Sprintf("No such column '%s' on entity '%s'. If you are attempting to use a custom field, be sure to append the '__c' after the custom field name.", cut(text), o.Name))
}

// join adds a field of a related record.
func (s *Server) join(c *call, r *record, row map[string]any, ref *Field, to *object, f *Field) {
	id, _ := r.values[ref.Name].(string)
	other := s.records[id]
	if other == nil || other.deleted || other.object != to {
		if row[ref.Relationship] == nil {
			row[ref.Relationship] = nil
		}
		return
	}
	in, ok := row[ref.Relationship].(map[string]any)
	if !ok {
		in = map[string]any{"attributes": other.attributes(c)}
		row[ref.Relationship] = in
	}
	in[f.Name] = other.render(f)
}

func (s *Server) where(o *object, text string) (func(*record) bool, *apiError) {
	type test struct {
		f    *Field
		want []string
	}
	var tests []test
	for strings.TrimSpace(text) != "" {
		m := condition.FindStringSubmatch(text)
		if m == nil {
			return nil, errQuery("unexpected token: " + cut(text))
		}
		f := o.field(m[1])
		if f == nil {
			return nil, errColumn(o, m[1])
		}
		if f.Type == "textarea" {
			return nil, refuse("INVALID_FIELD", "field '"+f.Name+"' can not be filtered in a query call")
		}
		t := test{f: f}
		for _, q := range quoted.FindAllStringSubmatch(m[2]+m[4], -1) {
			want, err := f.compared(q[1])
			if err != nil {
				return nil, err
			}
			t.want = append(t.want, want)
		}
		tests = append(tests, t)
		text = text[len(m[0]):]
	}
	return func(r *record) bool {
		for _, t := range tests {
			v := r.render(t.f)
			if v == nil {
				return false
			}
			got := fmt.Sprint(v)
			if !t.f.holdsID() {
				got = t.f.norm(v)
			}
			if !slices.Contains(t.want, got) {
				return false
			}
		}
		return true
	}, nil
}

func (f *Field) holdsID() bool { return f.Type == "id" || f.Type == "reference" }

// compared is a quoted text in the form in which the field's values are
// compared.
func (f *Field) compared(text string) (string, *apiError) {
	want, ok := unquote(text)
	switch {
	case !ok:
		return "", errQuery("Invalid string literal: Illegal character sequence in string literal")
	case !f.holdsID():
		return f.norm(want), nil
	case !recordID.MatchString(want):
		return "", refuse("INVALID_QUERY_FILTER_OPERATOR", "invalid ID field: "+cut(want))
	case len(want) == 15:
		want += checksum(want)
	}
	return want, nil
}

// unquote reads the escapes of a text in a query.
func unquote(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		if i++; i == len(s) {
			return "", false
		}
		plain, ok := map[byte]byte{'n': '\n', 'r': '\r', 't': '\t', 'b': '\b', 'f': '\f', '\\': '\\', '\'': '\'', '"': '"'}[s[i]]
		if !ok {
			return "", false
		}
		b.WriteByte(plain)
	}
	return b.String(), true
}
