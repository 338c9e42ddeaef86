package mapping

import (
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"

	"github.com/upkeep-sync/upkeep/internal/spelling"
	"github.com/upkeep-sync/upkeep/internal/store"
)

func (c *compiler) identifier(n *ast.IdentifierNode) code {
	if s, ok := c.scope.Constants[n.Value]; ok {
		return constant(Type{kind: text}, s)
	}
	for i := len(c.vars) - 1; i >= 0; i-- {
		if v := c.vars[i]; v.name == n.Value {
			return v.code()
		}
	}
	root := c.scope.Root
	if root == nil {
		return c.fail(n, fmt.Sprintf("there is no row to read %q from here", n.Value),
			fmt.Sprintf("for the text itself, write it in quotes: '%q'", n.Value))
	}
	whole := code{typ: Type{kind: row, table: root}, run: func(f *frame) (any, error) { return f.root, nil }}
	if n.Value == "$env" {
		return whole
	}
	if out, ok := c.of(whole, n.Value); ok {
		return out
	}
	return c.unknown(n, n.Value, root)
}

// unknown reports a name that the table does not have.
func (c *compiler) unknown(n node, name string, t *Table) code {
	if t.Unknown {
		return code{run: nothing}
	}
	help := Suggest(name, t.Names())
	if k := len(c.closures); k > 0 && t == c.scope.Root {
		if elem := c.closures[k-1].elem.typ; elem.kind == row && slices.Contains(elem.table.Names(), name) {
			help = fmt.Sprintf("for the column of the element, write .%s", name)
		}
	}
	if f, ok := c.functions[name]; ok && spelling.Nearest(name, t.Names()) == "" {
		help = "it is a function: write " + f.usage
	} else if whole := strings.TrimSpace(string(c.source)); whole == name && spelling.Nearest(name, t.Names()) == "" {
		help += fmt.Sprintf("; a fixed text has quotes inside those of YAML: '\"%s\"'", name)
	}
	if odd := c.oddName(n, name, t); odd != "" {
		help = fmt.Sprintf("a column whose name is no identifier is written %s", Read("", odd))
	}
	if of := t.whose(name); of != "" {
		help = fmt.Sprintf("for the text, which %s can be, write it in quotes: %q", of, name)
	}
	return c.fail(n, fmt.Sprintf("table %s has no column or relation %q", t.Info.Name, name), help)
}

// oddName is the column of the root row that may be meant where a name was read that is
// none: one that no expression reads as it is, such as E-Mail, of which E is read.
func (c *compiler) oddName(n node, name string, t *Table) string {
	if t != c.scope.Root {
		return ""
	}
	near := spelling.Nearest(name, t.Names())
	rest := string(c.source[min(max(n.Location().From, 0), len(c.source)):])
	for _, col := range t.Info.Columns {
		if !IsName(col.Name) && (col.Name == near || strings.HasPrefix(rest, col.Name)) {
			return col.Name
		}
	}
	return ""
}

// of is a column or a relation of a row.
func (c *compiler) of(from code, name string) (code, bool) {
	t := from.typ.table
	if slices.Contains(t.Lost, name) {
		return code{run: nothing}, true
	}
	if m := t.Members[name]; m != nil {
		elem := Type{kind: row, table: m}
		if m.Relation == store.HasMany {
			out := from.get(name, Type{kind: list, elem: &elem})
			out.parent = from.run
			return out, true
		}
		m.rows = true
		return from.get(name, elem.orNull()), true
	}
	col, ok := t.Info.Column(name)
	if !ok {
		return code{}, false
	}
	t.read(name)
	return from.get(name, t.column(col)), true
}

// get reads a name of a row that may be null.
func (from code) get(name string, t Type) code {
	t.null = t.null || from.typ.null
	return code{typ: t, run: func(f *frame) (any, error) {
		v, err := from.run(f)
		if err != nil {
			return nil, err
		}
		r, _ := v.(store.Row)
		if r == nil {
			return nil, nil
		}
		switch v := r[name].(type) {
		case store.Row:
			if v == nil {
				return nil, nil
			}
			return v, nil
		default:
			return v, nil
		}
	}}
}

func (v variable) code() code {
	return code{typ: v.typ, run: func(f *frame) (any, error) { return f.slots[v.slot], nil }}
}

func (c *compiler) pointer(n *ast.PointerNode) code {
	if len(c.closures) == 0 {
		return c.fail(n, "# stands for the element of a list and can only be used in a closure", "")
	}
	in := c.closures[len(c.closures)-1]
	switch {
	case n.Name == "":
		return in.elem.code()
	case n.Name == "index":
		return in.index.code()
	case n.Name == "acc" && in.acc.name != "":
		return in.acc.code()
	}
	return c.fail(n, fmt.Sprintf("unknown name #%s", n.Name), "known are # (the element), #index, and in reduce #acc")
}

func (c *compiler) member(n *ast.MemberNode) code {
	from := c.named(n.Node)
	name, named := n.Property.(*ast.StringNode)
	if from.parent != nil {
		from.typ.elem.table.rows, from.parent = true, nil
		if named {
			return c.fail(n.Property, fmt.Sprintf("is a list of rows, so %q is not one value", name.Value),
				fmt.Sprintf("use map(list, .%s) or first(list).%s", name.Value, name.Value))
		}
	}
	switch from.typ.kind {
	case bad:
		return from
	case row:
		if !named {
			return c.fail(n.Property, "a row can't be indexed by a value: which columns it reads would not be known", "write the column's name")
		}
		if out, ok := c.of(from, name.Value); ok {
			return out
		}
		return c.unknown(n.Property, name.Value, from.typ.table)
	case object:
		if !named {
			return c.fail(n.Property, "a map can't be indexed by a value", `write a name, or choose by conditions: state == "open" ? "A" : state == "done" ? "B" : nil`)
		}
		t, ok := from.typ.fields[name.Value]
		if !ok {
			return c.fail(n.Property, fmt.Sprintf("the map has no %q", name.Value), "it is a "+from.typ.String())
		}
		t.null = t.null || from.typ.null
		return from.then(t, func(v any) (any, error) { return v.(map[string]any)[name.Value], nil })
	case open:
		if named {
			return from.then(Type{kind: open, null: true}, func(v any) (any, error) {
				m, _ := v.(map[string]any)
				return m[name.Value], nil
			})
		}
		return c.index(n, from, Type{kind: open, null: true})
	case list:
		if named {
			return c.fail(n.Property, fmt.Sprintf("a list has no %q", name.Value), fmt.Sprintf("use map(list, .%s) or first(list).%s", name.Value, name.Value))
		}
		return c.index(n, from, from.typ.elem.orNull())
	case null:
		return constant(Type{kind: null, null: true}, nil)
	}
	return c.fail(n.Property, fmt.Sprintf("a value of type %s has no members", from.typ), "")
}

// index reads an element by its position; from the end when negative, null
// when there is none.
func (c *compiler) index(n *ast.MemberNode, from code, t Type) code {
	at := c.compile(n.Property)
	if !at.typ.is(integer) {
		return c.fail(n.Property, "a position must be an integer, not "+at.typ.String(), "")
	}
	return binaryCode(t, from, at, func(v, i any) (any, error) {
		k, _ := i.(int64)
		if k < 0 {
			k += int64(size(v))
		}
		for e := range each(v) {
			if k == 0 {
				return e, nil
			}
			k--
		}
		return nil, nil
	})
}

func (c *compiler) slice(n *ast.SliceNode) code {
	from := c.compile(n.Node)
	if !from.typ.is(text, list) {
		return c.fail(n, "only text and lists can be cut, not "+from.typ.String(), "")
	}
	bound := func(b node, fallback int64) code {
		if b == nil {
			return constant(Type{kind: integer}, fallback)
		}
		out := c.compile(b)
		if !out.typ.is(integer) {
			return c.fail(b, "a position must be an integer, not "+out.typ.String(), "")
		}
		return out
	}
	lo, hi := bound(n.From, 0), bound(n.To, 1<<62)
	t := from.typ.anything()
	t.null = t.null || lo.typ.null || hi.typ.null
	return code{typ: t, run: func(f *frame) (any, error) {
		var v [3]any
		for i, part := range []code{from, lo, hi} {
			x, err := part.run(f)
			if err != nil || x == nil {
				return nil, err
			}
			v[i] = x
		}
		return cut(v[0], v[1].(int64), v[2].(int64)), nil
	}}
}

// cut is v[lo:hi] of a text (in characters) or a list; positions outside it
// are moved to its ends, negative ones count from the end.
func cut(v any, lo, hi int64) any {
	clamp := func(i, n int64) int64 {
		if i < 0 {
			i += n
		}
		return max(0, min(i, n))
	}
	if s, ok := v.(string); ok {
		r := []rune(s)
		lo, hi = clamp(lo, int64(len(r))), clamp(hi, int64(len(r)))
		return string(r[lo:max(lo, hi)])
	}
	all := items(v)
	lo, hi = clamp(lo, int64(len(all))), clamp(hi, int64(len(all)))
	return all[lo:max(lo, hi)]
}

// then computes something of a value that is not null.
func (from code) then(t Type, f func(any) (any, error)) code {
	return code{typ: t, run: func(fr *frame) (any, error) {
		v, err := from.run(fr)
		if err != nil || v == nil {
			return nil, err
		}
		return f(v)
	}}
}
