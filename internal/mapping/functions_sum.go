package mapping

import (
	"github.com/expr-lang/expr/ast"
	"github.com/shopspring/decimal"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// sum adds exactly; nulls are passed over.
func sum(c *compiler, n call) code {
	inner, body := n.args[0], node(nil)
	if len(n.args) == 2 {
		body = n.args[1]
	} else if m, ok := inner.(*ast.BuiltinNode); ok && m.Name == "map" && len(m.Arguments) == 2 {
		inner, body = m.Arguments[0], m.Arguments[1]
	}
	if name := elementColumn(body); name != "" && path(inner) {
		errs := len(c.errs)
		if a := c.named(inner); a.parent != nil {
			t := a.typ.elem.table
			col, ok := t.Info.Column(name)
			if ok && t.Members[name] == nil && (col.Kind == store.Int || col.Kind == store.Decimal) {
				return c.counted(t.aggregate("sum", col), a, func(v any) (any, error) { return total(v, name) })
			}
		}
		c.errs = c.errs[:errs]
	}
	if len(n.args) == 2 {
		n.args = []node{&ast.BuiltinNode{Name: "map", Arguments: n.args}}
		n.args[0].SetLocation(n.node.Location())
	}
	l, elem, ok := c.list(n.args[0], "sum")
	if !ok {
		return l
	}
	if !elem.number() && !elem.is(null) {
		return c.fail(n.args[0], "sum needs numbers, not a list of "+elem.String(), "write sum(list, .column)")
	}
	t := Type{kind: decimals, null: l.typ.null}
	if elem.kind == float {
		t.kind = float
	}
	return l.then(t, func(v any) (any, error) { return total(v, "") })
}

// path says whether a node is a name with members, and so cheap to look at
// twice.
func path(n node) bool {
	for {
		switch m := n.(type) {
		case *ast.IdentifierNode, *ast.PointerNode:
			return true
		case *ast.MemberNode:
			if _, named := m.Property.(*ast.StringNode); !named {
				return false
			}
			n = m.Node
		case *ast.ChainNode:
			n = m.Node
		default:
			return false
		}
	}
}

// elementColumn is the name in a closure that is just .name, or "".
func elementColumn(body node) string {
	p, ok := body.(*ast.PredicateNode)
	if !ok {
		return ""
	}
	m, ok := p.Node.(*ast.MemberNode)
	if !ok {
		return ""
	}
	elem, ok := m.Node.(*ast.PointerNode)
	name, named := m.Property.(*ast.StringNode)
	if !ok || !named || elem.Name != "" {
		return ""
	}
	return name.Value
}

// total adds the elements of a list, or a column of its rows.
func total(l any, column string) (any, error) {
	var t any = decimal.Decimal{}
	for e := range each(l) {
		if column != "" {
			e = e.(store.Row)[column]
		}
		if e == nil {
			continue
		}
		var err error
		if t, err = arithmetic("+", t, e); err != nil {
			return nil, err
		}
	}
	return t, nil
}
