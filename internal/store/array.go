package store

import (
	"errors"
	"strings"
)

// Array takes apart what PostgreSQL writes for an array of one dimension:
// {a,"b c",NULL}. An element that is NULL is nil; the others are the text that
// the database writes of them.
func Array(text string) ([]*string, error) {
	bad := errors.New("is not the text of an array, like {a,\"b c\"}")
	if strings.HasPrefix(text, "[") { // [0:1]={a,b}: it does not begin with element 1
		_, text, _ = strings.Cut(text, "=")
	}
	rest, ok := strings.CutPrefix(text, "{")
	if !ok {
		return nil, bad
	}
	elements := []*string{}
	if rest == "}" {
		return elements, nil
	}
	for {
		element, after, err := arrayElement(rest)
		if err != nil {
			return nil, err
		}
		elements = append(elements, element)
		switch {
		case after == "}":
			return elements, nil
		case !strings.HasPrefix(after, ","):
			return nil, bad
		}
		rest = after[1:]
	}
}

// arrayElement is the first element of a list, and what follows it.
func arrayElement(s string) (element *string, after string, err error) {
	if strings.HasPrefix(s, "{") {
		return nil, "", errors.New("is an array of several dimensions, which can't be taken apart")
	}
	var b strings.Builder
	quoted := strings.HasPrefix(s, `"`)
	i := 0
	if quoted {
		i++
	}
	for ; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
			continue
		case quoted && c == '"', !quoted && (c == ',' || c == '}'):
			text := b.String()
			if quoted {
				return &text, s[i+1:], nil
			}
			if strings.EqualFold(text, "NULL") {
				return nil, s[i:], nil
			}
			return &text, s[i:], nil
		}
		b.WriteByte(s[i])
	}
	return nil, "", errors.New("is an array that does not end")
}
