package salesforcetest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Rule is a validation rule: it refuses records that Fails tells, with
// Message, at Field if that is not empty.
type Rule struct {
	Object, Field, Message string
	Fails                  func(values map[string]any) bool
}

// DuplicateRule refuses a new record whose field has the value of another,
// unless the request allows duplicates.
type DuplicateRule struct{ Object, Field string }

// merge checks a body and merges it with the values that a record has. All
// problems of the body are of one kind, that of the first.
func (s *Server) merge(o *object, r *record, body map[string]any) (map[string]any, *apiError) {
	values := map[string]any{}
	if r != nil {
		values = copyValues(r.values)
	}
	for _, name := range slices.Sorted(maps.Keys(body)) {
		v := body[name]
		if name == "attributes" {
			continue
		}
		if f := o.relationships[strings.ToLower(name)]; f != nil {
			if v == nil {
				// Not documented: it is taken, and changes nothing.
				continue
			}
			if f.CreateOnly && r != nil {
				return nil, errReadOnly(f)
			}
			id, err := s.related(f, v)
			if err != nil {
				return nil, err
			}
			values[f.Name] = id
			continue
		}
		f := o.field(name)
		switch {
		case f == nil:
			return nil, refuse("INVALID_FIELD", fmt.Sprintf("No such column '%s' on sobject of type %s", cut(name), o.Name))
		case f.ReadOnly, f.CreateOnly && r != nil:
			return nil, errReadOnly(f)
		}
		var err *apiError
		if f.Type == "reference" {
			v, err = s.reference(f, v)
		} else {
			v, err = f.value(v)
		}
		if err != nil {
			return nil, err
		}
		values[f.Name] = v
	}
	return values, nil
}

// errReadOnly is said of a field that can't be written, or not any more, also
// when it has the value that is sent.
func errReadOnly(f *Field) *apiError {
	return refuse("INVALID_FIELD_FOR_INSERT_UPDATE", "Unable to create/update fields: "+f.Name+
		". Please check the security settings of this field and verify that it is read/write for your profile or permission set.", f.Name)
}

// permit checks what holds for the record as a whole.
func (s *Server) permit(o *object, r *record, values map[string]any, allowDuplicates bool) *apiError {
	var missing []string
	for _, f := range o.fields {
		if f.Required && values[f.Name] == nil {
			missing = append(missing, f.Name)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return refuse("REQUIRED_FIELD_MISSING", "Required fields are missing: ["+strings.Join(missing, ", ")+"]", missing...)
	}
	for _, rule := range s.config.Rules {
		if strings.EqualFold(rule.Object, o.Name) && rule.Fails(values) {
			err := refuse("FIELD_CUSTOM_VALIDATION_EXCEPTION", rule.Message)
			if rule.Field != "" {
				err.fields = []string{rule.Field}
			}
			return err
		}
	}
	for _, f := range o.fields {
		if v := values[f.Name]; f.Unique && v != nil {
			for _, other := range s.byValue(o, f, v) {
				if other != r {
					return refuse("DUPLICATE_VALUE", fmt.Sprintf("duplicate value found: %s duplicates value on record with id: %s", f.Name, other.id))
				}
			}
		}
	}
	return s.duplicates(o, r, values, allowDuplicates)
}

func (s *Server) duplicates(o *object, r *record, values map[string]any, allowed bool) *apiError {
	if r != nil || allowed {
		return nil
	}
	for _, rule := range s.config.DuplicateRules {
		f := o.field(rule.Field)
		if !strings.EqualFold(rule.Object, o.Name) || f == nil {
			continue
		}
		for _, other := range s.shelves[o] {
			if !other.deleted && values[f.Name] != nil && f.norm(other.values[f.Name]) == f.norm(values[f.Name]) {
				return refuse("DUPLICATES_DETECTED", "Use one of these records?")
			}
		}
	}
	return nil
}

// write makes a record (r is nil) or changes one.
func (s *Server) write(o *object, r *record, body map[string]any, allowDuplicates bool) (*record, *apiError) {
	values, err := s.merge(o, r, body)
	if err == nil {
		err = s.permit(o, r, values, allowDuplicates)
	}
	if err != nil {
		return nil, err
	}
	if r == nil {
		return s.create(o, values), nil
	}
	s.put(r, values, false)
	return r, nil
}

// upsert writes the record with a value of an external id field. Several
// matches are several records, and nothing is written.
func (s *Server) upsert(o *object, key *Field, value any, body map[string]any, updateOnly, allowDuplicates bool) (r *record, created bool, several []*record, err *apiError) {
	clean, err := key.value(value)
	if err != nil {
		return nil, false, nil, err
	}
	if clean == nil {
		return nil, false, nil, refuse("MISSING_ARGUMENT", key.Name+" not specified")
	}
	found := s.byValue(o, key, clean)
	switch {
	case len(found) > 1:
		return nil, false, found, nil
	case len(found) == 1:
		r, err = s.write(o, found[0], body, allowDuplicates)
		return r, false, nil, err
	case updateOnly:
		return nil, false, nil, errNotFound()
	}
	body = maps.Clone(body)
	body[key.Name] = clean
	r, err = s.write(o, nil, body, allowDuplicates)
	return r, true, nil, err
}

// remove puts a record into the recycle bin, with those that belong to it.
func (s *Server) remove(r *record) *apiError {
	if r.deleted {
		return &apiError{status: 404, code: "ENTITY_IS_DELETED", message: "entity is deleted"}
	}
	type child struct {
		*record
		field *Field
	}
	var children []child
	for _, o := range s.objects {
		for _, f := range o.fields {
			if f.Type != "reference" || !f.leadsTo(r.object) {
				continue
			}
			for _, other := range s.shelves[o] {
				if !other.deleted && other.values[f.Name] == r.id {
					children = append(children, child{other, f})
				}
			}
		}
	}
	for _, c := range children {
		if c.field.OnDelete == "restrict" {
			return refuse("DELETE_FAILED", "Your attempt to delete "+r.id+" could not be completed because it is associated with the following "+c.object.Name+": "+c.id)
		}
	}
	for _, c := range children {
		if c.field.OnDelete == "cascade" {
			if err := s.remove(c.record); err != nil && err.code != "ENTITY_IS_DELETED" {
				return err
			}
			continue
		}
		values := copyValues(c.values)
		values[c.field.Name] = nil
		s.put(c.record, values, false)
	}
	s.put(r, copyValues(r.values), true)
	return nil
}
