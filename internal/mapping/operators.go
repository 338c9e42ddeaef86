package mapping

import (
	"fmt"

	"github.com/expr-lang/expr/ast"
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
		v, err := f(x, y)
		if err != nil {
			return nil, err
		}
		return v, fr.made(v)
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
