package netsuitetest

import (
	"fmt"
	"strings"
)

// strictness is the value of a X-NetSuite-Property...Validation header.
type strictness int

const (
	warn strictness = iota
	refuse
	ignore
)

// edit applies one request body to a record that is not stored yet (a copy).
type edit struct {
	server   *Server
	record   *record
	names    strictness
	values   strictness
	replace  map[string]bool // lower case names from ?replace=
	selected bool            // ?replaceSelectedFields=true
	seeding  bool            // read-only fields are writable
	warnings []string
	// touched says which fields of which row the body set.
	touched map[*row]map[string]bool
}

// apply merges the body: omitted fields stay, null clears.
func (e *edit) apply(body map[string]any) *apiError {
	t := e.record.kind
	for _, name := range sortedKeys(body) {
		v := body[name]
		if list := t.list(name); list != nil {
			if err := e.applyList(list, v, list.name); err != nil {
				return err
			}
			continue
		}
		f, err := e.allowed(t.field(name), name, name)
		if err != nil {
			return err
		}
		if f == nil {
			continue
		}
		if err := e.set(e.record.fields, f, v, f.name); err != nil {
			return err
		}
	}
	return nil
}

// allowed returns the field that may be written, or nil when the name is to
// be dropped. Links and ids, which every answer carries, are dropped without
// a word so that an answer can be sent back. A read-only field is treated as
// an unknown one (not confirmed; the account's other interfaces refuse it).
func (e *edit) allowed(f *field, name, path string) (*field, *apiError) {
	if f != nil && (!f.readOnly || e.seeding) {
		return f, nil
	}
	if strings.EqualFold(name, "links") || strings.EqualFold(name, "id") || strings.EqualFold(name, "refName") {
		return nil, nil
	}
	detail := "Unknown field name '" + cut(name) + "' in the request body."
	if f != nil {
		detail = "The field '" + f.name + "' is read-only."
	}
	switch e.names {
	case refuse:
		return nil, errContent(path, "Error while accessing resource: "+detail)
	case warn:
		e.warnings = append(e.warnings, path+": "+detail)
	}
	return nil, nil
}

// set puts one value into fields, or clears it when v is null.
func (e *edit) set(fields map[string]any, f *field, v any, path string) *apiError {
	if v == nil {
		// With replaceSelectedFields only the fields that replace names
		// are cleared by null.
		if !e.selected || e.replace[strings.ToLower(path)] {
			delete(fields, f.name)
		}
		return nil
	}
	var stored any
	var err *apiError
	if f.kind == group {
		stored, err = e.mergeGroup(fields[f.name], f, v, path)
	} else {
		stored, err = e.server.read(f, v, path)
	}
	if err != nil {
		switch e.values {
		case refuse:
			return err
		case warn:
			e.warnings = append(e.warnings, path+": "+err.detail)
		}
		return nil
	}
	if stored == "" { // an empty text is an empty field
		delete(fields, f.name)
		return nil
	}
	fields[f.name] = stored
	return nil
}

func (e *edit) mergeGroup(old any, f *field, v any, path string) (any, *apiError) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, errValue(path, f.name, literal(v))
	}
	merged := subrecord{}
	if was, ok := old.(subrecord); ok {
		for k, x := range was {
			merged[k] = x
		}
	}
	for _, name := range sortedKeys(m) {
		var inner *field
		for _, x := range f.fields {
			if strings.EqualFold(x.name, name) {
				inner = x
			}
		}
		inner, err := e.allowed(inner, name, path+"."+name)
		if err != nil {
			return nil, err
		}
		if inner == nil {
			continue
		}
		if err := e.set(merged, inner, m[name], path+"."+inner.name); err != nil {
			return nil, err
		}
	}
	return merged, nil
}

// finish checks the whole record and computes what NetSuite computes.
func (e *edit) finish() *apiError {
	r, t := e.record, e.record.kind
	e.defaults()
	var missing []string
	for _, f := range t.fields {
		if f.required && r.fields[f.name] == nil {
			missing = append(missing, f.label)
		}
	}
	if len(missing) > 0 {
		return errMissing(strings.Join(missing, ", "))
	}
	if t.space == "entity" && r.text("entityId") == "" {
		return errMissing(t.label + " ID")
	}
	if t.transaction() {
		return e.finishTransaction()
	}
	return nil
}

// defaults fills what the account fills for the user.
func (e *edit) defaults() {
	r, s := e.record, e.server
	if r.kind.space == "entity" {
		// The account has automatic numbering of entities off: without an
		// entityId, the name of the company or person is taken.
		if r.text("entityId") == "" {
			name := strings.TrimSpace(r.text("firstName") + " " + r.text("lastName"))
			if company := r.text("companyName"); company != "" && r.fields["isPerson"] != true {
				name = company
			}
			if name != "" {
				r.fields["entityId"] = name
			}
		}
		if r.fields["subsidiary"] == nil && !s.config.OneWorld {
			r.fields["subsidiary"] = reference{"subsidiary", "1"}
		}
	}
	for name, v := range map[string]any{"isInactive": false, "isPerson": false, "currency": reference{"currency", "1"},
		"exchangeRate": amount("1"), "tranDate": s.now().UTC().Format("2006-01-02")} {
		if f := r.kind.field(name); f != nil && r.fields[f.name] == nil {
			r.fields[f.name] = v
		}
	}
}

func linePath(list string, i int, name string) string {
	if name == "" {
		return fmt.Sprintf("%s.items[%d]", list, i)
	}
	return fmt.Sprintf("%s.items[%d].%s", list, i, name)
}
