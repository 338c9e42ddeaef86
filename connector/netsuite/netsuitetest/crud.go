package netsuitetest

import (
	"net/http"
	"strconv"
	"strings"
)

// newEdit reads the headers and parameters that govern a write.
func (s *Server) newEdit(c *call, r *record) (*edit, *apiError) {
	e := &edit{server: s, record: r, replace: map[string]bool{}}
	var err *apiError
	if e.names, err = strictnessOf(c, "X-NetSuite-PropertyNameValidation", warn); err != nil {
		return nil, err
	}
	if e.values, err = strictnessOf(c, "X-NetSuite-PropertyValueValidation", refuse); err != nil {
		return nil, err
	}
	for _, name := range strings.Split(c.param("replace"), ",") {
		if name = strings.ToLower(strings.TrimSpace(name)); name != "" {
			e.replace[name] = true
		}
	}
	if e.selected, err = boolParam(c, "replaceSelectedFields"); err != nil {
		return nil, err
	}
	return e, nil
}

func strictnessOf(c *call, header string, otherwise strictness) (strictness, *apiError) {
	switch v := c.request.Header.Get(header); strings.ToLower(v) {
	case "":
		return otherwise, nil
	case "error":
		return refuse, nil
	case "warning":
		return warn, nil
	case "ignore":
		return ignore, nil
	default:
		return 0, errHeader(header, "Invalid value '"+cut(v)+"' of the header. Valid values are error, warning and ignore.")
	}
}

func boolParam(c *call, name string) (bool, *apiError) {
	v := c.param(name)
	if v == "" {
		return false, nil
	}
	b, err := strconv.ParseBool(strings.ToLower(v))
	if err != nil {
		return false, errParam(name, "Invalid value '"+cut(v)+"' of the query parameter "+name+". Provide true or false.")
	}
	return b, nil
}

// form is the Accept type of a request that only wants the prefilled record.
func form(c *call, name string) bool {
	return strings.Contains(strings.ReplaceAll(c.request.Header.Get("Accept"), " ", ""), "type="+name)
}

func (s *Server) create(c *call, t *recordType) (*reply, *apiError) {
	body, err := object(c)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.createFrom(c, newRecord(t), body, "")
}

// createFrom finishes and stores a record that was started.
func (s *Server) createFrom(c *call, r *record, body map[string]any, external string) (*reply, *apiError) {
	e, err := s.newEdit(c, r)
	if err != nil {
		return nil, err
	}
	if err := e.merge(body, external); err != nil {
		return nil, err
	}
	c.warnings = e.warnings
	if form(c, "create-form") {
		e.defaults()
		return s.shown(c, r, "create-form")
	}
	if err := e.finish(); err != nil {
		return nil, err
	}
	return s.store(c, r)
}

// merge applies a body; lines of a record that comes from an order are
// matched by orderLine.
func (e *edit) merge(body map[string]any, external string) *apiError {
	if external != "" {
		for name, v := range body {
			if strings.EqualFold(name, "externalId") && v != external {
				return errContent("externalId", "Error while accessing resource: The externalId in the body differs from the one in the URL.")
			}
		}
		e.record.fields["externalId"] = external
	}
	if e.record.id != "" || e.record.fields["createdFrom"] == nil {
		return e.apply(body)
	}
	rest := map[string]any{}
	for name, v := range body {
		if strings.EqualFold(name, "item") {
			if err := e.applyTransformLines(v); err != nil {
				return err
			}
			continue
		}
		rest[name] = v
	}
	return e.apply(rest)
}

// store saves a finished record and answers 204 with its address.
func (s *Server) store(c *call, r *record) (*reply, *apiError) {
	changed, err := s.save(r)
	if err != nil {
		return nil, err
	}
	c.applied, c.changed, c.recordID = true, changed, r.id
	out := newReply(http.StatusNoContent)
	out.header.Set("Location", c.root+recordRoot+"/"+r.kind.name+"/"+r.id)
	return out, nil
}

func (s *Server) update(c *call, t *recordType, id string) (*reply, *apiError) {
	body, err := object(c)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old, err := s.lookup(c, t, id)
	if err != nil {
		return nil, err
	}
	return s.change(c, old, body, "")
}

func (s *Server) change(c *call, old *record, body map[string]any, external string) (*reply, *apiError) {
	r := old.clone()
	e, err := s.newEdit(c, r)
	if err != nil {
		return nil, err
	}
	if err := e.merge(body, external); err != nil {
		return nil, err
	}
	c.warnings = e.warnings
	if form(c, "edit-form") {
		e.defaults()
		return s.shown(c, r, "edit-form")
	}
	if err := e.finish(); err != nil {
		return nil, err
	}
	return s.store(c, r)
}

// upsert is PUT, which takes an external id only. On a record that exists,
// omitted fields stay as with PATCH (not confirmed).
func (s *Server) upsert(c *call, t *recordType, id string) (*reply, *apiError) {
	ext, external, err := externalID(c, id)
	if err != nil {
		return nil, err
	}
	if !external {
		return nil, errRequest(c, "The PUT method is supported with an external ID only. Provide it in the form eid:externalId.")
	}
	body, err := object(c)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.findExternal(t.name, ext); old != nil {
		return s.change(c, old, body, ext)
	}
	return s.createFrom(c, newRecord(t), body, ext)
}

func (s *Server) delete(c *call, t *recordType, id string) (*reply, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.lookup(c, t, id)
	if err != nil {
		return nil, err
	}
	if err := s.remove(r); err != nil {
		return nil, err
	}
	c.applied, c.changed = true, true
	return newReply(http.StatusNoContent), nil
}

func (s *Server) serveTransform(c *call, t *recordType, id, target string) (*reply, *apiError) {
	body, err := object(c)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	from, err := s.lookup(c, t, id)
	if err != nil {
		return nil, err
	}
	// The record that this call makes is not the one that the path names.
	c.recordID = ""
	r, err := s.transform(c, from, target)
	if err != nil {
		if !s.config.OrderFirst && s.taken(target, body) {
			return nil, errDuplicate()
		}
		return nil, err
	}
	return s.createFrom(c, r, body, "")
}

// taken reports whether the body's external id is in use.
func (s *Server) taken(typ string, body map[string]any) bool {
	for name, v := range body {
		if ext, ok := v.(string); ok && strings.EqualFold(name, "externalId") && s.schema[lower(typ)] != nil {
			return s.findExternal(typ, ext) != nil
		}
	}
	return false
}
