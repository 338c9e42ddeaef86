package mapping

import (
	"fmt"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep/internal/store"
)

type node = ast.Node

// eval computes a value. It must not change the row, nor any value in it.
type eval func(*frame) (any, error)

// frame is one evaluation: the row, and the variables and closure elements at
// work, each at its own place.
type frame struct {
	root  store.Row
	slots []any
	work  int // done; see spend
}

// code is a compiled node.
type code struct {
	typ Type
	run eval
	// parent computes the row on which a has_many hangs that was named and
	// nothing else, so that the database can count it.
	parent eval
}

type variable struct {
	name string
	slot int
	typ  Type
}

// closure is a closure that is being compiled: #, #index and #acc.
type closure struct{ elem, index, acc variable }

// maxSteps bounds the work of compiling: the closure of reduce is compiled
// twice, and closures nest.
const maxSteps = 50_000

type compiler struct {
	scope     *Scope
	functions map[string]function
	source    []rune
	errs      []*Error
	refers    map[string]bool
	slots     int
	steps     int
	vars      []variable
	closures  []closure
}

func (c *compiler) fail(n node, message, help string) code {
	at := n.Location()
	c.errs = append(c.errs, &Error{From: at.From, To: at.To, Message: message, Help: help})
	return code{run: nothing}
}

func nothing(*frame) (any, error) { return nil, nil }

func constant(t Type, v any) code {
	return code{typ: t, run: func(*frame) (any, error) { return v, nil }}
}

func (c *compiler) slot(name string, t Type) variable {
	c.slots++
	return variable{name, c.slots - 1, t}
}

// compile compiles a node whose value is used: the rows of a relation are
// loaded. See named for the other way.
func (c *compiler) compile(n node) code {
	out := c.named(n)
	if out.parent != nil {
		out.typ.elem.table.rows = true
		out.parent = nil
	}
	return out
}

// named compiles a node and leaves it open whether the rows of a relation
// that it names are loaded.
func (c *compiler) named(n node) code {
	if c.steps++; c.steps > maxSteps {
		if c.steps == maxSteps+1 {
			return c.fail(n, "the expression is too involved", "write a Go function instead")
		}
		return code{run: nothing}
	}
	switch n := n.(type) {
	case *ast.NilNode:
		return constant(Type{kind: null, null: true}, nil)
	case *ast.BoolNode:
		return constant(Type{kind: boolean}, n.Value)
	case *ast.IntegerNode:
		return constant(Type{kind: integer}, int64(n.Value))
	case *ast.FloatNode:
		return c.decimalLiteral(n)
	case *ast.StringNode:
		return c.literal(n)
	case *ast.IdentifierNode:
		return c.identifier(n)
	case *ast.PointerNode:
		return c.pointer(n)
	case *ast.ChainNode:
		return c.named(n.Node)
	case *ast.MemberNode:
		return c.member(n)
	case *ast.SliceNode:
		return c.slice(n)
	case *ast.UnaryNode:
		return c.unary(n)
	case *ast.BinaryNode:
		return c.binary(n)
	case *ast.ConditionalNode:
		return c.conditional(n)
	case *ast.VariableDeclaratorNode:
		return c.let(n)
	case *ast.ArrayNode:
		return c.array(n)
	case *ast.MapNode:
		return c.object(n)
	case *ast.BuiltinNode:
		return c.call(call{n, n.Name, n.Arguments})
	case *ast.CallNode:
		if callee, ok := n.Callee.(*ast.IdentifierNode); ok {
			return c.call(call{n, callee.Value, n.Arguments})
		}
		return c.fail(n, "a value has no functions of its own", "write name(value), or value | name()")
	case *ast.PredicateNode:
		return c.fail(n, "a closure can't stand here", "")
	case *ast.SequenceNode:
		return c.fail(n, "several expressions in one: only the last would count", "use let name = ...; to name a part")
	case nil:
		c.errs = append(c.errs, &Error{Message: "is empty", Help: "write an expression"})
		return code{run: nothing}
	}
	return c.fail(n, "is not supported here", "")
}

// decimalLiteral reads the number from the source: the parser has rounded it
// to floating point.
func (c *compiler) decimalLiteral(n *ast.FloatNode) code {
	at := n.Location()
	d := decimal.NewFromFloat(n.Value)
	if at.From >= 0 && at.From < at.To && at.To <= len(c.source) {
		digits := strings.ReplaceAll(string(c.source[at.From:at.To]), "_", "")
		if exact, err := decimal.NewFromString(digits); err == nil {
			d = exact
		}
	}
	if e := d.Exponent(); e > maxExponent || e < -maxExponent {
		return c.fail(n, "the number is too large or too small", "")
	}
	return constant(Type{kind: decimals}, d)
}

func (c *compiler) literal(n *ast.StringNode) code {
	s := n.Value
	if c.scope.Literal != nil {
		s = c.scope.Literal(s)
	}
	return constant(Type{kind: text, values: []string{s}}, s)
}

func (c *compiler) let(n *ast.VariableDeclaratorNode) code {
	value := c.compile(n.Value)
	for _, v := range c.vars {
		if v.name == n.Name {
			return c.fail(n, fmt.Sprintf("%q is a variable already", n.Name), "choose another name")
		}
	}
	if t := c.scope.Root; t != nil {
		if _, ok := t.Info.Column(n.Name); ok || t.Members[n.Name] != nil {
			return c.fail(n, fmt.Sprintf("%q is a column or a relation already", n.Name), "choose another name")
		}
	}
	v := c.slot(n.Name, value.typ)
	c.vars = append(c.vars, v)
	body := c.compile(n.Expr)
	c.vars = c.vars[:len(c.vars)-1]
	return code{typ: body.typ, run: func(f *frame) (any, error) {
		x, err := value.run(f)
		if err != nil {
			return nil, err
		}
		f.slots[v.slot] = x
		return body.run(f)
	}}
}

func (c *compiler) conditional(n *ast.ConditionalNode) code {
	cond := c.condition(n.Cond)
	yes, no := c.compile(n.Exp1), c.compile(n.Exp2)
	t, ok := unify(yes.typ, no.typ)
	if !ok {
		return c.fail(n.Exp2, fmt.Sprintf("the two outcomes don't go together: %s and %s", yes.typ, no.typ), "")
	}
	return code{typ: t, run: func(f *frame) (any, error) {
		b, err := cond.run(f)
		if err != nil {
			return nil, err
		}
		if b == true {
			return yes.run(f)
		}
		return no.run(f)
	}}
}

// condition compiles what must be a boolean; null counts as false.
func (c *compiler) condition(n node) code {
	out := c.compile(n)
	if !out.typ.is(boolean, null) {
		return c.fail(n, "a condition must be a boolean, not "+out.typ.String(), "compare it with something")
	}
	return out
}

func (c *compiler) array(n *ast.ArrayNode) code {
	elems := make([]code, len(n.Nodes))
	elem := Type{kind: null, null: true}
	for i, e := range n.Nodes {
		elems[i] = c.compile(e)
		t, ok := unify(elem, elems[i].typ)
		if !ok {
			return c.fail(e, fmt.Sprintf("does not go with the elements before it: %s and %s", elem, elems[i].typ), "")
		}
		if i == 0 {
			t = elems[i].typ
		}
		elem = t
	}
	return code{typ: listOf(elem), run: func(f *frame) (any, error) {
		out := make([]any, len(elems))
		for i, e := range elems {
			v, err := e.run(f)
			if err != nil {
				return nil, err
			}
			out[i] = v
		}
		return out, f.made(out)
	}}
}

func (c *compiler) object(n *ast.MapNode) code {
	names := make([]string, len(n.Pairs))
	values := make([]code, len(n.Pairs))
	t := Type{kind: object, fields: map[string]Type{}}
	for i, p := range n.Pairs {
		pair := p.(*ast.PairNode)
		key, ok := pair.Key.(*ast.StringNode)
		if !ok {
			return c.fail(pair.Key, "the name of a field must be written out", "write {name: value}")
		}
		if _, double := t.fields[key.Value]; double {
			return c.fail(pair.Key, fmt.Sprintf("%q stands twice in the map", key.Value), "drop one")
		}
		names[i], values[i] = key.Value, c.compile(pair.Value)
		t.fields[key.Value] = values[i].typ
	}
	return code{typ: t, run: func(f *frame) (any, error) {
		out := make(map[string]any, len(names))
		for i, name := range names {
			v, err := values[i].run(f)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			out[name] = v
		}
		return out, nil
	}}
}
