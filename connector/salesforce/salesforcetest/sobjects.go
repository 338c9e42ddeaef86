package salesforcetest

import (
	"net/http"
	"strings"
)

// serveObjects answers /sobjects and what is below it.
func (s *Server) serveObjects(c *call) (*reply, *apiError) {
	if len(c.segments) == 4 {
		return s.describeGlobal(c)
	}
	o := s.visible(c.at(4))
	if o == nil {
		return nil, errNotFound()
	}
	switch {
	case len(c.segments) == 6 && c.at(5) == "describe":
		return s.describe(c, o)
	case len(c.segments) == 5 && c.method == http.MethodGet:
		return jsonReply(200, map[string]any{"objectDescribe": s.summary(o), "recentItems": []any{}}), nil
	case len(c.segments) == 5 && c.method == http.MethodPost:
		return s.single(c, func() (*reply, *apiError) { return s.serveCreate(c, o) })
	case len(c.segments) == 5:
		return nil, errMethod(c)
	case len(c.segments) == 6:
		return s.single(c, func() (*reply, *apiError) { return s.serveRecord(c, o, c.at(5)) })
	case len(c.segments) == 7:
		return s.single(c, func() (*reply, *apiError) { return s.serveByValue(c, o, c.at(5), c.at(6)) })
	}
	return nil, errNotFound()
}

// single performs a request about one record, unless a fault strikes the record.
func (s *Server) single(c *call, f func() (*reply, *apiError)) (*reply, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.method != http.MethodGet {
		if err := s.overload(c.typ, c.op, 1); err != nil {
			return nil, err
		}
		if err := s.rowFault(c.typ, c.op, c.at(6)); err != nil {
			return nil, err
		}
	}
	return f()
}

// wrote counts a record that was written.
func (s *Server) wrote(c *call, o *object, action string) {
	c.rows++
	s.stats.wrote(action + " " + o.Name)
}

func (c *call) allowDuplicates() bool {
	return strings.Contains(strings.ReplaceAll(c.request.Header.Get("Sforce-Duplicate-Rule-Header"), " ", ""), "allowSave=true")
}

func (s *Server) serveCreate(c *call, o *object) (*reply, *apiError) {
	body, err := decodeObject(c.body)
	if err != nil {
		return nil, err
	}
	r, err := s.writeRecord(c, o, nil, body)
	if err != nil {
		return nil, err
	}
	return jsonReply(201, saved(r.id)), nil
}

// writeRecord is a write whose body may name no id.
func (s *Server) writeRecord(c *call, o *object, r *record, body map[string]any) (*record, *apiError) {
	for name := range body {
		if strings.EqualFold(name, "Id") {
			return nil, refuse("INVALID_FIELD", "The Id field should not be specified in the sobject data.")
		}
	}
	action := "update"
	if r == nil {
		action = "create"
	}
	r, err := s.write(o, r, body, c.allowDuplicates())
	if err == nil {
		s.wrote(c, o, action)
	}
	return r, err
}

func saved(id string) map[string]any {
	return map[string]any{"id": id, "success": true, "errors": []any{}}
}

// serveRecord is one record by its id.
func (s *Server) serveRecord(c *call, o *object, id string) (*reply, *apiError) {
	r := s.find(id)
	switch {
	case r == nil || r.object != o:
		return nil, errNotFound()
	case r.deleted:
		return nil, &apiError{status: 404, code: "ENTITY_IS_DELETED", message: "entity is deleted"}
	}
	return s.serveFound(c, o, r)
}

func (s *Server) serveFound(c *call, o *object, r *record) (*reply, *apiError) {
	switch c.method {
	case http.MethodGet:
		return s.get(c, r)
	case http.MethodPatch:
		body, err := decodeObject(c.body)
		if err == nil {
			_, err = s.writeRecord(c, o, r, body)
		}
		if err != nil {
			return nil, err
		}
		return newReply(204), nil
	case http.MethodDelete:
		if err := s.remove(r); err != nil {
			return nil, err
		}
		s.wrote(c, o, "delete")
		return newReply(204), nil
	}
	return nil, errMethod(c)
}

func (s *Server) get(c *call, r *record) (*reply, *apiError) {
	names := c.query.Get("fields")
	if names == "" {
		return jsonReply(200, r.all(c)), nil
	}
	out := map[string]any{"attributes": r.attributes(c)}
	for name := range strings.SplitSeq(names, ",") {
		f := r.object.field(strings.TrimSpace(name))
		if f == nil {
			return nil, refuse("INVALID_FIELD", "No such column '"+cut(name)+"' on entity '"+r.object.Name+"'.")
		}
		out[f.Name] = r.render(f)
	}
	return jsonReply(200, out), nil
}

// serveByValue is a record by an external id. A value that ends as a file does
// is taken for one with an extension, which no record has.
func (s *Server) serveByValue(c *call, o *object, field, value string) (*reply, *apiError) {
	key := o.field(field)
	if key == nil || !key.lookup() {
		return nil, &apiError{status: 404, code: "NOT_FOUND", message: "Provided external ID field does not exist or is not accessible: " + field}
	}
	if i := strings.LastIndexByte(value, '.'); i > 0 && i < len(value)-1 && len(value)-i <= 5 {
		return nil, errNotFound()
	}
	if c.method != http.MethodPatch {
		found := s.byValue(o, key, value)
		switch len(found) {
		case 0:
			return nil, errNotFound()
		case 1:
			return s.serveFound(c, o, found[0])
		}
		return several(c, found), nil
	}
	body, err := decodeObject(c.body)
	if err != nil {
		return nil, err
	}
	for name := range body {
		if strings.EqualFold(name, key.Name) || strings.EqualFold(name, "Id") {
			return nil, refuse("INVALID_FIELD", "The "+name+" field should not be specified in the sobject data.")
		}
	}
	r, created, found, err := s.upsert(o, key, value, body, c.query.Get("updateOnly") == "true", c.allowDuplicates())
	switch {
	case err != nil:
		return nil, err
	case found != nil:
		return several(c, found), nil
	}
	out := saved(r.id)
	out["created"] = created
	if created {
		s.wrote(c, o, "create")
		return jsonReply(201, out), nil
	}
	s.wrote(c, o, "update")
	return jsonReply(200, out), nil
}

// several is the answer when a value is that of several records.
func several(c *call, found []*record) *reply {
	var urls []string
	for _, r := range found {
		urls = append(urls, recordURL(c, r))
	}
	return jsonReply(300, urls)
}
