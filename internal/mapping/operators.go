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

// binaryCode computes something of two values; null when either is.
func binaryCode(t Type, a, b code, f func(a, b any) (any, error)) code {
	t.null = t.null || a.typ.null || b.typ.null
	return code{typ: t, run: func(fr *frame) (any, error) {
		x, err := a.run(fr)
		if err != nil || x == nil {
			return nil, err
		}
		y, err := b.run(fr)
		if err != nil || y == nil {
			return nil, err
		}
		return f(x, y)
	}}
}

// test is a comparison: true or false, and false when either side is null.
func test(a, b code, f func(a, b any) bool) code {
	return code{typ: Type{kind: boolean}, run: func(fr *frame) (any, error) {
		x, err := a.run(fr)
		if err != nil {
			return nil, err
		}
		y, err := b.run(fr)
		if err != nil {
			return nil, err
		}
		return x != nil && y != nil && f(x, y), nil
	}}
}

func (c *compiler) unary(n *ast.UnaryNode) code {
	if n.Operator == "!" || n.Operator == "not" {
		a := c.condition(n.Node)
		return code{typ: Type{kind: boolean}, run: func(f *frame) (any, error) {
			v, err := a.run(f)
			return v != true, err
		}}
	}
	a := c.compile(n.Node)
	if !a.typ.number() {
		return c.fail(n, fmt.Sprintf("%s needs a number, not %s", n.Operator, a.typ), convertHelp(a.typ))
	}
	if n.Operator == "+" {
		return a
	}
	return a.then(a.typ, negate)
}

func (c *compiler) binary(n *ast.BinaryNode) code {
	switch n.Operator {
	case "&&", "and", "||", "or":
		return c.logic(n)
	case "??":
		return c.coalesce(n, []node{n.Left, n.Right})
	case "+", "-", "*", "/", "%":
		return c.arithmetic(n)
	case "==", "!=":
		return c.equality(n)
	case "<", "<=", ">", ">=":
		return c.ordering(n)
	case "in":
		return c.in(n)
	case "matches":
		return c.matches(n)
	case "contains", "startsWith", "endsWith":
		return c.textTest(n)
	}
	help := ""
	if n.Operator == "**" || n.Operator == "^" {
		help = "multiply"
	}
	return c.fail(n, fmt.Sprintf("the operator %s is not supported", n.Operator), help)
}

func (c *compiler) logic(n *ast.BinaryNode) code {
	a, b := c.condition(n.Left), c.condition(n.Right)
	stop := n.Operator == "||" || n.Operator == "or"
	return code{typ: Type{kind: boolean}, run: func(f *frame) (any, error) {
		x, err := a.run(f)
		if err != nil || (x == true) == stop {
			return x == true, err
		}
		y, err := b.run(f)
		return y == true, err
	}}
}

func (c *compiler) coalesce(n node, args []node) code {
	codes := make([]code, len(args))
	t := Type{kind: null, null: true}
	nullable := true
	for i, a := range args {
		codes[i] = c.compile(a)
		nullable = nullable && codes[i].typ.null
		u, ok := unify(t, codes[i].typ)
		if !ok {
			return c.fail(a, fmt.Sprintf("does not go with what stands before it: %s and %s", t, codes[i].typ), "")
		}
		t = u
	}
	t.null = nullable
	return code{typ: t, run: func(f *frame) (any, error) {
		for _, a := range codes {
			if v, err := a.run(f); err != nil || v != nil {
				return v, err
			}
		}
		return nil, nil
	}}
}

func (c *compiler) arithmetic(n *ast.BinaryNode) code {
	a, b := c.compile(n.Left), c.compile(n.Right)
	if a.typ.kind == bad || b.typ.kind == bad {
		return code{run: nothing}
	}
	if n.Operator == "+" && a.typ.is(text, null) && b.typ.is(text, null) {
		return binaryCode(Type{kind: text}, a, b, func(x, y any) (any, error) { return x.(string) + y.(string), nil })
	}
	if !a.typ.number() && !a.typ.is(null) || !b.typ.number() && !b.typ.is(null) {
		return c.fail(n, fmt.Sprintf("%s can't take %s and %s", n.Operator, a.typ, b.typ), arithmeticHelp(n.Operator, a.typ, b.typ))
	}
	t := Type{kind: max(a.typ.kind, b.typ.kind)}
	if n.Operator == "/" && t.kind == integer {
		t.kind = decimals
	}
	op := n.Operator
	return binaryCode(t, a, b, func(x, y any) (any, error) { return arithmetic(op, x, y) })
}

func arithmeticHelp(op string, a, b Type) string {
	other := a
	if a.is(text) {
		other = b
	}
	if op == "+" && (a.is(text) || b.is(text)) && other.is(integer, decimals, float, boolean, date, instant, open) {
		return "convert with string(...), or the text with decimal(...)"
	}
	if h := convertHelp(a); h != "" && !a.number() {
		return h
	}
	return convertHelp(b)
}

func convertHelp(t Type) string {
	switch t.kind {
	case text:
		return "convert text with decimal(...) or int(...)"
	case open:
		return "convert a JSON value with decimal(...), int(...) or string(...)"
	case boolean:
		return "write condition ? 1 : 0"
	}
	return ""
}

func (c *compiler) equality(n *ast.BinaryNode) code {
	a, b := c.compile(n.Left), c.compile(n.Right)
	if !comparable(a.typ, b.typ) || (a.typ.kind == list || a.typ.kind == object) && !b.typ.is(null) {
		return c.mismatch(n, a.typ, b.typ)
	}
	want := n.Operator == "=="
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
	return test(a, constant(Type{kind: text}, ""), func(x, _ any) bool { return re.MatchString(x.(string)) })
}
