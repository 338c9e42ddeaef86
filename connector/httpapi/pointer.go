package httpapi

import (
	"errors"
	"strconv"
	"strings"
)

// pointer is a JSON pointer (RFC 6901), as its parts. Empty: the whole.
type pointer []string

func parsePointer(s string) (pointer, error) {
	if s == "" {
		return pointer{}, nil
	}
	if s[0] != '/' {
		return nil, errors.New("must be a JSON pointer, such as /id or /data/0/id")
	}
	parts := strings.Split(s[1:], "/")
	for i, p := range parts {
		for j := 0; j < len(p); j++ {
			if p[j] == '~' && (j+1 == len(p) || p[j+1] != '0' && p[j+1] != '1') {
				return nil, errors.New("in a JSON pointer, write ~0 for ~ and ~1 for /")
			}
		}
		parts[i] = strings.ReplaceAll(strings.ReplaceAll(p, "~1", "/"), "~0", "~")
	}
	return parts, nil
}

// in is the value at the pointer, and whether there is one.
func (p pointer) in(v any) (any, bool) {
	for _, name := range p {
		switch x := v.(type) {
		case map[string]any:
			var ok bool
			if v, ok = x[name]; !ok {
				return nil, false
			}
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(x) || len(name) > 1 && name[0] == '0' {
				return nil, false
			}
			v = x[i]
		default:
			return nil, false
		}
	}
	return v, true
}

// textIn is the text, number or boolean at the pointer as text; empty when
// there is none.
func (p pointer) textIn(v any) string {
	found, ok := p.in(v)
	if !ok {
		return ""
	}
	s, err := plainText(found)
	if err != nil {
		return ""
	}
	return s
}
