package mapping

import (
	"fmt"
	"slices"

	"github.com/expr-lang/expr/ast"
)

// closureFunctions compute a closure for each element of a list.
var closureFunctions = map[string]function{
	"map":    {"map(list, .column) or map(list, {{name: .column}})", 2, 2, mapped},
	"filter": {"filter(list, condition)", 2, 2, filtered},
	"all":    {"all(list, condition)", 2, 2, quantified(func(hits, n int) bool { return hits == n })},
	"any":    {"any(list, condition)", 2, 2, quantified(func(hits, n int) bool { return hits > 0 })},
	"none":   {"none(list, condition)", 2, 2, quantified(func(hits, n int) bool { return hits == 0 })},
	"one":    {"one(list, condition)", 2, 2, quantified(func(hits, n int) bool { return hits == 1 })},
	"find":   {"find(list, condition)", 2, 2, found},
	"sortBy": {`sortBy(list, .column) or sortBy(list, .column, "desc")`, 2, 3, sorted},
	"reduce": {"reduce(list, #acc + .column, 0)", 3, 3, reduced},
}

// closure compiles a function of a list and a closure. result says what the
// function gives when the closure gives t for an elem, and false when t will not do; run
// is given the list and the closure.
func (c *compiler) closure(n call, result func(elem, t Type) (Type, bool),
	run func(f *frame, l any, body func(any) (any, error)) (any, error)) code {
	l, elem, ok := c.list(n.args[0], n.name)
	if !ok {
		elem = Type{}
	}
	in := closure{elem: c.slot("#", elem), index: c.slot("#index", Type{kind: integer})}
	body, ok := c.inside(n.args[1], in)
	if !ok {
		return code{run: nothing}
	}
	t, ok := result(elem, body.typ)
	if !ok {
		return c.fail(bodyOf(n.args[1]), fmt.Sprintf("the closure of %s must be a boolean, not %s", n.name, body.typ), "compare it with something: .qty > 0")
	}
	t.null = t.null || l.typ.null
	return code{typ: t, run: func(f *frame) (any, error) {
		v, err := l.run(f)
		if err != nil || v == nil {
			return nil, err
		}
		if err := asList(v); err != nil {
			return nil, err
		}
		k := int64(-1)
		return run(f, v, func(e any) (any, error) {
			k++
			if err := f.spend(1); err != nil {
				return nil, err
			}
			f.slots[in.elem.slot], f.slots[in.index.slot] = e, k
			return body.run(f)
		})
	}}
}

// inside compiles the body of a closure.
func (c *compiler) inside(n node, in closure) (code, bool) {
	p, ok := n.(*ast.PredicateNode)
	if !ok {
		return c.fail(n, "must be a closure", "write .column, or an expression with # for the element"), false
	}
	c.closures = append(c.closures, in)
	body := c.compile(p.Node)
	c.closures = c.closures[:len(c.closures)-1]
	return body, true
}

func bodyOf(n node) node {
	if p, ok := n.(*ast.PredicateNode); ok && p.Node != nil {
		return p.Node
	}
	return n
}

func mapped(c *compiler, n call) code {
	return c.closure(n, func(_, t Type) (Type, bool) { return listOf(t), true },
		func(f *frame, l any, body func(any) (any, error)) (any, error) {
			out := make([]any, 0, size(l))
			for e := range each(l) {
				v, err := body(e)
				if err != nil {
					return nil, fmt.Errorf("[%d]: %w", len(out), err)
				}
				out = append(out, v)
			}
			return out, nil
		})
}

func filtered(c *compiler, n call) code {
	return c.closure(n, func(elem, t Type) (Type, bool) { return listOf(elem), t.is(boolean, null) },
		func(f *frame, l any, body func(any) (any, error)) (any, error) {
			out := []any{}
			for e := range each(l) {
				v, err := body(e)
				if err != nil {
					return nil, err
				}
				if v == true {
					out = append(out, e)
				}
			}
			return out, nil
		})
}

func quantified(holds func(hits, n int) bool) func(*compiler, call) code {
	return func(c *compiler, n call) code {
		return c.closure(n, func(_, t Type) (Type, bool) { return Type{kind: boolean}, t.is(boolean, null) },
			func(f *frame, l any, body func(any) (any, error)) (any, error) {
				hits := 0
				for e := range each(l) {
					v, err := body(e)
					if err != nil {
						return nil, err
					}
					if v == true {
						hits++
					}
				}
				return holds(hits, size(l)), nil
			})
	}
}

func found(c *compiler, n call) code {
	return c.closure(n, func(elem, t Type) (Type, bool) { return elem.orNull(), t.is(boolean, null) },
		func(f *frame, l any, body func(any) (any, error)) (any, error) {
			for e := range each(l) {
				if v, err := body(e); err != nil || v == true {
					return e, err
				}
			}
			return nil, nil
		})
}

func sorted(c *compiler, n call) code {
	sign := 1
	if len(n.args) == 3 {
		order, ok := c.written(n.args[2], "the order", `"asc" or "desc"`)
		if ok && order != "asc" && order != "desc" {
			return c.fail(n.args[2], fmt.Sprintf("unknown order %q", order), `write "asc" or "desc"`)
		}
		if order == "desc" {
			sign = -1
		}
	}
	var key Type
	out := c.closure(n, func(elem, t Type) (Type, bool) { key = t; return listOf(elem), true },
		func(f *frame, l any, body func(any) (any, error)) (any, error) {
			type keyed struct{ key, value any }
			var all []keyed
			for e := range each(l) {
				k, err := body(e)
				if err != nil {
					return nil, err
				}
				all = append(all, keyed{k, e})
			}
			slices.SortStableFunc(all, func(a, b keyed) int { return compare(a.key, b.key) * sign })
			out := make([]any, len(all))
			for i, e := range all {
				out[i] = e.value
			}
			return out, nil
		})
	if !key.ordered() {
		return c.fail(bodyOf(n.args[1]), "can't sort by "+key.String(), "sort by a number, a text, a date or a time")
	}
	return out
}

// reduced folds a list into one value. The accumulator has the type of the
// start and of what the closure gives, together.
func reduced(c *compiler, n call) code {
	l, elem, ok := c.list(n.args[0], "reduce")
	start := c.compile(n.args[2])
	start.typ = start.typ.anything()
	if !ok {
		return code{run: nothing}
	}
	in := closure{elem: c.slot("#", elem), index: c.slot("#index", Type{kind: integer}), acc: c.slot("#acc", start.typ)}
	errs := len(c.errs)
	body, ok := c.inside(n.args[1], in)
	if t, fits := unify(start.typ, body.typ); ok && fits && len(c.errs) == errs && !same(t, start.typ) {
		in.acc.typ = t
		body, ok = c.inside(n.args[1], in)
	}
	t, fits := unify(in.acc.typ, body.typ)
	if !ok || !fits {
		return c.fail(bodyOf(n.args[1]), fmt.Sprintf("gives %s, but starts with %s", body.typ, start.typ), "")
	}
	t.null = t.null || l.typ.null
	return code{typ: t, run: func(f *frame) (any, error) {
		v, err := l.run(f)
		if err != nil || v == nil {
			return nil, err
		}
		acc, err := start.run(f)
		k := int64(0)
		for e := range each(v) {
			if err != nil {
				break
			}
			f.slots[in.elem.slot], f.slots[in.index.slot], f.slots[in.acc.slot] = e, k, acc
			if acc, err = body.run(f); err == nil {
				err = f.spend(1)
			}
			k++
		}
		return acc, err
	}}
}

func same(a, b Type) bool { return a.kind == b.kind && a.null == b.null }
