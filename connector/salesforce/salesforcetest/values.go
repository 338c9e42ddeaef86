package salesforcetest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

var (
	recordID = regexp.MustCompile(`^[A-Za-z0-9]{15}([A-Za-z0-9]{3})?$`)
	email    = regexp.MustCompile(`^[^@\s]+@[^@\s]+\.[^@\s]+$`)
)

// datetimeForm is how Salesforce writes times.
const datetimeForm = "2006-01-02T15:04:05.000-0700"

// errParse is a value of the wrong JSON type. Its words vary more than this.
func errParse(f *Field, v any) *apiError {
	return refuse("JSON_PARSER_ERROR", fmt.Sprintf("Cannot deserialize instance of %s from VALUE_%s value %v or request may be missing a required field at [line:1, column:1]",
		f.Type, strings.ToUpper(kindOf(v)), cut(fmt.Sprint(v))))
}

func kindOf(v any) string {
	switch v.(type) {
	case string:
		return "string"
	case json.Number:
		return "number"
	case bool:
		return "boolean"
	}
	return "object"
}

func cut(s string) string {
	if r := []rune(s); len(r) > 100 {
		return string(r[:100])
	}
	return s
}

// value brings a JSON value to the form in which the field keeps it. A text is
// trimmed, and an empty one is null. Numbers must be JSON numbers and texts
// JSON strings: whether Salesforce is that strict is not documented.
func (f *Field) value(v any) (any, *apiError) {
	if v == nil {
		if f.Type == "boolean" {
			return nil, errParse(f, "null") // a checkbox is never null
		}
		return nil, nil
	}
	switch f.Type {
	case "boolean":
		if _, ok := v.(bool); !ok {
			return nil, errParse(f, v)
		}
		return v, nil
	case "double", "currency", "int":
		return f.number(v)
	}
	text, ok := v.(string)
	if !ok {
		return nil, errParse(f, v)
	}
	if text = strings.TrimSpace(text); text == "" {
		return nil, nil
	}
	return f.text(text)
}

func (f *Field) number(v any) (any, *apiError) {
	n, ok := v.(json.Number)
	if !ok {
		return nil, errParse(f, v)
	}
	text := n.String()
	if f.Type == "int" && strings.ContainsAny(text, ".eE") {
		return nil, errParse(f, v)
	}
	if strings.ContainsAny(text, "eE") {
		return n, nil
	}
	whole, fraction, _ := strings.Cut(text, ".")
	if len(strings.TrimLeft(whole, "-0")) > 18 {
		return nil, refuse("NUMBER_OUTSIDE_VALID_RANGE", f.Name+": value outside of valid range on numeric field: "+text, f.Name)
	}
	if fraction = strings.TrimRight(fraction, "0"); fraction != "" {
		whole += "." + fraction // 12.50 comes back as 12.5
	}
	return json.Number(whole), nil
}

func (f *Field) text(text string) (any, *apiError) {
	switch f.Type {
	case "date":
		if _, err := time.Parse(time.DateOnly, text); err != nil {
			return nil, errParse(f, text)
		}
		return text, nil
	case "datetime":
		for _, form := range []string{time.RFC3339Nano, datetimeForm} {
			if at, err := time.Parse(form, text); err == nil {
				return at.UTC().Format(datetimeForm), nil
			}
		}
		return nil, errParse(f, text)
	case "email":
		if !email.MatchString(text) {
			return nil, refuse("INVALID_EMAIL_ADDRESS", f.Name+": invalid email address: "+text, f.Name)
		}
	case "picklist":
		if len(f.Values) > 0 && !slices.Contains(f.Values, text) {
			return nil, refuse("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", f.Name+": bad value for restricted picklist field: "+text, f.Name)
		}
	case "multipicklist":
		return text, nil
	}
	if utf8.RuneCountInString(text) > f.Length {
		return nil, refuse("STRING_TOO_LONG", fmt.Sprintf("%s: data value too large: %s (max length=%d)", f.Name, cut(text), f.Length), f.Name)
	}
	return text, nil
}

// noFields is an empty list of fields in an answer, in place of none.
var noFields = []string{}

// reference checks an id and returns its long form. Of a record that is not
// there, Salesforce names no field: "invalid cross reference id: []" is what is
// seen of a bad OwnerId, word for word as of the record itself.
func (s *Server) reference(f *Field, v any) (any, *apiError) {
	if v == nil {
		return nil, nil
	}
	id, ok := v.(string)
	if !ok {
		return nil, errParse(f, v)
	}
	if id == "" {
		return nil, nil
	}
	if !recordID.MatchString(id) {
		return nil, refuse("MALFORMED_ID", f.Name+": id value of incorrect type: "+cut(id), f.Name)
	}
	r := s.find(id)
	switch {
	case r == nil:
		return nil, refuse("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", noFields...)
	case !f.leadsTo(r.object):
		return nil, refuse("FIELD_INTEGRITY_EXCEPTION", f.Name+": id value of incorrect type: "+id, f.Name)
	case r.deleted:
		return nil, refuse("ENTITY_IS_DELETED", "entity is deleted", noFields...)
	}
	return r.id, nil
}

func (f *Field) leadsTo(o *object) bool {
	return slices.ContainsFunc(f.RefersTo, func(to string) bool { return strings.EqualFold(to, o.Name) })
}

// related resolves {"Ext_Id__c": "A-1"} under a relationship's name.
func (s *Server) related(f *Field, v any) (any, *apiError) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, refuse("JSON_PARSER_ERROR", fmt.Sprintf("Cannot deserialize instance of reference to %s from VALUE_%s value", f.Relationship, strings.ToUpper(kindOf(v))))
	}
	to := f.RefersTo
	if a, ok := m["attributes"].(map[string]any); ok {
		if name, ok := a["type"].(string); ok {
			to = []string{name}
		}
	}
	if len(to) != 1 {
		return nil, refuse("INVALID_FIELD", "The external foreign key reference does not specify the type of "+f.Relationship)
	}
	o := s.object(to[0])
	if o == nil || !f.leadsTo(o) {
		return nil, refuse("INVALID_FIELD", "sObject type '"+to[0]+"' can't be referred to by "+f.Relationship)
	}
	for name, value := range m {
		if name == "attributes" {
			continue
		}
		key := o.field(name)
		if key == nil || !key.lookup() || len(m) > 2 {
			return nil, refuse("INVALID_FIELD", "Field name provided, "+name+", is not an External ID or indexed field for "+o.Name)
		}
		found := s.byValue(o, key, value)
		switch len(found) {
		case 0:
			return nil, refuse("INVALID_FIELD", fmt.Sprintf("Foreign key external ID: %v not found for field %s in entity %s", value, key.Name, o.Name))
		case 1:
			return found[0].id, nil
		}
		return nil, refuse("DUPLICATE_EXTERNAL_ID", fmt.Sprintf("More than one record found for external id field: [%s, %s]", found[0].id, found[1].id))
	}
	return nil, refuse("INVALID_FIELD", "The relationship "+f.Relationship+" names no external id field")
}
