package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Names of placeholders.
const (
	externalID     = "external_id"
	remoteID       = "id"
	recordType     = "type"
	action         = "action"
	event          = "event"
	fields         = "fields"
	version        = "version"
	generation     = "generation"
	command        = "command"
	registry       = "registry"
	timestamp      = "timestamp"
	fieldNames     = "field_names"
	changes        = "changes"
	idempotencyKey = "idempotency_key"
)

// spread is the key whose value's members become those of the object.
const spread = "..."

// scope is what placeholders stand for: texts, numbers, and for fields and
// changes trees.
type scope map[string]any

// part is a piece of a text: a literal, or a placeholder with the path of a
// field.
type part struct {
	literal string
	name    string
	path    []string
}

// text is a text with placeholders. The zero value is the empty text.
type text []part

var placeholder = regexp.MustCompile(`^\$([a-z_][a-z0-9_]*)`)
var fieldPath = regexp.MustCompile(`^(?:\.[A-Za-z0-9_-]+)+`)

// syntaxError is a problem in a text, with its offset in characters.
type syntaxError struct {
	offset  int
	message string
}

// parseText reads a text; allowed are the names that have a meaning in it.
func parseText(s string, allowed []string) (text, *syntaxError) {
	var t text
	var literal strings.Builder
	flush := func() {
		if literal.Len() > 0 {
			t = append(t, part{literal: literal.String()})
			literal.Reset()
		}
	}
	for rest := s; rest != ""; {
		i := strings.IndexByte(rest, '$')
		if i < 0 {
			literal.WriteString(rest)
			break
		}
		literal.WriteString(rest[:i])
		rest = rest[i:]
		if strings.HasPrefix(rest, "$$") {
			literal.WriteByte('$')
			rest = rest[2:]
			continue
		}
		offset := utf8.RuneCountInString(s[:len(s)-len(rest)])
		m := placeholder.FindStringSubmatch(rest)
		if m == nil {
			return nil, &syntaxError{offset, "a $ that begins no placeholder: write $$ for a dollar sign"}
		}
		if !slices.Contains(allowed, m[1]) {
			return nil, &syntaxError{offset, fmt.Sprintf("there is no $%s here, only %s; write $$ for a dollar sign", m[1], "$"+strings.Join(allowed, ", $"))}
		}
		flush()
		rest = rest[len(m[0]):]
		p := part{name: m[1]}
		if m[1] == fields {
			path := fieldPath.FindString(rest)
			rest = rest[len(path):]
			if path != "" {
				p.path = strings.Split(path[1:], ".")
			}
		}
		t = append(t, p)
	}
	flush()
	return t, nil
}

// errAbsent: the record has no such field now.
var errAbsent = errors.New("absent")

// value is what a placeholder stands for: a text, a number, or JSON as it is.
func (p part) value(s scope) (any, error) {
	if p.name == "" {
		return p.literal, nil
	}
	v, ok := s[p.name]
	if !ok {
		return nil, fmt.Errorf("$%s is not known here", p.name)
	}
	for _, name := range p.path {
		members, err := object(v)
		if err != nil {
			return nil, errAbsent
		}
		if v, ok = members[name]; !ok {
			return nil, errAbsent
		}
	}
	return v, nil
}

// object is a value's members.
func object(v any) (map[string]any, error) {
	switch v := v.(type) {
	case map[string]any:
		return v, nil
	case json.RawMessage:
		var m map[string]json.RawMessage
		if err := json.Unmarshal(v, &m); err != nil || m == nil {
			return nil, errors.New("is no object")
		}
		out := make(map[string]any, len(m))
		for k, x := range m {
			out[k] = x
		}
		return out, nil
	}
	return nil, errors.New("is no object")
}

// String renders the text where only a text can stand; escape is applied to
// what placeholders stand for.
func (t text) render(s scope, escape func(string) (string, error)) (string, error) {
	var b strings.Builder
	for _, p := range t {
		if p.name == "" {
			b.WriteString(p.literal)
			continue
		}
		v, err := p.value(s)
		if err != nil {
			return "", p.fail(err)
		}
		words, err := plainText(v)
		if err == nil && escape != nil {
			words, err = escape(words)
		}
		if err != nil {
			return "", p.fail(err)
		}
		b.WriteString(words)
	}
	return b.String(), nil
}

func (p part) fail(err error) error {
	name := "$" + strings.Join(append([]string{p.name}, p.path...), ".")
	if errors.Is(err, errAbsent) {
		return fmt.Errorf("the record has no %s: %w", name, err)
	}
	return fmt.Errorf("%s: %w", name, err)
}

// plainText is a scalar as text; null is empty.
func plainText(v any) (string, error) {
	if raw, ok := v.(json.RawMessage); ok {
		var err error
		if v, err = parseJSON(raw); err != nil {
			return "", errors.New("is not JSON")
		}
	}
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	case bool, int64:
		return fmt.Sprint(v), nil
	}
	return "", errors.New("is a list or an object, where only a text can stand")
}

// node is a compiled tree.
type node interface {
	// tree makes the JSON tree. Of what is absent the error is errAbsent.
	tree(s scope) (any, error)
}

type constant struct{ value any }

func (c constant) tree(scope) (any, error) { return c.value, nil }

// tree: a text that is one placeholder is its value, of whatever type.
func (t text) tree(s scope) (any, error) {
	if len(t) == 1 && t[0].name != "" {
		v, err := t[0].value(s)
		if err != nil && !errors.Is(err, errAbsent) {
			err = t[0].fail(err)
		}
		return v, err
	}
	return t.render(s, nil)
}

type list []node

func (l list) tree(s scope) (any, error) {
	out := []any{}
	for _, n := range l {
		v, err := n.tree(s)
		if isAbsent(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

type members struct {
	spread node // nil: none
	nodes  map[string]node
}

func (m members) tree(s scope) (any, error) {
	out := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(m.nodes)) {
		v, err := m.nodes[name].tree(s)
		if isAbsent(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out[name] = v
	}
	if m.spread == nil {
		return out, nil
	}
	under, err := m.spread.tree(s)
	if isAbsent(err) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	base, err := object(under)
	if err != nil {
		return nil, fmt.Errorf("the value of %q %w", spread, err)
	}
	return merge(base, out), nil
}

// merge lays over's members over base's; objects in both are merged.
func merge(base, over map[string]any) map[string]any {
	out := maps.Clone(base)
	for k, v := range over {
		a, errA := object(out[k])
		b, errB := object(v)
		if errA == nil && errB == nil {
			v = merge(a, b)
		}
		out[k] = v
	}
	return out
}

func isAbsent(err error) bool { return errors.Is(err, errAbsent) }

func parseJSON(raw []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err = d.Decode(&v); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, errors.New("more than one value")
	}
	return v, nil
}

// encodeJSON encodes without touching <, > and &; what is JSON already stays
// as it is, but for white space.
func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}
