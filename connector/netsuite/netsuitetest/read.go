package netsuitetest

import (
	"net/http"
	"strconv"
	"strings"
)

func (s *Server) viewOf(c *call) (view, *apiError) {
	v := view{root: c.root + recordRoot}
	var err *apiError
	if v.expand, err = boolParam(c, "expandSubResources"); err != nil {
		return v, err
	}
	if v.simple, err = boolParam(c, "simpleEnumFormat"); err != nil {
		return v, err
	}
	if f := c.param("fields"); f != "" {
		v.fields = map[string]bool{}
		for _, name := range strings.Split(f, ",") {
			v.fields[strings.ToLower(strings.TrimSpace(name))] = true
		}
	}
	return v, nil
}

func (s *Server) get(c *call, t *recordType, id string) (*reply, *apiError) {
	v, err := s.viewOf(c)
	if err != nil {
		return nil, err
	}
	for name := range v.fields {
		if t.field(name) == nil {
			return nil, errParam("fields", "Invalid field name '"+cut(name)+"' in the query parameter fields.")
		}
	}
	s.mu.RLock()
	r, err := s.lookup(c, t, id)
	if err != nil {
		s.mu.RUnlock()
		return nil, err
	}
	shown := s.render(r, v)
	s.mu.RUnlock()
	return jsonReply(http.StatusOK, mediaSingular, shown), nil
}

// shown answers with a record that is not stored.
func (s *Server) shown(c *call, r *record, form string) (*reply, *apiError) {
	out := s.render(r, view{root: c.root + recordRoot, expand: true})
	if r.id == "" {
		delete(out, "links")
		delete(out, "id")
	}
	return jsonReply(http.StatusOK, "application/vnd.oracle.resource+json; type="+form, out), nil
}

// subresource is a sublist, one of its lines, or a subrecord, by its URL.
func (s *Server) subresource(c *call, t *recordType, id string, path []string) (*reply, *apiError) {
	v, err := s.viewOf(c)
	if err != nil {
		return nil, err
	}
	v.fields = nil
	s.mu.RLock()
	defer s.mu.RUnlock()
	r, err := s.lookup(c, t, id)
	if err != nil {
		return nil, err
	}
	href := v.root + "/" + t.name + "/" + r.id
	if f := t.field(path[0]); f != nil && f.kind == group && len(path) == 1 {
		if x, ok := r.fields[f.name]; ok {
			v.expand = true
			return jsonReply(http.StatusOK, mediaSingular, s.show(f, x, v, href+"/"+f.name)), nil
		}
		return nil, errNonexistent(c)
	}
	l := t.list(path[0])
	if l == nil || len(path) > 2 {
		return nil, errRequest(c, "The sub-resource '"+cut(path[0])+"' does not exist.")
	}
	href += "/" + l.name
	if len(path) == 2 {
		for _, line := range r.lists[l.name] {
			if strconv.Itoa(line.key) == path[1] {
				return jsonReply(http.StatusOK, mediaSingular, s.renderRow(l, line, v, href)), nil
			}
		}
		return nil, errNonexistent(c)
	}
	items := []any{}
	for _, line := range r.lists[l.name] {
		if v.expand {
			items = append(items, s.renderRow(l, line, v, href))
			continue
		}
		items = append(items, map[string]any{"links": self(href + "/" + strconv.Itoa(line.key))})
	}
	return jsonReply(http.StatusOK, mediaCollection, map[string]any{"links": self(href), "items": items,
		"count": len(items), "hasMore": false, "offset": 0, "totalResults": len(items)}), nil
}
