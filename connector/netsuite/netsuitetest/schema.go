package netsuitetest

import (
	"slices"
	"strings"
)

type kind int

const (
	text kind = iota
	integer
	decimal
	money
	flag
	date
	moment
	link   // a reference to another record
	choice // one of a fixed list
	group  // a subrecord, such as an address
)

// option is one value of a choice field.
type option struct{ id, name string }

type field struct {
	name     string
	label    string // in "Please enter value(s) for"
	kind     kind
	to       []string // of a link: the record types it may point to
	options  []option // of a choice; nil takes any id
	fields   []*field // of a group
	required bool
	readOnly bool
}

type sublist struct {
	name string
	// key names the field that identifies a line ("line"); empty when the
	// sublist is not keyed and can only be replaced whole.
	key string
	// static: its lines are those of the record that this one was made from.
	// They can be changed, and none comes or goes.
	static bool
	fields []*field
	byName map[string]*field
}

type recordType struct {
	name   string
	label  string
	fields []*field
	byName map[string]*field
	lists  []*sublist
	// space is the sequence that internal ids come from: entities share
	// one, and so do items and transactions.
	space string
	// table and code are the SuiteQL table, and for transactions the value
	// of its type column.
	table, code string
	prefix      string // of tranId
	title       string // the field shown as refName
	unique      string // a field besides externalId whose values are unique
}

func (t *recordType) transaction() bool { return t.space == "transaction" }

func (t *recordType) list(name string) *sublist {
	for _, l := range t.lists {
		if strings.EqualFold(l.name, name) {
			return l
		}
	}
	return nil
}

func (t *recordType) field(name string) *field { return t.byName[strings.ToLower(name)] }

func (l *sublist) field(name string) *field { return l.byName[strings.ToLower(name)] }

// CustomField declares a custom field, as an administrator does in the
// account. Names begin with custentity_ (entities), custbody_ (transaction
// bodies), custcol_ (transaction lines) or custitem_ (items).
type CustomField struct {
	Name string
	// Kind is "text", "integer", "decimal", "checkbox" or "date"; empty
	// means text.
	Kind string
}

func (c CustomField) field() *field {
	f := &field{name: strings.ToLower(c.Name), label: c.Name}
	switch c.Kind {
	case "integer":
		f.kind = integer
	case "decimal":
		f.kind = decimal
	case "checkbox":
		f.kind = flag
	case "date":
		f.kind = date
	}
	return f
}

// newSchema builds all record types of an account.
func newSchema(custom []CustomField, oneWorld bool) map[string]*recordType {
	types := map[string]*recordType{}
	for _, t := range slices.Concat(entityTypes(), transactionTypes(), itemTypes(), listTypes()) {
		for _, c := range custom {
			addCustom(t, c)
		}
		if oneWorld {
			for _, f := range t.fields {
				if f.name == "subsidiary" && t.space == "entity" {
					f.required = true
				}
			}
		}
		t.byName = index(t.fields)
		for _, l := range t.lists {
			l.byName = index(l.fields)
		}
		types[strings.ToLower(t.name)] = t
	}
	return types
}

func addCustom(t *recordType, c CustomField) {
	name := strings.ToLower(c.Name)
	switch {
	case strings.HasPrefix(name, "custentity") && t.space == "entity",
		strings.HasPrefix(name, "custbody") && t.space == "transaction",
		strings.HasPrefix(name, "custitem") && t.space == "item":
		t.fields = append(t.fields, c.field())
	case strings.HasPrefix(name, "custcol") && t.space == "transaction":
		for _, l := range t.lists {
			if l.name == "item" {
				l.fields = append(l.fields, c.field())
			}
		}
	}
}

func index(fields []*field) map[string]*field {
	m := make(map[string]*field, len(fields))
	for _, f := range fields {
		m[strings.ToLower(f.name)] = f
	}
	return m
}

// The small words below keep the tables of fields readable.

func of(k kind, names ...string) []*field {
	out := make([]*field, len(names))
	for i, n := range names {
		out[i] = &field{name: n, label: n, kind: k}
	}
	return out
}

func ref(name, label string, to ...string) *field {
	return &field{name: name, label: label, kind: link, to: to}
}

func pick(name string, options ...option) *field {
	return &field{name: name, label: name, kind: choice, options: options}
}

func need(f *field) *field { f.required = true; return f }

func fixed(fields ...*field) []*field {
	for _, f := range fields {
		f.readOnly = true
	}
	return fields
}

func join(parts ...any) []*field {
	var out []*field
	for _, p := range parts {
		switch p := p.(type) {
		case *field:
			out = append(out, p)
		case []*field:
			out = append(out, p...)
		}
	}
	return out
}

// common are the fields that every record carries.
func common() []*field {
	return join(of(text, "externalId"), fixed(of(moment, "createdDate", "lastModifiedDate")...))
}

func address(name string) *field {
	return &field{name: name, label: name, kind: group, fields: join(
		of(text, "addr1", "addr2", "addr3", "addressee", "attention", "city", "state", "zip", "addrPhone", "addrText"),
		of(flag, "override"), pick("country"))}
}
