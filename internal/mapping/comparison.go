package mapping

import (
	"bytes"
	"cmp"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr/ast"

	"github.com/upkeep-sync/upkeep/internal/store"
)

func (c *compiler) equality(n *ast.BinaryNode) code {
	a, b := c.compile(n.Left), c.compile(n.Right)
	if !comparable(a.typ, b.typ) || (a.typ.kind == list || a.typ.kind == object) && !b.typ.is(null) {
		return c.mismatch(n, a.typ, b.typ)
	}
	want := n.Operator == "=="
	c.doubt(n, fmt.Sprintf("this is always %t", !want), a.typ, b.typ, n.Left, n.Right)
	return code{typ: Type{kind: boolean}, run: func(f *frame) (any, error) {
		x, err := a.run(f)
		if err != nil {
			return nil, err
		}
		y, err := b.run(f)
		if err != nil {
			return nil, err
		}
		return equal(x, y) == want, nil
	}}
}

func (c *compiler) mismatch(n node, a, b Type) code {
	help := ""
	for _, t := range []Type{a, b} {
		other := a
		if t.kind == a.kind {
			other = b
		}
		if t.is(date, instant) && other.is(text) {
			help = `write a date as date("2026-01-31")`
		} else if t.number() && other.is(text) {
			help = "write the number without quotes, or convert with string(...) or decimal(...)"
		} else if t.is(date) && other.is(instant) {
			help = "take the date of a time with date(...)"
		}
	}
	if a.kind == open || b.kind == open {
		help = convertHelp(Type{kind: open})
	}
	return c.fail(n, fmt.Sprintf("can't compare %s with %s", a, b), help)
}

// comparable says whether values of two types can be equal.
func comparable(a, b Type) bool {
	switch {
	case a.kind == bad || b.kind == bad || a.kind == null || b.kind == null:
		return true
	case a.is(row, reference) || b.is(row, reference):
		return false
	case a.kind == open || b.kind == open:
		return true
	case a.number() && b.number():
		return true
	}
	return a.kind == b.kind
}

func equal(a, b any) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	switch x := a.(type) {
	case string:
		y, ok := b.(string)
		return ok && x == y
	case bool:
		y, ok := b.(bool)
		return ok && x == y
	case store.Civil:
		y, ok := b.(store.Civil)
		return ok && x == y
	case []byte:
		y, ok := b.([]byte)
		return ok && bytes.Equal(x, y)
	case time.Time:
		y, ok := b.(time.Time)
		return ok && x.Equal(y)
	}
	if x, ok := isNumber(a); ok {
		y, ok := isNumber(b)
		return ok && x.Equal(y)
	}
	return reflect.DeepEqual(a, b)
}

func (c *compiler) ordering(n *ast.BinaryNode) code {
	a, b := c.compile(n.Left), c.compile(n.Right)
	if !comparable(a.typ, b.typ) || !a.typ.ordered() || !b.typ.ordered() {
		return c.mismatch(n, a.typ, b.typ)
	}
	holds := map[string]func(int) bool{
		"<": func(i int) bool { return i < 0 }, "<=": func(i int) bool { return i <= 0 },
		">": func(i int) bool { return i > 0 }, ">=": func(i int) bool { return i >= 0 },
	}[n.Operator]
	c.doubtOrder(n, a.typ, b.typ, holds)
	return test(a, b, func(x, y any) bool { return holds(compare(x, y)) })
}

func (t Type) ordered() bool {
	return t.is(integer, decimals, float, text, boolean, date, instant, null)
}

// compare orders two values of one kind; null comes first.
func compare(a, b any) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	switch x := a.(type) {
	case string:
		return strings.Compare(x, b.(string))
	case store.Civil:
		return x.Time().Compare(b.(store.Civil).Time())
	case time.Time:
		return x.Compare(b.(time.Time))
	case bool:
		return cmp.Compare(truth(x), truth(b.(bool)))
	case int64:
		if y, ok := b.(int64); ok {
			return cmp.Compare(x, y)
		}
	}
	x, _ := isNumber(a)
	y, _ := isNumber(b)
	return x.Cmp(y)
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (c *compiler) in(n *ast.BinaryNode) code {
	a, b := c.compile(n.Left), c.compile(n.Right)
	if a.typ.kind == bad || b.typ.kind == bad {
		return code{run: nothing}
	}
	if !b.typ.is(list, open) {
		return c.fail(n, "in needs a list, not "+b.typ.String(), `write value in ["a", "b"]`)
	}
	if b.typ.kind == list && !comparable(a.typ, *b.typ.elem) {
		return c.mismatch(n, a.typ, *b.typ.elem)
	}
	c.doubtIn(n, a.typ, b.typ)
	return test(a, b, func(x, y any) bool {
		return slices.ContainsFunc(items(y), func(e any) bool { return equal(x, e) })
	})
}

func (c *compiler) textTest(n *ast.BinaryNode) code {
	a, b := c.compile(n.Left), c.compile(n.Right)
	if !a.typ.is(text, null) || !b.typ.is(text, null) {
		return c.fail(n, fmt.Sprintf("%s needs text, not %s and %s", n.Operator, a.typ, b.typ), "convert with string(...)")
	}
	f := map[string]func(s, part string) bool{
		"contains": strings.Contains, "startsWith": strings.HasPrefix, "endsWith": strings.HasSuffix,
	}[n.Operator]
	words := map[string]string{"contains": "contain", "startsWith": "start with", "endsWith": "end with"}[n.Operator]
	c.doubtTest(n, words, a.typ, b.typ, f, n.Right)
	return test(a, b, func(x, y any) bool { return f(x.(string), y.(string)) })
}

func (c *compiler) matches(n *ast.BinaryNode) code {
	a := c.compile(n.Left)
	if !a.typ.is(text, null) {
		return c.fail(n, "matches needs text, not "+a.typ.String(), "convert with string(...)")
	}
	pattern, ok := n.Right.(*ast.StringNode)
	if !ok {
		return c.fail(n.Right, "a pattern must be written out", `write matches "^[A-Z]+$"`)
	}
	re, err := regexp.Compile(pattern.Value)
	if err != nil {
		return c.fail(pattern, "is not a regular expression: "+strings.TrimPrefix(err.Error(), "error parsing regexp: "), "")
	}
	c.doubtTest(n, "match", a.typ, Type{kind: text, values: []string{pattern.Value}}, func(s, _ string) bool { return re.MatchString(s) }, pattern)
	return test(a, constant(Type{kind: text}, ""), func(x, _ any) bool { return re.MatchString(x.(string)) })
}
