package salesforcetest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

type record struct {
	id                string
	object            *object
	values            map[string]any // by the field's own name
	deleted           bool
	created, modified time.Time
}

// newID makes the next id of an object: 15 characters and their check.
func (s *Server) newID(o *object) string {
	s.lastID[o]++
	short := o.Prefix + "5g000" + base62(s.lastID[o])
	return short + checksum(short)
}

func base62(n int) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	out := ""
	for ; n > 0; n /= 62 {
		out = string(digits[n%62]) + out
	}
	return strings.Repeat("0", max(0, 7-len(out))) + out
}

// checksum is the three characters that make an id safe for those who are
// blind to case: which characters of each five are capitals.
func checksum(short string) string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
	out := ""
	for i := 0; i < 15; i += 5 {
		bits := 0
		for j := range 5 {
			if c := short[i+j]; c >= 'A' && c <= 'Z' {
				bits |= 1 << j
			}
		}
		out += string(digits[bits])
	}
	return out
}

// find is the record with an id in its short or long form, deleted or not.
func (s *Server) find(id string) *record {
	if len(id) == 15 {
		id += checksum(id)
	}
	return s.records[id]
}

// byValue finds the records with a value, in the order of their ids.
func (s *Server) byValue(o *object, f *Field, v any) []*record {
	if v == nil {
		return nil
	}
	if f.Type == "id" {
		if r := s.find(fmt.Sprint(v)); r != nil && r.object == o && !r.deleted {
			return []*record{r}
		}
		return nil
	}
	var found []*record
	for r := range s.index[f][f.norm(v)] {
		found = append(found, r)
	}
	slices.SortFunc(found, func(a, b *record) int { return strings.Compare(a.id, b.id) })
	return found
}

// put stores values of a record and keeps the indexes, and how to undo it.
func (s *Server) put(r *record, values map[string]any, deleted bool) {
	before, wasDeleted, wasModified := r.values, r.deleted, r.modified
	if s.undo != nil {
		*s.undo = append(*s.undo, func() { s.store(r, before, wasDeleted); r.modified = wasModified })
	}
	s.store(r, values, deleted)
	r.modified = s.now()
}

func (s *Server) store(r *record, values map[string]any, deleted bool) {
	for _, f := range r.object.fields {
		if !f.ExternalID && !f.Unique {
			continue
		}
		if v := r.values[f.Name]; v != nil && s.index[f] != nil {
			delete(s.index[f][f.norm(v)], r)
		}
		if v := values[f.Name]; v != nil && !deleted {
			if s.index[f] == nil {
				s.index[f] = map[string]shelf{}
			}
			if s.index[f][f.norm(v)] == nil {
				s.index[f][f.norm(v)] = shelf{}
			}
			s.index[f][f.norm(v)][r] = true
		}
	}
	r.values, r.deleted = values, deleted
}

// create makes a record of checked values.
func (s *Server) create(o *object, values map[string]any) *record {
	r := &record{id: s.newID(o), object: o, deleted: true, created: s.now()}
	s.records[r.id] = r
	s.shelves[o] = append(s.shelves[o], r)
	if o.Name == "Order" {
		values["OrderNumber"] = fmt.Sprintf("%08d", s.lastID[o])
	}
	s.put(r, values, false)
	return r
}

// render shows a record's field; nil for one that is not set.
func (r *record) render(f *Field) any {
	switch f.Name {
	case "Id":
		return r.id
	case "CreatedDate":
		return r.created.UTC().Format(datetimeForm)
	case "LastModifiedDate", "SystemModstamp":
		return r.modified.UTC().Format(datetimeForm)
	case "IsDeleted":
		return r.deleted
	}
	v := r.values[f.Name]
	if v == nil && f.Type == "boolean" {
		return false
	}
	return v
}

func (r *record) attributes(c *call) map[string]any {
	return map[string]any{"type": r.object.Name, "url": recordURL(c, r)}
}

func recordURL(c *call, r *record) string {
	version := "v68.0"
	if c != nil && c.at(2) != "" {
		version = c.at(2)
	}
	return "/services/data/" + version + "/sobjects/" + r.object.Name + "/" + r.id
}

// all shows every field.
func (r *record) all(c *call) map[string]any {
	out := map[string]any{"attributes": r.attributes(c)}
	for _, f := range r.object.fields {
		out[f.Name] = r.render(f)
	}
	return out
}

func copyValues(v map[string]any) map[string]any {
	if v == nil {
		return map[string]any{}
	}
	return maps.Clone(v)
}
