package mapping

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"

	"github.com/upkeep-sync/upkeep/internal/store"
)

// listFunctions work on lists: relations, lists that were made, JSON arrays.
var listFunctions = map[string]function{
	"len":     {"len(list) or len(text)", 1, 1, length},
	"count":   {"count(list) or count(list, condition)", 1, 2, count},
	"sum":     {"sum(list, .column)", 1, 2, sum},
	"first":   {"first(list)", 1, 1, elementAt(0)},
	"last":    {"last(list)", 1, 1, elementAt(-1)},
	"min":     {"min(a, b, ...) or min(list)", 1, -1, extreme(-1)},
	"max":     {"max(a, b, ...) or max(list)", 1, -1, extreme(1)},
	"reverse": {"reverse(list)", 1, 1, onList(func(l []any) []any { l = slices.Clone(l); slices.Reverse(l); return l })},
	"uniq":    {"uniq(list)", 1, 1, unique},
	"concat":  {"concat(list, list, ...)", 1, -1, concat},
}

// list compiles an argument that must be a list.
func (c *compiler) list(n node, function string) (code, Type, bool) {
	l := c.compile(n)
	switch l.typ.kind {
	case list:
		return l, *l.typ.elem, true
	case open:
		return l, Type{kind: open, null: true}, true
	case bad:
		return l, Type{}, false
	}
	return c.fail(n, fmt.Sprintf("%s needs a list, not %s", function, l.typ), ""), Type{}, false
}

// counted compiles len or count of a relation that is named and nothing else:
// the database counts, unless the rows are loaded anyway.
func (c *compiler) counted(a store.Aggregate, l code, fromRows func(any) (any, error)) code {
	t := l.typ.elem.table
	kindOf := integer
	if a.Func == "sum" {
		kindOf = decimals
	}
	return code{typ: Type{kind: kindOf, null: l.typ.null}, run: func(f *frame) (any, error) {
		if t.rows {
			v, err := l.run(f)
			if err != nil || v == nil {
				return nil, err
			}
			return fromRows(v)
		}
		v, err := l.parent(f)
		if err != nil {
			return nil, err
		}
		r, _ := v.(store.Row)
		if r == nil {
			return nil, nil
		}
		total, ok := r[a.Name]
		if !ok {
			return nil, fmt.Errorf("%s was not loaded", a.Name)
		}
		return total, nil
	}}
}

func length(c *compiler, n call) code {
	a := c.named(n.args[0])
	if a.parent != nil {
		agg := a.typ.elem.table.aggregate("count", store.Column{})
		return c.counted(agg, a, func(v any) (any, error) { return int64(size(v)), nil })
	}
	switch {
	case a.typ.is(text) && n.name == "len":
		return a.then(Type{kind: integer, null: a.typ.null}, func(v any) (any, error) { return int64(utf8.RuneCountInString(v.(string))), nil })
	case a.typ.is(list):
		return a.then(Type{kind: integer, null: a.typ.null}, func(v any) (any, error) { return int64(size(v)), nil })
	case a.typ.is(open):
		return a.then(Type{kind: integer, null: true}, func(v any) (any, error) {
			switch v := v.(type) {
			case string:
				return int64(utf8.RuneCountInString(v)), nil
			case map[string]any:
				return int64(len(v)), nil
			}
			return int64(size(v)), asList(v)
		})
	}
	return c.fail(n.args[0], fmt.Sprintf("%s needs a list, not %s", n.name, a.typ), "")
}

func count(c *compiler, n call) code {
	if len(n.args) == 1 {
		return length(c, n)
	}
	return c.closure(n, func(_, t Type) (Type, bool) { return Type{kind: integer}, t.is(boolean, null) },
		func(f *frame, l any, body func(any) (any, error)) (any, error) {
			k := int64(0)
			for e := range each(l) {
				v, err := body(e)
				if err != nil {
					return nil, err
				}
				if v == true {
					k++
				}
			}
			return k, nil
		})
}

func elementAt(at int) func(*compiler, call) code {
	return func(c *compiler, n call) code {
		l, elem, ok := c.list(n.args[0], n.name)
		if !ok {
			return l
		}
		return l.then(elem.orNull(), func(v any) (any, error) {
			all := items(v)
			if len(all) == 0 {
				return nil, nil
			}
			return all[(len(all)+at)%len(all)], nil
		})
	}
}

// extreme is the least (-1) or greatest (1) of its arguments or of a list;
// nulls are passed over, and null is the extreme of nothing.
func extreme(sign int) func(*compiler, call) code {
	return func(c *compiler, n call) code {
		var l code
		var elem Type
		if len(n.args) > 1 {
			if l = c.array(&ast.ArrayNode{Nodes: n.args}); l.typ.kind == bad {
				return l
			}
			elem = *l.typ.elem
		} else {
			var ok bool
			if l, elem, ok = c.list(n.args[0], n.name); !ok {
				return l
			}
		}
		if !elem.ordered() || elem.kind == open {
			return c.fail(n.node, fmt.Sprintf("%s can't compare values of type %s", n.name, elem), "")
		}
		t := elem
		t.null = elem.null || len(n.args) == 1
		return l.then(t, func(v any) (any, error) {
			var best any
			for e := range each(v) {
				if e != nil && (best == nil || compare(e, best)*sign > 0) {
					best = e
				}
			}
			return best, nil
		})
	}
}

func onList(f func([]any) []any) func(*compiler, call) code {
	return func(c *compiler, n call) code {
		l, elem, ok := c.list(n.args[0], n.name)
		if !ok {
			return l
		}
		t := listOf(elem)
		t.null = l.typ.null
		return l.then(t, func(v any) (any, error) { return f(items(v)), nil })
	}
}

func unique(c *compiler, n call) code {
	l, elem, ok := c.list(n.args[0], n.name)
	if ok && elem.hasRows() {
		return c.fail(n.args[0], "rows can't be compared with each other", "write uniq(map(list, .column))")
	} else if !ok {
		return l
	}
	return code{typ: l.typ, run: func(f *frame) (any, error) {
		v, err := l.run(f)
		if err != nil || v == nil {
			return nil, err
		}
		var out []any
		for e := range each(v) {
			if err := f.spend(1 + len(out)/8); err != nil { // each is compared with all
				return nil, err
			}
			if !slices.ContainsFunc(out, func(o any) bool { return equal(o, e) }) {
				out = append(out, e)
			}
		}
		return out, nil
	}}
}

func concat(c *compiler, n call) code {
	lists := make([]code, len(n.args))
	t := Type{kind: bad}
	for i, a := range n.args {
		l, elem, ok := c.list(a, "concat")
		if !ok {
			return l
		}
		if i > 0 {
			if elem, ok = unify(*t.elem, elem); !ok {
				return c.fail(a, "its elements don't go with those before", "")
			}
		}
		lists[i], t = l, listOf(elem)
	}
	return code{typ: t, run: func(f *frame) (any, error) {
		out := []any{}
		for _, l := range lists {
			v, err := l.run(f)
			if err != nil {
				return nil, err
			}
			if err := f.spend(size(v)); err != nil {
				return nil, err
			}
			out = append(out, items(v)...)
		}
		return out, nil
	}}
}
