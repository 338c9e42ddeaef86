package mapping

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// call is a call of a function.
type call struct {
	node node
	name string
	args []node
}

// function is one that expressions may call.
type function struct {
	usage    string // for people
	min, max int    // arguments; max < 0: any number
	compile  func(*compiler, call) code
}

// functions is all there is. A compiler holds it, so that functions can be
// compiled inside each other.
var functions = allFunctions()

func allFunctions() map[string]function {
	all := map[string]function{}
	for _, group := range []map[string]function{listFunctions, closureFunctions, textFunctions, valueFunctions} {
		maps.Copy(all, group)
	}
	return all
}

// refused are functions of the expression language that are left out, with
// the reason.
var refused = map[string]string{
	"now":      "a mapping must give the same for the same row at any time; use a column that holds the time",
	"timezone": `name the zone in date(time, "Europe/Rome") or format(time, layout, "Europe/Rome")`,
	"duration": "there are no durations here; compute with the database's columns",
	"get":      "it would hide what is read; write value.name",
	"keys":     "it would hide what is read; name the fields",
	"values":   "it would hide what is read; name the fields",
	"float":    "use decimal(...), which is exact",
	"toJSON":   "send the value itself, or string(json column)",
	"fromJSON": "read it from a JSON column",
	"type":     "the type of every value is known before",
	"groupBy":  "group in the remote, or with a Go function",
}

// meant is what stands for functions that SQL and other languages have.
var meant = map[string]string{
	"length": "len(list) or len(text)", "size": "len(list) or len(text)",
	"substr": "text[from:to]", "substring": "text[from:to]", "slice": "value[from:to]", "left": "text[:n]", "right": "text[-n:]",
	"toupper": "upper(text)", "uppercase": "upper(text)", "tolower": "lower(text)", "lowercase": "lower(text)",
	"ifnull": "value ?? fallback", "nvl": "value ?? fallback", "isnull": "value == nil",
	"str": "string(value)", "tostring": "string(value)", "text": "string(value)", "integer": "int(value)", "number": "decimal(value)", "numeric": "decimal(value)",
	"includes": "text contains part, or value in list", "contains": "text contains part, or value in list", "startswith": "text startsWith part", "endswith": "text endsWith part",
	"sort": "sortBy(list, .column)", "unique": "uniq(list)", "distinct": "uniq(list)", "average": "sum(list, .column) / len(list)", "avg": "sum(list, .column) / len(list)",
}

func (c *compiler) call(n call) code {
	f, ok := c.functions[n.name]
	if !ok {
		if why, known := refused[n.name]; known {
			return c.fail(n.node, fmt.Sprintf("%s() can't be used in a mapping", n.name), why)
		}
		if instead, known := meant[strings.ToLower(n.name)]; known {
			return c.fail(n.node, fmt.Sprintf("unknown function %q", n.name), "write "+instead)
		}
		return c.fail(n.node, fmt.Sprintf("unknown function %q", n.name), Suggest(n.name, slices.Sorted(maps.Keys(c.functions))))
	}
	if len(n.args) < f.min || f.max >= 0 && len(n.args) > f.max {
		return c.fail(n.node, fmt.Sprintf("%s does not take %s", n.name, arguments(len(n.args))), "write "+f.usage)
	}
	return f.compile(c, n)
}

func arguments(n int) string {
	if n == 1 {
		return "1 argument"
	}
	return fmt.Sprintf("%d arguments", n)
}

// simple is a function of values: its arguments have one of the kinds given
// (the last stands for all that follow), and it is null when one is null.
func simple(usage string, least, most int, result kind, f func(args []any) (any, error), params ...[]kind) function {
	return function{usage, least, most, func(c *compiler, n call) code {
		args := make([]code, len(n.args))
		t := Type{kind: result}
		for i, a := range n.args {
			args[i] = c.compile(a)
			want := params[min(i, len(params)-1)]
			if !args[i].typ.is(want...) && args[i].typ.kind != null {
				return c.fail(a, fmt.Sprintf("%s needs %s here, not %s", n.name, words(want), args[i].typ), "write "+usage)
			}
			t.null = t.null || args[i].typ.null
		}
		c.known(&t, n, f, args)
		return code{typ: t, run: func(fr *frame) (any, error) {
			values := make([]any, len(args))
			for i, a := range args {
				v, err := a.run(fr)
				if err != nil || v == nil {
					return nil, err
				}
				values[i] = v
			}
			v, err := f(values)
			if err != nil {
				return nil, err
			}
			return v, fr.made(v)
		}}
	}}
}

// known finds out what a function can give that makes a text of texts, and doubts
// a test of two that never holds.
func (c *compiler) known(t *Type, n call, f func([]any) (any, error), args []code) {
	var from []Type
	for _, a := range args {
		if a.typ.kind != text || len(a.typ.values) == 0 {
			return
		}
		from = append(from, a.typ)
	}
	switch {
	case t.kind == text && len(args) > 1:
		*t = t.made(n.name+"(%s, ...)", f, from...)
	case t.kind == text:
		*t = t.made(n.name+"(%s)", f, from...)
	case t.kind == boolean:
		words := map[string]string{"hasPrefix": "start with", "hasSuffix": "end with"}[n.name]
		c.doubtTest(n.node, words, args[0].typ, args[1].typ, func(a, b string) bool {
			v, err := f([]any{a, b})
			return err != nil || v == true
		}, n.args[1])
	}
}

func words(kinds []kind) string {
	var out []string
	for _, k := range kinds {
		out = append(out, kindWords[k])
	}
	if len(out) < 2 {
		return strings.Join(out, "")
	}
	return strings.Join(out[:len(out)-1], ", ") + " or " + out[len(out)-1]
}

// written is an argument that must be a text in the expression itself.
func (c *compiler) written(n node, what, example string) (string, bool) {
	s, ok := n.(*ast.StringNode)
	if !ok {
		c.fail(n, what+" must be written out", "write "+example)
		return "", false
	}
	return s.Value, true
}
