package netsuitetest

import (
	"encoding/json"
	"strconv"
	"strings"
)

// view is how a record is shown.
type view struct {
	root   string // .../services/rest/record/v1
	fields map[string]bool
	expand bool // sublists and subrecords in full
	simple bool // simpleEnumFormat
}

func self(href string) []map[string]string {
	return []map[string]string{{"rel": "self", "href": href}}
}

func (s *Server) render(r *record, v view) map[string]any {
	href := v.root + "/" + r.kind.name + "/" + r.id
	out := map[string]any{"links": self(href)}
	wanted := func(name string) bool { return len(v.fields) == 0 || v.fields[strings.ToLower(name)] }
	for _, f := range r.kind.fields {
		if x, ok := r.fields[f.name]; ok && wanted(f.name) {
			out[f.name] = s.show(f, x, v, href+"/"+f.name)
		}
	}
	if len(v.fields) > 0 {
		// fields selects body fields; sublists are not among them, and
		// whether the id comes along unasked is not documented.
		return out
	}
	out["id"] = r.id
	for _, l := range r.kind.lists {
		if !v.expand {
			out[l.name] = map[string]any{"links": self(href + "/" + l.name)}
			continue
		}
		items := make([]any, 0, len(r.lists[l.name]))
		for _, line := range r.lists[l.name] {
			items = append(items, s.renderRow(l, line, v, href+"/"+l.name))
		}
		out[l.name] = map[string]any{"links": self(href + "/" + l.name), "items": items, "totalResults": len(items)}
	}
	return out
}

func (s *Server) renderRow(l *sublist, line *row, v view, href string) map[string]any {
	href += "/" + strconv.Itoa(line.key)
	out := map[string]any{"links": self(href)}
	for _, f := range l.fields {
		if x, ok := line.fields[f.name]; ok {
			out[f.name] = s.show(f, x, v, href+"/"+f.name)
		}
	}
	return out
}

func (s *Server) show(f *field, x any, v view, href string) any {
	switch x := x.(type) {
	case amount:
		if f.kind == integer || strings.Contains(string(x), ".") {
			return json.Number(x)
		}
		return json.Number(x + ".0")
	case reference:
		out := map[string]any{"links": self(v.root + "/" + x.typ + "/" + x.id), "id": x.id}
		if target := s.find(x.typ, x.id); target != nil {
			out["refName"] = target.title()
		}
		return out
	case chosen:
		if v.simple {
			return string(x)
		}
		out := map[string]any{"id": string(x)}
		for _, o := range f.options {
			if o.id == string(x) {
				out["refName"] = o.name
			}
		}
		return out
	case subrecord:
		if !v.expand {
			return map[string]any{"links": self(href)}
		}
		out := map[string]any{"links": self(href)}
		for _, inner := range f.fields {
			if y, ok := x[inner.name]; ok {
				out[inner.name] = s.show(inner, y, v, href+"/"+inner.name)
			}
		}
		return out
	}
	return x
}
