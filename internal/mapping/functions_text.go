package mapping

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/upkeep-sync/upkeep/internal/store"
)

var texts = []kind{text}

// textFunctions work on text, in characters.
var textFunctions = map[string]function{
	"upper":      simple("upper(text)", 1, 1, text, onText(strings.ToUpper), texts),
	"lower":      simple("lower(text)", 1, 1, text, onText(strings.ToLower), texts),
	"trim":       simple("trim(text)", 1, 2, text, trim, texts),
	"trimPrefix": simple("trimPrefix(text, prefix)", 2, 2, text, onTexts(strings.TrimPrefix), texts),
	"trimSuffix": simple("trimSuffix(text, suffix)", 2, 2, text, onTexts(strings.TrimSuffix), texts),
	"replace": simple("replace(text, old, new)", 3, 3, text, func(a []any) (any, error) {
		text, old, with := a[0].(string), a[1].(string), a[2].(string)
		if len(with) > len(old) && strings.Count(text, old) > maxText/(len(with)-len(old)) {
			return nil, errText // before it is made
		}
		return strings.ReplaceAll(text, old, with), nil
	}, texts),
	"hasPrefix": simple("hasPrefix(text, prefix)", 2, 2, boolean, func(a []any) (any, error) {
		return strings.HasPrefix(a[0].(string), a[1].(string)), nil
	}, texts),
	"hasSuffix": simple("hasSuffix(text, suffix)", 2, 2, boolean, func(a []any) (any, error) {
		return strings.HasSuffix(a[0].(string), a[1].(string)), nil
	}, texts),
	"indexOf": simple("indexOf(text, part)", 2, 2, integer, func(a []any) (any, error) {
		s := a[0].(string)
		i := strings.Index(s, a[1].(string))
		if i < 0 {
			return int64(-1), nil
		}
		return int64(utf8.RuneCountInString(s[:i])), nil
	}, texts),
	"split": {"split(text, separator)", 2, 2, func(c *compiler, n call) code {
		out := simple("split(text, separator)", 2, 2, list, split, texts).compile(c, n)
		if out.typ.kind == list {
			out.typ.elem = &Type{kind: text}
		}
		return out
	}},
	"array": {"array(text)", 1, 1, func(c *compiler, n call) code {
		out := simple("array(text)", 1, 1, list, elements, texts).compile(c, n)
		if out.typ.kind == list {
			out.typ.elem = &Type{kind: text, null: true}
		}
		return out
	}},
	"join": {"join(list, separator)", 1, 2, join},
}

func onText(f func(string) string) func([]any) (any, error) {
	return func(a []any) (any, error) { return f(a[0].(string)), nil }
}

func onTexts(f func(a, b string) string) func([]any) (any, error) {
	return func(a []any) (any, error) { return f(a[0].(string), a[1].(string)), nil }
}

func trim(a []any) (any, error) {
	if len(a) == 2 {
		return strings.Trim(a[0].(string), a[1].(string)), nil
	}
	return strings.TrimSpace(a[0].(string)), nil
}

func elements(a []any) (any, error) {
	parts, err := store.Array(a[0].(string))
	if err != nil {
		return nil, fmt.Errorf("the text %w", err)
	}
	out := make([]any, len(parts))
	for i, p := range parts {
		if p != nil {
			out[i] = *p
		}
	}
	return out, nil
}

func split(a []any) (any, error) {
	parts := strings.Split(a[0].(string), a[1].(string))
	out := make([]any, len(parts))
	for i, p := range parts {
		out[i] = p
	}
	return out, nil
}

func join(c *compiler, n call) code {
	l := c.compile(n.args[0])
	if l.typ.kind == bad {
		return l
	}
	if l.typ.kind != list || !l.typ.elem.is(text, null) {
		return c.fail(n.args[0], "join needs a list of text, not "+l.typ.String(), "write join(map(list, string(.name)), \", \")")
	}
	sep := constant(Type{kind: text}, "")
	if len(n.args) == 2 {
		sep = c.compile(n.args[1])
		if !sep.typ.is(text) {
			return c.fail(n.args[1], "a separator must be text, not "+sep.typ.String(), "")
		}
	}
	return binaryCode(Type{kind: text}, l, sep, func(v, sep any) (any, error) {
		var parts []string
		length := 0
		for e := range each(v) {
			if s, ok := e.(string); ok {
				if length += len(s) + len(sep.(string)); length > maxText {
					return nil, errText // before it is made
				}
				parts = append(parts, s)
			}
		}
		return strings.Join(parts, sep.(string)), nil
	})
}
